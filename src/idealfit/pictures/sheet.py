"""Many small images as one: an axes for each of them would take three times as long."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def lay_out(tiles: NDArray[Any], step: tuple[int, int], num_columns: int, fill: float) -> NDArray[Any]:
    """Lay `tiles` out row by row, each in the lower left corner of its place.

    Args:
        tiles: `[N, h, w, ...]`.
        step: Height and width of a place.
        num_columns: Places in a row.
        fill: What is around the tiles.

    Returns:
        `[num_rows * step[0], num_columns * step[1], ...]`.
    """
    height, width = tiles.shape[1:3]
    num_rows = -(-len(tiles) // num_columns)
    sheet = np.full((num_rows * step[0], num_columns * step[1], *tiles.shape[3:]), fill, dtype=tiles.dtype)
    for place, tile in enumerate(tiles):
        row, column = divmod(place, num_columns)
        bottom, left = (row + 1) * step[0], column * step[1]
        sheet[bottom - height : bottom, left : left + width] = tile
    return sheet
