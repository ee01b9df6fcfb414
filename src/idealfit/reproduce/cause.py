"""Why a run came out differently: the rows of the table of differences, the likeliest cause first."""

from __future__ import annotations

from collections.abc import Sequence

from idealfit.provenance import Difference
from idealfit.reproduce.compare import Deviation

ROUNDING = 1e-3
"""Where runs first part by less than this share, the arithmetic differs; where by more, what is computed does."""

# What is computed, then how it is rounded; each from what moves results most often.
_LOGIC = ("config", "data", "split", "code", "idealfit")
_ARITHMETIC = ("device", "precision", "threads", "determinism", "gpu", "cpu", "environment", "packages", "python", "os")
# Packages that compute; all the others take part in no result.
_COMPUTING = ("torch", "torchvision", "lightning", "numpy", "timm", "scikit-learn", "pillow", "nvidia", "triton")


def likeliest_causes(differences: Sequence[Difference], first: Deviation | None) -> list[Difference]:
    """The rows that differ, likeliest first, for runs that part at `first` (see `compare.first_deviation`).

    Empty where nothing that was recorded differs.
    """
    is_rounding = first is not None and first.relative < ROUNDING
    order = (_ARITHMETIC + _LOGIC) if is_rounding else (_LOGIC + _ARITHMETIC)
    rank = {item: place for place, item in enumerate(order)}
    found = [difference for difference in differences if difference.status == "differs"]
    return sorted(found, key=lambda row: (_is_idle(row), rank.get(row.item, len(rank))))


def _is_idle(row: Difference) -> bool:
    if row.item != "packages":
        return False
    return not any(detail.startswith(_COMPUTING) for detail in row.details)


def advice(differences: Sequence[Difference]) -> str:
    """What to think where no row differs."""
    rows = {row.item: row for row in differences}
    determinism = rows.get("determinism")
    if determinism and determinism.now == "off":
        return "Nothing that was recorded differs; determinism is off, so the same run need not repeat itself."
    unknown = [row.item for row in differences if row.status == "unknown"]
    if unknown:
        return f"Nothing that is known differs; not known: {', '.join(unknown)}."
    return "Nothing that was recorded differs: an operation without a deterministic form, or state outside the config."
