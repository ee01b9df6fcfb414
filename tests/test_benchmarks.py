"""The page of benchmarks says what is stored."""

from __future__ import annotations

import platform
import re
from pathlib import Path

from benchmarks import table
from benchmarks.__main__ import NAMES
from benchmarks.common import REPOSITORY, processor
from benchmarks.peers import compare
from benchmarks.peers.watched import Cost


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


def test_each_peer_is_compared_with_the_runs_of_idealfit_around_it() -> None:
    order = compare.in_turn(["peer", "idealfit", "other"])
    assert order == ["idealfit", "peer", "idealfit", "other", "idealfit"]
    one = [(name, Cost(wall_s=wall_s)) for name, wall_s in zip(order, [10.0, 100.0, 30.0, 100.0, 20.0], strict=True)]
    assert compare.times([one], "peer", "idealfit", lambda cost: cost.wall_s) == [5.0]
    assert compare.times([one, one], "other", "idealfit", lambda cost: cost.wall_s) == [4.0, 4.0]


def test_a_result_names_the_processor_and_what_it_computes_with(tmp_path: Path) -> None:
    described = tmp_path / "cpuinfo"
    described.write_text("model name\t: Some CPU\nflags\t\t: fpu avx2 amx_bf16 avx512_bf16\nbugs\t\t:\n")
    assert processor(described) == f"{platform.machine()}, Some CPU, avx2 avx512_bf16 amx_bf16"
    assert processor(tmp_path / "none") == platform.machine()
