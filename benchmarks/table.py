"""`python -m benchmarks.table`: the page docs/benchmarks.md and the README's rows, from the stored results alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.common import REPOSITORY, RESULTS

PAGE = REPOSITORY / "docs" / "benchmarks.md"
README = REPOSITORY / "README.md"
BEGIN, END = "<!-- benchmarks: made by python -m benchmarks.table -->", "<!-- end of benchmarks -->"
HEAD = """# Benchmarks

Made by `python -m benchmarks.table` from the files in [benchmarks/results](../benchmarks/results); a test holds the two
together. `make bench` measures everything anew (`python -m benchmarks NAME` one of them). What is compared is measured
side by side, in turn, in one run; figures are medians over the rounds, ratios are taken round by round. The machine has
two cores that other work shared, so ratios say more than seconds.
"""
Figures = Mapping[str, Any]
Rows = Iterable[tuple[str, ...]]


def throughput(figures: Figures) -> Rows:
    """Training images a second."""
    yield "network", "variant", "images a second", "idealfit is faster by"
    for net in ("mlp", "lenet", "cnn"):
        if net in figures:
            ratios = figures[net]["idealfit_over"]
            for name, rate in figures[net]["images_per_second"].items():
                yield net, name, f"{rate['median']:,.0f}", f"{ratios[name]:.2f} x"


def slots(figures: Figures) -> Rows:
    """Two slots against one."""
    yield "what", "median"
    yield "two slots over one", f"{figures['two_slots_over_one']['median']:.2f} x"
    yield "trials a minute, two slots", f"{figures['trials_per_minute']['2 slots']:.0f}"
    yield "a trial beyond its training", f"{figures['overhead_per_trial_s']['median']:.2f} s"


def fused(figures: Figures) -> Rows:
    """Groups of trials against local slots."""
    yield "data", "variant", "trials a minute", "over local slots"
    for data in ("digits", "mnist"):
        if data in figures:
            for name, rate in figures[data]["trials_per_minute"].items():
                yield data, name, f"{rate['median']:.0f}", f"{figures[data]['over_local'][name]:.2f} x"


def peers(figures: Figures) -> Rows:
    """The same study everywhere."""
    yield (
        "pruning",
        "variant",
        "seconds",
        "CPU seconds",
        "peak MiB",
        "best",
        "trials a minute",
        "s to score",
        "idealfit",
    )
    for mode in ("unpruned", "pruned"):
        for name, row in figures.get(mode, {}).items():
            if isinstance(row, Mapping) and "wall_s" in row:
                times = f"{row['times_idealfit_wall']:.1f} x" if "times_idealfit_wall" in row else ""
                yield (
                    *(mode, name, f"{row['wall_s']:.0f}", f"{row['cpu_s']:.0f}", f"{row['peak_mib']:,.0f}"),
                    *(f"{row['best_score']:.4f}", f"{row['trials_per_minute']:.1f}"),
                    *(f"{row['seconds_to_target']:.0f}", times),
                )


def pruning(figures: Figures) -> Rows:
    """Time to a good score."""
    yield "pruner", "time to 99 % of the best score, of that without", "whole study, of that without", "best"
    for name in ("none", "hyperband", "asha"):
        row = figures[name]
        yield name, f"{row['reached_over_none']:.2f}", f"{row['span_over_none']:.2f}", f"{row['best']:.4f}"


def growth(figures: Figures) -> Rows:
    """Seconds per trial as a study grows."""
    by_sampler = figures["seconds_per_trial"]
    sizes = list(next(iter(by_sampler.values())))
    yield ("sampler", *(f"{int(size):,} trials" for size in sizes))
    for sampler, row in by_sampler.items():
        yield (sampler, *(f"{row[size]:.3f} s" for size in sizes))


def startup(figures: Figures) -> Rows:
    """What is waited for."""
    yield "what", "median", "least"
    for name, row in figures.items():
        if name != "imports":
            yield name, f"{row['median']:.2f} s", f"{row['least']:.2f} s"
    for name, seconds in figures["imports"].items():
        yield f"import {name}", f"{seconds:.2f} s", ""


def memory(figures: Figures) -> Rows:
    """Images in memory."""
    yield "what", "of the images' own bytes"
    yield "resident, one process", f"{figures['resident_over_uint8']:.2f} x"
    yield "each of two processes", f"{figures['share_of_each_of_two_over_uint8']:.2f} x"


def million(figures: Figures) -> Rows:
    """A million images."""
    yield "start", "opened after", "peak resident"
    for name in ("first_start", "second_start"):
        row = figures[name]
        peak = row["peak_resident_bytes"] / 2**30
        yield name.replace("_", " "), f"{row['opened_s']:.2f} s", f"{peak:.2f} GiB"


def tracking(figures: Figures) -> Rows:
    """MLflow and pictures."""
    yield "what", "median"
    yield (
        "CPU time of MLflow and all pictures, over that of training",
        f"{100 * figures['cost_over_training']['median']:.1f} %",
    )


def report(figures: Figures) -> Rows:
    """A large study's report."""
    yield f"of {figures['num_trials']:,} trials", "median"
    yield "report made", f"{figures['report_made_s']['median']:.1f} s"
    yield "report opened in a browser", f"{figures['report_opened_s']['median']:.1f} s"
    yield "MLflow's table opened", f"{figures['mlflow_table_opened_s']['median']:.1f} s"


SECTIONS: dict[str, tuple[str, Callable[[Figures], Rows]]] = {
    "peers": ("The same study with idealfit and with its peers", peers),
    "throughput": ("Training throughput on MNIST, evaluation left out", throughput),
    "fused": ("Fused trials, a perceptron on two cores", fused),
    "fused_sizes": ("Fused trials by the number at once", fused),
    "pruning": ("Pruning", pruning),
    "slots": ("Slots", slots),
    "growth": ("Cost as a study grows", growth),
    "startup": ("Start-up", startup),
    "memory": ("Memory", memory),
    "million": ("A million images", million),
    "tracking": ("Tracking", tracking),
    "report": ("Report of a large study", report),
}


def stored(name: str) -> dict[str, Any] | None:
    """What `python -m benchmarks NAME` stored; None where nothing did."""
    path = RESULTS / f"{name}.json"
    found: dict[str, Any] | None = json.loads(path.read_text()) if path.exists() else None
    return found


def page() -> str:
    """The text of docs/benchmarks.md."""
    parts = [HEAD]
    for name, (title, rows_of) in SECTIONS.items():
        if result := stored(name):
            parts.append(f"## {title}\n{table(rows_of(result['figures']))}\n{origin(name, result)}\n")
    return "\n".join(parts)


def readme_rows() -> str:
    """The most telling rows, for the README."""
    rows = [("figure", "measured", "repeat it"), *_telling()]
    return table(rows)


def _telling() -> Rows:
    if peers_ := stored("peers"):
        modes = peers_["figures"]
        for mode, name in (("unpruned", "optuna, lightning"), ("pruned", "ray tune, lightning")):
            row = modes.get(mode, {}).get(name)
            if row:
                settings = modes[mode]["settings"]
                what = f"{settings['trials']}-trial MNIST study, {mode}: {name} takes as long as idealfit"
                yield what, f"{row['times_idealfit_wall']:.1f} x", "`python -m benchmarks peers`"
    if result := stored("throughput"):
        ratios = result["figures"]["mlp"]["idealfit_over"]
        yield (
            "training a small perceptron: against the usual Lightning code",
            f"{ratios['usual Lightning']:.1f} x as fast",
            "`python -m benchmarks throughput`",
        )
    if result := stored("fused"):
        ratio = max(result["figures"]["mnist"]["over_local"].values())
        yield (
            "`engine=fused`: 16 perceptrons at once against two local slots",
            f"{ratio:.1f} x",
            "`python -m benchmarks fused`",
        )
    if result := stored("slots"):
        seconds = result["figures"]["overhead_per_trial_s"]["median"]
        yield "a trial costs beyond its own training", f"{seconds:.2f} s", "`python -m benchmarks slots`"


def table(rows: Rows) -> str:
    """A table in Markdown; the first row is its head."""
    head, *body = [" | ".join(row) for row in rows]
    num_columns = head.count(" | ") + 1
    return "\n".join([f"| {head} |", "|" + "---|" * num_columns, *(f"| {row} |" for row in body)])


def origin(name: str, result: Mapping[str, Any]) -> str:
    """Where and with what it was measured."""
    versions = ", ".join(f"{package} {version}" for package, version in result["packages"].items())
    return (
        f"\n`python -m benchmarks {name.partition('_')[0]}` on {result['cpus']} cores ({result['machine']}), "
        f"Python {result['python']}, {versions}; commit {result['commit']}."
    )


def with_rows(readme: str) -> str:
    """The README with its rows up to date."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{readme_rows()}\n{END}{after}"


def main() -> None:
    """Write the page and the README's rows."""
    PAGE.write_text(page())
    README.write_text(with_rows(README.read_text()))
    print(f"wrote {Path(PAGE).relative_to(REPOSITORY)} and the rows of README.md")


if __name__ == "__main__":
    main()
