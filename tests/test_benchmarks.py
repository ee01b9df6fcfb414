"""The page of benchmarks says what is stored."""

from __future__ import annotations

from benchmarks import table


def test_the_page_says_what_is_stored() -> None:
    assert table.PAGE.read_text() == table.page(), "make it anew: python -m benchmarks.table"


def test_the_readme_says_what_is_stored() -> None:
    readme = table.README.read_text()
    assert readme == table.with_rows(readme), "make it anew: python -m benchmarks.table"
