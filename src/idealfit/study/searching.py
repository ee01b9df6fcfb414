"""What a study searches, read from its config: the space, what follows from it, and where to start."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from idealfit.config import Composer
from idealfit.provenance import flattened
from idealfit.space import Dependent, Derivation, Space, flatten_entries, with_values
from idealfit.spec import JSON, Params, SpaceError
from idealfit.study.points import best_of, read_enqueued


@dataclass(frozen=True, kw_only=True)
class Search:
    """What is searched.

    Attributes:
        derivation: Values that follow from a point.
        enqueued: Points to try first, whole or in part.
        warm_start: An earlier study and how many of its best points to try; None: no study.
    """

    space: Space
    derivation: Derivation
    enqueued: tuple[Params, ...] = ()
    warm_start: tuple[str, int] | None = None

    def warm_points(self, runs_dir: Path) -> list[Params]:
        """The best points of the earlier study, best first; none without one.

        Raises:
            StudyError: There is no such study, or none of its points fits.
        """
        if self.warm_start is None:
            return []
        study, top = self.warm_start
        return best_of(runs_dir, study, top=top, space=self.space)

    @property
    def rules(self) -> JSON:
        """What else decides on a trial, beside the space: part of the question."""
        rules = {"forbid": self.space.forbidden_json(), "derive": self.derivation.to_json()}
        return {name: rule for name, rule in rules.items() if rule}

    @property
    def rule_texts(self) -> list[tuple[str, str]]:
        """The same for people: (`forbidden` or `derived`, what)."""
        forbidden = [("forbidden", " and ".join(map(str, clause))) for clause in self.space.forbidden]
        return [*forbidden, *(("derived", f"{key} = {text}") for key, text in self.derivation.expressions.items())]


def read_search(
    composer: Composer, study: Mapping[str, Any], *, entries: Mapping[str, str], fixed: Sequence[str]
) -> Search:
    """Read and check what a study searches.

    Args:
        composer: The composed sweep.
        study: Its `study` node.
        entries: Searched keys from the command line; of an entry of the file they replace the values alone.
        fixed: Keys that the command line fixes.

    Raises:
        SpaceError: Anything that makes no sense.
    """
    of_file = {key: entry for key, entry in flatten_entries(study["space"]) if key not in fixed}
    searched = merge(of_file, entries)
    _check_interpolations(composer, searched)
    values = {**flattened(composer.trial_config({})), **composer.choices}
    known = {key: value for key, value in values.items() if not isinstance(value, list | dict)}
    space = make_space(searched, fixed=known, forbid=study["forbid"])
    warm = study["warm_start"]
    return Search(
        space=space,
        derivation=Derivation.parse(study["derive"], searched=space.keys),
        enqueued=tuple(read_enqueued(study["enqueue"], space, known)),
        warm_start=(warm["study"], warm["top"]) if warm["study"] else None,
    )


def merge(of_file: Mapping[str, Any], typed: Mapping[str, str]) -> JSON:
    """The entries of a file and of a command line, in an order in which each may name those before it.

    A key that only the command line searches comes first, where the file's conditions may name it; unless its own
    bounds name others.
    """
    new = {key: entry for key, entry in typed.items() if key not in of_file}
    first = {key: entry for key, entry in new.items() if Dependent.parse(key, entry) is None}
    replaced = {key: with_values(entry, typed[key]) if key in typed else entry for key, entry in of_file.items()}
    return {**first, **replaced, **new}


def make_space(entries: Mapping[str, Any], *, fixed: Mapping[str, Any] | None = None, forbid: Any = ()) -> Space:
    """Parse the space.

    Raises:
        SpaceError: It is empty or makes no sense.
    """
    if not entries:
        raise SpaceError(
            "study.space is empty: nothing to search. Give it at least one key, e.g. optimizer.lr=interval(1e-4,1e-1)."
        )
    return Space.parse(entries, fixed=fixed or {}, forbid=forbid)


def _check_interpolations(composer: Composer, searched: Mapping[str, Any]) -> None:
    """`${model.width}` is the config's value, not the trial's: in a space it would be quietly wrong."""
    node = OmegaConf.select(composer.cfg, "study.space")
    for text in _texts(OmegaConf.to_container(node, resolve=False) if OmegaConf.is_config(node) else {}):
        for name in re.findall(r"\$\{\s*([^}:]+?)\s*\}", text):
            if name in searched:
                raise SpaceError(f"study.space: {text!r} means the config's own {name}. For the trial's, write {name}.")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(inner)
