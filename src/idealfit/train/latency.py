"""How long one forward pass takes, measured where the trial trains, and only where its objective asks."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import median

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn

from idealfit.spec import Objective
from idealfit.train.callbacks import History
from idealfit.train.evaluation import eval_mode

WARM_UP_S = 0.05  # caches, clocks and kernel choices settle ...
MIN_WARM_UPS = 5  # ... within these
MIN_PASSES = 50  # enough for a median that single pauses of the machine do not move
MAX_PASSES = 2000
MEASURE_S = 0.5


def measure_latency(forward: Callable[[Tensor], object], images: Tensor) -> float:
    """Milliseconds of one call of `forward` on `images`: the median of at least 50 after a warm-up.

    On an accelerator each call is waited for, so the time is that until the answer is there.

    Args:
        forward: A network in eval mode, on the device of `images`.
        images: `[B, C, H, W]`, the batch that is timed.
    """
    wait = _waiter(images.device)
    started, passes = time.perf_counter(), 0
    while passes < MIN_WARM_UPS or time.perf_counter() - started < WARM_UP_S:
        _timed(forward, images, wait)
        passes += 1
    started, seconds = time.perf_counter(), list[float]()
    while len(seconds) < MIN_PASSES or (len(seconds) < MAX_PASSES and time.perf_counter() - started < MEASURE_S):
        seconds.append(_timed(forward, images, wait))
    return 1000 * median(seconds)


class LatencyProbe(Callback):
    """Measures `latency_ms` of a single image before the first epoch: weights do not change it, and penalties need it.

    Args:
        image_shape: Of one image.
        history: Gets the measure, on rank 0.
        network: Picks the network out of the module.
    """

    def __init__(
        self, image_shape: Sequence[int], history: History, network: Callable[[pl.LightningModule], nn.Module]
    ) -> None:
        self._shape = tuple(image_shape)
        self._history = history
        self._network = network

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Measure; what the network draws at random does not move the fit's own draws."""
        if not trainer.is_global_zero:
            return
        net, precision = self._network(pl_module), trainer.precision_plugin
        device = pl_module.device
        images = precision.convert_input(torch.zeros(1, *self._shape, device=device))
        devices = [device] if device.type == "cuda" else []
        with torch.random.fork_rng(devices), torch.inference_mode(), eval_mode(net), precision.val_step_context():
            self._history.constants["latency_ms"] = measure_latency(net, images)


def latency_probe(
    objective: Objective,
    image_shape: Sequence[int],
    history: History,
    network: Callable[[pl.LightningModule], nn.Module],
) -> list[Callback]:
    """A `LatencyProbe` if the objective asks for the latency; else none."""
    return [LatencyProbe(image_shape, history, network)] if "latency_ms" in objective.asked else []


def _timed(forward: Callable[[Tensor], object], images: Tensor, wait: Callable[[], None]) -> float:
    started = time.perf_counter()
    forward(images)
    wait()
    return time.perf_counter() - started


def _waiter(device: torch.device) -> Callable[[], None]:
    if device.type == "cuda":
        return lambda: torch.cuda.synchronize(device)
    return torch.mps.synchronize if device.type == "mps" else lambda: None
