"""A deep belief net: what pre-training does to its layers, when it is done again and when not, what it goes with."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import pytest
import torch

from idealfit import train
from idealfit.data import ImageData
from idealfit.models.dbn import DBN
from idealfit.record import Record
from idealfit.spec import JSON, PRETRAIN_ERRORS, ConfigError, NonFiniteLossError, Objective
from idealfit.train.fused.admission import check_parts
from idealfit.train.fused.errors import NotFusableError
from idealfit.train.parts import make_parts
from idealfit.train.pretraining import pretrain
from idealfit.train.ranging import range_test


def belief(config: JSON, *, model: JSON | None = None, **options: Any) -> JSON:
    """`config` with a small deep belief net."""
    node = {"_target_": "idealfit.models.DBN", "depth": 2, "width": 24, "pretrain": {"epochs": 2, **options}}
    return {**config, "model": {**node, **(model or {})}}


def made(config: JSON) -> tuple[DBN, ImageData]:
    parts = make_parts(config, objective=Objective(), trusted=["own_nets"])
    assert isinstance(parts.net, DBN)
    assert isinstance(parts.data, ImageData)
    return parts.net, parts.data


@pytest.mark.parametrize(("visible", "lr"), [("binary", 0.1), ("gaussian", 1.0)])
def test_each_layer_reconstructs_better_from_epoch_to_epoch_and_is_what_the_network_has(
    config: JSON, visible: str, lr: float
) -> None:
    net, data = made(belief(config, epochs=20, visible=visible, lr=lr))
    errors = pretrain(net, data, 3, threading.Event())
    assert [len(layer) for layer in errors] == [20, 20]
    assert errors[0][-1] < 0.95 * errors[0][0]
    images = torch.cat([batch for batch, _ in data.train_batches(0)])
    hidden = torch.sigmoid(net.hidden_layers()[0](images.flatten(1)))
    assert hidden.std(dim=0).mean() > 0.1, "units tell images apart"


def test_the_first_layer_takes_normalised_images_as_its_machine_took_pixels(
    config: JSON, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, data = made(belief(config))
    weights = {}
    monkeypatch.setattr(
        "idealfit.train.pretraining._take_in_scale",
        lambda layer, data: weights.update(weight=layer.weight.clone(), bias=layer.bias.clone()),
    )
    pretrain(net, data, 3, threading.Event())
    monkeypatch.undo()
    pretrain(net, data, 3, threading.Event())
    pixels = next(data.train_pixels()).flatten(1) / 255
    images = (pixels * 255 - data.mean[0]) / data.std[0]
    of_pixels = pixels @ weights["weight"].T + weights["bias"]
    assert torch.allclose(net.hidden_layers()[0](images), of_pixels, atol=1e-4)


def test_no_epochs_are_the_same_net_from_random_weights(config: JSON, run: Callable[..., Any]) -> None:
    alone, pretrained = belief(config, epochs=0), belief(config)
    assert all(
        torch.equal(*pair) for pair in zip(made(alone)[0].parameters(), made(pretrained)[0].parameters(), strict=True)
    )
    assert PRETRAIN_ERRORS not in run(alone, "alone").result.facts
    check_parts(make_parts(alone, objective=Objective(), trusted=[]))  # fused, like any net of such layers


def test_the_same_seed_gives_the_same_bits_and_a_resumed_fit_too(
    config: JSON, run: Callable[..., Any], stop_after: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = belief(config)
    config["trainer"]["checkpoint_every_s"] = 0
    straight = run(config, "straight")
    assert run({**config, "seed": 4}, "other").bits != straight.bits
    stopped = run(config, "resumed", stop=stop_after(2))
    assert (stopped.result.outcome, stopped.result.num_epochs) == ("interrupted", 0), "within pre-training"
    in_pretraining = 2 * 2 * made(config)[1].num_train_batches
    assert run(config, "resumed", stop=stop_after(in_pretraining + 5)).result.num_epochs >= 1
    monkeypatch.setattr("idealfit.train.pretraining.pretrain", None)  # it is not done again
    resumed = run(config, "resumed")
    assert resumed.bits == straight.bits
    assert resumed.result.facts[PRETRAIN_ERRORS] == straight.result.facts[PRETRAIN_ERRORS]


def test_deep_sigmoid_layers_learn_digits_faster_when_pre_trained(in_tmp_dir: Path) -> None:
    """And the run says how they were pre-trained."""
    few = ["model=dbn", "model.depth=5", "model.width=128", "optimizer.lr=0.003", "trainer.max_epochs=4"]
    run = train(*few, "model.pretrain.epochs=20", quiet=True)
    alone = train(*few, "model.pretrain.epochs=0", "tracking=none", quiet=True)
    assert (run.result.value or 0.0) > (alone.result.value or 0.0) + 0.1
    assert (Path(run.record_dir) / "pictures/first_layer.png").exists()
    client = mlflow.MlflowClient(f"sqlite:///{in_tmp_dir / 'mlflow.db'}")
    (experiment,) = (found for found in client.search_experiments() if found.name != "Default")
    (logged,) = client.search_runs([experiment.experiment_id], "tags.trial = '0'")
    history = [point.value for point in client.get_metric_history(logged.info.run_id, "pretrain/error_5")]
    result = Record(run.record_dir).read_result()
    assert result is not None
    assert history == pytest.approx(result.facts[PRETRAIN_ERRORS][4])


def test_a_range_test_raises_the_rate_of_the_pre_trained_net(config: JSON, tmp_path: Path) -> None:
    asked: dict[str, Any] = {"objective": Objective(), "rates": [1e-9, 1e-8], "stop": threading.Event()}
    found = [
        range_test(belief(config, epochs=epochs), **asked, root_dir=tmp_path, num_threads=1)[0].losses
        for epochs in (0, 2)
    ]
    assert found[0] != found[1]


def test_a_machine_that_runs_away_says_what_to_turn_down(config: JSON) -> None:
    with pytest.raises(NonFiniteLossError, match=r"pre-training of hidden layer 1; a smaller model\.pretrain\.lr"):
        pretrain(*made(belief(config, visible="gaussian", lr=1e9)), 3, threading.Event())


def test_what_it_does_not_go_with_is_refused(config: JSON) -> None:
    def refusal(config: JSON) -> str:
        with pytest.raises(ConfigError, match=r"model\.pretrain: .* Take model\.pretrain\.epochs=0") as caught:
            made(config)
        return str(caught.value)

    assert "zca_epsilon" in refusal(belief(config, model={"zca_epsilon": 0.1}))
    assert "devices=2" in refusal(belief({**config, "trainer": {**config["trainer"], "devices": 2}}))
    with pytest.raises(NotFusableError, match=r"model\.pretrain"):
        check_parts(make_parts(belief(config), objective=Objective(), trusted=[]))


def test_layers_that_come_from_another_run_are_not_pre_trained(config: JSON, run: Callable[..., Any]) -> None:
    weights = {"weights": str(run(belief(config), "first").directory / "best.pt")}
    with pytest.raises(ConfigError, match=r"model\.pretrain: the layers of model\.weights have learned already"):
        made(belief(config, model=weights))
    assert run(belief(config, model=weights, epochs=0), "second").result.outcome == "complete"
