"""Memory that training frees is kept for its next step, and given back at its end."""

from __future__ import annotations

import resource

import pytest
import torch

from idealfit.train.allocator import glibc, kept_memory

NUM_BLOCKS, BLOCK_BYTES = 50, 4 << 20


def page_faults() -> int:
    """Of taking and freeing one large block again and again."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(NUM_BLOCKS):
        torch.ones(BLOCK_BYTES, dtype=torch.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(glibc() is None, reason="only glibc keeps freed memory when it is told to")
def test_freed_memory_is_kept_for_the_next_step_and_given_back_at_the_end() -> None:
    of_one_block = BLOCK_BYTES // resource.getpagesize()
    with kept_memory():
        page_faults()
        assert page_faults() < of_one_block
    assert page_faults() >= of_one_block, "the block had been given back"
