"""Quick, Draw! in its vector form: what is drawn is what was published, as a picture and as a sequence."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from idealfit.data import QuickDrawRaster, QuickDrawStrokes
from idealfit.data.source import check_arrays
from idealfit.data.sources.drawings import EPSILON, STEP_PX, STILL, simplified
from idealfit.spec import DataError

RAW = [[[10.0, 110.0, 110.0], [0.0, 0.0, 50.5], [0, 100, 3000]], [[10.0, 10.0], [50.0, 100.0], [3100, 3250]]]
SIMPLE = [[[0, 255, 255], [0, 0, 129]], [[0, 0], [128, 255]]]


def write(folder: Path, **drawings: list[Any]) -> Path:
    for name, rows in drawings.items():
        facts = {"word": name, "countrycode": "SE", "timestamp": "2017-03-02 23:25:10.07453 UTC", "recognized": True}
        lines = [json.dumps({**facts, "key_id": str(number), "drawing": row}) for number, row in enumerate(rows)]
        (folder / f"{name}.ndjson").write_text("\n".join(lines) + "\n")
    return folder


def test_a_drawing_becomes_a_sequence_of_pen_movements(tmp_path: Path) -> None:
    root = write(tmp_path, raw=[RAW], simple=[SIMPLE])
    arrays = check_arrays(QuickDrawStrokes(root, max_points=7).read(), "QuickDrawStrokes")
    assert arrays.images.shape == (2, 4, 7, 1)
    dx, dy, dt, pen = arrays.images[0, :, :, 0]
    right = round(255 / STEP_PX) - 1 + STILL  # 127 steps at most
    assert dx.tolist() == [STILL, STILL, STILL, right, STILL, 256 - right, STILL]
    assert dy.tolist()[2:4] == [STILL, STILL]
    assert dt.tolist() == [0, 0, 0, 10, 255, 10, 15], "in 10 ms, the long pause cut off at 2.55 s"
    assert pen.tolist() == [0, 0, 127, 127, 255, 127, 255]
    assert np.abs(arrays.images[1, :2].astype(int) - arrays.images[0, :2]).max() <= 1
    assert not arrays.images[1, 2].any(), "the simplified form has no times"


def test_a_long_drawing_keeps_its_first_points(tmp_path: Path) -> None:
    short = QuickDrawStrokes(write(tmp_path, a=[RAW], b=[RAW]), max_points=3).read().images[0, :, :, 0]
    assert short[3].tolist() == [127, 127, 255]


def test_simplifying_leaves_out_only_what_lies_on_the_line(shared_data: Path) -> None:
    with (shared_data / "quickdraw/raw/cat.ndjson").open() as file:
        strokes = [np.array(stroke).T for line in file for stroke in json.loads(line)["drawing"]]
    kept = [simplified(stroke) for stroke in strokes]
    assert sum(map(len, kept)) < 0.5 * sum(map(len, strokes))
    for stroke, points in zip(strokes, kept, strict=True):
        assert (points[[0, -1]] == stroke[[0, -1]]).all()
        for point in stroke[:, :2]:
            assert len(points) < 2 or min(_distance(point, a, b) for a, b in pairwise(points[:, :2])) <= EPSILON + 1e-9


def _distance(point: Any, start: Any, end: Any) -> float:
    along = end - start
    share = float(np.clip((point - start) @ along / max(along @ along, 1e-12), 0, 1))
    return float(np.linalg.norm(point - start - share * along))


@pytest.mark.parametrize("category", ["cat", "bicycle", "fish"])
def test_our_pictures_are_the_published_ones(shared_data: Path, category: str) -> None:
    """The first drawings of both forms are the same drawings."""
    published = np.load(shared_data / f"quickdraw/numpy_bitmap/{category}.npy")[:20].astype(float)
    root = shared_data / "quickdraw/raw"
    ours = QuickDrawRaster(root, categories=[category, "eye"], per_class=20).read().images[:20].reshape(20, -1)
    likeness = [np.corrcoef(mine, theirs)[0, 1] for mine, theirs in zip(ours, published, strict=True)]
    assert np.median(likeness) > 0.99
    assert min(likeness) > 0.97


def test_pictures_come_in_any_size(tmp_path: Path) -> None:
    arrays = QuickDrawRaster(write(tmp_path, a=[RAW, RAW], b=[SIMPLE]), side=64, per_class=1).read()
    assert arrays.images.shape == (2, 1, 64, 64)
    assert arrays.images.max() == 255
    dot = [[[5, 5], [7, 7]]]
    assert QuickDrawRaster(write(tmp_path, a=[dot], b=[RAW])).read().images[0].sum() > 0


def test_all_345_categories_are_there(shared_data: Path) -> None:
    source = QuickDrawStrokes(shared_data / "quickdraw/raw", per_class=1)
    assert len(source.files()) == 345
    assert source.read().images.shape == (345, 4, 64, 1)


@pytest.mark.parametrize(
    "line",
    ['{"drawing": []}', '{"word": "a"}', "<html>", '{"drawing": [[[1, 2], [3]]]}', '{"drawing": [[[1], [null]]]}'],
)
def test_a_line_that_is_no_drawing_is_named(tmp_path: Path, line: str) -> None:
    write(tmp_path, a=[RAW], b=[RAW])
    with (tmp_path / "b.ndjson").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(DataError, match=r"b.ndjson, line 2 is no drawing \(.*Fetch the file again"):
        QuickDrawStrokes(tmp_path).read()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"categories": ["cat", "bicicle"]}, r"no bicicle.ndjson in .*Did you mean 'bicycle'"),
        ({"max_points": 1}, "data.max_points must be a whole number from 2 up, got 1"),
        ({"per_class": 0}, "data.per_class"),
    ],
)
def test_what_makes_no_sense_is_refused(shared_data: Path, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        QuickDrawStrokes(shared_data / "quickdraw/raw", **arguments).identity()


def test_a_folder_without_drawings_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"QuickDrawRaster: no CATEGORY\.ndjson in .*Set data.root"):
        QuickDrawRaster(tmp_path / "nowhere").identity()
