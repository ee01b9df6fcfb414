"""What each option of training costs or gains on this machine: seconds of an epoch against those of the defaults.

Networks and images are those of `throughput`, trained by `fit`. The defaults follow from these figures: kernels
channels last, no `torch.compile` (which also takes as long to compile as a small study), 16 batches a step, oneDNN on.
Slots of one thread against one slot of all threads is `python -m benchmarks slots`.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch

from benchmarks.common import interleaved, median_ratio, medians, store
from benchmarks.throughput import NETS, idealfit_fit

NUM_ROUNDS = 2
OPTIONS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "trainer.batches_per_step=1": {"batches_per_step": 1},
    "trainer.channels_last=false": {"channels_last": False},
    "trainer.compile=default": {"compile": "default"},
    "trainer.precision=bf16-mixed": {"precision": "bf16-mixed"},
}
OUTSIDE = ("one thread", "without oneDNN")  # no options of idealfit


@contextlib.contextmanager
def surroundings(name: str) -> Iterator[None]:
    """Train with one thread, or without oneDNN, or as always."""
    num_threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1 if name == "one thread" else num_threads)
        with torch.backends.mkldnn.flags(enabled=name != "without oneDNN"):
            yield
    finally:
        torch.set_num_threads(num_threads)


def rate_of(net: str, name: str, cache: str) -> float:
    """Training images a second."""
    with surroundings(name):
        return idealfit_fit(net, cache, OPTIONS.get(name, {}))


def main() -> None:
    """Measure every option on every network, print, store."""
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as cache, tempfile.TemporaryDirectory() as compiled:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = compiled  # so that compiling is really measured
        for net in NETS:
            figures[net] = _measure(net, cache)
    print(json.dumps(figures, indent=2))
    print(f"stored in {store('options', figures, repeats=NUM_ROUNDS)}")


def _measure(net: str, cache: str) -> dict[str, Any]:
    started = time.perf_counter()
    rate_of(net, "trainer.compile=default", cache)
    compiling_s = time.perf_counter() - started
    names = (*OPTIONS, *OUTSIDE)
    variants: dict[str, Callable[[], float]] = {name: lambda name=name: rate_of(net, name, cache) for name in names}  # type: ignore[misc]
    rates = interleaved(variants, num_rounds=NUM_ROUNDS)
    over = {name: median_ratio(rates[name], rates["defaults"]) for name in names}
    for name in names:
        print(f"  {net:6} {name:30} {over[name]:.2f} times as fast", file=sys.stderr, flush=True)
    return {
        "images_per_second": medians(rates),
        "over_defaults": over,
        "first_compiled_fit_s": compiling_s,
    }


if __name__ == "__main__":
    main()
