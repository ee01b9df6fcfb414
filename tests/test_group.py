"""Whole trials through the fused engine: records, results, fallback."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from idealfit.engines import FusedEngine
from idealfit.record import Record
from idealfit.spec import JSON, TrialResult, TrialSpec, TrialState
from idealfit.trial import run_trial

CONFIG: JSON = {
    "seed": 3,
    "data": {
        "_target_": "idealfit.data.Digits",
        "batch_size": 64,
        "val_fraction": 0.2,
        "test_fraction": 0.2,
        "split_seed": 3,
        "limit": 300,
    },
    "model": {"_target_": "idealfit.models.MLP", "depth": 1, "width": 16, "dropout": 0.2},
    "optimizer": {"_target_": "torch.optim.AdamW", "lr": 0.01},
    "scheduler": None,
    "loss": {"_target_": "torch.nn.CrossEntropyLoss"},
    "augment": None,
    "trainer": {
        "max_epochs": 3,
        "accelerator": "cpu",
        "gradient_clip_val": None,
        "accumulate_grad_batches": 1,
        "batches_per_step": 3,
    },
}


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def make_spec(tmp_path: Path, cache_dir: Path) -> Callable[..., TrialSpec]:
    def make(number: int, **changes: JSON) -> TrialSpec:
        config = copy.deepcopy(CONFIG)
        config["data"]["cache_dir"] = str(cache_dir)
        for group, values in changes.items():
            config[group] |= values
        return TrialSpec(study="s", number=number, config=config, record_dir=str(tmp_path / "s" / str(number)))

    return make


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def engine(said: list[str]) -> Iterator[FusedEngine]:
    engine = FusedEngine(slots=3, say=said.append, linger_s=2.0)
    yield engine
    engine.close()


def test_a_group_leaves_the_records_that_its_trials_leave_alone(
    engine: FusedEngine, make_spec: Callable[..., TrialSpec], tmp_path: Path, said: list[str]
) -> None:
    specs = [make_spec(number, optimizer={"lr": 0.01 * (number + 1)}) for number in range(3)]
    results = [future.result(timeout=120) for future in [engine.submit(run_trial, spec) for spec in specs]]
    for spec, result in zip(specs, results, strict=True):
        assert (result.state, result.facts["fused"]) == (TrialState.COMPLETE, 3)
        record = Record(spec.record_dir)
        assert record.read_result() == result
        assert record.best_weights_path.exists()
        assert record.predictions_path.exists()
        alone = run_alone(spec, tmp_path)
        assert result.value == pytest.approx(alone.value, abs=1.0001 / alone.facts["num_val_images"])
        assert record.curves()["val/loss"] == pytest.approx(
            Record(tmp_path / "alone" / str(spec.number)).curves()["val/loss"], abs=1e-4
        )
    assert said == []


def run_alone(spec: TrialSpec, tmp_path: Path) -> TrialResult:
    return run_trial(
        spec.with_(record_dir=str(tmp_path / "alone" / str(spec.number)), num_threads=1), threading.Event()
    )


def test_trials_that_fusing_does_not_support_run_alone(
    engine: FusedEngine, make_spec: Callable[..., TrialSpec], said: list[str]
) -> None:
    specs = [make_spec(number, trainer={"gradient_clip_val": 1.0}) for number in range(2)]
    results = [future.result(timeout=120) for future in [engine.submit(run_trial, spec) for spec in specs]]
    assert [(result.state, result.facts.get("fused")) for result in results] == [(TrialState.COMPLETE, None)] * 2
    assert said == [
        "engine=fused cannot train trainer.gradient_clip_val with others: such trials run alone, as with engine=local"
    ]
