"""A newcomer's way through the UI, with the README alone: a study that idealfit trained, on a real MLflow server.

Which trial is best, does it overfit and from which epoch, what made the difference.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from idealfit.pictures.canvas import HEIGHT_PX, WIDTH_PX
from idealfit.study.outcome import TrialRow, read_rows
from idealfit.tracking import ui_address
from idealfit.tracking.server import UiServer
from idealfit.tracking.store import Store
from idealfit.tracking.ui import study_address
from idealfit.tracking.views import OVERFITTING, SEARCH, VERDICT, view_key
from private_postgres import free_port

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

CHROMIUM = Path(os.environ.get("IDEALFIT_CHROMIUM", "/usr/bin/chromium"))
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync"]
STUDY = "lr_dropout_depth"
# A hundred images, a high and a low learning rate: the high one fits them all, and overfits.
COMMAND = [
    *("sweep", STUDY, "study.sampler=grid", "study.pruner=none", "study.budget.trials=4", "data.limit=100"),
    *("data.batch_size=50", "trainer.max_epochs=60", "optimizer=adam", "optimizer.lr=choice(0.0001, 0.01)"),
    *("model.depth=choice(2, 4)", "model.dropout=0.0"),
]
README = Path(__file__).parents[1] / "README.md"
# MLflow's own page asks who is logged in, and a server without logins does not know the question.
EXPECTED_404 = "/ajax-api/2.0/mlflow/users/current"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="no Chromium: set IDEALFIT_CHROMIUM to its path"),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory in which the study was run."""
    place = tmp_path_factory.mktemp("newcomer")
    command = [sys.executable, "-m", "idealfit", *COMMAND]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    return place


@pytest.fixture(scope="module")
def trials(place: Path) -> list[TrialRow]:
    """What the records say, best first."""
    rows, _ = read_rows(place / "runs", STUDY)
    assert len(rows) == 4
    assert rows[0].onset_epoch is not None
    return rows


@pytest.fixture(scope="module")
def uri(place: Path) -> str:
    """The store that holds the study."""
    return f"sqlite:///{place}/mlflow.db"


@pytest.fixture(scope="module")
def server(uri: str) -> Iterator[UiServer]:
    """A real `mlflow server`, on a port of its own: another test that starts one this moment would take 5000 too."""
    with UiServer(uri, port=free_port()) as server:
        server.wait_ready()
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page as on a first visit; an error on its console, or a failed request, fails the test."""
    page = browser.new_page(viewport={"width": 1500, "height": 900})
    page.set_default_timeout(60_000)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("response", lambda answer: answer.status >= 400 and errors.append(f"{answer.status} {answer.url}"))
    yield page
    page.context.close()
    assert [error for error in errors if EXPECTED_404 not in error and "ResizeObserver" not in error] == []


def names(page: Page) -> list[str]:
    """Names of the runs in the table, from the top."""
    page.get_by_role("link", name=re.compile("trial [0-9]")).first.wait_for()
    return [text.splitlines()[-1] for text in cells(page, "attributes.`Run Name`").all_inner_texts()]


def cells(page: Page, column: str) -> Locator:
    """The cells of a column, from the top."""
    return page.locator(f'[role=gridcell][col-id="{column}"]')


def figure(page: Page, metric: str) -> float:
    """A number of the first row."""
    return float(cells(page, f"metrics.`{metric}`").first.inner_text())


def test_the_first_screen_tells_which_trial_is_best_and_whether_it_overfits(
    page: Page, server: UiServer, uri: str, trials: list[TrialRow]
) -> None:
    best = trials[0]
    page.goto(study_address(Store(uri, ""), server.address, STUDY))
    assert names(page)[:3] == [f"trial {row.number}" for row in trials[:3]]
    assert figure(page, "best/val_accuracy") == pytest.approx(best.value, abs=1e-3)
    verdict = cells(page, VERDICT).first
    assert verdict.inner_text().startswith(f"overfits from epoch {best.onset_epoch}, gap ")
    box = verdict.bounding_box()
    assert box
    assert box["x"] + box["width"] <= 1120  # left of the assistant that MLflow opens on the first visit
    page.get_by_role("button", name="Close").first.click()
    for key, value in best.params.items():
        assert float(cells(page, f"params.`{key}`").first.inner_text()) == value
    assert figure(page, "overfit/gap_at_best") == pytest.approx(best.gap, abs=1e-3)
    assert figure(page, "overfit/onset_epoch") == best.onset_epoch


def test_the_overfitting_view_draws_train_and_validation_together(page: Page, server: UiServer, uri: str) -> None:
    view = view_key(STUDY, OVERFITTING)
    page.goto(ui_address(server.address, experiment_id(uri), STUDY, view=view) + "&compareRunsMode=CHART")
    page.get_by_text("Did it overfit?").wait_for()
    for place, name in enumerate(("loss", "accuracy")):
        page.get_by_text(f"val/{name} vs train/{name}").wait_for()
        chart = page.locator(".js-plotly-plot").nth(place)
        chart.locator("path.js-line").nth(7).wait_for(state="attached")  # two lines for each trial


def test_the_search_view_shows_what_made_the_difference(page: Page, server: UiServer, uri: str) -> None:
    view = view_key(STUDY, SEARCH)
    page.goto(ui_address(server.address, experiment_id(uri), STUDY, view=view) + "&compareRunsMode=CHART")
    for words in ("What mattered?", "Parallel Coordinates", "optimizer.lr vs.", "model.depth vs."):
        page.get_by_text(words).first.wait_for()
    page.locator(".js-plotly-plot path.point").nth(7).wait_for(state="attached")  # each trial in both scatter plots


def test_the_plain_address_of_other_versions_sorts_too(
    page: Page, server: UiServer, uri: str, trials: list[TrialRow]
) -> None:
    page.goto(ui_address(server.address, experiment_id(uri), STUDY))
    assert names(page)[:3] == [f"trial {row.number}" for row in trials[:3]]


def test_the_filter_of_the_readme_finds_the_good_trials(
    page: Page, server: UiServer, uri: str, trials: list[TrialRow]
) -> None:
    from playwright.sync_api import expect

    found = re.search(r"``(tags\.study = '(\w+)' and metrics\.`best/val_accuracy` > )[0-9.]+``", README.read_text())
    assert found
    assert found[2] == STUDY
    first, second = trials[0].value, trials[1].value
    assert first is not None
    assert second is not None
    limit = (first + second) / 2 if second < first else second - 1e-6
    good = [f"trial {row.number}" for row in trials if row.value is not None and row.value > limit]
    page.goto(study_address(Store(uri, ""), server.address, STUDY))
    assert len(names(page)) > len(good)
    search = page.get_by_role("textbox").or_(page.get_by_role("combobox")).first
    search.fill(f"{found[1]}{limit}")
    search.press("Enter")
    expect(cells(page, "attributes.`Run Name`")).to_have_count(len(good))
    assert names(page) == good


def test_the_best_trials_page_shows_its_verdict_and_its_pictures(
    page: Page, server: UiServer, uri: str, trials: list[TrialRow]
) -> None:
    page.goto(study_address(Store(uri, ""), server.address, STUDY))
    names(page)
    page.get_by_role("link", name=f"trial {trials[0].number}").first.click()
    page.get_by_text(f"overfits from epoch {trials[0].onset_epoch}").first.wait_for()
    page.get_by_role("tab", name="Artifacts").click()
    page.get_by_text("pictures").first.click()
    for name in ("confusion_matrix", "roc_and_precision_recall", "worst_images", "learning_rate"):
        page.get_by_text(f"{name}.png").first.wait_for()
    page.get_by_text("overfitting_curve.png").first.click()
    picture = page.locator("img[src^=blob], img[src*=artifact]").first
    picture.wait_for()
    assert picture.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [WIDTH_PX, HEIGHT_PX]


def test_the_studys_page_names_its_question_and_its_winner_and_keeps_the_report(
    page: Page, server: UiServer, uri: str, trials: list[TrialRow]
) -> None:
    store = Store(uri, STUDY)
    parent = store.client.search_runs([store.experiment_id], f"attributes.run_name = '{STUDY}'")[0].info.run_id
    page.goto(f"{server.address}/#/experiments/{store.experiment_id}/runs/{parent}")
    page.get_by_text("Which learning rate, dropout and depth fit").first.wait_for()
    page.get_by_text("Show more").first.click()
    with page.expect_popup() as opened:
        page.get_by_role("link", name=f"trial {trials[0].number}", exact=True).first.click()
    opened.value.get_by_text(f"overfits from epoch {trials[0].onset_epoch}").first.wait_for()
    page.get_by_role("tab", name="Artifacts").click()
    page.get_by_text("report.html").first.click()
    report = page.frame_locator("iframe").first
    report.get_by_text(f"Trial {trials[0].number} is best").first.wait_for()
    report.get_by_text(f"from epoch {trials[0].onset_epoch} on it overfits").first.wait_for()


def experiment_id(uri: str) -> str:
    """The id of the study's experiment."""
    return Store(uri, STUDY).experiment_id
