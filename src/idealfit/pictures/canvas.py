"""What all pictures share: size, colours, a heading that states the finding, axes and words that are quick to draw.

matplotlib draws the shapes, Pillow words and images: most of a picture's time went into matplotlib's ticks and text,
and an image among axes takes ten times as long as one that is pasted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from idealfit.pictures.png import write_png

# Okabe and Ito's palette: told apart by colour-blind readers, on paper and on a screen.
TRAIN, VAL, ONSET, BEST, INK, GRID = "#0072B2", "#D55E00", "#CC79A7", "#009E73", "#333333", "#DDDDDD"
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D31", "#7B4173", "#637939")
WIDTH_PX, HEIGHT_PX, DPI = 900, 620, 100  # what MLflow's artifact page shows without scaling
LEFT, HEADING_Y, DETAIL_Y = 0.085, 0.975, 0.925
HEADING_SIZE, HEADING_LETTERS = 13.0, 72  # as many letters fit at this size; longer headings are set smaller
FRAME = "#999999"
GAP_PX, NAME_Y_PX = 5, 11  # from axes to words; from the bottom of the picture to the name of the x axis

# Pillow's: l(eft), m(iddle), r(ight); a(scender, the top), m(iddle), s (the base line).
Anchor = Literal["la", "lm", "ls", "ma", "mm", "ms", "ra", "rm", "rs"]
_ALIGNED = {"l": "left", "m": "center", "r": "right"}

Ticks = Sequence[tuple[float, str]]  # where, and its words
Place = tuple[float, float, float, float]  # left, bottom, width, height, as fractions of the picture


@dataclass(frozen=True)
class _Words:
    x_px: float
    y_px: float
    words: str
    size: float
    colour: str
    is_bold: bool
    anchor: Anchor
    is_upright: bool


@dataclass(frozen=True)
class Pasted:
    """An image on a canvas.

    Attributes:
        left, top: Of its upper left corner, in pixels of the canvas.
        zoom: Pixels of the canvas for one of the image, across and down.
    """

    image: Image.Image
    left: int
    top: int
    zoom: tuple[float, float]

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Where on the canvas column `x` and row `y` of the image begin; from the lower left, as fractions."""
        column, row = self.left + x * self.zoom[0], self.top + y * self.zoom[1]
        return column / WIDTH_PX, 1 - row / HEIGHT_PX


class Canvas:
    """A picture under a bold heading and a line of detail; its places are fractions, counted from the lower left."""

    def __init__(self, heading: str, detail: str = "") -> None:
        self._words: list[_Words] = []
        self._pasted: list[Pasted] = []
        self._has_shapes = False
        heading = printable(heading)
        size = max(8.0, HEADING_SIZE * min(1.0, HEADING_LETTERS / max(len(heading), 1)))
        self.write((LEFT, HEADING_Y), heading, size=size, is_bold=True, anchor="la")
        self.write((LEFT, DETAIL_Y), printable(detail), size=10.5, anchor="la")

    @cached_property
    def _figure(self) -> Figure:
        self._has_shapes = True
        return Figure(figsize=(WIDTH_PX / DPI, HEIGHT_PX / DPI), dpi=DPI, facecolor="white")

    def paste(self, place: Place, pixels: NDArray[np.uint8], *, is_stretched: bool = False) -> Pasted:
        """Paste an image with sharp pixels, as large as it fits at the upper middle of its place.

        Args:
            place: Where.
            pixels: Grey `[H, W]` or coloured `[H, W, 3]`.
            is_stretched: Fill the place, whatever becomes of the image's proportions.
        """
        height, width = pixels.shape[:2]
        room = place[2] * WIDTH_PX, place[3] * HEIGHT_PX
        across, down = room[0] / width, room[1] / height
        if not is_stretched:
            across = down = min(across, down)
        size = round(across * width), round(down * height)
        left = round(place[0] * WIDTH_PX + (room[0] - size[0]) / 2)
        top = round((1 - place[1] - place[3]) * HEIGHT_PX)
        image = Image.fromarray(np.ascontiguousarray(pixels)).resize(size, Image.Resampling.NEAREST)
        self._pasted.append(Pasted(image, left, top, (across, down)))
        return self._pasted[-1]

    def axes(self, place: Place) -> Axes:
        """Axes without ticks and names, which `finish` draws."""
        axes = self._figure.add_axes(place)
        axes.set_axis_off()
        return axes

    def place(self, axes: Axes, x: float, y: float) -> tuple[float, float]:
        """Where a point of the data lies."""
        column, row = self._places(axes, [(x, y)])[0]
        return float(column), float(row)

    def write(
        self,
        at: tuple[float, float],
        words: str,
        *,
        size: float = 9.0,
        colour: str = INK,
        is_bold: bool = False,
        anchor: Anchor = "ls",
        shift_px: tuple[float, float] = (0, 0),
        is_upright: bool = False,
    ) -> None:
        """Write over everything else, `size` in points; upright words read from below and hang from their place."""
        x, y = at[0] * WIDTH_PX + shift_px[0], (1 - at[1]) * HEIGHT_PX - shift_px[1]
        if words:
            self._words.append(_Words(x, y, words, size, colour, is_bold, anchor, is_upright))

    def line(self, start: tuple[float, float], end: tuple[float, float], colour: str) -> None:
        """A thick line, as a key to a colour."""
        self._figure.add_artist(Line2D([start[0], end[0]], [start[1], end[1]], color=colour, lw=2.5))

    def finish(
        self,
        axes: Axes,
        names: tuple[str, str],
        *,
        x: Ticks | None = None,
        y: Ticks | None = None,
        size: float = 9.0,
    ) -> None:
        """Draw a light grid, a frame, ticks and names around axes whose limits are set.

        Args:
            axes: Made by `axes`.
            names: Of the x axis and of the y axis.
            x: Where a tick is, and its words; None for round numbers.
            y: Likewise.
            size: Of the ticks' words, in points.
        """
        place = axes.get_position().bounds
        x = round_ticks(axes.get_xlim(), is_log=axes.get_xscale() == "log") if x is None else x
        y = round_ticks(axes.get_ylim(), is_log=axes.get_yscale() == "log") if y is None else y
        x_low, y_low = axes.get_xlim()[0], axes.get_ylim()[0]
        at = self._places(axes, [(place, y_low) for place, _ in x] + [(x_low, place) for place, _ in y])
        columns, rows = at[: len(x), 0], at[len(x) :, 1]
        self._draw_grid(place, columns, rows)
        ticks = [list(zip(at, (words for _, words in each), strict=True)) for at, each in ((columns, x), (rows, y))]
        self.name(place, names, x=ticks[0], y=ticks[1], size=size)

    def name(
        self, place: Place, names: tuple[str, str], *, x: Ticks, y: Ticks, size: float = 9.0, is_upright: bool = False
    ) -> None:
        """Write ticks and names around a place.

        Args:
            place: Of the axes, or of an image.
            names: Of the x axis and of the y axis.
            x: Where in the picture a tick is, from the left, and its words.
            y: Likewise, from below.
            size: Of the ticks' words, in points.
            is_upright: Whether the words below are turned, because they are long.
        """
        left, bottom, width, height = place
        for column, words in x:
            self.write((column, bottom), words, size=size, anchor="ma", shift_px=(0, -GAP_PX), is_upright=is_upright)
        for row, words in y:
            self.write((left, row), words, size=size, anchor="rm", shift_px=(-GAP_PX, 0))
        self.write((left + width / 2, 0), names[0], size=10, anchor="ms", shift_px=(0, NAME_Y_PX))
        self.write((left, bottom + height), names[1], size=10, shift_px=(0, GAP_PX))

    def save(self, path: Path) -> None:
        """Write a PNG."""
        image = self._drawn() if self._has_shapes else Image.new("RGB", (WIDTH_PX, HEIGHT_PX), "white")
        for pasted in self._pasted:
            image.paste(pasted.image, (pasted.left, pasted.top))
        for each in self._words:
            _set(image, each)
        write_png(np.asarray(image), path)

    def _drawn(self) -> Image.Image:
        canvas = FigureCanvasAgg(self._figure)
        canvas.draw()  # type: ignore[no-untyped-call]
        pixels = canvas.buffer_rgba()  # type: ignore[no-untyped-call]
        return Image.frombuffer("RGBA", (WIDTH_PX, HEIGHT_PX), pixels).convert("RGB")

    def _places(self, axes: Axes, points: Sequence[tuple[float, float]]) -> NDArray[np.float64]:
        to_figure = axes.transData + self._figure.transFigure.inverted()
        places: NDArray[np.float64] = to_figure.transform(np.reshape(points, (-1, 2)))
        return places

    def _draw_grid(self, place: Place, columns: NDArray[np.float64], rows: NDArray[np.float64]) -> None:
        left, bottom, width, height = place
        lines = [[(column, bottom), (column, bottom + height)] for column in columns]
        lines += [[(left, row), (left + width, row)] for row in rows]
        frame = [(left, bottom + height), (left, bottom), (left + width, bottom)]
        colours = [GRID] * len(lines) + [FRAME]
        grid = LineCollection([*lines, frame], colors=colours, lw=0.7, zorder=-1, transform=self._figure.transFigure)
        self._figure.add_artist(grid)


def round_ticks(limits: tuple[float, float], *, is_log: bool = False, are_integers: bool = False) -> Ticks:
    """Round numbers between two limits; on a logarithmic axis powers of ten, and in a short one their threefold."""
    low, high = min(limits), max(limits)
    if is_log:
        locator: Any = LogLocator(subs=(1.0, 3.0) if high < 1e3 * low else (1.0,), numticks=8)
    else:
        locator = MaxNLocator(6, steps=[1, 2, 5, 10], integer=are_integers, min_n_ticks=1)
    return [(float(value), f"{value:.6g}") for value in locator.tick_values(low, high) if low <= value <= high]


def coloured(values: NDArray[np.floating[Any]], name: str) -> NDArray[np.uint8]:
    """Values from 0 to 1 `[...]` as the colours `[..., 3]` of a map of matplotlib's."""
    colours: NDArray[np.uint8] = colormaps[name](values, bytes=True)[..., :3]
    return colours


def printable(text: str) -> str:
    """`text` in one line, with `?` for what matplotlib's own font cannot draw."""
    known = _known_letters()
    return "".join(char if ord(char) in known and char.isprintable() else "?" for char in " ".join(text.split()))


def short(name: str, length: int = 14) -> str:
    """A class's name where room is scarce; the middle is left out, for what tells names apart is often at an end."""
    name = printable(name)
    num_last = length // 3
    return name if len(name) <= length else f"{name[: length - num_last - 1].rstrip()}…{name[-num_last:].lstrip()}"


def _set(image: Image.Image, each: _Words) -> None:
    stencil, left, top = _stencil(each.words, each.size, each.is_bold, "la" if each.is_upright else each.anchor)
    x, y = round(each.x_px), round(each.y_px)
    if each.is_upright:
        height = sum(_font(each.size, each.is_bold).getmetrics())
        turned = stencil.transpose(Image.Transpose.ROTATE_90)
        image.paste(each.colour, (x - height // 2 + top, y), turned)
    else:
        image.paste(each.colour, (x + left, y + top), stencil)


@lru_cache(maxsize=4096)
def _stencil(words: str, size: float, is_bold: bool, anchor: Anchor) -> tuple[Image.Image, int, int]:
    """Where ink goes, and how far right and down of the words' place; most words are those of earlier pictures."""
    font, align = _font(size, is_bold), _ALIGNED[anchor[0]]
    measured = ImageDraw.Draw(Image.new("L", (1, 1)))
    box = measured.textbbox((0, 0), words, font, anchor=anchor, align=align, spacing=2)
    left, top, right, bottom = math.floor(box[0]), math.floor(box[1]), math.ceil(box[2]), math.ceil(box[3])
    stencil = Image.new("L", (max(right - left, 1), max(bottom - top, 1)))
    ImageDraw.Draw(stencil).text((-left, -top), words, 255, font, anchor=anchor, align=align, spacing=2)
    return stencil, left, top


@cache
def _font(size: float, is_bold: bool) -> ImageFont.FreeTypeFont:
    path = findfont(FontProperties(family="DejaVu Sans", weight="bold" if is_bold else "normal"))
    return ImageFont.truetype(path, size * DPI / 72)


@cache
def _known_letters() -> frozenset[int]:
    return frozenset(get_font(findfont("DejaVu Sans")).get_charmap())
