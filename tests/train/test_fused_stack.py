"""Networks trained as one against the same networks trained alone: each layer, optimizer and loss that is supported.

In double precision, where the order of a sum does not show: after a few steps no weight differs by more than 1e-10 of
the largest in its tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock

from idealfit import models
from idealfit.data.rng import derive_seed
from idealfit.train.fused.errors import NotFusableError
from idealfit.train.fused.layers import BY_ROW, Fold
from idealfit.train.fused.losses import StackedLoss
from idealfit.train.fused.noise import Noise
from idealfit.train.fused.optimizers import StackedOptimizer
from idealfit.train.fused.stack import Stack, check_stack
from idealfit.train.task import make_criterion

TOLERANCE = 1e-10
NUM_TRIALS = 3
NUM_STEPS = 4
SEED = 7
MakeNet = Callable[[int], nn.Module]
MakeOptimizer = Callable[[Iterator[nn.Parameter], int], torch.optim.Optimizer]


@pytest.fixture(autouse=True)
def one_thread_in_double() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)
    torch.set_num_threads(before)


def adamw(parameters: Iterator[nn.Parameter], trial: int) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameters, lr=0.002 * (trial + 1), weight_decay=0.1 * trial, fused=True)


def cross_entropy(trial: int) -> nn.Module:
    return nn.CrossEntropyLoss()


def batches(shape: tuple[int, ...]) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    return [
        (torch.randn(12, *shape, generator=generator), torch.randint(0, 5, (12,), generator=generator))
        for _ in range(NUM_STEPS)
    ]


def trained_alone(make_net: MakeNet, make_optimizer: MakeOptimizer, make_loss: Any, shape: Any) -> list[nn.Module]:
    nets = []
    for trial in range(NUM_TRIALS):
        net = made(make_net, trial)
        optimizer, criterion = make_optimizer(net.parameters(), trial), make_criterion(make_loss(trial), 5)
        torch.manual_seed(derive_seed(SEED, "epoch", 0, 0))
        for images, labels in batches(shape):
            optimizer.zero_grad()
            criterion(net(images), labels).backward()
            optimizer.step()
        nets.append(net)
    return nets


def trained_as_one(
    make_net: MakeNet,
    make_optimizer: MakeOptimizer,
    make_loss: Any,
    shape: Any,
    *,
    is_shared: bool = True,
    in_one_sweep: bool = False,
) -> list[nn.Module]:
    nets = [made(make_net, trial) for trial in range(NUM_TRIALS)]
    optimizers = [make_optimizer(net.parameters(), trial) for trial, net in enumerate(nets)]
    noise = Noise()
    noise.begin_epoch([(SEED, 0)] * NUM_TRIALS, torch.device("cpu"))
    fold = Fold(NUM_TRIALS, noise)
    stack = Stack(nets, fold)
    may_share = check_stack(stack, nets, fold, batches(shape)[0][0])
    optimizer = StackedOptimizer(stack, optimizers, in_one_sweep=in_one_sweep)
    loss = StackedLoss([make_loss(trial) for trial in range(NUM_TRIALS)], 5, torch.device("cpu"))
    for images, labels in batches(shape):
        fold.num_rows = len(images)
        stack.zero_grad()
        folded = images if is_shared and may_share else images.repeat(NUM_TRIALS, 1, 1, 1)
        loss(stack.net(folded), labels).sum().backward()
        optimizer.step()
    return nets


def made(make_net: MakeNet, trial: int) -> nn.Module:
    torch.manual_seed(trial)
    return make_net(trial).train()


def assert_alike(fused: list[nn.Module], alone: list[nn.Module], tolerance: float = TOLERANCE) -> None:
    for one, other in zip(fused, alone, strict=True):
        for name, tensor in other.state_dict().items():
            size = float(tensor.abs().max())
            difference = float((one.state_dict()[name] - tensor).abs().max())
            assert difference <= tolerance * size, f"{name} differs by {difference}, its size is {size}"


def on_pixels(*layers: nn.Module, num_features: int = 2 * 8 * 8) -> nn.Module:
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(num_features, 5))


NETS: dict[str, tuple[MakeNet, tuple[int, int, int]]] = {
    "linear": (lambda _: models.Linear(image_shape=(1, 8, 8), num_classes=5, dropout=0.3), (1, 8, 8)),
    "mlp": (
        lambda k: models.MLP(image_shape=(1, 8, 8), num_classes=5, width=16, dropout=0.1 + 0.2 * k, batch_norm=True),
        (1, 8, 8),
    ),
    "cnn": (
        lambda k: models.CNN(
            image_shape=(3, 8, 8), num_classes=5, width=4, dropout=0.1 + 0.2 * k, batch_norm=True, activation="gelu"
        ),
        (3, 8, 8),
    ),
    "lenet": (lambda k: models.LeNet(image_shape=(1, 12, 12), num_classes=5, dropout=0.1 + 0.2 * k), (1, 12, 12)),
    "residual blocks": (lambda _: on_pixels(BasicBlock(2, 2), BasicBlock(2, 2)), (2, 8, 8)),
    "conv without bias": (lambda _: on_pixels(nn.Conv2d(2, 2, 3, padding=1, bias=False)), (2, 8, 8)),
    "conv with stride": (lambda _: on_pixels(nn.Conv2d(2, 8, 3, stride=2, padding=1)), (2, 8, 8)),
    "conv by depth": (lambda _: on_pixels(nn.Conv2d(2, 2, 3, padding=1, groups=2)), (2, 8, 8)),
    "batch norm first": (lambda _: on_pixels(nn.BatchNorm2d(2)), (2, 8, 8)),
    "dropout on images": (lambda _: on_pixels(nn.Dropout(0.5)), (2, 8, 8)),
    "fast dropout on images": (lambda k: on_pixels(models.Dropout(0.1 + 0.2 * k)), (2, 8, 8)),
    "linear without bias": (
        lambda _: nn.Sequential(nn.Flatten(), nn.Linear(128, 8, bias=False), nn.Linear(8, 5)),
        (2, 8, 8),
    ),
}
WITH_ARGUMENTS: dict[type[nn.Module], Callable[[], nn.Module]] = {
    nn.MaxPool2d: lambda: nn.MaxPool2d(2),
    nn.AvgPool2d: lambda: nn.AvgPool2d(2),
    nn.AdaptiveAvgPool2d: lambda: nn.AdaptiveAvgPool2d(4),
    nn.AdaptiveMaxPool2d: lambda: nn.AdaptiveMaxPool2d(4),
}
OPTIMIZERS: dict[str, MakeOptimizer] = {
    "sgd": lambda p, k: torch.optim.SGD(p, lr=0.02 * (k + 1), weight_decay=0.01, fused=True),
    "momentum": lambda p, k: torch.optim.SGD(
        p, lr=0.02 * (k + 1), momentum=0.2 + 0.3 * k, dampening=0.1 * k, fused=True
    ),
    "nesterov": lambda p, k: torch.optim.SGD(p, lr=0.02 * (k + 1), momentum=0.2 + 0.3 * k, nesterov=True, fused=True),
    "adam": lambda p, k: torch.optim.Adam(p, lr=0.002 * (k + 1), betas=(0.5 + 0.1 * k, 0.9), weight_decay=0.1 * k),
    "amsgrad": lambda p, k: torch.optim.Adam(p, lr=0.002 * (k + 1), amsgrad=True, fused=True),
    "adamw": adamw,
    "rmsprop": lambda p, k: torch.optim.RMSprop(p, lr=0.002 * (k + 1), alpha=0.8 + 0.05 * k, weight_decay=0.1 * k),
    "rmsprop, centered": lambda p, k: torch.optim.RMSprop(p, lr=0.002 * (k + 1), momentum=0.5, centered=True),
    "adagrad": lambda p, k: torch.optim.Adagrad(p, lr=0.02 * (k + 1), fused=True),
    "adadelta": lambda p, k: torch.optim.Adadelta(p, lr=0.5 * (k + 1)),
}
LOSSES: dict[str, Callable[[int], nn.Module]] = {
    "cross entropy": cross_entropy,
    "smoothed alike": lambda k: nn.CrossEntropyLoss(label_smoothing=0.1),
    "smoothed each its own way": lambda k: nn.CrossEntropyLoss(label_smoothing=0.1 * k),
    "summed": lambda k: nn.CrossEntropyLoss(reduction="sum"),
    "mse": lambda k: nn.MSELoss(),
    "bce": lambda k: nn.BCEWithLogitsLoss(),
    "hinge": lambda k: nn.MultiMarginLoss(p=2, margin=0.5),
    "huber": lambda k: nn.HuberLoss(),
}


@pytest.mark.parametrize("is_shared", [True, False], ids=["shared", "folded"])
@pytest.mark.parametrize("name", NETS)
def test_each_network_ends_with_the_weights_of_the_same_alone(name: str, is_shared: bool) -> None:
    net, shape = NETS[name]
    fused = trained_as_one(net, adamw, cross_entropy, shape, is_shared=is_shared)
    assert_alike(fused, trained_alone(net, adamw, cross_entropy, shape))


def test_a_resnet_is_stacked() -> None:
    nets = [made(lambda _: models.ResNet(image_shape=(1, 8, 8), num_classes=5, dropout=0.5), k) for k in range(2)]
    fold = Fold(2, Noise())
    check_stack(Stack(nets, fold), nets, fold, torch.randn(2, 1, 8, 8))


@pytest.mark.parametrize("kind", BY_ROW, ids=lambda kind: kind.__name__)
def test_each_layer_without_weights_does_the_same(kind: type[nn.Module]) -> None:
    layer = WITH_ARGUMENTS.get(kind, kind)()
    num_features = layer(torch.zeros(1, 2, 8, 8)).numel()

    def net(trial: int) -> nn.Module:
        first = nn.Conv2d(2, 2, 3, padding=1)
        return nn.Sequential(first, layer, nn.Flatten(), nn.Linear(num_features, 5))

    fused = trained_as_one(net, adamw, cross_entropy, (2, 8, 8))
    assert_alike(fused, trained_alone(net, adamw, cross_entropy, (2, 8, 8)))


@pytest.mark.parametrize("in_one_sweep", [False, True], ids=["each", "sweep"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_each_optimizer_steps_the_same(name: str, in_one_sweep: bool) -> None:
    net, shape = NETS["mlp"]
    fused = trained_as_one(net, OPTIMIZERS[name], cross_entropy, shape, in_one_sweep=in_one_sweep)
    alone = trained_alone(net, OPTIMIZERS[name], cross_entropy, shape)
    # A weight with hardly a gradient moves by its rounding, times 1 / eps.
    assert_alike(fused, alone, 1e-3 if in_one_sweep else TOLERANCE)


@pytest.mark.parametrize("name", LOSSES)
def test_each_loss_teaches_the_same(name: str) -> None:
    net, shape = NETS["mlp"]
    fused = trained_as_one(net, adamw, LOSSES[name], shape)
    assert_alike(fused, trained_alone(net, adamw, LOSSES[name], shape))


@pytest.mark.parametrize("name", ["cnn", "conv by depth", "conv with stride"])
def test_a_grouped_convolution_is_that_of_each_trial(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What other devices than a CPU use."""
    from idealfit.train.fused.layers import StackedConv2d

    monkeypatch.setattr(StackedConv2d, "_by_trial", StackedConv2d._grouped)
    net, shape = NETS[name]
    for is_shared in (True, False):
        fused = trained_as_one(net, adamw, cross_entropy, shape, is_shared=is_shared)
        assert_alike(fused, trained_alone(net, adamw, cross_entropy, shape), 1e-3)


class Mixes(nn.Module):
    """Subtracts the mean of the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(64, 5)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.out((images - images.mean(dim=0)).flatten(1))
        return logits


class GoesAround(nn.Module):
    """Uses a layer's weights without the layer."""

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(64, 5)

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1) @ self.out.weight.mT


class HiddenLayer(nn.Module):
    """Holds a layer where nobody sees it."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(64, 64)
        self.out = nn.Linear(64, 5)
        self.hidden = [self.out]

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.hidden[0](self.first(images.flatten(1)))
        return logits


@pytest.mark.parametrize("kind", [Mixes, GoesAround, HiddenLayer])
def test_a_network_that_cannot_be_stacked_is_found_out(kind: type[nn.Module]) -> None:
    nets = []
    for _ in range(2):
        torch.manual_seed(0)
        nets.append(kind())
    fold = Fold(2, Noise())
    with pytest.raises(NotFusableError, match=r"does not treat each image for itself|does not use"):
        check_stack(Stack(nets, fold), nets, fold, torch.randn(4, 1, 8, 8))


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (nn.Dropout2d(0.5), "the layer Dropout2d"),
        (nn.GroupNorm(1, 2), "the layer GroupNorm"),
        (nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular"), "padding_mode=circular"),
        (nn.BatchNorm2d(2, affine=False), "batch norm without"),
        (nn.PReLU(), "the layer PReLU"),
    ],
)
def test_a_layer_that_is_not_supported_is_named(layer: nn.Module, words: str) -> None:
    with pytest.raises(NotFusableError, match=words):
        Stack([on_pixels(layer)], Fold(1, Noise()))


def test_a_loss_with_weights_is_not_supported() -> None:
    with pytest.raises(NotFusableError, match="CrossEntropyLoss with weights"):
        StackedLoss([nn.CrossEntropyLoss(weight=torch.ones(5))], 5, torch.device("cpu"))
