"""Quick, Draw! in its published vector form, raw or simplified: as sequences of pen movements, or drawn by us."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from idealfit.data.source import ImageArrays, Images
from idealfit.data.sources.arguments import checked_whole
from idealfit.data.sources.categories import CategoryFiles
from idealfit.spec import JSON, DataError

BOX = 255  # pixels of the square that the published simplification scales a drawing to
EPSILON = 2.0  # of Ramer, Douglas and Peucker's simplification, in these pixels
LINE, MARGIN = 16, 16  # of the published bitmaps, in these pixels
STILL, STEP_PX, STEP_MS = 128, 2, 10  # a byte for a movement: 128 is none, each unit is two pixels; time in 10 ms
PEN_DOWN, PEN_UP = 127, 255

Stroke = NDArray[np.float64]
"""`[n, 3]`: x, y and milliseconds of each point; 0 where no time is published."""


class _Drawings(CategoryFiles):
    """Drawings from `ROOT/CATEGORY.ndjson`: a JSON object in each line, `drawing` its strokes."""

    suffix = "ndjson"
    contents = "drawings"

    def identity(self) -> JSON:
        """See `ImageSource`."""
        return super().identity() | {"shape": self._shape}

    def read(self) -> ImageArrays:
        """See `ImageSource`. One drawing is in memory at a time."""
        files = self.category_files()
        counts = [sum(1 for _ in self._lines(path)) for path in files.values()]
        images = self.empty_images(sum(counts), *self._shape)
        place = 0
        for path in files.values():
            for number, line in self._lines(path):
                images[place] = self._draw(_strokes(path, number, line))
                place += 1
        return ImageArrays(images, np.repeat(np.arange(len(files)), counts), tuple(files))

    @property
    @abstractmethod
    def _shape(self) -> tuple[int, int, int]:
        """Channels, height, width of one drawing."""

    @abstractmethod
    def _draw(self, strokes: list[Stroke]) -> Images:
        """uint8 of that shape."""

    def _lines(self, path: Path) -> Iterator[tuple[int, bytes]]:
        try:
            with path.open("rb") as file:
                yield from islice(((n, line) for n, line in enumerate(file, 1) if line.strip()), self.per_class)
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror}.") from error


@final
class QuickDrawStrokes(_Drawings):
    """Drawings as sequences: `[4, max_points, 1]`, for each point dx, dy, dt and pen, the last point at the end.

    A drawing is scaled to 255 pixels and simplified as the published one is. Movements are in steps of two pixels from
    128 (none), times in 10 ms; the pen is 255 where a stroke ends and 127 elsewhere. Before the first point nothing
    moves, and time and pen are 0. Of a longer drawing the first `max_points` count.

    Args:
        root: See `ROOT/CATEGORY.ndjson`.
        categories: In label order; None takes every file.
        per_class: The first so many of each; None takes all.
        max_points: Length of the sequences.
    """

    has_pixels = False

    def __init__(
        self,
        root: str | Path,
        categories: Sequence[str] | None = None,
        per_class: int | None = None,
        max_points: int = 64,
    ) -> None:
        super().__init__(root, categories, per_class)
        self.max_points = checked_whole("max_points", max_points, 2)

    @property
    def _shape(self) -> tuple[int, int, int]:
        return 4, self.max_points, 1

    def _draw(self, strokes: list[Stroke]) -> Images:
        simple = [simplified(stroke) for stroke in _scaled(strokes)]
        points = np.concatenate(simple)
        moves = np.diff(points, axis=0, prepend=points[:1])
        pen = np.full(len(points), PEN_DOWN)
        pen[np.cumsum([len(stroke) for stroke in simple]) - 1] = PEN_UP
        steps = np.clip(np.round(moves[:, :2] / STEP_PX), 1 - STILL, STILL - 1) + STILL
        ticks = np.clip(np.round(moves[:, 2] / STEP_MS), 0, 255)
        rows = np.column_stack([steps, ticks, pen])[: self.max_points]
        sequence = np.zeros((4, self.max_points, 1), np.uint8)
        sequence[:2] = STILL  # a byte far from all movements would dwarf them once the channel is normalised
        sequence[:, self.max_points - len(rows) :, 0] = rows.T
        return sequence


@final
class QuickDrawRaster(_Drawings):
    """Drawings drawn by us as the published bitmaps were: white lines of 16 on black, centred, then made smaller.

    Args:
        root: See `ROOT/CATEGORY.ndjson`.
        categories: In label order; None takes every file.
        per_class: The first so many of each; None takes all.
        side: Pixels of the picture's side; 28 as published.
    """

    def __init__(
        self, root: str | Path, categories: Sequence[str] | None = None, per_class: int | None = None, side: int = 28
    ) -> None:
        super().__init__(root, categories, per_class)
        self.side = checked_whole("side", side, 8)

    @property
    def _shape(self) -> tuple[int, int, int]:
        return 1, self.side, self.side

    def _draw(self, strokes: list[Stroke]) -> Images:
        strokes = _scaled(strokes)
        size = BOX + 1 + 2 * MARGIN + LINE
        largest = np.concatenate(strokes)[:, :2].max(axis=0)
        canvas = Image.new("L", (size, size))
        pen = ImageDraw.Draw(canvas)
        for stroke in strokes:
            points = stroke[:, :2] + (size - largest) / 2
            pen.line([tuple(point) for point in points], fill=255, width=LINE, joint="curve")
            for x, y in points[[0, -1]]:  # round ends
                pen.ellipse((x - LINE / 2, y - LINE / 2, x + LINE / 2, y + LINE / 2), fill=255)
        return np.asarray(canvas.resize((self.side, self.side), Image.Resampling.BOX))[np.newaxis]


def simplified(stroke: Stroke) -> Stroke:
    """The points that a stroke needs: none that is left out lies further than `EPSILON` from the line without it.

    Ramer (1972), Douglas and Peucker (1973), as for the published simplified drawings.
    """
    keep = np.zeros(len(stroke), bool)
    keep[[0, -1]] = True
    spans = [(0, len(stroke) - 1)]
    while spans:
        first, last = spans.pop()
        if last - first < 2:
            continue
        distances = _distances(stroke[first + 1 : last, :2], stroke[first, :2], stroke[last, :2])
        far = int(distances.argmax())
        if distances[far] > EPSILON:
            middle = first + 1 + far
            keep[middle] = True
            spans += [(first, middle), (middle, last)]
    return stroke[keep]


def _distances(points: NDArray[np.float64], start: NDArray[np.float64], end: NDArray[np.float64]) -> Any:
    """From each point to the segment from `start` to `end`."""
    along = end - start
    length = float(along @ along)
    shares = np.clip((points - start) @ along / length, 0.0, 1.0) if length else np.zeros(len(points))
    return np.linalg.norm(points - start - shares[:, np.newaxis] * along, axis=1)


def _scaled(strokes: list[Stroke]) -> list[Stroke]:
    """The drawing in the upper left corner, its longer side `BOX` pixels."""
    points = np.concatenate(strokes)[:, :2]
    low = points.min(axis=0)
    scale = BOX / max(float((points - low).max()), 1e-9)
    return [np.column_stack([(stroke[:, :2] - low) * scale, stroke[:, 2]]) for stroke in strokes]


def _strokes(path: Path, number: int, line: bytes) -> list[Stroke]:
    """The strokes of one line, each `[[x...], [y...]]` or, raw, with `[t...]` too."""
    try:
        strokes = [_points(stroke) for stroke in json.loads(line)["drawing"]]
        if strokes:
            return strokes
        reason = "it has no stroke"
    except (ValueError, TypeError, KeyError, IndexError) as error:
        reason = f"{type(error).__name__}: {error}"
    raise DataError(f"{path}, line {number} is no drawing ({reason}). Fetch the file again.")


def _points(stroke: Any) -> Stroke:
    columns = np.array(stroke, dtype=np.float64)
    if columns.ndim != 2 or len(columns) not in (2, 3) or not columns.size or not np.isfinite(columns).all():
        raise ValueError("a stroke must be lists of as many x, y and perhaps t, all of them numbers")
    times = columns[2] if len(columns) == 3 else np.zeros(columns.shape[1])
    return np.column_stack([columns[0], columns[1], times])
