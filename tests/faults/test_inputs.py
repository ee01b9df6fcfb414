"""Short forms of the input scripts; `make faults` runs them in full."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.faults import hostile, inputs


def test_bad_input_ends_in_a_word_to_the_user_or_a_right_result(tmp_path: Path) -> None:
    report = inputs.run(tmp_path, num_cases=96, seed=1)
    assert report.num_cases == 96
    assert report.num_refused > 32
    assert not report.wrong


@pytest.mark.filterwarnings("ignore")  # what hostile files make libraries say
def test_nothing_hostile_is_executed(tmp_path: Path) -> None:
    report = hostile.run(tmp_path, short=True)
    assert report.num_cases >= 50
    assert report.num_live >= 50  # of those that a careless program can be shown to execute
    assert not report.executed
    assert not report.wrong
