"""Where the best trials sit at an end of the search space, and which way to widen it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from idealfit.report.html import words
from idealfit.report.html.dimensions import Dimension, is_number
from idealfit.spec import Params

MIN_TRIALS = 4  # fewer sit at an end too easily
NUM_TOP = 5  # trials asked for their opinion: the single best one may sit at an end by chance
OUTER = 0.2  # of the range: what counts as this end for the others


@dataclass(frozen=True, kw_only=True)
class Boundary:
    """The best trial's value of one parameter lies at an end of its range.

    Attributes:
        num_near: How many of the `num_top` best trials lie in the outer fifth at that end.
        widen_to: A bound to try next; None where a natural limit lies there.
    """

    dimension: Dimension
    value: float
    end: Literal["lower", "upper"]
    num_near: int
    num_top: int
    widen_to: float | None

    @property
    def is_strong(self) -> bool:
        """Whether most of the best trials agree."""
        return self.num_top >= 3 and 2 * self.num_near > self.num_top

    @property
    def sentence(self) -> str:
        """What was found and what to do about it."""
        dimension = self.dimension
        bound = words.number(dimension.low if self.end == "lower" else dimension.high)
        text = f"The best trial's {dimension.key} = {words.number(self.value)} lies at the {self.end} end of the space"
        text += f" ({bound}), with {self.num_near} of the {self.num_top} best trials near it"
        if self.widen_to is None:
            return f"{text}; it may be a natural limit."
        way = "down" if self.end == "lower" else "up"
        advice = f"widen it {way}, e.g. to {words.number(self.widen_to)}"
        return f"{text}: {advice}." if self.is_strong else f"{text}: this may be chance; if not, {advice}."


def find_boundaries(points: Sequence[Params], dimensions: Sequence[Dimension]) -> list[Boundary]:
    """The parameters whose best value lies at an end of the known space.

    Args:
        points: Those of comparable trials, best first.
        dimensions: The searched parameters.
    """
    if len(points) < MIN_TRIALS:
        return []
    found = []
    for dimension in dimensions:
        values = [value for point in points[:NUM_TOP] if is_number(value := point.get(dimension.key))]
        if not values or values[0] != points[0].get(dimension.key) or not dimension.is_known:
            continue
        best = float(values[0])  # type: ignore[arg-type]  # is_number says so
        end = dimension.edge(best)
        if end:
            near = sum(_is_near(dimension, float(value), end) for value in values)  # type: ignore[arg-type]
            found.append(
                Boundary(
                    dimension=dimension,
                    value=best,
                    end=end,
                    num_near=near,
                    num_top=len(values),
                    widen_to=_beyond(dimension, end),
                )
            )
    return sorted(found, key=lambda boundary: -boundary.num_near)


def _next_choice(dimension: Dimension, end: Literal["lower", "upper"]) -> float | None:
    """The value that would continue the list; None below 0 or 1 of a list that stays above it."""
    ends = dimension.choices[:2][::-1] if end == "lower" else dimension.choices[-2:]
    inner, outer = map(float, ends)
    beyond = outer * outer / inner if dimension.log else 2 * outer - inner
    if isinstance(dimension.choices[0], int):
        beyond = round(beyond)
    is_possible = beyond > 0 or outer < 0 or (beyond == 0 and not isinstance(dimension.choices[0], int))
    return beyond if is_possible else None


def _is_near(dimension: Dimension, value: float, end: Literal["lower", "upper"]) -> bool:
    position = dimension.position(value)
    return position <= OUTER if end == "lower" else position >= 1 - OUTER


def _beyond(dimension: Dimension, end: Literal["lower", "upper"]) -> float | None:
    """A bound further out: ten times on a log scale, half the range more on a linear one, one step of listed values."""
    low, high = dimension.low, dimension.high
    if dimension.choices:
        return _next_choice(dimension, end)
    if dimension.log:
        factor = 2.0 if dimension.is_int else 10.0
        beyond = low / factor if end == "lower" else high * factor
        return max(1.0, float(round(beyond))) if dimension.is_int else beyond
    step = max(1.0, round((high - low) / 2)) if dimension.is_int else (high - low) / 2
    if end == "upper":
        return (high + 1) / 2 if low >= 0 and high < 1 < high + step else high + step
    if low == 0 or (dimension.is_int and low == 1):
        return None
    return max(0.0, low - step) if low > 0 else low - step
