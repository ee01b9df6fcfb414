"""What the page of benchmarks shows of each stored result: a table, row by row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

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
        "images",
        "variant",
        "seconds",
        "CPU seconds",
        "peak MiB",
        "best",
        "trials a minute",
        "s to score",
        "over idealfit",
        "over fused",
        "over grid",
    )
    for mode in ("unpruned", "pruned"):
        for name, row in figures.get(mode, {}).items():
            if isinstance(row, Mapping) and "wall_s" in row:
                keys = ("times_idealfit_wall", "times_fused_wall", "times_grid_wall")
                yield (
                    *(mode, f"{figures[mode]['settings']['images']:,}", name),
                    *(f"{row['wall_s']:.0f}", f"{row['cpu_s']:.0f}", f"{row['peak_mib']:,.0f}"),
                    *(f"{row['best_score']:.4f}", f"{row['trials_per_minute']:.1f}"),
                    f"{row['seconds_to_target']:.0f}",
                    *(f"{row[key]:.1f} x" if key in row else "" for key in keys),
                )


def pruning(figures: Figures) -> Rows:
    """Time to a good score."""
    time = "time to 99 % of the best score, of that without"
    yield "space", "epochs", "good trials", "pruner", time, "whole study, of that without", "best"
    for space, rows in figures["spaces"].items():
        good = f"{rows['good_trials']} of {rows['num_trials']}"
        for name in ("none", "hyperband", "asha"):
            row = rows[name]
            ratios = f"{row['reached_over_none']:.2f}", f"{row['span_over_none']:.2f}"
            yield space, str(rows["num_epochs"]), good, name, *ratios, f"{row['best']:.4f}"


def options(figures: Figures) -> Rows:
    """Each option of training against the defaults."""
    yield ("images a second, of those with the defaults", *figures)
    for name in next(iter(figures.values()))["over_defaults"]:
        yield (name, *(f"{row['over_defaults'][name]:.2f} x" for row in figures.values()))
    yield ("the first compiled training", *(f"{row['first_compiled_fit_s']:.0f} s" for row in figures.values()))


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


def statistics(figures: Figures) -> Rows:
    """How often what `promote` says is true."""
    yield (
        "simulated studies",
        "intervals that cover",
        '"is better" is wrong',
        "without correction",
        "drop of the winner",
    )
    for name, row in figures.items():
        if name != "of":
            shares = ("coverage_percent", "false_better_percent", "false_better_uncorrected_percent")
            yield (name, *(f"{row[share]:.1f} %" for share in shares), f"{row['mean_drop_from_searched']:.4f}")


def promote(figures: Figures) -> Rows:
    """Searched scores, and what became of them."""
    yield "data", "configuration", "searched", "mean of 5 fresh seeds", "fell back by", "test accuracy", "parameters"
    for data, study in figures.items():
        for name, row in study["candidates"].items():
            searched, drop = (f"{row[key]:.4f}" if row[key] is not None else "" for key in ("searched", "drop"))
            mean, test = (
                f"{row[value]:.4f} ({row[interval][0]:.4f} to {row[interval][1]:.4f})"
                for value, interval in (("mean", "interval"), ("test_accuracy", "test_interval"))
            )
            chosen = f"{name}, taken" if row["chosen"] else name
            yield data, chosen, searched, mean, drop, test, f"{row['parameters']:,}"


def scale(figures: Figures) -> Rows:
    """The controller with many trials."""
    yield "trials", "ask, median", "ask, p99", "controller CPU a trial", "of it MLflow", "idle slots", "peak memory"
    for name, row in figures.items():
        if isinstance(row, Mapping):
            ask, cpu = row["ask_ms"], row["controller_cpu_ms_per_trial"]
            yield (
                *(name, f"{ask['median']:.0f} ms", f"{ask['p99']:.0f} ms", f"{cpu['all']:.0f} ms"),
                *(f"{cpu['mlflow']:.0f} ms", f"{100 * row['idle_slots']:.1f} %", f"{row['peak_memory_mb']} MB"),
            )


def workers(figures: Figures) -> Rows:
    """Workers on other hosts."""
    yield f"{figures['workers']} workers, {figures['hosts']}, {figures['trials']} trials", "median", "p99"
    names = {"ask_ms": "ask", "ask_to_start_ms": "ask to the trial's first line", "sent_to_start_ms": "of it underway"}
    for key, name in names.items():
        yield name, f"{figures[key]['median']:.0f} ms", f"{figures[key]['p99']:.0f} ms"


def ddp(figures: Figures) -> Rows:
    """Two ranks against one process."""
    yield "two ranks on one machine", "median"
    for name, row in figures["two_ranks_over"].items():
        yield f"images a second, over {name}", f"{row['median']:.2f} x"
    for precision, curves in figures["largest_relative_difference"].items():
        yield f"largest relative difference of any curve, {precision}", f"{max(curves.values()):.1e}"


def all_of_them(figures: Figures) -> Rows:
    """How long `make bench` takes."""
    yield "benchmark", "minutes"
    for name, seconds in figures["seconds"].items():
        yield name, f"{seconds / 60:.1f}"
    yield "in all", f"{sum(figures['seconds'].values()) / 60:.1f}"


SECTIONS: dict[str, tuple[str, Callable[[Figures], Rows]]] = {
    "peers": ("The same study with idealfit and with its peers", peers),
    "peers_pruned": ("The same with each tool's own pruning; Hydra has none", peers),
    "peers_grid": ("A grid that Hydra runs whole and idealfit prunes", peers),
    "throughput": ("Training throughput on MNIST, evaluation left out", throughput),
    "fused": ("Fused trials, a perceptron on two cores", fused),
    "fused_sizes": ("Fused trials by the number at once", fused),
    "pruning": ("Pruning", pruning),
    "slots": ("Slots", slots),
    "options": ("Options of training", options),
    "growth": ("Cost as a study grows", growth),
    "startup": ("Start-up", startup),
    "memory": ("Memory", memory),
    "million": ("A million images", million),
    "tracking": ("Tracking", tracking),
    "report": ("Report of a large study", report),
    "statistics": ("Are the sentences of promote true?", statistics),
    "promote": ("What became of searched scores", promote),
    "scale": ("The controller at scale", scale),
    "workers": ("Workers that join", workers),
    "ddp": ("Several devices", ddp),
    "all": ("How long all that takes", all_of_them),
}
