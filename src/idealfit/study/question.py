"""What a config asks, without where it runs."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from idealfit.provenance import flattened
from idealfit.spec import JSON

NOT_PART_OF_THE_QUESTION = (
    "trainer.rank_timeout_s",
    "data.cache_dir",
    "data.root",
    "trainer.accelerator",
    "trainer.devices",
)
"""Where it runs, not what is asked. The data's content counts by its fingerprint, whatever the folder."""


def asked_of(config: JSON, *, without: Container[str] = ()) -> dict[str, Any]:
    """By dotted key, what decides the outcome; `without` keys that do not count here."""
    left_out = NOT_PART_OF_THE_QUESTION
    return {key: value for key, value in flattened(config).items() if key not in left_out and key not in without}
