"""What stands behind the findings: where they were computed, how to compute them again, and the page's own limits."""

from __future__ import annotations

import json
import shlex
from typing import Any

from idealfit import __version__
from idealfit.report.html import words
from idealfit.report.html.reading import StudyData

CONFIG_LENGTH = 20_000
MAX_DISTINCT = 4


def environment(study: StudyData) -> list[tuple[str, str]]:
    """(name, value) of what the trials recorded about their surroundings; several values where trials differ."""
    values: dict[str, dict[str, None]] = {}
    for trial in sorted(study.trials, key=lambda t: t.number):
        for name, value in trial.facts.items():
            values.setdefault(str(name), {})[_text(value)] = None
    seeds = {words.value_text(trial.spec.seed): None for trial in study.trials}
    rows = [(name.replace("_", " "), _distinct(list(found))) for name, found in {**values, "seed": seeds}.items()]
    return [*rows, *study.rules, ("objective", _objective(study)), ("report made by", f"idealfit {__version__}")]


def how_to_reproduce(study: StudyData, sweep: str) -> list[tuple[str, str]]:
    """(what it does, command), each ready to paste."""
    name = shlex.quote(study.name)
    commands = [("Run the study again", sweep)] if sweep else []
    if study.best is not None:
        best = shlex.quote(f"{study.name}/{study.best.number}")
        commands.append(("Train the best trial again and compare bit by bit", f"idealfit reproduce {best}"))
    commands.append(("Open its curves in MLflow", f"idealfit ui {name}"))
    return commands


def recorded_config(study: StudyData) -> str:
    """The best trial's config as recorded, YAML; of a study without a best, the first trial's."""
    trial = study.best or study.trials[0]
    try:
        text = trial.config_path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = json.dumps(trial.spec.config, indent=2)
    return text if len(text) <= CONFIG_LENGTH else text[:CONFIG_LENGTH] + "\n# ... cut here"


def notes(study: StudyData, curve_epochs: int) -> list[str]:
    """What a reader must know to read the page right."""
    told = [
        "Epochs count from 0. The gap is how much better training scores than validation, both in eval mode on images "
        "without augmentation. The best score of many is a lucky one: expect less on new images.",
        "Importance is PED-ANOVA: how much a parameter's values differ between good trials and all. "
        "A bar's line spans the middle 80 % over resampled trials. Pruned trials count with the score they had.",
    ]
    if any(t.num_curve_epochs > curve_epochs for t in study.trials):
        told.append(
            f"Curves are drawn from {curve_epochs} epochs spread evenly, with the best, the onset and the last."
        )
    if not any(d.is_known for d in study.dimensions) and study.dimensions:
        told.append("The space of the study is not known here, so nothing is said about its boundaries.")
    return told + [f"Left out: {problem}" for problem in study.damaged[:20]]


def _objective(study: StudyData) -> str:
    return study.objective.sentence


def _distinct(found: list[str]) -> str:
    if len(found) <= MAX_DISTINCT:
        return " | ".join(found)
    return f"{len(found):,} values: {' | '.join(found[:MAX_DISTINCT])} | ..."


def _text(value: Any) -> str:
    text = (
        words.value_text(value) if isinstance(value, bool | int | float | str) or value is None else json.dumps(value)
    )
    return text if len(text) <= 200 else text[:200] + " ..."
