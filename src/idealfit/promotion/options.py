"""How a study is promoted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from idealfit.spec import ConfigError

MIN_SEEDS = 2


@dataclass(frozen=True, kw_only=True)
class PromoteOptions:
    """What to do.

    Attributes:
        top: How many of the search's best to train again; the default config comes with them.
        seeds: Fresh seeds of each.
        refit: Train the chosen one on training and validation images before the test.
        test: Look at the test set.
        again: Look at it though it was looked at before.
        is_automatic: At the end of a sweep: a test set that was looked at is then no error, and stays closed.
    """

    top: int = 3
    seeds: int = 5
    refit: bool = False
    test: bool = True
    again: bool = False
    is_automatic: bool = False

    def __post_init__(self) -> None:
        """Check what no test of a schema has seen.

        Raises:
            ConfigError: Too few trials or seeds, or options that contradict each other.
        """
        if self.top < 1:
            raise ConfigError(f"promote: at least 1 trial must be promoted, got top={self.top}")
        if self.seeds < MIN_SEEDS:
            raise ConfigError(
                f"promote: a test needs at least {MIN_SEEDS} seeds, got seeds={self.seeds}: one score says nothing "
                "about how much scores vary. 5 are usual."
            )
        if self.again and not self.test:
            raise ConfigError("promote: --again looks at the test set, and --no-test does not: give one of them")
        if self.refit and not self.test:
            raise ConfigError("promote: --refit trains the network for the test, and --no-test has none: give one")

    @classmethod
    def from_config(cls, study: Mapping[str, Any] | None) -> Self | None:
        """What `study.promote` asks for at a sweep's end; None where it asks for nothing."""
        node = (study or {}).get("promote")
        return cls(**node, is_automatic=True) if node and node["top"] else None
