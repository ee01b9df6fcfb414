"""What every benchmark needs: interleaved rounds, medians, and results that say where they come from."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from idealfit.provenance import machine as hardware
from idealfit.text import counted

RESULTS = Path(__file__).parent / "results"
REPOSITORY = Path(__file__).parents[1]
CHROMIUM = os.environ.get("IDEALFIT_CHROMIUM", "/usr/bin/chromium")
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]


def interleaved(variants: Mapping[str, Callable[[], float]], *, num_rounds: int) -> dict[str, list[float]]:
    """Call every variant once a round, so that a machine that drifts drifts for all of them alike."""
    measured: dict[str, list[float]] = {name: [] for name in variants}
    for round_index in range(num_rounds):
        for name, run in variants.items():
            measured[name].append(run())
            print(
                f"  round {round_index + 1}/{num_rounds}  {name}: {measured[name][-1]:.4g}", file=sys.stderr, flush=True
            )
    return measured


def median(values: list[float]) -> float:
    """The median; of an empty list, NaN."""
    return statistics.median(values) if values else float("nan")


def medians(measured: Mapping[str, list[float]]) -> dict[str, dict[str, Any]]:
    """By variant the median of its rounds, and all of them."""
    return {name: {"median": median(values), "all": values} for name, values in measured.items()}


def median_ratio(these: list[float], those: list[float]) -> float:
    """Of these to those, round by round: what slowed the machine down slowed both."""
    return median([this / that for this, that in zip(these, those, strict=True)])


def completed(command: Sequence[str], directory: str | Path) -> str:
    """Run `command` in `directory`, on the real data; its standard output.

    Raises:
        SystemExit: It failed, with the end of what it complained of.
    """
    environment = {**os.environ, "IDEALFIT_DATA": str(data_root())}
    done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"the study ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout


@contextmanager
def browser_page(*, width: int = 1500, height: int = 900) -> Iterator[Any]:
    """A page of a fresh headless Chromium: that of IDEALFIT_CHROMIUM, else the system's."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        page = browser.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(120_000)
        yield page
        browser.close()


def _git(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, cwd=REPOSITORY, check=False)


def processor(described: Path = Path("/proc/cpuinfo")) -> str:
    """The architecture, and where the system tells it the processor's name and what it computes with."""
    name, features = hardware.processor(described)
    return ", ".join(dict.fromkeys(part for part in (platform.machine(), name, " ".join(features)) if part))


def machine() -> dict[str, Any]:
    """Where a result was measured: hardware, versions, commit."""
    commit = _git("rev-parse", "--short=7", "HEAD").stdout.strip()
    written_here = [f":!{path}" for path in ("benchmarks/results", "docs/benchmarks.md", "README.md")]
    if _git("diff", "--quiet", "HEAD", "--", ".", *written_here).returncode == 1:  # more: no repository
        commit += "-dirty"
    packages = ("idealfit", "torch", "lightning", "optuna", "mlflow", "hydra-core")
    return {
        "cpus": len(os.sched_getaffinity(0)),
        "machine": processor(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in packages},
        "commit": commit,
    }


def store(name: str, figures: Mapping[str, Any], *, repeats: int | str) -> Path:
    """Write `results/NAME.json`: the figures, how often each was measured (rounds, or in words), and the machine."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    times = counted(repeats, "round") if isinstance(repeats, int) else repeats
    result = {"benchmark": name, "repeats": times, **machine(), "figures": dict(figures)}
    path.write_text(json.dumps(result, indent=2) + "\n")
    return path


def data_root() -> Path:
    """The folder with the real data sets: `IDEALFIT_DATA`, or `data` here.

    Raises:
        SystemExit: There is no MNIST in it.
    """
    for candidate in (os.environ.get("IDEALFIT_DATA"), REPOSITORY.parent / "shared" / "data", REPOSITORY / "data"):
        if candidate and (Path(candidate) / "mnist" / "MNIST" / "raw").is_dir():
            return Path(candidate).resolve()
    raise SystemExit("no MNIST found: set IDEALFIT_DATA to a folder with mnist/MNIST/raw")
