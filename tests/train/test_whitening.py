"""ZCA whitening: what it does to pixels, that it is kept with the weights, and what it does not go with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from idealfit import train
from idealfit.models.whitening import Whitened, Whitening
from idealfit.record import Record
from idealfit.reproduce.program import trace
from idealfit.reproduce.trained import trained
from idealfit.spec import JSON, ConfigError, Objective
from idealfit.train.fused.admission import check_parts
from idealfit.train.fused.errors import NotFusableError
from idealfit.train.parts import make_parts


def whitened(config: JSON, epsilon: float, **model: Any) -> JSON:
    return {**config, "model": {**config["model"], "zca_epsilon": epsilon, **model}}


def test_whitened_pixels_are_uncorrelated_and_still_in_their_places(config: JSON) -> None:
    parts = make_parts(whitened(config, 1e-3), objective=Objective(), trusted=[])
    assert isinstance(parts.net, Whitened)
    images = torch.cat([batch for batch, _ in parts.data.train_batches(0)])
    flat = parts.net.whitening(images).flatten(1)
    varies = images.flatten(1).std(dim=0) > 0.3
    covariance = torch.cov(flat[:, varies].T)
    deviations = covariance.diagonal().sqrt()
    correlations = covariance / torch.outer(deviations, deviations) - torch.eye(int(varies.sum()))
    before = torch.corrcoef(images.flatten(1)[:, varies].T) - torch.eye(int(varies.sum()))
    assert correlations.abs().mean() < 0.1 * before.abs().mean()
    assert flat.mean(dim=0).abs().max() < 1e-3
    same_pixel = torch.corrcoef(torch.stack([flat[:, 28], images.flatten(1)[:, 28]]))[0, 1]
    assert same_pixel > 0.5, "ZCA keeps a pixel as like itself as can be"


def test_a_large_epsilon_whitens_hardly() -> None:
    images = torch.randint(256, (300, 1, 4, 4), dtype=torch.uint8)
    whitening = Whitening((1, 4, 4), 1e6)
    whitening.fit([images], torch.tensor([127.0]), torch.tensor([75.0]))
    assert torch.allclose(whitening.matrix * 1e3, torch.eye(16), atol=0.01)


def test_sums_are_exact_in_any_order() -> None:
    images = torch.randint(256, (700, 2, 4, 4), dtype=torch.uint8)
    matrices = []
    for pieces in ([images], torch.split(images.flip(0), 90)):
        whitening = Whitening((2, 4, 4), 0.1)
        whitening.fit(pieces, torch.tensor([120.0, 130.0]), torch.tensor([70.0, 75.0]))
        matrices.append(whitening.matrix)
    assert torch.equal(*matrices)


def test_a_whitened_network_learns_and_is_exported_with_its_whitening(in_tmp_dir: Path) -> None:
    few = ["data.limit=500", "trainer.max_epochs=8", "tracking=none", "optimizer.lr=0.003"]
    run = train(*few, "model.zca_epsilon=0.1", quiet=True)
    assert (run.result.value or 0.0) > 0.85
    state = torch.load(Path(run.record_dir) / "checkpoints/best.pt", weights_only=True)
    assert state["whitening.matrix"].shape == (64, 64)
    assert not torch.equal(state["whitening.matrix"], torch.eye(64))
    network = trained(Record(run.record_dir), trusted=[]).network
    assert isinstance(network, Whitened)
    assert trace(network, (1, 8, 8)).lines
    weights = "model.weights=runs/train/0"
    again = train(*few, "model.zca_epsilon=0.1", weights, "optimizer.lr=1e-6", "trainer.max_epochs=1", quiet=True)
    assert again.result.value == pytest.approx(run.result.value, abs=0.02)


def test_a_resumed_fit_has_the_same_bits(config: JSON, run: Callable[..., Any], stop_after: Callable[..., Any]) -> None:
    config = whitened(config, 0.1)
    config["trainer"]["checkpoint_every_s"] = 0
    straight = run(config, "straight")
    run(config, "resumed", stop=stop_after(4))
    assert run(config, "resumed").bits == straight.bits


def test_what_it_does_not_go_with_is_refused(config: JSON, own_nets: None) -> None:
    for model in ({"_target_": "idealfit.models.KNN"}, {"_target_": "own_nets.Own"}):
        with pytest.raises(ConfigError, match=r"model\.zca_epsilon: only a plain network"):
            make_parts({**config, "model": {**model, "zca_epsilon": 0.1}}, objective=Objective(), trusted=["own_nets"])
    with pytest.raises(ConfigError, match=r"images of 12288 pixels and channels .* up to 4096 are whitened"):
        Whitening((3, 64, 64), 0.1)
    with pytest.raises(NotFusableError, match=r"model\.zca_epsilon"):
        check_parts(make_parts(whitened(config, 0.1), objective=Objective(), trusted=[]))
