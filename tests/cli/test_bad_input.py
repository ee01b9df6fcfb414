"""Every wrong input: exit code 2, one message with what, what was got and what to do, no traceback, nothing trained."""

from __future__ import annotations

from pathlib import Path

import pytest

from idealfit.cli import main

pytestmark = pytest.mark.usefixtures("in_tmp_dir")

SWEEP = ("sweep", "lr_dropout_depth", "engine=inline", "tracking=none")

AT_ONCE = {  # found before anything heavy is imported
    "verb": (["sweeep"], "no verb 'sweeep'. Did you mean 'sweep'"),
    "flag": (["runs", "--frobnicate"], "unrecognized arguments: --frobnicate"),
    "sweep": (["sweep", "lr_dropout"], "no sweep 'lr_dropout' in sweeps/. Did you mean 'lr_dropout_depth'"),
    "no sweep": (["sweep"], "arguments are required: NAME"),
    "study": (["runs", "nothing"], "no study 'nothing'"),
    "two studies": (["runs", "a", "b"], "one study at a time"),
    "key": (["train", "optimzer.lr=1"], "no key 'optimzer.lr'"),
    "nested key": (["train", "optimizer.lrr=1"], "Did you mean 'optimizer.lr'"),
    "group option": (["train", "model=cmn"], "there is no model 'cmn'"),
    "type": (["train", "trainer.max_epochs=many"], "trainer.max_epochs must be a whole number, got 'many'"),
    "bound": (["train", "trainer.max_epochs=0"], "trainer.max_epochs must be at least 1"),
    "grammar": (["train", "optimizer.lr=[1"], "optimizer.lr=[1"),
    "flags together": (["train", "--cfg", "job", "--info"], "not allowed with argument"),
    "config of Hydra's flag": (["train", "--cfg", "job", "model=cmn"], "there is no model 'cmn'"),
    "space key": ([*SWEEP, "model.dpeth=range(1,3)"], "Did you mean 'model.depth'"),
    "space option": ([*SWEEP, "model=mlp,cmn"], "no model 'cmn'"),
    "empty interval": ([*SWEEP, "optimizer.lr=interval(5,1)"], "optimizer.lr"),
    "log from 0": ([*SWEEP, "optimizer.lr=tag(log,interval(0,1))"], "optimizer.lr"),
    "empty range": ([*SWEEP, "model.depth=range(3,3)"], "model.depth"),
    "space outside a run": ([*SWEEP, "engine.slots=1,2"], "'engine.slots' does not change a training run"),
    "fixed and searched": ([*SWEEP, "model.depth=1", "model.depth=1,2"], "both fixed and searched"),
    "nothing left": ([*SWEEP, "optimizer.lr=1", "model.depth=1", "model.dropout=0"], "study.space is empty"),
    "test metric": ([*SWEEP, "study.objective.metric=test/accuracy"], "the test set is locked"),
    "sampler": ([*SWEEP, "study.sampler=tpee"], "study.sampler"),
    "grid of an interval": ([*SWEEP, "study.sampler=grid"], "study.space.optimizer.lr"),
    "pruner option": ([*SWEEP, "+study.pruner_options.reduction=2"], "study.pruner_options.reduction"),
    "multirun of nothing": (["train", "-m"], "nothing to search"),
    "negative slots": ([*SWEEP, "engine.slots=-1"], "engine.slots"),
    "study name": ([*SWEEP, "study.name='../x'"], "study.name"),
    "storage": ([*SWEEP, "study.storage='mongodb://x/y'"], "study.storage"),
    "tracking scheme": (["sweep", "lr_dropout_depth", "tracking.uri=sqlit:///x.db"], "Did you mean 'sqlite'"),
    "file store": (["sweep", "lr_dropout_depth", "tracking.uri=./mlruns"], "MLflow refuses"),
    "server down": (["sweep", "lr_dropout_depth", "tracking.uri='http://127.0.0.1:9'"], "does not answer"),
    "no store to show": (["ui", "--no-browser"], "run a study first"),
    "tracking off": (["ui", "--no-browser", "tracking=none"], "tracking.uri is empty"),
    "shell": (["-sc", "install"], "-sc wants install=SHELL"),
}

IN_A_WORKER = {  # found by the preflight, which opens the data and builds the model
    "metric": ([*SWEEP, "study.objective.metric=val/acuracy"], "val/accuracy"),
    "constraint": ([*SWEEP, "study.objective.constraints=['gapp <= 0.1']"], "Did you mean 'gap'"),
    "data folder": ([*SWEEP, "data=mnist", "data.root=/nowhere"], "/nowhere"),
    "untrusted target": ([*SWEEP, "model._target_=os.system"], "os.system"),
    "target that is no class": ([*SWEEP, "model._target_=torch.hub.load"], "torch.hub.load"),
    "target that is not there": ([*SWEEP, "model._target_=torch.nn.Liner"], "torch.nn.Liner"),
    "kernel larger than the image": (
        ["sweep", "optimizers", "engine=inline", "tracking=none", "data=digits", "model=lenet"],
        "kernel is larger than what is left of the 8x8 images",
    ),
    "more classes than labels": ([*SWEEP, "data=image_folder", "data.root=empty"], "empty"),
    "single run": (["train", "model._target_=os.system"], "os.system"),
}


@pytest.mark.parametrize(("arguments", "message"), AT_ONCE.values(), ids=AT_ONCE)
def test_wrong_input_is_told_at_once(
    arguments: list[str], message: str, in_tmp_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check(arguments, message, in_tmp_dir, capsys)


@pytest.mark.parametrize(("arguments", "message"), IN_A_WORKER.values(), ids=IN_A_WORKER)
def test_what_only_a_worker_can_see_is_told_before_training(
    arguments: list[str], message: str, in_tmp_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (in_tmp_dir / "empty").mkdir()
    check(arguments, message, in_tmp_dir, capsys)


def check(arguments: list[str], message: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(arguments)
    printed = capsys.readouterr()
    last = printed.err[printed.err.rindex("error: ") :] if "error: " in printed.err else printed.err
    assert code == 2, printed
    assert message in last
    assert "Traceback" not in printed.err
    assert not list(place.glob("runs/*/*/spec.json")), "nothing was run"


def test_a_traceback_is_shown_on_request(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["train", "model=cmn", "--traceback"]) == 2
    assert "Traceback" in capsys.readouterr().err
    monkeypatch.setenv("IDEALFIT_TRACEBACK", "1")
    assert main(["train", "model=cmn"]) == 2
    assert "Traceback" in capsys.readouterr().err
