"""Runs made again, for real: a project with a network and pictures of its own, its study, and what changed since."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from idealfit.cli import main
from idealfit.provenance.packages import installed
from idealfit.record import Record
from idealfit.reproduce.recorded import read_recorded, run_id_of
from idealfit.spec import Objective, TrialSpec, TrialState

NET = """from torch import nn


class Net(nn.Sequential):
    def __init__(self, image_shape, num_classes, width=8):
        size = image_shape[0] * image_shape[1] * image_shape[2]
        super().__init__(nn.Flatten(), nn.Linear(size, width), nn.ReLU(), nn.Linear(width, num_classes))
"""
SWEEP = """defaults:
  - train
  - override /data: image_folder
  - override /model: own
  - _self_

study:
  name: ours
  space:
    optimizer.lr: tag(log, interval(0.003, 0.02))
  budget:
    trials: 2
trainer:
  max_epochs: 3
"""
TRAIN = """import json, sys, threading
from idealfit.spec import TrialSpec
from idealfit.trial import run_trial

run_trial(TrialSpec.from_json(json.loads(sys.argv[1])), threading.Event())
"""
TRUST = "trusted_packages=[ournets]"
NO_UI = "tracking.uri="
Say = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in git with a finished study of two trials."""
    place = tmp_path_factory.mktemp("project")
    random = np.random.default_rng(0)
    for number in range(30):
        path = place / "pictures" / ("cat" if number % 2 else "dog") / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 200, (8, 8), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    (place / "ournets.py").write_text(NET)
    for name, text in {
        "sweeps/ours.yaml": SWEEP,
        "conf/model/own.yaml": "_target_: ournets.Net\nwidth: 8\n",
    }.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    identity = ("-c", "user.email=a@example.org", "-c", "user.name=A")
    for words in (["init", "-q"], ["add", "."], [*identity, "commit", "-qm", "first"]):
        subprocess.run(["git", *words], cwd=place, check=True, capture_output=True)
    command = [sys.executable, "-m", "idealfit", "sweep", "ours", TRUST, "data.root=pictures", "engine.slots=2"]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return place


@pytest.fixture
def place(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the project, to be changed."""
    place = tmp_path / "project"
    shutil.copytree(made, place)
    monkeypatch.chdir(place)
    return place


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Say:
    """Types a command line; returns exit code and output."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words: str) -> tuple[int, str]:
        code = main(list(words))
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return run


def test_a_trial_of_a_study_by_its_run_id_is_identical(place: Path, say: Say) -> None:
    run_id = run_id_of(Record(place / "runs" / "ours" / "1"))
    assert len(run_id) == 32
    code, text = say("reproduce", run_id, TRUST)
    assert "identical: 5 metrics over 3 epochs, equal to the last bit." in text
    assert code == 0
    again = Record(place / "runs" / "reproduce" / "0").read_spec()
    assert again.tags == {"reproduces": "ours/1", "reproduces_run_id": run_id}
    assert (place / "runs" / "reproduce" / "provenance" / f"{again.provenance[:16]}.json").exists()


def test_another_seed_is_found_and_named(place: Path, say: Say) -> None:
    code, text = say("reproduce", "ours/0", TRUST, NO_UI, "seed=1")
    assert "Likeliest cause: config (seed: 0 -> 1" in text
    assert code == 1


def test_a_changed_line_and_an_edited_picture_are_named(place: Path, say: Say) -> None:
    (place / "ournets.py").write_text(NET.replace("nn.ReLU()", "nn.Tanh()"))
    picture = place / "pictures" / "cat" / "05.png"
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(picture)
    code, text = say("reproduce", "ours/best", TRUST, "--dry-run")
    assert "ournets.py edited" in text
    assert "cat/05.png edited" in text
    assert code == 0
    assert not (place / "runs" / "reproduce").exists()


def test_the_code_of_then_can_be_checked_out(place: Path, say: Say) -> None:
    (place / "ournets.py").write_text("raise SystemExit('of later')\n")
    code, text = say("reproduce", "ours/0", TRUST, NO_UI, "--checkout")
    assert "identical" in text
    assert code == 0


def test_a_pruned_run_is_trained_as_far_as_it_came(place: Path, say: Say) -> None:
    config = Record(place / "runs" / "ours" / "0").read_spec().config
    folder = place / "runs" / "ours" / "2"
    spec = TrialSpec(study="ours", number=2, config=config, record_dir=str(folder), objective=Objective(), stop_after=2)
    given = json.dumps(spec.with_(trusted_packages=["ournets"], num_threads=1).to_json())
    subprocess.run([sys.executable, "-c", TRAIN, given], check=True, capture_output=True)
    result = Record(folder).read_result()
    assert result is not None
    assert result.state is TrialState.PRUNED
    code, text = say("reproduce", "ours/2", TRUST, NO_UI)
    assert "without its provenance" in text
    assert "identical: 5 metrics over 2 epochs" in text
    assert code == 0


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["ours/7"], "its trials are 0 to 1"),
        (["our/0"], "Did you mean 'ours'"),
        (["ours"], "a whole study"),
        (["abcdef123", NO_UI], "No run 'abcdef123'"),
        (["ours/0", "modle.width=3", TRUST], "modle"),
        (["ours/0", "model.widht=3", TRUST], "model.width"),
    ],
)
def test_wrong_input_is_answered(place: Path, say: Say, words: list[str], answer: str) -> None:
    code, text = say("reproduce", *words)
    assert answer in text
    assert code == 2


def test_nothing_is_trusted_because_a_record_says_so(place: Path, say: Say) -> None:
    code, text = say("reproduce", "ours/0", NO_UI)
    assert "trusted_packages" in text
    assert code == 2
    assert not (place / "runs" / "reproduce").exists()


def test_a_damaged_record_is_named(place: Path, say: Say) -> None:
    metrics = place / "runs" / "ours" / "0" / "metrics.jsonl"
    metrics.write_bytes(metrics.read_bytes()[:-40])
    code, text = say("reproduce", "ours/0", TRUST)
    assert "2 of the 3 epochs" in text
    assert code == 2


def test_the_environment_of_then_can_be_installed(made: Path, say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(made)
    code, text = say("reproduce", "ours/0", "--env")
    assert "torch==" in text
    assert code == 0


def test_records_of_this_version_are_read_for_ever() -> None:
    then = read_recorded(Record(Path(__file__).parent / "golden" / "train" / "0"))
    assert then.note == ""
    assert then.provenance is not None
    assert then.provenance.packages["torch"]
    assert then.conditions.num_threads == 2
    assert len(then.curves["val/loss"]) == 2
    assert then.spec.label == "train/0"


def test_a_changed_package_is_named(place: Path, say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    packages, origins = installed()
    collecting = sys.modules["idealfit.provenance.collect"]  # the package re-exports a function of that name
    monkeypatch.setattr(collecting, "installed", lambda: ({**packages, "pillow": "0.1"}, origins))
    code, text = say("reproduce", "ours/0", TRUST, "--dry-run")
    assert "pillow" in text
    assert "0.1" in text
    assert code == 0


def test_a_diff_shows_what_differs_and_nothing_else(place: Path, say: Say) -> None:
    code, text = say("diff", "ours/0", "ours/1")
    assert "optimizer.lr" in text
    assert "best/val_accuracy" in text
    assert "model.width" not in text
    assert code == 0
    assert say("diff", "ours/0")[0] == 2


def test_a_run_starts_from_the_config_of_another(place: Path, say: Say) -> None:
    code, text = say("train", "--like", "ours/1", TRUST, NO_UI, "model.width=5", "trainer.max_epochs=1")
    assert code == 0, text
    then = Record(place / "runs" / "ours" / "1").read_spec().config
    now = Record(place / "runs" / "train" / "0").read_spec().config
    assert now["optimizer"] == then["optimizer"]
    assert now["model"] == then["model"] | {"width": 5}
    code, text = say("train", "--like", "ours/1", TRUST, NO_UI, "model.widht=5")
    assert "model.width" in text
    assert code == 2


def test_an_exported_run_predicts_without_idealfit(place: Path, say: Say, tmp_path: Path) -> None:
    folder = tmp_path / "exported"
    code, text = say("export", "ours/best", str(folder), TRUST)
    assert code == 0, text
    assert {"predict.py", "weights.safetensors", "config.yaml"} <= {path.name for path in folder.iterdir()}
    barred = (
        "import runpy, sys; sys.modules['idealfit'] = None; sys.argv = sys.argv[1:]; "
        "runpy.run_path('predict.py', run_name='__main__')"
    )
    picture = place / "pictures" / "dog" / "00.png"
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            barred,
            "predict.py",
            str(picture),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "cat" in done.stdout or "dog" in done.stdout
