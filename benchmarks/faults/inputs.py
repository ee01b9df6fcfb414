"""Bad input of every kind, made by seeded mutation: each ends in an error of ours or a right result, never in a traceback."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.faults import input_configs, input_images, input_records, input_training
from benchmarks.faults.cases import Case, CaseReport, run_cases

Maker = Callable[[random.Random], Case]
MAKERS: tuple[Maker, ...] = (
    input_configs.override,
    input_configs.sweep,
    input_configs.space,
    input_configs.node,
    input_configs.yaml_file,
    input_configs.command,
    input_images.bitmap,
    input_images.picture,
    input_images.published,
    input_images.decoded,
    input_records.record,
    input_records.journal,
    input_records.reference,
    input_training.checkpoint,
    input_records.curves,
    input_training.trial,
)


def cases(num_cases: int, seed: int) -> Iterator[Case]:
    """`num_cases` cases, of each kind as many; the same for the same seed."""
    for index in range(num_cases):
        yield MAKERS[index % len(MAKERS)](random.Random(f"{seed}-{index}"))


def run(directory: Path, *, num_cases: int, seed: int = 0) -> CaseReport:
    """Try them all."""
    return run_cases(cases(num_cases, seed), directory)
