"""Recurrent networks: an image or a drawing as a sequence of its rows."""

from __future__ import annotations

from torch import Tensor, nn

from idealfit.models._parts import check_knobs, dropout_layers
from idealfit.spec import ConfigError, nearest

CELLS: dict[str, type[nn.RNN | nn.LSTM | nn.GRU]] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


class RNN(nn.Module):
    """torch's recurrent layers over the rows of the image, from top to bottom; the last state gives the logits.

    A drawing of `data=quickdraw_strokes` has a row for each point of the pen, so it is read in the order in which it
    was drawn; a picture is read row by row.

    Args:
        image_shape: Channels, height, width: `height` steps of `channels * width` features.
        num_classes: Number of logits.
        cell: rnn (tanh), lstm or gru.
        depth: Layers on top of each other.
        width: Units of each.
        dropout: Probability that a unit between the layers, and in front of the last linear one, is dropped.
        both_ways: Read from the last row to the first too.

    Raises:
        ConfigError: There is no such cell, or a knob is out of its range.
    """

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int],
        num_classes: int,
        cell: str = "gru",
        depth: int = 1,
        width: int = 128,
        dropout: float = 0.0,
        both_ways: bool = False,
    ) -> None:
        super().__init__()
        check_knobs(self, dropout=dropout, depth=depth, width=width)
        if cell not in CELLS:
            raise ConfigError(f"RNN: unknown cell {cell!r}. {nearest(cell, CELLS)}".strip())
        channels, _, width_px = image_shape
        self.rows = CELLS[cell](
            channels * width_px,
            width,
            depth,
            batch_first=True,
            dropout=dropout if depth > 1 else 0.0,
            bidirectional=both_ways,
        )
        self.last = nn.Sequential(*dropout_layers(dropout), nn.Linear((1 + both_ways) * width, num_classes))

    def forward(self, images: Tensor) -> Tensor:
        """Images `[B, C, H, W]` to logits `[B, num_classes]`."""
        rows = images.permute(0, 2, 1, 3).flatten(2)
        _, state = self.rows(rows)
        final = state[0] if isinstance(state, tuple) else state  # an LSTM has a memory besides
        ways = 2 if self.rows.bidirectional else 1
        logits: Tensor = self.last(final[-ways:].transpose(0, 1).flatten(1))
        return logits
