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
    """Memory of this process, once it has taken many large blocks at a time and freed them."""
    blocks = [torch.ones(BLOCK_BYTES, dtype=torch.uint8) for _ in range(NUM_BLOCKS)]
    del blocks
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def resident_before_meanwhile_after() -> tuple[int, int, int]:
    before = resident_bytes()
    with kept_memory():
        meanwhile = resident_bytes()
    return before, meanwhile, resident_bytes()


@pytest.mark.skipif(glibc() is None, reason="only glibc keeps freed memory when it is told to")
def test_freed_memory_is_kept_for_the_next_step_and_given_back_at_the_end() -> None:
    # a process of its own, as a worker is: holes that other tests left in the heap would be filled first
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        before, meanwhile, after = pool.submit(resident_before_meanwhile_after).result()
    assert meanwhile > before + HALF
    assert after < before + HALF
