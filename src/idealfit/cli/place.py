"""For verbs that look at what is there: which study, and where the composed config says that things lie."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

from idealfit.cli.app import UsageError
from idealfit.spec import JSON, StudyError


def add_place(parser: ArgumentParser, study_help: str) -> None:
    """Add `[STUDY] [KEY=VALUE ...]`."""
    parser.add_argument(
        "words", nargs="*", metavar="STUDY | KEY=VALUE", help=f"{study_help}; runs_dir=..., tracking.uri=..."
    )


def read_place(words: Sequence[str]) -> tuple[str | None, JSON]:
    """The study, None where none is named, and the composed config with the tracking that the study was started with.

    Raises:
        UserError: More than one study, or a config that does not compose.
    """
    from idealfit.config import Composer

    names = [word for word in words if "=" not in word]
    overrides = [word for word in words if "=" in word]
    if len(names) > 1:
        raise UsageError(f"one study at a time, got {' and '.join(names)}")
    root = Composer("train", overrides).root()
    if names and (started := _tracking_overrides(names[0], root)):
        root = Composer("train", [*started, *overrides]).root()
    return (names[0] if names else None), root


def read_study_place(words: Sequence[str]) -> tuple[str, Path]:
    """The study, which must be named, and the folder of all records.

    Raises:
        UserError: As `read_place`, or no study is named.
    """
    study, root = read_place(words)
    if study is None:
        raise UsageError("name a study: idealfit runs lists them")
    return study, Path(root["runs_dir"]).expanduser().resolve()


def _tracking_overrides(study: str, root: JSON) -> list[str]:
    from idealfit.study.launch import Launch, key_of

    study_dir = Path(root["runs_dir"]).expanduser() / study
    try:
        overrides = Launch.read(study_dir).overrides
    except StudyError:  # none of this name, or single runs: the verb says so, or does without
        return []
    return [each for each in overrides if key_of(each).partition(".")[0] == "tracking" and "***" not in each]
