"""What promoting a study found, as its folder keeps it: `RUNS_DIR/STUDY/promote`.

`promotion.json` holds the scores; what follows from them is worked out again by each reader. `looks.json` holds the
looks at the test set, each noted before it is taken.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from idealfit.disk import write_atomically
from idealfit.record import PROMOTED
from idealfit.selection import Candidate, Verdict, judge
from idealfit.spec import JSON, Objective, Params, StudyError, known_fields

DEFAULT = "the default"


@dataclass(frozen=True, kw_only=True)
class Replicated:
    """One configuration, trained again on fresh seeds.

    Attributes:
        name: `trial 7`, or `the default`.
        trial: The number of the searched trial; None for the default.
        params: The searched values.
        searched: The score that the search saw; None for the default.
        scores: Of each fresh seed; None where training failed.
        records: Numbers under `STUDY/promote`, one for each seed.
        num_params: Parameters of the network; None where no training told.
        trouble: Why it is not ranked; "" where it is.
    """

    name: str
    trial: int | None
    params: Params
    searched: float | None
    scores: list[float | None]
    records: list[int]
    num_params: int | None = None
    trouble: str = ""

    @property
    def drop(self) -> float | None:
        """Searched score minus the mean of the replicates; None where either is missing."""
        values = [score for score in self.scores if score is not None]
        if self.searched is None or self.trouble or not values:
            return None
        return self.searched - sum(values) / len(values)


class Measured(NamedTuple):
    """A metric of the test images with its 95 % interval; None where it has no value, or no interval."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True)
class Look:
    """One look at the test set.

    Attributes:
        number: 1 for the first.
        date: When it was noted, in ISO 8601, before anything was scored.
        name: The candidate that was scored.
        record: Its number under `STUDY/promote`.
        weights_sha256: Of the file of its weights.
        refit: Whether it was trained on training and validation images.
        data: Fingerprint of the images and hash of the split.
        measures: What came out; empty where the look was interrupted.
    """

    number: int
    date: str
    name: str
    record: int
    weights_sha256: str
    refit: bool
    data: list[str]
    measures: JSON = field(default_factory=dict)

    @property
    def metrics(self) -> dict[str, Measured]:
        """By name, the task's objective first; empty where the look was interrupted."""
        found = self.measures.get("metrics")
        if found is None and "accuracy" in self.measures:  # of an older version
            found = {"accuracy": [self.measures[name] for name in ("accuracy", "low", "high")]}
        return {name: Measured(*values) for name, values in (found or {}).items()}


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """A study's best configurations on fresh seeds, and its looks at the test set.

    Attributes:
        seeds: Shared by all candidates, none of them used by the search.
        num_val_images: Images that every score rests on; None where no training told.
        candidates: As chosen: the best of the search first, the default last.
    """

    study: str
    objective: Objective
    seeds: list[int]
    candidates: list[Replicated]
    num_val_images: int | None = None
    looks: list[Look] = field(default_factory=list)

    @property
    def maximize(self) -> bool:
        """Whether more is better."""
        return self.objective.direction == "maximize"

    @property
    def step(self) -> float:
        """The smallest step between two scores; 0 where they are not shares of images."""
        is_share = self.objective.metric.endswith(("accuracy", "exact_match")) and not self.objective.penalty
        return 1 / self.num_val_images if is_share and self.num_val_images else 0.0

    @cached_property
    def verdict(self) -> Verdict:
        """What the scores say of all candidates that were trained on every seed."""
        ranked = [
            Candidate(name=each.name, scores=tuple(s for s in each.scores if s is not None), size=each.num_params)
            for each in self.candidates
            if not each.trouble
        ]
        return judge(ranked, maximize=self.maximize, step=self.step)

    @property
    def choice(self) -> Replicated:
        """The one to take."""
        return self.candidate(self.verdict.choice.name)

    def candidate(self, name: str) -> Replicated:
        """The candidate of that name."""
        return next(each for each in self.candidates if each.name == name)

    def write(self, study_dir: Path) -> None:
        """Keep all but the looks in the study's folder."""
        data = {"version": 1, **asdict(self), "objective": self.objective.to_json(), "made": now()}
        del data["looks"]
        write_atomically(promotion_path(study_dir), json.dumps(data, indent=2) + "\n")

    @classmethod
    def read(cls, study_dir: Path) -> Promotion | None:
        """What `write` wrote, with the looks; None where the study was never promoted.

        Raises:
            StudyError: A file of it is damaged.
        """
        path = promotion_path(study_dir)
        data = _read(path)
        if data is None:
            return None
        try:
            known = known_fields(cls, data)
            known["objective"] = Objective.from_json(known["objective"])
            known["candidates"] = [Replicated(**known_fields(Replicated, each)) for each in known["candidates"]]
            made = cls(**{**known, "looks": read_looks(study_dir)})
            assert made.verdict  # noqa: S101 - scores that make no sense are found here
        except (TypeError, ValueError, KeyError, AttributeError, AssertionError) as error:
            raise StudyError(f"{path} is damaged ({error!r}): remove it and promote the study again.") from None
        return made


def promotion_dir(study_dir: Path) -> Path:
    """Where replicates, scores and looks lie."""
    return study_dir / PROMOTED


def promotion_path(study_dir: Path) -> Path:
    """The file with the scores."""
    return promotion_dir(study_dir) / "promotion.json"


def read_looks(study_dir: Path) -> list[Look]:
    """The looks at the test set, the first first.

    Raises:
        StudyError: The file is damaged: nobody knows how often the test set was looked at.
    """
    path = _looks_path(study_dir)
    data = _read(path)
    try:
        return [Look(**known_fields(Look, each)) for each in (data or {}).get("looks", [])]
    except (TypeError, ValueError, AttributeError) as error:
        raise StudyError(f"{path} is damaged ({error!r}). Restore it from a copy: it counts the looks.") from None


def write_look(study_dir: Path, look: Look) -> None:
    """Add a look, or replace that of its number; it is on the disk itself when this returns."""
    looks = {each.number: each for each in read_looks(study_dir)} | {look.number: look}
    data = {"version": 1, "looks": [asdict(looks[number]) for number in sorted(looks)]}
    write_atomically(_looks_path(study_dir), json.dumps(data, indent=2) + "\n")


def looks_of_others(runs_dir: Path, study: str, data: list[str]) -> list[str]:
    """Other studies under `runs_dir` that have looked at the same test images."""
    found = []
    for path in sorted(runs_dir.glob(f"*/{PROMOTED}/looks.json")):
        other = path.parent.parent
        if other.name == study:
            continue
        try:
            found += [other.name for look in read_looks(other) if look.data == data]
        except StudyError:  # that study's own matter
            continue
    return list(dict.fromkeys(found))


def with_looks(promotion: Promotion, study_dir: Path) -> Promotion:
    """The same with the looks of now."""
    return replace(promotion, looks=read_looks(study_dir))


def now() -> str:
    """The time, as looks and promotions note it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")


def _looks_path(study_dir: Path) -> Path:
    return promotion_dir(study_dir) / "looks.json"


def _read(path: Path) -> JSON | None:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StudyError(f"{path} is damaged, it holds no valid JSON: {error}.") from error
    if not isinstance(data, dict):
        raise StudyError(f"{path} is damaged: expected a JSON object.")
    return data
