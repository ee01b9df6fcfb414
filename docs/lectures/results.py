"""What the page needs of each study, in `docs/lectures/results/`: records are large and stay where they were made."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from docs.lectures.claim import Claim
from docs.lectures.trials import Trial

from idealfit.disk import write_atomically
from idealfit.spec import StudyError

RESULTS = Path(__file__).parent / "results"
DIGITS = 6


def keep(claim: Claim, trials: Iterable[Trial], folder: Path = RESULTS) -> list[Trial]:
    """Write summaries and the curves that `claim` needs to `NAME.json`, a trial a line; give back what was written."""
    kept = [_only(trial, {metric.partition("@")[0] for metric in claim.measures}) for trial in trials]
    folder.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(vars(trial)) for trial in kept)
    write_atomically(folder / f"{claim.study}.json", f"[\n{lines}\n]\n")
    return kept


def kept(claim: Claim, folder: Path = RESULTS) -> list[Trial]:
    """What `keep` wrote; [] where there is nothing.

    Raises:
        StudyError: The file is none of ours.
    """
    path = folder / f"{claim.study}.json"
    try:
        return [Trial(**row) for row in json.loads(path.read_text(encoding="utf-8"))]
    except FileNotFoundError:
        return []
    except (ValueError, TypeError) as error:
        raise StudyError(f"{path} is damaged: {error}. Run `python -m docs.lectures {claim.study}`.") from error


def _only(trial: Trial, names: set[str]) -> Trial:
    if trial.has_diverged:  # JSON has no NaN
        return replace(trial, curves={}, summaries={}, seconds=_rounded(trial.seconds))

    curves = {name: [_rounded(value) for value in curve] for name, curve in trial.curves.items() if name in names}
    summaries = {name: _rounded(value) for name, value in trial.summaries.items()}
    return replace(trial, curves=curves, summaries=summaries, seconds=_rounded(trial.seconds))


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
