"""The page of benchmarks says what is stored."""

from __future__ import annotations

import re

from benchmarks import table
from benchmarks.__main__ import NAMES
from benchmarks.common import REPOSITORY


def test_the_page_says_what_is_stored() -> None:
    assert table.PAGE.read_text() == table.page(), "make it anew: python -m benchmarks.table"


def test_the_readme_says_what_is_stored() -> None:
    readme = table.README.read_text()
    assert readme == table.with_rows(readme), "make it anew: python -m benchmarks.table"


def test_every_benchmark_that_the_docs_name_runs_by_that_name() -> None:
    pages = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
    named = {name for page in pages for name in re.findall(r"python -m benchmarks (\w+)", page.read_text())}
    assert "fused" in named
    assert named - {"NAME"} <= set(NAMES)
