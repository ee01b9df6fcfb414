"""`python -m benchmarks.table`: the page docs/benchmarks.md and the README's rows, from the stored results alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import REPOSITORY, RESULTS
from benchmarks.sections import SECTIONS, Rows

PAGE = REPOSITORY / "docs" / "benchmarks.md"
README = REPOSITORY / "README.md"
BEGIN, END = "<!-- benchmarks: made by python -m benchmarks.table -->", "<!-- end of benchmarks -->"
OTHERS = {
    "optuna, lightning": "Optuna's Lightning example",
    "ray tune, lightning": "Ray Tune",
    "hydra multirun": "a Hydra multirun",
}
COMMANDS = {
    "all": "make bench",
    "peers_pruned": "python -m benchmarks.peers --modes pruned --images 30000 --epochs 6 --name peers_pruned",
    "peers_grid": "python -m benchmarks.peers --modes pruned --images 30000 --epochs 6 --name peers_grid "
    '--rounds 3 --only idealfit "idealfit, grid" "hydra multirun"',
    "fused_sizes": "python -m benchmarks.fused --sizes 1 2 4 8 16 32 64 --trials 64 --data digits --name fused_sizes",
}  # of results that are not stored under the benchmark's own name
HEAD = """# Benchmarks

Made by `python -m benchmarks.table` from the files in [benchmarks/results](../benchmarks/results); a test holds the
two together. `make bench` measures anew what takes minutes; the long ones (options, peers, pruning, growth, scale)
run by name alone: `python -m benchmarks NAME`. What is compared is measured side by side, in turn, in one run;
figures are medians over the rounds, ratios are taken round by round, and a peer's to the mean of idealfit's runs
before and after it. The machine has two cores that other work shared, so ratios say more than seconds.
"""


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
    pruning = [peer for peer in OTHERS if peer != "hydra multirun"]  # which has a row of its own
    for name, mode, how, peers in (
        ("peers", "unpruned", "none pruned", list(OTHERS)),
        ("peers_pruned", "pruned", "each pruned by its tool", pruning),
    ):
        if result := stored(name):
            yield _against_peers(name, result["figures"][mode], how, peers)
    if result := stored("peers_grid"):
        yield _against_a_multirun(result["figures"]["pruned"])
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


def _against_peers(name: str, study: Mapping[str, Any], how: str, peers: Sequence[str]) -> tuple[str, str, str]:
    """The same study everywhere, by wall-clock of the whole command."""
    settings = study["settings"]
    peers = [peer for peer in peers if peer in study]
    names = ", ".join(OTHERS[peer] for peer in peers)
    what = f"{settings['trials']} trials on MNIST ({_size(study)}), {how}: against {names}"
    times = ", ".join(f"{study[peer]['times_idealfit_wall']:.1f} x" for peer in peers)
    if all("times_fused_wall" in study[peer] for peer in peers):
        times += "; with `engine=fused` " + ", ".join(f"{study[peer]['times_fused_wall']:.1f} x" for peer in peers)
    return what, f"{times} as fast", f"`{command_of(name)}`"


def _against_a_multirun(study: Mapping[str, Any]) -> tuple[str, str, str]:
    """Both of idealfit's ways to a good trial against the grid that Hydra runs whole."""
    settings, hydra, size = study["settings"], study["hydra multirun"], _size(study)
    what = (
        f"{settings['trials']} trials on MNIST ({size}), pruned, against a Hydra multirun; {settings['rounds']} seeds"
    )
    best = {name: f"{study[name]['best_score']:.4f}" for name in ("idealfit", "idealfit, grid", "hydra multirun")}
    searched = f"{hydra['times_idealfit_wall']:.1f} x as fast, best score {best['idealfit']}"
    at_its_points = f"at its points {hydra['times_grid_wall']:.1f} x, {best['idealfit, grid']}"
    return what, f"{searched}; {at_its_points}; Hydra's {best['hydra multirun']}", f"`{command_of('peers_grid')}`"


def _size(study: Mapping[str, Any]) -> str:
    return f"{study['settings']['images']:,} images, {study['settings']['epochs']} epochs"


def command_of(name: str) -> str:
    """What measures and stores `results/NAME.json`."""
    return COMMANDS.get(name, f"python -m benchmarks {name}")


def table(rows: Rows) -> str:
    """A table in Markdown; the first row is its head."""
    head, *body = [" | ".join(row) for row in rows]
    num_columns = head.count(" | ") + 1
    return "\n".join([f"| {head} |", "|" + "---|" * num_columns, *(f"| {row} |" for row in body)])


def origin(name: str, result: Mapping[str, Any]) -> str:
    """How often, where and with what it was measured."""
    versions = ", ".join(f"{package} {version}" for package, version in result["packages"].items())
    return (
        f"\n`{command_of(name)}`, {result['repeats']}, on {result['cpus']} cores ({result['machine']}), "
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
