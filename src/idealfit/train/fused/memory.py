"""How many trials fit the memory at once."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch import Tensor

from idealfit.engines.hardware import usable_cores
from idealfit.train.evaluation import eval_mode
from idealfit.train.parts import Parts

SHARE = 0.5  # of the free memory that a group may take: what is free now may be wanted by others later
COPIES_OF_WEIGHTS = 6  # weights, gradients, two states, the best weights, one on the way
COPIES_OF_ACTIVATIONS = 2  # and their gradients
NUM_TRIED_IMAGES = 4


def num_that_fit(parts: Parts, device: torch.device) -> int:
    """How many trials like this one fit, at least one: from its weights, its activations and what is free."""
    return max(1, int(SHARE * free_bytes(device) / bytes_of_trial(parts)))


def bytes_of_trial(parts: Parts) -> int:
    """Memory of one trial in training, about."""
    images, _ = next(iter(parts.data.eval_batches("val")))
    images = images[:NUM_TRIED_IMAGES].to(next(parts.net.parameters()).dtype, copy=True)
    held: dict[int, int] = {}

    def hold(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        held[storage.data_ptr()] = storage.nbytes()
        return tensor

    with eval_mode(parts.net), torch.autograd.graph.saved_tensors_hooks(hold, lambda tensor: tensor):
        parts.net(images)
    weights = {each.untyped_storage().data_ptr(): each.untyped_storage().nbytes() for each in parts.net.parameters()}
    by_image = sum(size for pointer, size in held.items() if pointer not in weights) / len(images)
    batch_size = -(-parts.data.sizes["train"] // parts.data.num_train_batches)
    return int(COPIES_OF_WEIGHTS * sum(weights.values()) + COPIES_OF_ACTIVATIONS * by_image * batch_size)


def free_bytes(device: torch.device) -> int:
    """Memory that is free on `device`; of the machine's own, the share of this worker's threads."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    share = min(1.0, torch.get_num_threads() / usable_cores())
    return int(share * min(_available(), _left_in_container()))


def _available() -> float:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:  # macOS
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return next(1024.0 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))


def _left_in_container() -> float:
    try:
        folder = Path("/sys/fs/cgroup")
        limit = (folder / "memory.max").read_text().strip()
        if limit == "max":
            return float("inf")
        used = int((folder / "memory.current").read_text())
        statistics = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        return int(limit) - used + int(statistics["inactive_file"])  # of files that were read: given back when asked
    except (OSError, ValueError, KeyError):
        return float("inf")
