"""Points that are tried first: those of `study.enqueue`, and the best of an earlier study."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from idealfit.space import Space, flatten_entries, point_key
from idealfit.space.conditions import contains
from idealfit.space.dimensions import Interval, Steps
from idealfit.spec import Params, SpaceError, StudyError, nearest
from idealfit.study.outcome import list_studies, no_such_study, read_rows


def read_enqueued(raw: Any, space: Space, fixed: Mapping[str, Any]) -> list[Params]:
    """Read `study.enqueue`: whole points, or some of their keys; the sampler draws the rest.

    Args:
        raw: A list of mappings from keys to values.
        space: What is searched.
        fixed: The values of keys that are not.

    Raises:
        SpaceError: A point that the space does not hold.
    """
    if not isinstance(raw, list | tuple):
        raise SpaceError(f"study.enqueue must list points, e.g. [{{optimizer.lr: 0.01}}], got {raw!r}.")
    points: list[Params] = []
    for number, given in enumerate(raw):
        where = f"study.enqueue[{number}]"
        if not isinstance(given, Mapping) or not given:
            raise SpaceError(f"{where} must map keys to values, e.g. {{optimizer.lr: 0.01}}, got {given!r}.")
        point = dict(flatten_entries(given))
        for key in point:
            if key not in space.entries:
                hint = nearest(key, space.keys)
                hint = f"It is fixed at {fixed[key]!r}. Remove it, or set study.enqueue=[]." if key in fixed else hint
                raise SpaceError(f"{where}: {key} is not searched. {hint}".strip())
        if problem := space.problem(point):
            raise SpaceError(f"{where} is no point of the space: {problem}.")
        points.append(_typed(point, space))
    return points


def best_of(runs_dir: Path, study: str, *, top: int, space: Space) -> list[Params]:
    """The best points of an earlier study, as far as this space holds them; best first.

    Raises:
        StudyError: There is no such study, or none of its points fits.
    """
    if study not in list_studies(runs_dir):
        raise no_such_study(runs_dir, study, what="study.warm_start.study: there is no study")
    rows, _ = read_rows(runs_dir, study)
    found: dict[str, Params] = {}
    for row in rows:
        if row.value is not None and row.state.is_finished and (point := _fitting(row.params, space)):
            found.setdefault(point_key(point), point)
    if not found:
        raise StudyError(
            f"study.warm_start.study: no trial of {study!r} has a score and a value that this space holds "
            f"({', '.join(space.keys)})."
        )
    return list(found.values())[:top]


def _fitting(params: Params, space: Space) -> Params:
    point: Params = {}
    for key, entry in space.entries.items():
        if key not in params or any(name not in point for name in entry.needs) or not entry.is_active(point):
            continue
        dimension = entry.at(point)
        if dimension and contains(dimension, params[key]):
            point[key] = params[key]
    return _typed(point, space) if space.allows(point) else {}


def _typed(point: Mapping[str, Any], space: Space) -> Params:
    """Floats where the space has floats: YAML reads `1` as a whole number."""
    dimensions = space.dimensions
    return {
        key: float(value) if isinstance(dimensions[key], Interval | Steps) else value for key, value in point.items()
    }
