"""What the command line does without training."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from idealfit import __version__
from idealfit.cli import main
from idealfit.cli.app import VERBS
from idealfit.record import Record
from idealfit.spec import TrialResult, TrialSpec, TrialState, record_path
from idealfit.study.launch import Launch

pytestmark = pytest.mark.usefixtures("in_tmp_dir")


def record(study: str, number: int, value: float) -> None:
    spec = TrialSpec(
        study=study,
        number=number,
        config={},
        record_dir=str(record_path("runs", study, number)),
        params={"model.depth": number + 1},
    )
    summaries = {"overfit/gap_at_best": 0.01, "best/epoch": 3.0}
    done = TrialResult(state=TrialState.COMPLETE, value=value, summaries=summaries, num_epochs=5, fit_seconds=2)
    Record.create(spec).write_result(done)


def test_help_names_every_verb_and_loads_nothing_heavy() -> None:
    heavy = ["torch", "lightning", "mlflow", "optuna", "hydra", "pandas", "numpy", "rich"]
    script = (
        "import sys; from idealfit.cli import main; code = main(['--help']); "
        f"bad = [name for name in {heavy!r} if name in sys.modules]; assert not bad, bad; sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert all(f"\n  {verb} " in done.stdout for verb in VERBS)


def test_importing_the_package_costs_nothing() -> None:
    script = "import sys, idealfit; assert not {'torch', 'numpy', 'hydra', 'idealfit.api'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([verb, "--help"])
    assert left.value.code == 0
    assert f"usage: idealfit {verb}" in capsys.readouterr().out


def test_version_and_no_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"idealfit {__version__}\n"
    assert main([]) == 0


def test_runs_ranks_the_trials_of_a_study(capsys: pytest.CaptureFixture[str]) -> None:
    for number, value in enumerate((0.5, 0.9, 0.7)):
        record("mine", number, value)
    assert main(["runs", "mine"]) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split()[:4] == ["rank", "trial", "state", "val/accuracy"]
    assert [line.split()[1] for line in lines] == ["1", "2", "0"]
    assert lines[0].split() == ["1", "1", "complete", "0.9000", "+0.0100", "none", "3", "5", "2.0", "s", "2"]


def test_runs_lists_studies_wherever_they_lie(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs"]) == 0
    assert "no runs under" in capsys.readouterr().out
    record("a", 0, 0.25)
    record("b", 0, 0.5)
    assert main(["runs"]) == 0
    _, a, b = capsys.readouterr().out.splitlines()
    assert a.split()[:3] == ["a", "1", "1"]
    assert "val/accuracy 0.5000 (trial 0)" in b
    Path("runs").rename("elsewhere")
    assert main(["runs", "b", "runs_dir=elsewhere"]) == 0


def test_a_study_is_looked_for_in_the_store_that_it_was_started_with(capsys: pytest.CaptureFixture[str]) -> None:
    Launch(config_name="x", overrides=["tracking.uri=sqlite:///other.db", "model.depth=1"]).write(Path("runs/mine"))
    assert main(["ui", "mine", "--no-browser"]) == 2
    assert "other.db" in capsys.readouterr().err
    assert main(["ui", "mine", "--no-browser", "tracking.uri=sqlite:///third.db"]) == 2
    assert "third.db" in capsys.readouterr().err


def test_hydras_flags_show_the_config(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--cfg", "job", "-p", "optimizer", "optimizer.lr=0.25"]) == 0
    assert "lr: 0.25" in capfd.readouterr().out
    assert main(["sweep", "lr_dropout_depth", "--cfg", "job", "-p", "study", "study.budget.trials=7"]) == 0
    assert "trials: 7" in capfd.readouterr().out
    assert main(["train", "--info", "defaults"]) == 0
    assert "model/mlp" in capfd.readouterr().out
    assert not list(Path.cwd().iterdir()), "Hydra writes no folders of its own"


def test_the_users_own_configs_come_first(capfd: pytest.CaptureFixture[str]) -> None:
    Path("conf/model").mkdir(parents=True)
    Path("conf/model/mlp.yaml").write_text("_target_: idealfit.models.MLP\ndepth: 77\n")
    assert main(["train", "--cfg", "job", "-p", "model"]) == 0
    assert "depth: 77" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("idealfit ", set(VERBS)),
        ("idealfit sw", {"sweep"}),
        ("idealfit sweep lr_dropout_depth_", {"lr_dropout_depth_mnist", "lr_dropout_depth_quickdraw"}),
        ("idealfit train model=c", {"model=cnn"}),
        ("idealfit train optimizer.l", {"optimizer.lr="}),
        ("idealfit sweep lr_dropout_depth study.budget.tr", {"study.budget.trials="}),
        ("idealfit runs fini", {"finished"}),
        ("idealfit watch fini", {"finished"}),
        ("idealfit compare other/3 fini", {"finished"}),
        ("idealfit init ", set()),
    ],
)
def test_tab_completes_verbs_names_and_keys(
    line: str, offered: set[str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    record("finished", 0, 0.5)
    monkeypatch.setenv("COMP_LINE", line)
    assert main(["-sc", "query=bash"]) == 0
    assert set(capfd.readouterr().out.split()) == offered


def test_the_completion_script_comes_from_hydra(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["-sc", "install=bash"]) == 0
    assert "hydra_bash_completion idealfit" in capfd.readouterr().out


def test_init_writes_a_project_and_never_over_another(in_tmp_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "mine"]) == 0
    files = {str(path.relative_to("mine")) for path in Path("mine").rglob("*") if path.is_file()}
    assert files == {
        *(".gitignore", "README.md", "mynet.py", "pyproject.toml"),
        *("conf/model/mynet.yaml", "sweeps/mynet.yaml", "tests/test_mynet.py"),
    }
    Path("mine/mynet.py").write_text("precious")
    assert main(["init", "mine"]) == 2
    assert "nothing was written" in capsys.readouterr().err
    assert Path("mine/mynet.py").read_text() == "precious"
