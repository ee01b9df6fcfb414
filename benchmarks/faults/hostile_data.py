"""Images, arrays and published files that execute, or swell, when somebody careless opens them."""

from __future__ import annotations

import contextlib
import json
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.faults.input_images import photos
from benchmarks.faults.input_training import checkpoint_files
from benchmarks.faults.payloads import SHELL, Attack, Hostile, evil_checkpoint, evil_pickle, write

POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


def load_carelessly(make: Callable[[], bytes]) -> Attack:
    def attack(folder: Path) -> None:
        import torch

        write(folder / "x.pt", make())
        torch.load(folder / "x.pt", weights_only=False)

    return attack


def arrays() -> Iterator[Hostile]:
    head = "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
    evil = b"\x93NUMPY\x01\x00v\x00" + head.ljust(117).encode() + b"\n" + evil_pickle()

    def careless(folder: Path) -> None:
        import numpy as np

        write(folder / "x.npy", evil)
        np.load(folder / "x.npy", allow_pickle=True)

    def quickdraw(folder: Path) -> None:
        from idealfit.data import QuickDraw

        write(folder / "cat.npy", evil)
        write(folder / "dog.npy", evil)
        _open(QuickDraw(folder), folder)

    def cache(folder: Path) -> None:
        from idealfit.data import ImageFolder
        from idealfit.data.cache import open_decoded

        photos(folder, {})
        source = ImageFolder(folder / "photos", image_size=8)
        open_decoded(source, folder / "cache")
        entry = next((folder / "cache").glob("*/meta.json")).parent
        for path in entry.glob("*.npy"):
            path.write_bytes(evil)
        facts = {path.stem: [path.stat().st_size, path.stat().st_mtime_ns] for path in sorted(entry.glob("*.npy"))}
        meta = json.loads((entry / "meta.json").read_text()) | {"files": facts}
        (entry / "meta.json").write_text(json.dumps(meta))
        open_decoded(source, folder / "cache")

    def archive(folder: Path) -> None:
        from idealfit.data import QuickDraw

        write(folder / "cat.npy", evil_checkpoint(checkpoint_files()["last.ckpt"]))
        write(folder / "dog.npy", evil_pickle())
        _open(QuickDraw(folder), folder)

    yield Hostile("bitmap", "an array of objects", quickdraw, careless)
    yield Hostile("bitmap", "a pickle and an archive called .npy", archive)
    yield Hostile("image cache", "arrays of objects, with a table of contents to match", cache, careless)


def pictures() -> Iterator[Hostile]:
    def photo(content: bytes, suffix: str = "png") -> Attack:
        def attack(folder: Path) -> None:
            from idealfit.data import ImageFolder

            photos(folder, {f"a/evil.{suffix}": content})
            with _ghostscript(folder):
                _open(ImageFolder(folder / "photos", image_size=8), folder)

        return attack

    def careless(folder: Path) -> None:
        from PIL import Image

        write(folder / "x.png", POSTSCRIPT)
        with _ghostscript(folder), Image.open(folder / "x.png") as image:
            image.load()

    yield Hostile("picture", "PostScript called .png, which Ghostscript would run", photo(POSTSCRIPT), careless)
    yield Hostile("picture", "a script called .jpg", photo(f"#!/bin/sh\n{SHELL}\n".encode(), "jpg"))
    yield Hostile("picture", "an SVG with a script called .png", photo(SVG))
    yield Hostile("picture", "a pickle called .gif", photo(evil_pickle(), "gif"))
    yield Hostile("picture", "65,535 x 65,535 pixels", photo(_bomb(65535, 65535)))
    yield Hostile("picture", "2,147,483,647 x 1 pixels", photo(_bomb(2**31 - 1, 1)))
    yield Hostile("picture", "a text of 64 MB in 64 kB", photo(_bomb(4, 4, text=64)))


@contextlib.contextmanager
def _ghostscript(folder: Path) -> Iterator[None]:
    """A program of that name, first on the path."""
    from PIL import EpsImagePlugin

    write(folder / "bin" / "gs", f"#!/bin/sh\n{SHELL}\n".encode())
    (folder / "bin" / "gs").chmod(0o755)
    before, os.environ["PATH"] = os.environ["PATH"], f"{folder / 'bin'}:{os.environ['PATH']}"
    EpsImagePlugin.gs_binary = None  # Pillow looks for it once a process
    try:
        yield
    finally:
        os.environ["PATH"] = before
        EpsImagePlugin.gs_binary = None


def published() -> Iterator[Hostile]:
    def cifar(folder: Path) -> None:
        from idealfit.data import CIFAR10

        names = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta"]
        for name in names:
            write(folder / "cifar-10-batches-py" / name, evil_pickle())
        _open(CIFAR10(folder), folder)

    def mnist(folder: Path) -> None:
        from idealfit.data import MNIST

        for part in ("train", "t10k"):
            for kind in ("images-idx3", "labels-idx1"):
                write(folder / "MNIST" / "raw" / f"{part}-{kind}-ubyte", b"\0\0\x08\x01\0\0\0\0")
        for name in ("training.pt", "test.pt"):
            write(folder / "MNIST" / "processed" / name, evil_pickle())
        _open(MNIST(folder), folder)

    yield Hostile("published data", "CIFAR-10 in pickles of somebody else", cifar, load_carelessly(evil_pickle))
    yield Hostile(
        "published data", "MNIST as torchvision once saved it, in pickles", mnist, load_carelessly(evil_pickle)
    )


def _bomb(width: int, height: int, *, text: int = 0) -> bytes:
    """A PNG that says it is large, or holds `text` MB of compressed text."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    pixels = zlib.compress(bytes(min(1 << 22, height * (width + 1))), 9)
    deflate = zlib.compressobj(9)
    words = b"".join(deflate.compress(bytes(1 << 20)) for _ in range(text)) + deflate.flush()
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
        + (chunk(b"zTXt", b"x\0\0" + words) if text else b"")
        + chunk(b"IDAT", pixels)
        + chunk(b"IEND", b"")
    )


def _open(source: Any, folder: Path) -> None:
    from idealfit.data.cache import open_decoded

    open_decoded(source, folder / "cache")
    raise AssertionError("it was taken for pictures")
