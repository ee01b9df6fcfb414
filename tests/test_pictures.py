from __future__ import annotations

import math
import threading
from pathlib import Path

import numpy as np
import pytest
from matplotlib.font_manager import FontProperties, findfont
from PIL import Image, ImageDraw, ImageFont

from idealfit.overfit import summarize
from idealfit.pictures import overfitting_curve
from idealfit.pictures.canvas import DPI, HEIGHT_PX, ONSET, TRAIN, VAL, WIDTH_PX, Anchor, Canvas
from idealfit.pictures.png import write_png
from idealfit.spec import Objective

Curves = dict[str, list[float]]


def curves(num_epochs: int, rise: float = 0.05) -> Curves:
    """A fit whose validation loss turns at epoch 5 and rises by `rise` an epoch."""
    train = [2 * math.exp(-epoch / 3) + 0.02 for epoch in range(num_epochs)]
    val = [loss + 0.05 + rise * max(0, epoch - 5) for epoch, loss in enumerate(train)]
    accuracies = {f"{part}/accuracy": [1 - x / 4 for x in losses] for part, losses in (("train", train), ("val", val))}
    return {"train/loss": train, "val/loss": val, **accuracies}


def draw(curves: Curves, path: Path, title: str = "digits/3") -> Image.Image:
    overfitting_curve(curves, summarize(curves, Objective()), path, title)
    with Image.open(path) as image:
        return image.convert("RGB")


def num_pixels(image: Image.Image, colour: str) -> int:
    """How many pixels have a colour."""
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return int((np.abs(np.asarray(image).astype(int) - wanted).max(axis=2) < 12).sum())


def test_both_curves_and_the_onset_are_drawn(tmp_path: Path) -> None:
    image = draw(curves(20), tmp_path / "a.png")
    assert image.size == (WIDTH_PX, HEIGHT_PX)
    assert all(num_pixels(image, colour) > 300 for colour in (TRAIN, VAL, ONSET))


def test_no_onset_is_drawn_where_there_is_none(tmp_path: Path) -> None:
    assert num_pixels(draw(curves(20, rise=0.0), tmp_path / "a.png"), ONSET) == 0


@pytest.mark.parametrize(
    "odd",
    [
        curves(1),
        curves(400),
        {},
        {"val/loss": [1.0, 0.5]},
        {"train/f1": [0.1, 0.2], "val/f1": [0.1, 0.1]},
        curves(6) | {"val/loss": [math.nan, 1.0, math.inf, -math.inf, 1e300, 3.0]},
        curves(6) | {"val/loss": [math.nan] * 6},
        curves(6) | {"train/loss": [0.0] * 6, "val/loss": [0.0] * 6},
    ],
    ids=["one epoch", "many epochs", "nothing", "no train", "another metric", "not finite", "all nan", "zeros"],
)
def test_odd_curves(tmp_path: Path, odd: Curves) -> None:
    assert draw(odd, tmp_path / "a.png").size == (WIDTH_PX, HEIGHT_PX)


@pytest.mark.parametrize("title", ["a $x^2 study_1/3", "数字 \n/\t3", "x" * 300])
def test_odd_titles(tmp_path: Path, title: str) -> None:
    assert draw(curves(3), tmp_path / "a.png", title).size == (WIDTH_PX, HEIGHT_PX)


def test_threads_draw_the_same_as_one(tmp_path: Path) -> None:
    alone = draw(curves(20), tmp_path / "alone.png")
    paths = [tmp_path / f"{number}.png" for number in range(4)]
    threads = [threading.Thread(target=draw, args=(curves(20), path)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for path in paths:
        with Image.open(path) as image:
            assert image.convert("RGB").tobytes() == alone.tobytes()


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (620, 900)])
def test_a_png_holds_the_pixels_it_was_given(size: tuple[int, int], tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)[::-1]
    write_png(pixels, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        image.verify()
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "RGB"
        assert np.array_equal(np.asarray(image), pixels)


@pytest.mark.parametrize("anchor", ["la", "lm", "ls", "ma", "mm", "ms", "ra", "rm", "rs"])
@pytest.mark.parametrize("words", ["Ångström jpq", "two\nlines", " ", "i"])
def test_words_stand_where_pillow_puts_them(words: str, anchor: Anchor, tmp_path: Path) -> None:
    canvas = Canvas("")
    canvas.write((0.5, 0.5), words, size=11, colour="#D55E00", anchor=anchor)
    canvas.save(tmp_path / "a.png")
    image = Image.new("RGB", (WIDTH_PX, HEIGHT_PX), "white")
    font = ImageFont.truetype(findfont(FontProperties(family="DejaVu Sans")), 11 * DPI / 72)
    at, align = (WIDTH_PX // 2, HEIGHT_PX // 2), {"l": "left", "m": "center", "r": "right"}[anchor[0]]
    ImageDraw.Draw(image).text(at, words, "#D55E00", font, anchor=anchor, align=align, spacing=2)
    with Image.open(tmp_path / "a.png") as drawn:
        assert np.array_equal(np.asarray(drawn), np.asarray(image))
