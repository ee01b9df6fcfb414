"""Cross-validation for real: networks on digits, stopped in the middle, against one that ran through."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from idealfit.config import Composer
from idealfit.record import Record
from idealfit.spec import JSON, StopSignal, TrialResult, TrialSpec, TrialState
from idealfit.trial import check_trial, run_trial

TIMINGS = ("epoch_seconds", "samples_per_second")


class StopsInFold:
    """Asks to stop once a fold has its first epoch."""

    def __init__(self, record: Record, fold: int) -> None:
        self._path = record.round(fold).metrics_path

    def is_set(self) -> bool:
        return self._path.exists()


@pytest.fixture
def config(tmp_path: Path) -> JSON:
    folds = ("protocol=kfold", "protocol.folds=3", f"data.cache_dir={tmp_path}", "data.limit=120")
    small = ("model.width=16", "model.dropout=0.2", "trainer.max_epochs=3", "trainer.accelerator=cpu")
    return Composer("train", [*folds, *small]).trial_config()


def spec_of(config: JSON, place: Path) -> TrialSpec:
    return TrialSpec(study="s", number=0, config=config, record_dir=str(place), num_threads=1)


def trained(spec: TrialSpec, stop: StopSignal | None = None) -> TrialResult:
    return run_trial(spec, stop or threading.Event())


def bits_of(record: Record) -> Any:
    weights = torch.load(record.best_weights_path, weights_only=True)
    curves = {name: curve for name, curve in record.curves().items() if name not in TIMINGS}
    return curves, {name: tensor.tolist() for name, tensor in weights.items()}


def test_a_trial_stopped_in_a_fold_goes_on_there_and_ends_with_the_same_bits(config: JSON, tmp_path: Path) -> None:
    whole, parts = spec_of(config, tmp_path / "whole"), spec_of(config, tmp_path / "parts")
    expected = trained(whole)
    assert (expected.state, len(expected.scores), expected.num_epochs) == (TrialState.COMPLETE, 3, 9)
    record = Record(parts.record_dir)
    assert trained(parts, StopsInFold(record, 1)).state is TrialState.INTERRUPTED
    written = record.round(0).result_path.stat().st_mtime_ns
    assert not record.round(2).path.exists()
    result = trained(parts.with_(attempt=1))
    assert (result.state, result.scores, result.value) == (TrialState.COMPLETE, expected.scores, expected.value)
    assert result.summaries == expected.summaries
    assert record.round(0).result_path.stat().st_mtime_ns == written
    for one, other in zip(record.rounds(), Record(whole.record_dir).rounds(), strict=True):
        assert bits_of(one) == bits_of(other)


def test_all_folds_and_the_check_before_them_tell_of_the_same_split(config: JSON, tmp_path: Path) -> None:
    spec = spec_of(config, tmp_path / "trial")
    result = trained(spec)
    rounds = [each.read_result() for each in Record(spec.record_dir).rounds()]
    found = [check_trial(spec, threading.Event()), result, *rounds]
    assert len({one.facts["split_sha256"] for one in found if one}) == 1
    assert len({tuple(one.facts["pixel_mean"]) for one in rounds if one}) == 3  # each normalised by its own images


def test_folds_of_a_fold_alone_are_trained_as_within_the_trial(config: JSON, tmp_path: Path) -> None:
    spec = spec_of(config, tmp_path / "trial")
    trained(spec)
    part = Record(spec.record_dir).round(2)
    again = part.read_spec().with_(record_dir=str(tmp_path / "again"))
    assert trained(again).state is TrialState.COMPLETE
    assert bits_of(Record(again.record_dir)) == bits_of(part)


def test_several_seeds_differ_on_one_split(tmp_path: Path, config: JSON) -> None:
    seeds = {**config, "protocol": {"name": "seeds", "seeds": 2}}
    spec = spec_of(seeds, tmp_path / "seeds")
    result = trained(spec)
    rounds = Record(spec.record_dir).rounds()
    assert len(result.scores) == 2
    assert len({one.facts["split_sha256"] for each in rounds if (one := each.read_result())}) == 1
    assert bits_of(rounds[0]) != bits_of(rounds[1])


def test_more_folds_than_images_of_a_class_are_refused_before_training(config: JSON, tmp_path: Path) -> None:
    config["protocol"]["folds"] = 500
    result = check_trial(spec_of(config, tmp_path / "trial"), threading.Event())
    assert result.state is TrialState.FAILED
    assert "protocol.folds=500 is more than the 139 images of class '8'" in result.message
