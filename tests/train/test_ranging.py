"""The learning-rate range test: rates that rise, a suggestion that trains, a picture, and what it refuses."""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import pytest
from PIL import Image

import idealfit
from idealfit.cli import main
from idealfit.range_test import SUGGESTED, options, rates
from idealfit.record import Record
from idealfit.spec import JSON, ConfigError, Objective
from idealfit.train.ranging import RangeTest, range_test


def valley(num_steps: int = 100) -> RangeTest:
    """Losses that fall fastest at step 50, are lowest at 70 and run away from 80 on."""
    found = RangeTest()
    for step, rate in enumerate(rates(1e-5, 1.0, num_steps)):
        loss = 2.3 / (1 + math.exp((step - 50) / 5)) + 0.1 + math.exp(min(20.0, (step - 80) / 2))
        if not found.add(rate, loss):
            break
    return found


def test_the_suggestion_is_where_the_loss_falls_fastest() -> None:
    found = valley()
    assert found.suggested is not None
    assert 48 <= found.rates.index(found.suggested) <= 56, "a running mean lags behind by some steps"
    assert 80 < len(found.rates) < 95, "it ends once the loss runs away"
    assert len(found.rates) == len(found.losses) == len(found.smoothed)
    assert found.add(1.0, math.nan) is False


def test_a_loss_that_never_falls_suggests_nothing() -> None:
    found = RangeTest()
    assert found.suggested is None
    for rate in rates(1.0, 10.0, 30):
        found.add(rate, 2.0 + rate)
    assert found.suggested is None


def test_rates_rise_by_one_factor() -> None:
    found = rates(1e-4, 1.0, 21)
    assert (found[0], found[-1]) == (1e-4, pytest.approx(1.0))
    assert all(b / a == pytest.approx(found[1] / found[0]) for a, b in itertools.pairwise(found))


def ranged(config: JSON, tmp_path: Path, **changes: Any) -> RangeTest:
    told: dict[str, Any] = {
        "objective": Objective(),
        "rates": rates(1e-5, 1.0, 40),
        "stop": threading.Event(),
    } | changes
    return range_test(config, root_dir=tmp_path, num_threads=1, trusted_packages=["own_nets"], **told)[0]


def test_a_training_takes_a_step_at_each_rate(config: JSON, tmp_path: Path, stop_after: Callable[..., Any]) -> None:
    found = ranged(config, tmp_path)
    assert found.rates == pytest.approx(rates(1e-5, 1.0, 40)[: len(found.rates)])
    assert len(found.rates) > 8, "more than one epoch of eight batches"
    assert min(found.smoothed) < found.smoothed[0]
    assert ranged(config, tmp_path).losses == found.losses, "the same seed, the same test"
    assert len(ranged(config, tmp_path, stop=stop_after(2)).rates) == 3


def test_the_rest_of_the_training_is_as_it_would_be(config: JSON, tmp_path: Path) -> None:
    plain = ranged(config, tmp_path)
    config["scheduler"] = {"_target_": "torch.optim.lr_scheduler.OneCycleLR", "max_lr": 0.01}
    assert ranged(config, tmp_path).losses == plain.losses, "a schedule has no say"
    config["trainer"] |= {"gradient_clip_val": 1.0, "l1": 1e-3}
    assert ranged(config, tmp_path).losses != plain.losses
    config["augment"] = {"_target_": "idealfit.data.Augment", "mixup": 0.2}
    assert all(map(math.isfinite, ranged(config, tmp_path).losses))


def test_rates_are_those_of_the_config_where_they_scale_with_the_batch(config: JSON, tmp_path: Path) -> None:
    config["optimizer"] = {"_target_": "torch.optim.SGD", "lr": 0.01}
    twice = config | {"trainer": config["trainer"] | {"lr_scaling": "linear", "lr_batch_size": 32}}
    plain = ranged(config, tmp_path, rates=[2 * rate for rate in rates(1e-5, 1e-2, 20)])
    scaled = ranged(twice, tmp_path, rates=rates(1e-5, 1e-2, 20))
    assert scaled.losses == plain.losses
    assert scaled.rates == rates(1e-5, 1e-2, 20)


def test_what_has_no_rate_to_raise_is_refused(config: JSON, tmp_path: Path, own_nets: None) -> None:
    for model, message in (
        ({"_target_": "idealfit.models.KNN"}, "model KNN has no learning rate"),
        ({"_target_": "own_nets.Own"}, "model Own has a training_step of its own"),
    ):
        with pytest.raises(ConfigError, match=message):
            ranged(config | {"model": model}, tmp_path)
    for bad, message in (
        ((1e-2, 1e-3, 50), "to a higher one"),
        ((0.0, 1.0, 50), "above 0"),
        ((1e-4, 1, 5), "takes 20"),
    ):
        with pytest.raises(ConfigError, match=message):
            options(*bad)


def test_a_range_test_is_a_run_with_a_picture(in_tmp_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = ["optimizer=momentum", "data.limit=500", "data.batch_size=32"]
    assert main(["lr-range", *few, "tracking.uri=sqlite:///mlflow.db"]) == 0
    assert "the loss falls fastest at optimizer.lr=" in capsys.readouterr().out
    record = Record(in_tmp_dir / "runs/lr_range/0")
    with Image.open(record.pictures_dir / "lr_range.png") as image:
        assert len(image.convert("RGB").getcolors(1_000_000) or ()) > 20
    result = record.read_result()
    assert result is not None
    suggested = result.summaries[SUGGESTED]
    client = mlflow.MlflowClient(f"sqlite:///{in_tmp_dir / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("lr_range")
    assert experiment is not None
    run = client.search_runs([experiment.experiment_id])[0]
    assert run.data.metrics[SUGGESTED] == pytest.approx(suggested)
    assert [each.path for each in client.list_artifacts(run.info.run_id, "pictures")] == ["pictures/lr_range.png"]
    scores = [
        idealfit.train(*few, f"optimizer.lr={rate}", "trainer.max_epochs=4", "tracking=none", quiet=True).result.value
        or 0.0
        for rate in (suggested, suggested / 1000)
    ]
    assert scores[0] > max(0.85, scores[1] + 0.1)


def test_wrong_input_leaves_no_record(in_tmp_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lr-range", "model=svm", "tracking=none"]) == 2
    assert main(["lr-range", "--steps", "3"]) == 2
    assert "model SVM has no learning rate" in capsys.readouterr().err
    assert not (in_tmp_dir / "runs/lr_range/0").exists()


def test_a_script_gets_the_suggested_rate_and_the_losses(in_tmp_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = idealfit.lr_range("data.limit=200", "tracking=none", steps=30, lowest=1e-5, quiet=True)
    assert run.label == "lr_range/0"
    tested = run.result.facts["lr_range"]
    assert tested["rates"][0] == pytest.approx(1e-5)
    assert len(tested["rates"]) == len(tested["losses"]) <= 30
    assert run.result.summaries[SUGGESTED] in tested["rates"]
    assert capsys.readouterr().out == ""
    with pytest.raises(ConfigError, match="20 to 100000 steps, got 3"):
        idealfit.lr_range(steps=3)


def test_rates_that_are_too_high_suggest_nothing(in_tmp_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--lowest", "1e3", "--highest", "1e6", "--steps", "20"]
    assert main(["lr-range", "optimizer=sgd", "data.limit=100", "tracking=none", *options]) == 0
    assert "the loss never fell" in capsys.readouterr().out
    result = Record(in_tmp_dir / "runs/lr_range/0").read_result()
    assert result is not None
    assert result.summaries == {}
