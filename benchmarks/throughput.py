"""Training images a second, evaluation left out: a bare loop, `fit`, the usual Lightning code, on MNIST in one run.

Every variant trains the same network with AdamW on the same 6,400 images in batches of 128. The bare loops are the
limit: uint8 images in memory, gathered and normalised batch by batch, nothing else; once with the optimizer as PyTorch
makes it, once with its fused kernel, which `fit` takes by itself; both without the search for GPUs in every step that
importing Lightning brings. The usual code is what Lightning's and torchmetrics'
documentation writes: torchvision transforms, a `DataLoader`, `self.log`, a metric object, default callbacks.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import lightning.pytorch as pl
import torch
import torchmetrics
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset
from torchvision import datasets, transforms

from benchmarks.common import data_root, interleaved, median, median_ratio, medians, store
from idealfit import models
from idealfit.spec import Objective, SilentReporter
from idealfit.train import fit

NUM_IMAGES = 6_400
BATCH_SIZE = 128
NUM_EPOCHS = 5  # the first one warms up; the usual code is timed over one epoch after a warm one
NUM_ROUNDS = 3
MEAN, STD = 0.1307, 0.3081
LR = 1e-3
NETS: dict[str, dict[str, Any]] = {
    "mlp": {"_target_": "idealfit.models.MLP", "depth": 2, "width": 128, "dropout": 0.0},
    "lenet": {"_target_": "idealfit.models.LeNet"},
    "cnn": {"_target_": "idealfit.models.CNN", "depth": 3, "width": 16},
}


def make_net(name: str) -> nn.Module:
    """The network as `fit` builds it."""
    kind = {"mlp": models.MLP, "lenet": models.LeNet, "cnn": models.CNN}[name]
    arguments = {key: value for key, value in NETS[name].items() if key != "_target_"}
    return kind(image_shape=(1, 28, 28), num_classes=10, **arguments)


@contextlib.contextmanager
def without_lightning() -> Iterator[None]:
    """As in a process that never imported Lightning: with this variable every optimizer step looks for a GPU driver."""
    value = os.environ.pop("PYTORCH_NVML_BASED_CUDA_CHECK", None)
    try:
        yield
    finally:
        if value is not None:
            os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = value


@without_lightning()
def bare_loop(name: str, *, fused: bool) -> float:
    """Images a second of the shortest loop there is."""
    mnist = datasets.MNIST(str(data_root() / "mnist"))
    images, labels = mnist.data[:NUM_IMAGES, None].contiguous(), mnist.targets[:NUM_IMAGES]
    net = make_net(name)
    optimizer = torch.optim.AdamW(net.parameters(), lr=LR, fused=fused or None)
    criterion = nn.CrossEntropyLoss()
    rates = []
    for _ in range(NUM_EPOCHS):
        started = time.perf_counter()
        for chosen in torch.randperm(NUM_IMAGES).split(BATCH_SIZE):
            batch = images.index_select(0, chosen).float().mul_(1 / (255 * STD)).sub_(MEAN / STD)
            loss = criterion(net(batch), labels.index_select(0, chosen))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        rates.append(NUM_IMAGES / (time.perf_counter() - started))
    return median(rates[1:])


def idealfit_fit(name: str, cache_dir: str, trainer: Mapping[str, Any] = MappingProxyType({})) -> float:
    """Images a second of `fit`, with evaluation, curves and checkpoints on, and more options of the trainer."""
    config = {
        "seed": 0,
        "data": {
            "_target_": "idealfit.data.MNIST",
            "root": str(data_root() / "mnist"),
            "download": False,
            "batch_size": BATCH_SIZE,
            "val_fraction": 0.2,
            "test_fraction": 0.2,
            "split_seed": 0,
            "limit": NUM_IMAGES,
            "cache_dir": cache_dir,
        },
        "model": NETS[name],
        "optimizer": {"_target_": "torch.optim.AdamW", "lr": LR},
        "scheduler": None,
        "loss": {"_target_": "torch.nn.CrossEntropyLoss"},
        "augment": None,
        "trainer": {"max_epochs": NUM_EPOCHS, "accelerator": "cpu", **trainer},
    }
    with tempfile.TemporaryDirectory() as directory:
        fitted = fit(
            config,
            objective=Objective(),
            reporter=SilentReporter(),
            stop=threading.Event(),
            on_epoch=lambda epoch, metrics: None,
            checkpoint_dir=Path(directory),
        )
    return median(fitted.curves["samples_per_second"][1:])


class UsualModule(pl.LightningModule):
    """As the documentation of Lightning and torchmetrics writes it."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        self.criterion = nn.CrossEntropyLoss()
        self.train_accuracy = torchmetrics.Accuracy(task="multiclass", num_classes=10)
        self.rates: list[float] = []

    def forward(self, images: Tensor) -> Any:
        """Images to logits."""
        return self.net(images)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """One batch."""
        images, labels = batch
        logits = self(images)
        loss: Tensor = self.criterion(logits, labels)
        self.train_accuracy(logits, labels)
        self.log("train_loss", loss, on_step=False, on_epoch=True, prog_bar=True)
        self.log("train_accuracy", self.train_accuracy, on_step=False, on_epoch=True, prog_bar=True)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The same optimizer as elsewhere."""
        return torch.optim.AdamW(self.parameters(), lr=LR)

    def on_train_epoch_start(self) -> None:
        """Start the clock."""
        self.started = time.perf_counter()

    def on_train_epoch_end(self) -> None:
        """Stop the clock."""
        self.rates.append(NUM_IMAGES / (time.perf_counter() - self.started))


def usual_lightning(name: str, *, num_workers: int) -> float:
    """Images a second of the usual code."""
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((MEAN,), (STD,))])
    images = Subset(datasets.MNIST(str(data_root() / "mnist"), transform=transform), range(NUM_IMAGES))
    loader = DataLoader(
        images, batch_size=BATCH_SIZE, shuffle=True, num_workers=num_workers, persistent_workers=num_workers > 0
    )
    module = UsualModule(make_net(name))
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        nowhere = stack.enter_context(Path(os.devnull).open("w"))  # the progress bar is on as by default, nobody looks
        stack.enter_context(contextlib.redirect_stdout(nowhere))
        stack.enter_context(contextlib.redirect_stderr(nowhere))
        pl.Trainer(max_epochs=2, accelerator="cpu", default_root_dir=directory).fit(module, loader)
    return module.rates[-1]


def main() -> None:
    """Measure both networks, print a table, store the figures."""
    warnings.filterwarnings("ignore", module="lightning")
    warnings.filterwarnings("ignore", message=r".*LeafSpec.*")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    figures: dict[str, Any] = {"num_threads": torch.get_num_threads(), "num_rounds": NUM_ROUNDS}
    with tempfile.TemporaryDirectory() as cache:
        for name in NETS:
            figures[name] = _measure(name, cache)
    print(json.dumps(figures, indent=2))
    print(f"stored in {store('throughput', figures, repeats=NUM_ROUNDS)}")


def _measure(name: str, cache: str) -> dict[str, Any]:
    variants: dict[str, Callable[[], float]] = {
        "bare loop": lambda: bare_loop(name, fused=False),
        "bare loop, fused optimizer": lambda: bare_loop(name, fused=True),
        "idealfit": lambda: idealfit_fit(name, cache),
        "usual Lightning": lambda: usual_lightning(name, num_workers=0),
        "usual Lightning, 2 workers": lambda: usual_lightning(name, num_workers=2),
    }
    rates = interleaved(variants, num_rounds=NUM_ROUNDS)
    print(f"{name:6} {'images/s':>28}  idealfit is")
    ratios = {}
    for variant, values in rates.items():
        ratios[variant] = median_ratio(rates["idealfit"], values)
        print(f"  {variant:27} {median(values):>8,.0f}  {ratios[variant]:.2f} times as fast")
    return {
        "images_per_second": medians(rates),
        "idealfit_over": ratios,
    }


if __name__ == "__main__":
    main()
