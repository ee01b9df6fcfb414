"""An estimator is a trial like any other: one epoch, the same metrics, weights, predictions and study."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from idealfit import sweep, train
from idealfit.objective import Penalty
from idealfit.predictions import Predictions
from idealfit.spec import JSON, ConfigError, Objective

NAMES = ["KNN", "SVM", "Forest"]


@pytest.mark.parametrize("name", NAMES)
def test_an_estimator_is_measured_as_a_network_is(config: JSON, run: Callable[..., Any], name: str) -> None:
    config["model"] = {"_target_": f"idealfit.models.{name}"}
    told: list[tuple[int, dict[str, float]]] = []
    fitted = run(config, on_epoch=lambda epoch, metrics: told.append((epoch, metrics)))
    result = fitted.result
    assert result.outcome == "complete"
    assert [epoch for epoch, _ in told] == [0]
    assert {"train/loss", "val/loss", "train/accuracy", "val/accuracy", "val/top5_accuracy"} <= set(told[0][1])
    assert result.curves["val/accuracy"][0] > 0.85
    assert {"num_params", "device", "pixel_mean"} <= set(result.facts)
    assert (result.predictions.labels == result.predictions.predicted).mean() == pytest.approx(
        result.curves["val/accuracy"][0]
    )
    assert torch.load(fitted.directory / "best.pt", weights_only=True)["images"].shape == (500, 1, 8, 8)


def test_penalties_and_latency_are_measured_on_estimators_too(config: JSON, run: Callable[..., Any]) -> None:
    config["model"] = {"_target_": "idealfit.models.KNN"}
    slow = Objective(penalty=(Penalty(metric="latency_ms", weight=0.001),))
    result = run(config, objective=slow).result
    assert result.facts["latency_ms"] > 0


def test_the_same_seed_grows_the_same_forest(config: JSON, run: Callable[..., Any]) -> None:
    config["model"] = {"_target_": "idealfit.models.Forest", "trees": 5}
    first, second = (run(config, name).result.curves["val/loss"] for name in ("first", "second"))
    assert first == second
    assert run(config | {"seed": 4}, "third").result.curves["val/loss"] != first


def test_what_only_a_network_uses_is_refused(config: JSON, run: Callable[..., Any]) -> None:
    config["model"] = {"_target_": "idealfit.models.KNN"}
    with pytest.raises(ConfigError, match="model KNN sees each training image once, as it is: take augment=none"):
        run(config | {"augment": {"_target_": "idealfit.data.Augment", "flip_p": 0.5}})
    with pytest.raises(ConfigError, match=r"study.objective.metric is 'val/acc'.*Did you mean 'val/accuracy'"):
        run(config, objective=Objective(metric="val/acc"))


def test_estimators_and_networks_share_a_study(in_tmp_dir: Path) -> None:
    (in_tmp_dir / "sweeps").mkdir()
    (in_tmp_dir / "sweeps/kinds.yaml").write_text(
        "defaults: [train, _self_]\n"
        "study:\n  budget: {trials: 4}\n  sampler: grid\n"
        "  space:\n    model: choice(knn, svm, forest, mlp)\n"
        "trainer: {max_epochs: 2}\ndata: {limit: 200}\n"
    )
    study = sweep("kinds", "engine=inline", "tracking=none", quiet=True)
    assert study.ending == "done"
    assert {row.params["model"]: row.num_epochs for row in study.rows} == {"knn": 1, "svm": 1, "forest": 1, "mlp": 2}
    for row in study.rows:
        assert Predictions.read(Path(row.record_dir) / "predictions.npz") is not None


def test_a_run_of_an_estimator_is_a_run(in_tmp_dir: Path) -> None:
    run = train("model=knn", "model.k=3", "model.distance=l1", "data.limit=300", "tracking=none", quiet=True)
    assert run.result.num_epochs == 1
    assert run.result.summaries["best/val_accuracy"] > 0.9


def test_neighbours_are_counted_by_cross_validation(in_tmp_dir: Path) -> None:
    (in_tmp_dir / "sweeps").mkdir()
    (in_tmp_dir / "sweeps/k.yaml").write_text(
        "defaults: [train, override model: knn, _self_]\n"
        "study:\n  budget: {trials: 2}\n  sampler: grid\n  space:\n    model.k: choice(1, 60)\n"
        "data: {limit: 200}\n"
    )
    overrides = ["protocol=kfold", "protocol.folds=3", "engine=inline", "tracking=none"]
    study = sweep("k", *overrides, quiet=True)
    assert study.ending == "done"
    assert study.best is not None
    assert study.best.params == {"model.k": 1}
    assert all(row.value is not None for row in study.rows)
