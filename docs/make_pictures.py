"""`make pictures`: the README's pictures, taken of a real study in a real browser, by the commands that users type."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.common import browser_page
from PIL import Image

from idealfit import load_study
from idealfit.tracking import ui_address
from idealfit.tracking.server import UiServer
from idealfit.tracking.store import Store
from idealfit.tracking.ui import study_address
from idealfit.tracking.views import OVERFITTING, SEARCH, view_key

STUDY = "lr_dropout_depth"
# A hundred images, little dropout, every trial to its end: then there is overfitting to be seen.
OVERRIDES = [
    *("data.limit=100", "data.batch_size=50", "optimizer=adam", "model.dropout=interval(0, 0.2)"),
    *("trainer.max_epochs=100", "study.pruner=none"),
]
PICTURES = Path(__file__).parent / "pictures"


def main() -> None:
    """Run the default study on few images, look at it, keep what is seen."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        subprocess.run([sys.executable, "-m", "idealfit", "sweep", STUDY, *OVERRIDES], cwd=directory, check=True)
        uri = f"sqlite:///{directory / 'mlflow.db'}"
        with UiServer(uri) as server, browser_page(height=760) as page:
            server.wait_ready()
            store = Store(uri, STUDY)
            take_leaderboard(page, study_address(store, server.address, STUDY))
            for view, words in ((OVERFITTING, "val/loss vs train/loss"), (SEARCH, "Parallel Coordinates")):
                address = ui_address(server.address, store.experiment_id, STUDY, view=view_key(STUDY, view))
                take_charts(page, f"{address}&compareRunsMode=CHART", words, f"mlflow_{view}")
            take_report(page, directory / "runs" / STUDY / "report" / "report.html")
        best = load_study(STUDY, directory / "runs").best
        if best is None:
            raise SystemExit("no trial has a score")
        for picture in ("overfitting_curve", "confusion_matrix"):
            keep(Path(best.record_dir) / "pictures" / f"{picture}.png", picture)


def take_leaderboard(page: Any, address: str) -> None:
    """The first screen of `idealfit ui`."""
    page.goto(address)
    page.wait_for_selector("[role=gridcell]")
    close = page.get_by_role("button", name="Close")
    if close.count():
        close.first.click()
    page.wait_for_timeout(1500)
    shot(page, "mlflow_leaderboard")


def take_charts(page: Any, address: str, words: str, name: str) -> None:
    """The charts of a saved view."""
    page.goto("about:blank")  # MLflow keeps the view of before where only the fragment changes
    page.goto(address)
    page.get_by_text(words).first.wait_for()
    page.locator(".js-plotly-plot").nth(1).wait_for()
    page.wait_for_timeout(3000)
    shot(page, name)


def take_report(page: Any, path: Path) -> None:
    """The top of the report, and its map of overfitting."""
    page.goto(path.as_uri())
    page.wait_for_selector("#trials tbody tr")
    page.wait_for_timeout(1000)
    page.locator("#map-chart").scroll_into_view_if_needed()
    page.wait_for_selector("#map-chart .points path", state="attached")
    page.wait_for_timeout(1000)
    shot(page, "report_map")


def shot(page: Any, name: str) -> None:
    """A screenshot, kept."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "shot.png"
        page.screenshot(path=str(path))
        keep(path, name)


def keep(path: Path, name: str) -> None:
    """A small PNG: pages and charts need no more than 128 colours."""
    with Image.open(path) as image:
        image.convert("RGB").quantize(128).save(PICTURES / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
