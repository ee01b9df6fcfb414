"""One picture file, of whatever kind, to pixels of one size and kind."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from idealfit.data.source import Images

SUFFIXES = frozenset(
    {".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"}
)
# By content, whatever the suffix says: some of Pillow's other readers start programs (PostScript: Ghostscript).
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "PPM", "WEBP", "TIFF")
# What Pillow's readers raise on damaged files, besides OSError.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    EOFError,
    LookupError,
    AttributeError,
    OverflowError,
    struct.error,
)


class UnreadableError(Exception):
    """A picture cannot be decoded; the message says why."""


def decode(path: Path, size: tuple[int, int], channels: int) -> Images:
    """The picture as uint8 `[C, H, W]`, resized to `size` (H, W) whatever its proportions, so that nothing is cut off.

    16-bit grey is scaled to 8 bits, transparency laid on white, the camera's orientation applied, CMYK and palettes
    converted; of an animation the first frame counts.

    Raises:
        UnreadableError: The file is damaged, or of a kind whose brightness range is anyone's guess.
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            # Lets libjpeg decode large photographs at a fraction of their size: up to 8 times faster.
            image.draft(None, (2 * size[1], 2 * size[0]))
            image.load()
            plain = _flat(_eight_bit(ImageOps.exif_transpose(image))).convert("L" if channels == 1 else "RGB")
    except UnidentifiedImageError as error:
        raise UnreadableError("not an image") from error
    except (*_DAMAGE, MemoryError, zlib.error, Image.DecompressionBombError) as error:
        raise UnreadableError(str(error) or type(error).__name__) from error
    pixels = np.asarray(plain.resize((size[1], size[0]), Image.Resampling.BILINEAR))
    return pixels[np.newaxis] if channels == 1 else pixels.transpose(2, 0, 1)


def _eight_bit(image: Image.Image) -> Image.Image:
    """16-bit grey scaled to 8 bits: Pillow's own conversion would clip it to white."""
    if image.mode == "F":
        raise UnreadableError("pixels are floating-point numbers; save it with 8 or 16 bits")
    if image.mode != "I" and not image.mode.startswith("I;"):
        return image
    levels = np.asarray(image).astype(np.int64)
    if levels.min() < 0 or levels.max() > 65535:
        raise UnreadableError("pixels have 32 bits; save it with 8 or 16 bits")
    return Image.fromarray(np.round(levels / 257).astype(np.uint8))


def _flat(image: Image.Image) -> Image.Image:
    """Transparency laid on white; dropping it would show whatever the program that saved the file left underneath."""
    if "transparency" not in image.info and "A" not in image.getbands() and "a" not in image.getbands():
        return image
    colour = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", colour.size, "white"), colour)
