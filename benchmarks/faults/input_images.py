"""Bad images: bitmaps, pictures, published files, and the cache of what was decoded."""

from __future__ import annotations

import gzip
import io
import json
import random
import struct
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.faults import mutate
from benchmarks.faults.cases import Case, WrongError

SIZE = 12  # side of the pictures
_IDX_NAMES = tuple(f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1"))


def bitmap(rng: random.Random) -> Case:
    """A Quick, Draw! file that is no bitmap, or another."""
    good = npy(np.arange(9 * 784, dtype=np.uint8).reshape(9, 784))
    other = rng.choice(
        (
            npy(np.array([{}], dtype=object), allow_pickle=True),
            npy(np.zeros((9, 28, 28), np.uint8)),
            npy(np.zeros((9, 784), np.float32)),
            npy(np.zeros((0, 784), np.uint8)),
            npy(np.zeros((), np.uint8)),
            _npz(),
            good.replace(b"(9, 784)", b"(-9,784)"),
            good.replace(b"(9, 784)", b"(10**9,)"),
            good.replace(b"(9, 784), ", b"(99999999999999, 784), "),
            good.replace(b"|u1", b"|V1"),
            gzip.compress(good),
        )
    )
    data = rng.choice((other, mutate.head(rng, good), mutate.content(rng, good)))

    def action(folder: Path) -> None:
        from idealfit.data import QuickDraw

        (folder / "cat.npy").write_bytes(good)
        (folder / "dog.npy").write_bytes(data)
        _check_images(QuickDraw(folder, categories=["cat", "dog"]), folder, shape=(1, 28, 28))

    return Case("bitmap", f"{data!r:.200}", action)


def picture(rng: random.Random) -> Case:
    """An image file with damage, among good ones."""
    kind = rng.choice(sorted(_pictures()))
    good = _pictures()[kind]
    data = rng.choice((mutate.head(rng, good, 64), mutate.content(rng, good)))

    def action(folder: Path) -> None:
        from idealfit.data import ImageFolder

        photos(folder, {f"a/bad.{kind.partition(' ')[0]}": data})
        _check_images(ImageFolder(folder / "photos", image_size=8), folder, shape=(3, 8, 8))

    return Case("picture", f"{kind}: {data!r:.200}", action)


def published(rng: random.Random) -> Case:
    """MNIST files with damage."""
    files = {name: _idx(images="images" in name, count=20 if "train" in name else 10) for name in _IDX_NAMES}
    name = rng.choice(_IDX_NAMES)
    files[name] = rng.choice((mutate.head(rng, files[name], 16), mutate.content(rng, files[name])))

    def action(folder: Path) -> None:
        from idealfit.data import MNIST

        raw = folder / "MNIST" / "raw"
        raw.mkdir(parents=True)
        for file_name, data in files.items():
            (raw / file_name).write_bytes(data)
        _check_images(MNIST(folder), folder, shape=(1, 28, 28))

    return Case("published", f"{name}: {files[name]!r:.100}", action)


def decoded(rng: random.Random) -> Case:
    """A cache of decoded images with damage in it: it is made again, or was not harmed."""
    seed, name = rng.randrange(2**32), rng.choice(("meta.json", "images.npy", "labels.npy", "moments.npy"))

    def action(folder: Path) -> None:
        from idealfit.data import ImageFolder
        from idealfit.data.cache import open_decoded

        photos(folder, {})
        source = ImageFolder(folder / "photos", image_size=8)
        arrays = open_decoded(source, folder / "cache").arrays
        images, labels = np.array(arrays.images), np.array(arrays.labels)  # the map of a cut file would be a bus error
        path = next((folder / "cache").glob(f"*/{name}"))
        dice = random.Random(seed)
        if name == "meta.json":
            path.write_text(json.dumps(mutate.tree(dice, json.loads(path.read_text()))))
        else:
            path.write_bytes(mutate.content(dice, path.read_bytes()))
        after = open_decoded(source, folder / "cache").arrays
        if not (np.array_equal(images, after.images) and np.array_equal(labels, after.labels)):
            raise WrongError("the damaged images were taken")

    return Case("cache", f"{name}, seed {seed}", action)


def _check_images(source: Any, folder: Path, *, shape: tuple[int, int, int]) -> None:
    """Open it as a trial does; what is accepted is whole."""
    from idealfit.data import open_source

    data = open_source(
        source, batch_size=4, val_fraction=0.3, test_fraction=0.1, split_seed=0, limit=None, cache_dir=folder / "cache"
    )
    images, labels = next(data.train_batches(0))
    if tuple(images.shape[1:]) != shape or not bool(images.isfinite().all()) or int(labels.max()) >= data.num_classes:
        raise WrongError(f"a batch {list(images.shape)} with labels {labels.tolist()}")


def photos(folder: Path, extra: dict[str, bytes]) -> None:
    """Two classes of four pictures in `FOLDER/photos`, and other files."""
    for name in ("a", "b"):
        (folder / "photos" / name).mkdir(parents=True)
        for index in range(4):
            (folder / "photos" / name / f"{index}.png").write_bytes(_pictures()["png"])
    for name, data in extra.items():
        (folder / "photos" / name).write_bytes(data)


@cache
def _pictures() -> dict[str, bytes]:
    """A small picture in each kind of file; the kind's first word is the file's suffix."""
    from PIL import Image

    pixels = np.random.RandomState(0).randint(0, 256, (SIZE, SIZE, 3), np.uint8)
    plain = Image.fromarray(pixels)
    made = {
        "png": plain,
        "jpg": plain,
        "gif": plain,
        "bmp": plain,
        "webp": plain,
        "tif": plain,
        "ppm": plain,
        "png 16": Image.fromarray(pixels[:, :, 0].astype(np.uint16) * 257),
        "png palette": plain.convert("P"),
        "jpg cmyk": plain.convert("CMYK"),
        "png 1x1": plain.crop((0, 0, 1, 1)),
    }
    encoded = {}
    for kind, image in made.items():
        buffer = io.BytesIO()
        suffix = kind.partition(" ")[0]
        image.save(buffer, {"jpg": "jpeg", "tif": "tiff"}.get(suffix, suffix))
        encoded[kind] = buffer.getvalue()
    return encoded


def npy(array: Any, *, allow_pickle: bool = False) -> bytes:
    """The content of a .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=allow_pickle)
    return buffer.getvalue()


def _npz() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, images=np.zeros((9, 784), np.uint8))
    return buffer.getvalue()


def _idx(*, images: bool, count: int) -> bytes:
    if images:
        return (
            struct.pack(">IIII", 2051, count, 28, 28)
            + bytes(range(256)) * (count * 784 // 256)
            + bytes(count * 784 % 256)
        )
    return struct.pack(">II", 2049, count) + bytes(index % 10 for index in range(count))
