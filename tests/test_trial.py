"""One attempt: what is recorded, what is reported, and how failures are told apart."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest

from idealfit.config import Composer
from idealfit.engines import LocalEngine
from idealfit.pruning import close_storage, open_storage
from idealfit.record import Record
from idealfit.spec import (
    ConfigError,
    DataError,
    FailureKind,
    NonFiniteLossError,
    Objective,
    TrialResult,
    TrialSpec,
    TrialState,
    record_path,
)
from idealfit.trial import check_trial, run_trial

CONFIG: dict[str, Any] = {"seed": 0, "model": {"_target_": "idealfit.models.MLP"}}
Fit = Callable[..., Any]


@pytest.fixture
def spec(tmp_path: Path) -> TrialSpec:
    return TrialSpec(
        study="s", number=3, config=CONFIG, record_dir=str(record_path(tmp_path, "s", 3)), working_dir=str(tmp_path)
    )


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts a fake in the place of `idealfit.train`."""

    def put(**functions: Callable[..., Any]) -> None:
        monkeypatch.setitem(sys.modules, "idealfit.train", SimpleNamespace(**functions))

    return put


def fit_of(accuracies: list[float], *, first: int = 0, ending: BaseException | str = "complete") -> Fit:
    """A fit that logs `accuracies` from the epoch `first` on, asks the reporter, then ends."""

    def fit(config: Any, *, reporter: Any, stop: Any, on_epoch: Any, **_: Any) -> Any:
        outcome = ending
        for epoch, accuracy in enumerate(accuracies, first):
            metrics = {"val/accuracy": accuracy, "val/loss": 1 - accuracy, "train/accuracy": 1.0, "train/loss": 0.0}
            on_epoch(epoch, metrics)
            if reporter.report(epoch, accuracy):
                outcome = "pruned"
                break
            if stop.is_set():
                outcome = "interrupted"
                break
        if isinstance(outcome, BaseException):
            raise outcome
        return SimpleNamespace(
            outcome=outcome, facts={"num_params": 7}, fit_seconds=0.5, curves={}, num_epochs=-1, predictions=None
        )

    return fit


def run(spec: TrialSpec, *, stop: bool = False) -> TrialResult:
    event = threading.Event()
    if stop:
        event.set()
    return run_trial(spec, event)


def test_importing_it_imports_nothing_heavy() -> None:
    code = "import idealfit.trial, sys; print(sorted({'torch', 'lightning', 'optuna', 'mlflow'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_complete_trial_is_all_in_its_record(spec: TrialSpec, use: Callable[..., None]) -> None:
    use(fit=fit_of([0.5, 0.9, 0.8]))
    result = run(spec)
    assert (result.state, result.value, result.failure) == (TrialState.COMPLETE, 0.9, None)
    assert (result.num_epochs, result.fit_seconds, result.facts) == (3, 0.5, {"num_params": 7})
    assert result.summaries["best/epoch"] == 1.0
    assert result.summaries["overfit/gap_at_best"] == pytest.approx(0.1)
    record = Record(spec.record_dir)
    assert record.read_spec().with_(working_dir=".") == spec.with_(working_dir=".")
    assert record.read_result() == result
    assert record.curves()["val/accuracy"] == [0.5, 0.9, 0.8]


def test_the_objective_decides_what_counts(spec: TrialSpec, use: Callable[..., None]) -> None:
    use(fit=fit_of([0.5, 0.75, 0.25]))
    loss = Objective(metric="val/loss", direction="minimize")
    assert run(spec.with_(objective=loss)).value == 0.25
    assert run(spec.with_(objective=Objective(epoch="last"))).value == 0.25
    assert run(spec.with_(objective=Objective(epoch="mean_of_last_k", k=2))).value == 0.5


def test_a_resumed_attempt_counts_the_epochs_before_it(spec: TrialSpec, use: Callable[..., None]) -> None:
    use(fit=fit_of([0.5, 0.9, 0.6], ending="interrupted"))
    assert run(spec).num_epochs == 3
    use(fit=fit_of([0.7, 0.8], first=2))
    result = run(spec.with_(attempt=1))
    assert (result.value, result.num_epochs, result.attempt) == (0.9, 4, 1)
    assert Record(spec.record_dir).curves()["val/accuracy"] == [0.5, 0.9, 0.7, 0.8]


def test_a_stopped_trial_has_no_value_yet(spec: TrialSpec, use: Callable[..., None]) -> None:
    use(fit=fit_of([0.5, 0.9]))
    result = run(spec, stop=True)
    assert (result.state, result.value, result.failure, result.num_epochs) == (TrialState.INTERRUPTED, None, None, 1)
    assert Record(spec.record_dir).read_result() == result


def test_a_trial_stopped_before_its_first_epoch_is_interrupted(spec: TrialSpec, use: Callable[..., None]) -> None:
    use(fit=fit_of([], ending="interrupted"))
    assert (run(spec).state, run(spec).num_epochs) == (TrialState.INTERRUPTED, 0)


def test_a_pruned_trial_keeps_the_value_so_far(spec: TrialSpec, use: Callable[..., None], tmp_path: Path) -> None:
    url = str(tmp_path / "study.journal")
    study = optuna.create_study(storage=open_storage(url), study_name="s", direction="maximize")
    for _ in range(4):
        study.ask()
    pruner = {"name": "median", "options": {"n_startup_trials": 1, "n_warmup_steps": 0}, "max_epochs": 30}
    for number, accuracy in ((0, 0.9), (3, 0.2)):
        use(fit=fit_of([accuracy] * 5))
        here = str(record_path(tmp_path, "s", number))
        result = run(spec.with_(number=number, storage=url, pruner=pruner, record_dir=here))
        study.tell(number, result.value)
    assert (result.state, result.value, result.failure) == (TrialState.PRUNED, 0.2, None)
    assert result.num_epochs < 5
    close_storage(study._storage)


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (MemoryError(), FailureKind.OOM),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), FailureKind.OOM),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory"),
            FailureKind.OOM,
        ),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), FailureKind.OOM),
        (type("OutOfMemoryError", (RuntimeError,), {})("on the device"), FailureKind.OOM),
        (NonFiniteLossError("train/loss is nan in epoch 2"), FailureKind.NAN),
        (DataError("cat/1.png is truncated"), FailureKind.DATA),
        (ConfigError("model.dpeth: unknown key"), FailureKind.INPUT),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), FailureKind.BUG),
        (SystemExit(0), FailureKind.BUG),
    ],
)
def test_failures_are_told_apart(
    spec: TrialSpec, use: Callable[..., None], error: BaseException, failure: FailureKind
) -> None:
    use(fit=fit_of([0.5, 0.6], ending=error))
    result = run(spec.with_(attempt=2))
    assert (result.state, result.failure, result.value) == (TrialState.FAILED, failure, None)
    assert str(error) in result.message
    assert (result.num_epochs, result.attempt) == (2, 2)
    assert result.fit_seconds > 0
    assert Record(spec.record_dir).read_result() == result


def test_the_cause_of_an_error_counts(spec: TrialSpec, use: Callable[..., None]) -> None:
    error = ConfigError("model: cannot be built")
    error.__cause__ = RuntimeError("CUDA out of memory")
    use(fit=fit_of([], ending=error))
    assert run(spec).failure is FailureKind.OOM


def test_a_bug_shows_where_it_is(spec: TrialSpec, use: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    use(fit=fit_of([], ending=RuntimeError("shapes cannot be multiplied")))
    message = run(spec).message
    assert message.splitlines()[0] == "RuntimeError: shapes cannot be multiplied"
    assert "test_trial.py" in message
    assert "Traceback" in capsys.readouterr().err


def test_ctrl_c_is_an_interruption(spec: TrialSpec, use: Callable[..., None]) -> None:
    use(fit=fit_of([0.5], ending=KeyboardInterrupt()))
    assert run(spec).state is TrialState.INTERRUPTED


def test_a_curve_that_is_nowhere_finite_is_no_result(spec: TrialSpec, use: Callable[..., None]) -> None:
    use(fit=fit_of([float("nan")] * 2))
    result = run(spec)
    assert (result.state, result.failure, result.value) == (TrialState.FAILED, FailureKind.NAN, None)


def test_an_objective_that_was_never_logged_is_told(spec: TrialSpec, use: Callable[..., None]) -> None:
    use(fit=fit_of([0.5]))
    result = run(spec.with_(objective=Objective(metric="val/f1")))
    assert result.failure is FailureKind.INPUT
    assert "val/f1" in result.message
    assert "val/accuracy" in result.message


def test_a_full_disk_does_not_swallow_the_result(
    spec: TrialSpec, use: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Record, "write_result", full)
    use(fit=fit_of([0.5]))
    result = run(spec)
    assert (result.state, result.value) == (TrialState.COMPLETE, 0.5)
    assert "No space left" in result.message


def test_a_record_that_cannot_be_made_is_a_failure(spec: TrialSpec, tmp_path: Path) -> None:
    (tmp_path / "s").touch()
    result = run(spec)
    assert (result.state, result.failure) == (TrialState.FAILED, FailureKind.BUG)


def test_modules_of_the_user_are_found_in_the_working_directory(
    spec: TrialSpec, use: Callable[..., None], tmp_path: Path
) -> None:
    (tmp_path / "net_of_a_user.py").write_text("DEPTH = 4")

    def fit(config: Any, **options: Any) -> Any:
        import net_of_a_user

        return fit_of([net_of_a_user.DEPTH / 10])(config, **options)

    use(fit=fit)
    assert run(spec).value == 0.4


def test_a_check_returns_what_it_found_and_writes_no_record(spec: TrialSpec, use: Callable[..., None]) -> None:
    use(preflight=lambda config, **_: {"num_params": 7})
    result = check_trial(spec, threading.Event())
    assert (result.state, result.facts["num_params"]) == (TrialState.COMPLETE, 7)
    assert not Path(spec.record_dir).exists()


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (ConfigError("model.dpeth"), FailureKind.INPUT),
        (DataError("no folder"), FailureKind.INPUT),
        (KeyError("x"), FailureKind.BUG),
        (MemoryError("too large"), FailureKind.OOM),
    ],
)
def test_a_check_tells_wrong_input_from_a_bug(
    spec: TrialSpec, use: Callable[..., None], error: Exception, failure: FailureKind
) -> None:
    def preflight(config: Any, **_: Any) -> Any:
        raise error

    use(preflight=preflight)
    result = check_trial(spec, threading.Event())
    assert (result.state, result.failure) == (TrialState.FAILED, failure)
    assert str(error) in result.message


# Real training, in real workers


@pytest.fixture
def digits(in_tmp_dir: Path) -> Callable[..., TrialSpec]:
    """Makes specs of small nets on the digits, whose records lie in an empty directory."""

    def make(number: int, *overrides: str, **changes: Any) -> TrialSpec:
        config = Composer("train", ["model.width=16", "trainer.max_epochs=4", *overrides]).trial_config({})
        place = {"record_dir": str(record_path("runs", "s", number)), "working_dir": str(in_tmp_dir)}
        return TrialSpec(study="s", number=number, config=config, **(place | changes))

    return make


@pytest.fixture(scope="module")
def engine() -> Iterator[LocalEngine]:
    engine = LocalEngine(slots=1)
    yield engine
    engine.close()


def test_a_real_trial_learns_in_a_worker(digits: Callable[..., TrialSpec], engine: LocalEngine) -> None:
    spec = digits(0, "optimizer.lr=0.01")
    checked = engine.submit(check_trial, spec).result()
    result = engine.submit(run_trial, spec).result()
    assert (checked.state, result.state) == (TrialState.COMPLETE, TrialState.COMPLETE), result.message
    assert result.value is not None
    assert result.value > 0.8
    assert result.facts["num_params"] == checked.facts["num_params"]
    assert len(Record(spec.record_dir).curves()["val/loss"]) == 4
    assert Record(spec.record_dir).log_path(0).read_text() == ""


def test_a_killed_trial_goes_on_as_if_nothing_had_happened(
    digits: Callable[..., TrialSpec], engine: LocalEngine
) -> None:
    overrides = ("trainer.max_epochs=12", "trainer.checkpoint_every_s=0", "model.dropout=0.3")
    whole, killed = (digits(number, *overrides) for number in (0, 1))
    expected = engine.submit(run_trial, whole).result()
    first = engine.submit(run_trial, killed)
    while len(Record(killed.record_dir).read_metrics()) < 3:
        assert not first.done()
    engine.kill()
    assert first.result().state is TrialState.INTERRUPTED
    result = engine.submit(run_trial, killed.with_(attempt=1)).result()
    assert (result.state, result.value, result.num_epochs) == (TrialState.COMPLETE, expected.value, 12), result.message
    curves, whole_curves = Record(killed.record_dir).curves(), Record(whole.record_dir).curves()
    assert all(curves[name] == whole_curves[name] for name in curves if name.startswith(("train/", "val/")))
    assert Record(killed.record_dir).read_metrics()[0].attempt == 0
    assert Record(killed.record_dir).read_metrics()[-1].attempt == 1


def test_a_stopped_trial_saves_what_it_has(digits: Callable[..., TrialSpec], engine: LocalEngine) -> None:
    spec = digits(0, "trainer.max_epochs=1000000", "data.limit=64", "trainer.checkpoint_every_s=1000")
    future = engine.submit(run_trial, spec)
    while len(Record(spec.record_dir).read_metrics()) < 20:  # short epochs by now, whatever else the machine does
        assert not future.done()
        time.sleep(0.02)
    engine.stop()
    result = future.result()
    record = Record(spec.record_dir)
    assert (result.state, result.value) == (TrialState.INTERRUPTED, None)
    assert result.num_epochs == len(record.read_metrics())
    assert (record.checkpoint_dir / "last.ckpt").exists()


@pytest.mark.parametrize(
    ("overrides", "failure", "words"),
    [
        (["optimizer.lr=1e12", "optimizer=sgd"], FailureKind.NAN, "loss became"),
        (["data=image_folder", "data.root=no/such/folder"], FailureKind.DATA, "no/such/folder"),
        (["model.width=2000000"], FailureKind.OOM, ""),
    ],
)
def test_real_failures_are_told_apart(
    digits: Callable[..., TrialSpec],
    engine: LocalEngine,
    overrides: list[str],
    failure: FailureKind,
    words: str,
) -> None:
    result = engine.submit(run_trial, digits(0, *overrides)).result()
    assert (result.state, result.failure) == (TrialState.FAILED, failure), result.message
    assert words in result.message
    assert "Traceback" not in result.message
    assert result.message in Record(record_path("runs", "s", 0)).log_path(0).read_text()
