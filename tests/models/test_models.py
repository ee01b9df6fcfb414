"""Every network takes every image shape it can, and says clearly when it cannot."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import nn

from idealfit import models
from idealfit.models._parts import ACTIVATIONS
from idealfit.spec import ConfigError

SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (4, 20, 33)]
LARGE = [models.AlexNet, models.VGG, models.GoogLeNet]
NETS = [models.Linear, models.MLP, models.DBN, models.CNN, models.LeNet, models.ResNet, models.RNN]


@pytest.mark.parametrize(
    ("net", "shape"),
    [pair for pair in product(NETS, SHAPES) if pair != (models.LeNet, (1, 8, 8))]
    + list(product(LARGE, [(1, 8, 8), (4, 20, 33)])),
)
def test_every_net_gives_logits_for_every_shape(net: type[nn.Module], shape: tuple[int, int, int]) -> None:
    logits = net(image_shape=shape, num_classes=7)(torch.randn(2, *shape))
    assert logits.shape == (2, 7)
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize("net", [models.MLP, models.CNN])
@pytest.mark.parametrize("depth", [1, 2, 5])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_depth_width_dropout_and_batch_norm_are_knobs(net: type[nn.Module], depth: int, batch_norm: bool) -> None:
    made = net(image_shape=(1, 8, 8), num_classes=10, depth=depth, width=6, dropout=0.3, batch_norm=batch_norm)
    layers = list(made.modules())
    assert sum(isinstance(layer, nn.Linear | nn.Conv2d) for layer in layers) == depth + 1
    assert any(isinstance(layer, nn.Dropout) for layer in layers)
    assert any(isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d) for layer in layers) == batch_norm
    made(torch.randn(3, 1, 8, 8)).sum().backward()
    assert all(parameter.grad is not None for parameter in made.parameters())


@pytest.mark.parametrize("net", [models.MLP, models.CNN])
def test_batch_norm_stands_before_or_behind_the_activation(net: type[nn.Module]) -> None:
    for norm_after in (False, True):
        made = net(image_shape=(1, 8, 8), num_classes=10, depth=1, batch_norm=True, norm_after=norm_after)
        kinds = [type(layer).__name__[:9] for layer in made.layers]  # type: ignore[union-attr]
        assert (kinds.index("BatchNorm") > kinds.index("ReLU")) == norm_after


def test_residual_connections_carry_the_gradient_through_any_depth() -> None:
    def first_gradient(residual: bool) -> float:
        torch.manual_seed(0)
        net = models.MLP(
            image_shape=(1, 8, 8), num_classes=10, depth=40, width=32, activation="sigmoid", residual=residual
        )
        net(torch.randn(16, 1, 8, 8)).logsumexp(dim=1).sum().backward()
        return float(next(net.parameters()).grad.norm())  # type: ignore[union-attr]

    assert first_gradient(True) > 1e-3 > 1e3 * first_gradient(False)
    deep = models.MLP(image_shape=(1, 8, 8), num_classes=10, depth=40, residual=True)
    assert 0.1 < deep(torch.randn(64, 1, 8, 8)).std() < 10.0


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_go_by_name(name: str) -> None:
    deep = models.MLP(image_shape=(1, 8, 8), num_classes=10, depth=4, activation=name)
    logits = deep(torch.randn(64, 1, 8, 8))
    assert 0.01 < logits.std() < 10.0, "the signal neither dies nor explodes at the start"


@pytest.mark.parametrize(("depth", "num_params"), [(18, 11_173_962), (50, 23_520_842)])
def test_resnet_has_the_published_size_on_cifar(depth: int, num_params: int) -> None:
    net = models.ResNet(image_shape=(3, 32, 32), num_classes=10, depth=depth)
    assert sum(parameter.numel() for parameter in net.parameters()) == num_params


@pytest.mark.parametrize(
    ("net", "arguments", "num_params"),
    [
        (models.AlexNet, {}, 61_100_840),
        (models.VGG, {"batch_norm": False}, 138_357_544),
        (models.VGG, {"batch_norm": False, "depth": 19}, 143_667_240),
        (models.GoogLeNet, {}, 6_624_904),
    ],
)
def test_large_nets_have_the_published_sizes_on_imagenet(
    net: type[nn.Module],
    arguments: dict,  # type: ignore[type-arg]
    num_params: int,
) -> None:
    with torch.device("meta"):
        made = net(image_shape=(3, 224, 224), num_classes=1000, **arguments)
    assert sum(parameter.numel() for parameter in made.parameters()) == num_params


@pytest.mark.parametrize("net", LARGE)
def test_large_nets_keep_their_stems_for_large_images_of_any_channels(net: type[nn.Module]) -> None:
    with torch.device("meta"):
        logits = net(image_shape=(1, 96, 130), num_classes=3).eval()(torch.randn(2, 1, 96, 130))
    assert logits.shape == (2, 3)


def test_resnet_keeps_the_large_stem_for_large_images() -> None:
    net = models.ResNet(image_shape=(1, 96, 96), num_classes=3)
    assert net.net.conv1.stride == (2, 2)
    assert net(torch.randn(2, 1, 96, 96)).shape == (2, 3)


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("both_ways", [False, True])
def test_a_recurrent_net_reads_rows_in_their_order(cell: str, both_ways: bool) -> None:
    knobs = {"depth": 2, "width": 5, "dropout": 0.2, "cell": cell, "both_ways": both_ways}
    net = models.RNN(image_shape=(3, 6, 2), num_classes=4, **knobs).eval()  # type: ignore[arg-type]
    images = torch.randn(2, 3, 6, 2)
    assert net(images).shape == (2, 4)
    assert not torch.allclose(net(images), net(images.flip(2)))
    assert net.rows.input_size == 6


def test_lenet_has_the_published_sizes() -> None:
    """61,706: 1998's 60,000 with the connection table filled and the radial output layer made linear."""
    net = models.LeNet(image_shape=(1, 28, 28), num_classes=10)
    assert sum(parameter.numel() for parameter in net.parameters()) == 61_706


@pytest.mark.parametrize(
    ("net", "arguments", "message"),
    [
        (models.LeNet, {}, r"5x5 kernel is larger than .* 8x8 images; .* model=cnn"),
        (models.CNN, {"kernel_size": 9}, r"9x9 kernel is larger than the 8x8 images; take a smaller model.kernel_size"),
        (models.CNN, {"kernel_size": 4}, "kernel_size must be odd"),
        (models.CNN, {"depth": 0}, "depth must be a whole number from 1 up, but got 0"),
        (models.MLP, {"width": 2.5}, "width must be a whole number"),
        (models.MLP, {"dropout": 1.0}, "dropout must be at least 0 and below 1, but got 1.0"),
        (models.MLP, {"activation": "rellu"}, "unknown activation 'rellu'. Did you mean 'relu'"),
        (models.RNN, {"cell": "grew"}, "unknown cell 'grew'. Did you mean 'gru'"),
        (models.VGG, {"depth": 18}, "depth must be one of 11, 13, 16, 19, but got 18"),
        (models.ResNet, {"depth": 20}, "depth must be one of 18, 34, 50, 101, 152, but got 20"),
    ],
)
def test_what_cannot_be_built_is_a_clear_error(net: type[nn.Module], arguments: dict, message: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(ConfigError, match=message):
        net(image_shape=(1, 8, 8), num_classes=10, **arguments)
