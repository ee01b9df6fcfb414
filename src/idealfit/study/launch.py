"""How a study was started and what it asks, kept beside it: whoever goes on with it or reports on it needs its name."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from idealfit.disk import write_atomically
from idealfit.record import check_types
from idealfit.spec import JSON, Objective, StudyError, redacted

NEVER_RECORDED = ("trusted_packages", "hydra")
"""Whoever hands a study on may not say whose code runs, nor where configs come from."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a study asks, as its folder tells it. The defaults stand for a folder that does not say.

    Attributes:
        space: The search space as a sweep file writes it.
        rules: What else decides on a point: (`forbidden` or `derived`, in words).
        objective: None: what the trials recorded.
        num_planned: Trials in the budget.
        storage: Address of Optuna's storage without its password; "" for the journal in the study's folder.
    """

    question: str = ""
    space: JSON = field(default_factory=dict)
    rules: tuple[tuple[str, str], ...] = ()
    objective: Objective | None = None
    num_planned: int | None = None
    storage: str = ""

    @classmethod
    def read(cls, study_dir: Path) -> Asked:
        """What a study's folder says.

        Raises:
            StudyError: The file is damaged.
        """
        if not _path(study_dir).exists():
            return cls()
        try:
            return cls._from_json(_read_json(study_dir).get("asked", {}))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise _damaged(study_dir, error) from None

    @classmethod
    def _from_json(cls, data: JSON) -> Asked:
        objective = Objective.from_json(data["objective"]) if data.get("objective") else None
        if objective:
            check_types(objective)
        space = {str(key): entry for key, entry in data.get("space", {}).items()}
        planned = data.get("num_planned")
        return cls(
            question=str(data.get("question", "")),
            space=space,
            rules=tuple((str(kind), str(text)) for kind, text in data.get("rules", ())),
            objective=objective,
            num_planned=None if planned is None else int(planned),
            storage=str(data.get("storage", "")),
        )


@dataclass(frozen=True, kw_only=True)
class Launch:
    """A config's name and the overrides as typed; `is_multirun`: by Hydra's `--multirun`."""

    config_name: str
    overrides: list[str]
    is_multirun: bool = False

    @property
    def command(self) -> str:
        """What to type to run the same study anew, without passwords."""
        verb = ["idealfit", "train", "-m"] if self.is_multirun else ["idealfit", "sweep", self.config_name]
        return shlex.join([*verb, *map(redacted, self.overrides)])

    def write(self, study_dir: Path, asked: Asked | None = None) -> None:
        """Keep it in the study's folder with what is asked, without trust and without passwords."""
        kept = [redacted(override) for override in self.overrides if not _is_barred(override)]
        data = {**asdict(self), "overrides": kept}
        if asked:
            objective = asked.objective.to_json() if asked.objective else None
            data["asked"] = {**asdict(asked), "objective": objective, "storage": redacted(asked.storage)}
        write_atomically(_path(study_dir), json.dumps(data, indent=2) + "\n")

    @classmethod
    def read(cls, study_dir: Path) -> Launch:
        """What `write` wrote.

        Raises:
            StudyError: It is missing or damaged.
        """
        try:
            data = _read_json(study_dir)
            overrides = [str(override) for override in data["overrides"] if not _is_barred(str(override))]
            return cls(config_name=str(data["config_name"]), overrides=overrides, is_multirun=bool(data["is_multirun"]))
        except FileNotFoundError:
            raise StudyError(f"{_path(study_dir)} is missing: start the study again by idealfit sweep NAME.") from None
        except (ValueError, KeyError, TypeError) as error:
            raise _damaged(study_dir, error) from None

    def with_(self, overrides: Sequence[str]) -> list[str]:
        """The recorded overrides and new ones, which win.

        Raises:
            StudyError: A recorded address had a password, which no record keeps, and was not given again.
        """
        given = {key_of(override) for override in overrides}
        kept = [override for override in self.overrides if key_of(override) not in given]
        for override in kept:
            if "://***@" in override or "=***" in override:
                raise StudyError(f"{key_of(override)} had a password, which no record keeps. Give it again: {override}")
        return [*kept, *overrides]


def launched_at(study_dir: Path) -> float:
    """When the latest session of a study began, in seconds since 1970; 0 where nobody noted it."""
    try:
        return _path(study_dir).stat().st_mtime
    except OSError:
        return 0.0


def recorded_launch(study: str, overrides: Sequence[str], runs_dir: str | Path) -> Launch:
    """How a study was started, with new overrides, which win.

    Raises:
        StudyError: There is no such study under `runs_dir`, or a password was not given again.
    """
    from idealfit.study.outcome import no_such_study

    folder = Path(runs_dir).expanduser().resolve()
    if not (folder / study / "study.json").is_file():
        raise no_such_study(folder, study, what="there is no study")
    launch = Launch.read(folder / study)
    return replace(launch, overrides=launch.with_(overrides))


def key_of(override: str) -> str:
    """The key that an override sets."""
    return override.partition("=")[0].lstrip("+~").strip()


def _is_barred(override: str) -> bool:
    return key_of(override).split(".")[0].split("/")[0].split("@")[0] in NEVER_RECORDED


def _read_json(study_dir: Path) -> Any:
    return json.loads(_path(study_dir).read_text(encoding="utf-8"))


def _damaged(study_dir: Path, error: Exception) -> StudyError:
    return StudyError(f"{_path(study_dir)} is damaged ({error!r}): start the study again by idealfit sweep NAME.")


def _path(study_dir: Path) -> Path:
    return study_dir / "study.json"
