"""The page as its reader meets it: in a real browser, at work, with nobody's name running as a script."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from studies import EVIL, QUESTION, SPACE, hostile, sample, write_study

from idealfit.report.html import write_report

CHROMIUM = os.environ.get("IDEALFIT_CHROMIUM") or shutil.which("chromium")
FLAGS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-sync"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium: install one, or set IDEALFIT_CHROMIUM to its path"),
]

Open = Callable[..., Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS.split())
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Open]:
    """Open a file, `drawn`: with every chart; at the end nothing may have been complained about or asked for."""
    complaints: list[str] = []
    pages = []

    def open_file(path: Path, *, scheme: str = "light", drawn: bool = False) -> Any:
        page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme=scheme, reduced_motion="reduce")
        pages.append(page)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: complaints.append(request.url) if request.url.startswith("http") else None)
        page.goto(path.as_uri())
        page.wait_for_selector("#trials tbody tr")
        if drawn:
            page.evaluate("drawAll()")
        return page

    yield open_file
    for page in pages:
        page.close()
    assert complaints == []


@pytest.fixture(scope="module")
def report(finished_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(finished_dir, tmp_path_factory.mktemp("html") / "r.html", question=QUESTION, space=SPACE)


def cells(page: Any, column: int) -> list[str]:
    return list(page.locator(f"#trials tbody td:nth-child({column})").all_inner_texts())


def test_the_first_screen_answers_which_is_best_and_whether_it_overfits(open_page: Open, report: Path) -> None:
    page = open_page(report)
    assert page.inner_text("#question") == QUESTION
    assert "is best: validation accuracy" in page.inner_text("#answer")
    best = page.locator("#trials tbody tr").first
    assert best.locator("td").nth(3).inner_text().replace("\xa0", " ") in page.inner_text("#answer").replace(
        "\xa0", " "
    )


def test_the_leaderboard_sorts_and_filters(open_page: Open, report: Path) -> None:
    page = open_page(report)
    page.click("#trials th:nth-child(2) button")
    assert cells(page, 2)[:3] == ["0", "1", "2"]
    page.click("#trials th:nth-child(2) button")
    assert cells(page, 2)[0] == "39"
    page.fill("#filter", "pruned")
    assert set(cells(page, 3)) == {"pruned"}
    page.fill("#filter", "")
    page.click("#all-rows")
    assert len(cells(page, 1)) == 40


def test_the_map_is_coloured_as_the_reader_likes(open_page: Open, report: Path) -> None:
    page = open_page(report)
    page.locator("#map").scroll_into_view_if_needed()
    page.wait_for_selector("#map-chart .points path")
    assert page.locator("#map-chart .points path").count() > 20
    page.select_option("#map-colour", label="model.activation")
    page.wait_for_selector("#map-chart .legend")
    assert page.locator("#map-chart .legendtext").all_text_contents() == ["gelu", "relu", "tanh"]
    page.select_option("#map-colour", label="optimizer.lr")
    page.wait_for_selector("#map-chart .colorbar")


def test_a_trial_shows_both_curves_when_it_is_chosen(open_page: Open, report: Path) -> None:
    page = open_page(report)
    page.click("#trials tbody tr:nth-child(2)")
    page.wait_for_selector("#inspector .js-line")
    assert page.locator("#inspector .scatterlayer .js-line").count() == 4, "training and validation, score and loss"
    page.keyboard.press("Escape")
    assert page.locator("#inspector").is_hidden()


def test_dragging_along_an_axis_keeps_the_trials_that_pass_there(open_page: Open, report: Path) -> None:
    page = open_page(report)
    canvas = page.locator("#parallel-canvas")
    canvas.scroll_into_view_if_needed()
    page.wait_for_selector("#parallel-count:not(:empty)")
    box = canvas.bounding_box()
    x = box["x"] + box["width"] - 60
    page.mouse.move(x, box["y"] + 34)
    page.mouse.down()
    page.mouse.move(x, box["y"] + 90)
    page.mouse.up()
    kept, _, scored = page.inner_text("#parallel-count").partition(" of ")
    assert 0 < int(kept) < int(scored.split()[0])
    page.click("#parallel-clear")
    assert page.inner_text("#parallel-count").startswith(scored.split()[0])


def test_every_section_has_a_chart_in_light_and_dark(open_page: Open, report: Path) -> None:
    page = open_page(report, scheme="dark", drawn=True)
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.click("#theme")
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    charts = page.locator(".chart").count()
    assert charts >= 14
    assert page.locator(".chart .main-svg").count() >= charts
    assert page.locator("#multiples-grid svg").count() == 40 - page.evaluate(
        "D.trials.filter(t => !hasCurve(t)).length"
    )
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_names_are_shown_and_never_run(open_page: Open, tmp_path: Path) -> None:
    study_dir = write_study(tmp_path / "s", [hostile(number) for number in range(20)], name=EVIL)
    page = open_page(write_report(study_dir, tmp_path / "r.html", question=EVIL, sweep=EVIL), drawn=True)
    page.click("#trials tbody tr")
    page.select_option("#map-colour", index=4)
    assert page.evaluate("window.hacked") is None
    assert page.evaluate("document.images.length") == 0
    assert page.evaluate("document.querySelectorAll('main a:not([href^=\"#\"]), .main-svg a').length") == 0
    assert page.inner_text("#question").startswith("</script><script>")


@pytest.mark.parametrize("number", [1, 3])
def test_few_trials_leave_out_what_cannot_be_said(open_page: Open, tmp_path: Path, number: int) -> None:
    page = open_page(write_report(write_study(tmp_path / "s", [sample(i) for i in range(number)]), tmp_path / "r.html"))
    assert page.locator("#importance").count() == (1 if number > 1 else 0)
    assert page.locator("#failures").count() == 0
