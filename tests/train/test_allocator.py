"""Memory that training frees is kept for its next step, and given back at its end."""

from __future__ import annotations

import multiprocessing
import resource
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
import torch

from idealfit.train.allocator import glibc, kept_memory

NUM_BLOCKS, BLOCK_BYTES = 64, 4 << 20
HALF = NUM_BLOCKS * BLOCK_BYTES // 2


def resident_bytes() -> int:
    """Memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def take_and_free(num_blocks: int, block_bytes: int) -> None:
    """Take large blocks at a time, and free them."""
    blocks = [torch.ones(block_bytes, dtype=torch.uint8) for _ in range(num_blocks)]
    del blocks


def resident_before_meanwhile_after_later() -> tuple[int, int, int, int]:
    take_and_free(NUM_BLOCKS, BLOCK_BYTES)
    before = resident_bytes()
    with kept_memory():
        take_and_free(NUM_BLOCKS, BLOCK_BYTES)
        meanwhile = resident_bytes()
    after = resident_bytes()
    take_and_free(1, 2 * NUM_BLOCKS * BLOCK_BYTES)  # more than fits into any hole that is left
    return before, meanwhile, after, resident_bytes()


@pytest.mark.skipif(glibc() is None, reason="only glibc keeps freed memory when it is told to")
def test_freed_memory_is_kept_for_the_next_step_and_given_back_at_the_end() -> None:
    # a process of its own, as a worker is: holes that other tests left in the heap would be filled first
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        before, meanwhile, after, later = pool.submit(resident_before_meanwhile_after_later).result()
    assert meanwhile > before + HALF
    assert after < before + HALF
    assert later < before + HALF
