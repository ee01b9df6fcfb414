"""`make lectures`: run the studies of `sweeps/lectures/`, and write docs/lectures.md from their records."""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

from docs.lectures.claims import CLAIMS, Claim
from docs.lectures.drawing import draw_curves, draw_values, words
from docs.lectures.trials import Trial, by_point, metric_words, read_trials
from docs.lectures.verdicts import Judgement, judge, overall

from idealfit import sweep
from idealfit.spec import nearest

PAGE = Path(__file__).parents[1] / "lectures.md"
PICTURES = "pictures/lectures"
HEAD = """# What the lectures claim, put to the test

idealfit grew out of lectures on deep learning for images. Each claim of theirs is a study here, on real data, with
three seeds; a seed decides the split, the order, the initial weights and the augmentation. A statement *holds* if the
95 % interval of the difference (Student's t, over pairs of equal seeds) lies on the claimed side of zero, *does not
hold* if it lies on the other side, and is *not settled* otherwise. Accuracies are of validation images: the test sets
stay locked. `make lectures` runs the studies and writes this page from their records.

"""


def main() -> None:
    """Run, judge, draw and write."""
    parser = argparse.ArgumentParser(prog="python -m docs.lectures", description=__doc__)
    parser.add_argument("--runs-dir", default="runs", help="where the records lie (default: runs)")
    parser.add_argument("--only", nargs="*", metavar="NAME", help="run these; the page is of all that have records")
    args = parser.parse_args()
    names = [claim.study for claim in CLAIMS]
    for name in args.only or ():
        if name not in names:
            parser.error(f"no claim {name!r}. {nearest(name, names)}")
    for name in names if args.only is None else args.only:
        sweep(f"lectures/{name}", f"runs_dir={args.runs_dir}", "tracking=none")
    write_page(PAGE, Path(args.runs_dir), CLAIMS)


def write_page(page: Path, runs_dir: Path, claims: list[Claim]) -> None:
    """Write the page and its pictures; of a claim whose study has not run it says so."""
    (page.parent / PICTURES).mkdir(parents=True, exist_ok=True)
    rows, sections = ["| claim | verdict |", "|---|---|"], []
    for claim in claims:
        is_there = (runs_dir / study_name(claim)).is_dir()
        verdict, section = _section(claim, page.parent, runs_dir) if is_there else ("not run yet", "")
        title = f"[{claim.title}](#{_anchor(claim.title)})" if section else claim.title
        rows.append(f"| {title} | {verdict} |")
        sections.append(section)
    page.write_text(HEAD + "\n".join(rows) + "\n" + "".join(sections), encoding="utf-8")


def study_name(claim: Claim) -> str:
    """The name that the records of a claim's study have."""
    return f"lectures_{claim.study}"


def _section(claim: Claim, folder: Path, runs_dir: Path) -> tuple[str, str]:
    """The verdict, and the claim's part of the page; its picture is drawn on the way."""
    trials = read_trials(runs_dir, study_name(claim))
    judgements = [judge(expectation, trials) for expectation in claim.expectations]
    verdict = overall(judgements)
    picture = Path(PICTURES) / f"{claim.study}.png"
    options = dict(claim.picture)
    texts = {
        "heading": f"{claim.title}: {verdict[0].lower()}{verdict[1:]}",
        "detail": f"{len(trials)} runs, mean and range of seeds",
    }
    if "across" in options:
        draw_values(trials, folder / picture, **texts, **{"lines": None, **options})  # type: ignore[arg-type]
    else:
        draw_curves(trials, folder / picture, **texts, **options)
    file = f"sweeps/lectures/{claim.study}.yaml"
    lines = [
        f"\n## {claim.title}",
        f"{claim.says}\n",
        f"**{verdict}.**\n",
        *map(_statement, judgements),
        *([f"\n{claim.note}"] if claim.note else []),
        f"\n![{claim.title}]({picture.as_posix()})\n",
        *_table(claim, trials),
        f"\n`idealfit sweep lectures/{claim.study}` ([file](../{file})): {len(trials)} runs, "
        f"{sum(trial.seconds for trial in trials):.0f} seconds of training in all.",
    ]
    return verdict, "\n".join(lines) + "\n"


def _statement(judgement: Judgement) -> str:
    says = judgement.expectation.says
    return f"- {says[0].upper()}{says[1:]}: **{judgement.verdict}** ({judgement.sentence})."


def _table(claim: Claim, trials: list[Trial]) -> list[str]:
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


if __name__ == "__main__":
    main()
