from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from studies import EVIL, SPACE, Plan, curves, hostile, sample, write_study

from idealfit.report.html import StudyData, read_study, render, write_report
from idealfit.report.html.analysis import analyse
from idealfit.report.html.payload import build_payload, kept_epochs
from idealfit.spec import FailureKind, StudyError, TrialState

MEGABYTE = 1_000_000


class Page(HTMLParser):
    """The elements of a page, and what its scripts hold."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.lasttag == "script":
            self.scripts[-1] += data

    @property
    def data(self) -> Any:
        """What the scripts draw from."""
        return json.loads(self.scripts[0])


def test_the_page_loads_nothing_from_anywhere(finished: StudyData) -> None:
    page = Page(render(finished))
    for tag, attributes in page.tags:
        for name in ("src", "href", "action", "data"):
            address = attributes.get(name) or "#"
            assert address.startswith(("#", "data:")), (tag, address)
    policy = next(
        a["content"] for t, a in page.tags if t == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None
    assert "default-src 'none'" in policy


def test_plotly_is_inside_once(finished: StudyData) -> None:
    page = render(finished)
    assert page.count("plotly.js v") == 1
    assert len(page.encode()) < 6 * MEGABYTE


def test_names_cannot_leave_their_place(tmp_path: Path) -> None:
    study_dir = write_study(tmp_path / "s", [hostile(number) for number in range(20)], name=EVIL)
    honest = Page(render(read_study(write_study(tmp_path / "h", [sample(1)]))))
    page = Page(write_report(study_dir, tmp_path / "r.html", question=EVIL, sweep=EVIL).read_text())
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in honest.tags]
    assert page.data["study"]["name"] == EVIL
    assert page.data["keys"][0] == EVIL


def test_the_best_trial_comes_first_with_its_curves(finished: StudyData) -> None:
    data = Page(render(finished)).data
    best = finished.best
    assert best is not None
    first = data["trials"][0]
    assert (first["n"], first["state"]) == (best.number, "complete")
    assert first["value"] == pytest.approx(best.row.value, rel=1e-4)
    train, val = first["curves"]["accuracy"]
    assert len(train) == len(val) == 30
    assert data["picks"][0] == {"trial": best.number, "roles": ["best"], "title": data["picks"][0]["title"]}


def test_nan_and_infinity_stay_out_of_the_page(study_of: Callable[..., StudyData]) -> None:
    diverged = curves(5)
    diverged["train/loss"][3:] = [math.inf, math.nan]
    data = Page(render(study_of(Plan({}, diverged, facts={"num_params": math.inf})))).data
    assert data["trials"][0]["curves"]["loss"][0][3:] == [None, None]


@pytest.mark.parametrize("state", [TrialState.FAILED, TrialState.RUNNING, TrialState.INTERRUPTED, TrialState.PRUNED])
def test_a_study_of_one_trial_in_any_state_makes_a_page(study_of: Callable[..., StudyData], state: TrialState) -> None:
    failure = FailureKind.BUG if state is TrialState.FAILED else None
    for plan in (
        replace(sample(1), state=state, failure=failure),
        replace(sample(1), curves={}, state=state, failure=failure),
    ):
        assert Page(render(study_of(plan))).data["trials"][0]["state"] == state


def test_a_study_without_parameters_or_space_makes_a_page(tmp_path: Path) -> None:
    study = read_study(write_study(tmp_path / "s", [Plan({}, curves(4, reach=r)) for r in (0.5, 0.6, 0.7)]))
    data = Page(render(study)).data
    assert data["params"] == []
    assert data["titles"]["importance"] == "No parameter was searched."


def test_an_older_report_is_replaced_and_nothing_else_is_left(finished_dir: Path, tmp_path: Path) -> None:
    for _ in range(2):
        assert write_report(finished_dir, tmp_path / "to" / "r.html", space=SPACE).stat().st_size > MEGABYTE
    assert [path.name for path in (tmp_path / "to").iterdir()] == ["r.html"]


def test_no_record_no_report(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="no record"):
        write_report(tmp_path / "none", tmp_path / "r.html")
    assert not (tmp_path / "r.html").exists()


def test_a_thousand_trials_fit_in_a_page(tmp_path: Path) -> None:
    study_dir = write_study(tmp_path / "big", [sample(number) for number in range(1000)], slots=8)
    page = write_report(study_dir, tmp_path / "r.html", space=SPACE)
    assert page.stat().st_size < 15 * MEGABYTE
    assert len(Page(page.read_text()).data["trials"]) == 1000


def test_long_curves_keep_their_ends_their_best_and_their_onset(study_of: Callable[..., StudyData]) -> None:
    study = study_of(Plan({}, curves(500, overfit=1.0, pace=30.0), max_epochs=500))
    trial = study.trials[0]
    kept = kept_epochs(trial, 20)
    assert len(kept) <= 22
    assert {0, 499, trial.row.best_epoch, trial.row.onset_epoch} <= set(kept)
    assert kept_epochs(trial, 500) == list(range(500))


def test_the_scripts_find_every_place_they_fill() -> None:
    assets = Path(render.__code__.co_filename).parent / "assets"
    page = (assets / "page.html").read_text()
    for script in assets.glob("*.js"):
        for place in re.findall(r'byId\("([\w-]+)"\)', script.read_text()):
            assert f'id="{place}"' in page, (script.name, place)


def test_further_surroundings_are_listed(finished: StudyData) -> None:
    payload = build_payload(
        finished, analyse(finished), made="now", sweep="", surroundings={"code": "1a2b3c + changes"}
    )
    assert ("code", "1a2b3c + changes") in payload["environment"]
