"""The likeliest cause of a difference, from the table and from how the runs part."""

from __future__ import annotations

from idealfit.provenance import Difference
from idealfit.reproduce import Deviation, advice, likeliest_causes

LARGE = Deviation(metric="train/loss", epoch=0, then=1.0, now=1.5)
TINY = Deviation(metric="train/loss", epoch=0, then=1.0, now=1.00001)


def differs(item: str, *details: str) -> Difference:
    return Difference(item=item, then="a", now="b", status="differs", details=details)


ROWS = [
    differs("packages", "torch: 2.14.0 -> 2.15.0"),
    differs("config", "seed: 0 -> 1"),
    differs("threads"),
    differs("code", "net.py edited"),
    Difference(item="data", then="a", now="a", status="same"),
]


def items(rows: list[Difference]) -> list[str]:
    return [row.item for row in rows]


def test_runs_that_part_at_once_point_at_what_is_computed() -> None:
    assert items(likeliest_causes(ROWS, LARGE)) == ["config", "code", "threads", "packages"]


def test_runs_that_part_by_rounding_point_at_the_arithmetic() -> None:
    assert items(likeliest_causes(ROWS, TINY)) == ["threads", "packages", "config", "code"]


def test_packages_that_compute_nothing_come_last() -> None:
    rows = [differs("packages", "rich: 14.0 -> 15.0"), differs("python")]
    assert items(likeliest_causes(rows, TINY)) == ["python", "packages"]


def test_without_a_difference_the_advice_says_what_is_left() -> None:
    off = Difference(item="determinism", then="off", now="off", status="same")
    unknown = Difference(item="data", then="-", now="-", status="unknown")
    assert likeliest_causes([off, unknown], LARGE) == []
    assert "determinism is off" in advice([off, unknown])
    assert "data" in advice([unknown])
    assert "without a deterministic form" in advice([])
