"""The page docs/lectures.md with its pictures, from what is kept of each study."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

from docs.lectures.claim import Claim
from docs.lectures.drawing import draw_curves, draw_points, draw_values, words
from docs.lectures.results import kept
from docs.lectures.trials import Trial, by_point, metric_words, repeat_of
from docs.lectures.verdicts import Judgement, judge, overall

PAGE = Path(__file__).parents[1] / "lectures.md"
PICTURES = "pictures/lectures"
HEAD = """# What the lectures claim, put to the test

idealfit grew out of lectures on deep learning for images. Each claim of theirs is a study here, on real data, with
three seeds; a seed decides the split, the order, the initial weights and the augmentation. A statement *holds* if the
95 % interval of the difference (Student's t, over pairs of equal seeds) lies on the claimed side of zero, *does not
hold* if it lies on the other side, and is *not settled* otherwise. *At its best* learning rate, strength or K means the
best of those that the study tries, by the same runs. Accuracies are of validation images: the test sets stay locked.

`make lectures` runs all studies, `python -m docs.lectures NAME` some of them; what they found is kept in
[docs/lectures/results](lectures/results), and `python -m docs.lectures --page` makes this page from that alone.

"""


def write_page(page: Path, folder: Path, claims: Sequence[Claim]) -> None:
    """Write the page and its pictures; of a claim whose study has not run it says so.

    Args:
        page: The file; pictures go to `pictures/lectures` beside it.
        folder: Where the results are kept.
        claims: In the order of the page.
    """
    (page.parent / PICTURES).mkdir(parents=True, exist_ok=True)
    rows, sections = ["| claim | verdict |", "|---|---|"], []
    for claim in claims:
        trials = kept(claim, folder)
        verdict, section = _section(claim, trials, page.parent) if trials else ("not run yet", "")
        title = f"[{claim.title}](#{_anchor(claim.title)})" if section else claim.title
        rows.append(f"| {title} | {verdict} |")
        sections.append(section)
    page.write_text(HEAD + "\n".join(rows) + "\n" + "".join(sections), encoding="utf-8")


def _section(claim: Claim, trials: Sequence[Trial], folder: Path) -> tuple[str, str]:
    """The verdict, and the claim's part of the page; its picture is drawn on the way."""
    judgements = [judge(expectation, trials) for expectation in claim.expectations]
    verdict = overall(judgements)
    picture = Path(PICTURES) / f"{claim.study}.png"
    _draw(claim, trials, folder / picture, f"{claim.title}: {verdict[0].lower()}{verdict[1:]}")
    file = f"sweeps/lectures/{claim.study}.yaml"
    lines = [
        f"\n## {claim.title}",
        f"{claim.says}\n",
        f"**{verdict}.**\n",
        *map(_statement, judgements),
        *([f"\n{claim.note}"] if claim.note else []),
        *([f"\n*Tried first:* {claim.tried_first}"] if claim.tried_first else []),
        f"\n![{claim.title}]({picture.as_posix()})\n",
        *_table(claim, trials),
        f"\n`idealfit sweep lectures/{claim.study}` ([file](../{file})): {len(trials)} runs, "
        f"{sum(trial.seconds for trial in trials):.0f} seconds of training in all.",
    ]
    return verdict, "\n".join(lines) + "\n"


def _draw(claim: Claim, trials: Sequence[Trial], path: Path, heading: str) -> None:
    metric, across = claim.picture["metric"], claim.picture.get("across")
    detail = f"{len(trials)} runs, mean and range of {repeat_of(trials[0].params)[0]}s"
    if across:
        lines = claim.picture.get("lines")
        draw_values(trials, path, heading=heading, detail=detail, metric=metric, across=across, lines=lines)
    elif any(metric in trial.curves for trial in trials):
        draw_curves(trials, path, heading=heading, detail=detail, metric=metric)
    else:
        draw_points(trials, path, heading=heading, detail=detail, metric=metric)


def _statement(judgement: Judgement) -> str:
    says = judgement.expectation.says
    return f"- {says[0].upper()}{says[1:]}: **{judgement.verdict}** ({judgement.sentence})."


def _table(claim: Claim, trials: Sequence[Trial]) -> list[str]:
    rows = [f"| point | {' | '.join(map(metric_words, claim.metrics))} |", "|---|" + "---:|" * len(claim.metrics)]
    for point, group in by_point(trials).items():
        rows.append(f"| {words(point)} | {' | '.join(_cell(metric, group) for metric in claim.metrics)} |")
    return rows


def _cell(metric: str, group: list[Trial]) -> str:
    """Mean and standard deviation over seeds."""
    if metric == "num_params":
        return f"{group[0].num_params or 0:,}"
    values = [trial.measure(metric) for trial in group if not trial.has_diverged]
    diverged = f"{len(group) - len(values)} of {len(group)} diverged"
    if not values:
        return diverged
    spread = f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.4f}{spread}{'' if len(values) == len(group) else f' ({diverged})'}"


def _anchor(title: str) -> str:
    return "".join(char for char in title.lower() if char.isalnum() or char in "- _").strip().replace(" ", "-")
