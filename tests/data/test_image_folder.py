from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from idealfit.data import ImageData, ImageFolder
from idealfit.data.source import check_arrays
from idealfit.data.sources.pictures import UnreadableError, decode
from idealfit.spec import DataError

Open = Callable[..., ImageData]


def picture(path: Path, mode: str = "RGB", size: tuple[int, int] = (9, 7), colour: Any = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)
    return path


def folder(root: Path, *, count: int = 6, classes: tuple[str, ...] = ("cat", "dog")) -> Path:
    for index, name in enumerate(classes):
        for number in range(count):
            picture(root / name / f"{number}.png", colour=(40 * number, 10, 100 * index), size=(5 + number, 8))
    return root


def test_mixed_sizes_become_one(tmp_path: Path, open_data: Open) -> None:
    data = open_data(ImageFolder(folder(tmp_path), image_size=[6, 10]))
    assert data.image_shape == (3, 6, 10)
    assert data.class_names == ("cat", "dog")
    assert sum(data.sizes.values()) == 10  # of 12, 2 are the test part


def test_an_image_of_the_right_size_is_taken_pixel_by_pixel(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 4, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert np.array_equal(decode(tmp_path / "a.png", (5, 4), 3), pixels.transpose(2, 0, 1))


def test_classes_are_the_folders_and_their_subfolders_are_searched(tmp_path: Path) -> None:
    folder(tmp_path)
    picture(tmp_path / "dog" / "big" / "rex.jpg")
    arrays = ImageFolder(tmp_path, image_size=4).read()
    assert np.bincount(arrays.labels).tolist() == [6, 7]


def test_hidden_files_and_what_is_no_image_are_passed_over(tmp_path: Path) -> None:
    folder(tmp_path)
    (tmp_path / "cat" / "notes.txt").write_text("not a cat")
    (tmp_path / "cat" / "Thumbs.db").write_bytes(b"\0")
    (tmp_path / "cat" / "._0.png").write_bytes(b"\0")
    (tmp_path / "cat" / "folder.png").mkdir()
    picture(tmp_path / "cat" / ".trash" / "old.png")
    picture(tmp_path / ".git" / "logo.png")
    (tmp_path / "README.md").write_text("mine")
    assert np.bincount(ImageFolder(tmp_path, image_size=4).read().labels).tolist() == [6, 6]


def test_a_published_test_set_is_kept_apart(tmp_path: Path, open_data: Open) -> None:
    folder(tmp_path / "train")
    folder(tmp_path / "test", count=2)
    data = open_data(ImageFolder(tmp_path, image_size=4), unlock_test=True)
    assert sum(data.sizes.values()) == 12
    assert sum(len(labels) for _, labels in data.test_batches()) == 4


def test_a_class_may_be_missing_from_the_published_test_set(tmp_path: Path) -> None:
    folder(tmp_path / "train")
    folder(tmp_path / "test", classes=("dog",))
    arrays = check_arrays(ImageFolder(tmp_path, image_size=4).read(), "ImageFolder")
    assert arrays.test_labels is not None
    assert set(arrays.test_labels.tolist()) == {1}


def test_a_class_of_the_test_set_alone_is_refused(tmp_path: Path) -> None:
    folder(tmp_path / "train")
    folder(tmp_path / "test", classes=("cat", "dogs"))
    with pytest.raises(DataError, match=r"class 'dogs' is in .*test only. Did you mean 'dog'"):
        ImageFolder(tmp_path).identity()


def test_classes_that_are_called_train_and_test_are_classes(tmp_path: Path) -> None:
    folder(tmp_path, classes=("train", "test", "plane"))
    assert ImageFolder(tmp_path, image_size=4).read().class_names == ("plane", "test", "train")


@pytest.mark.parametrize("others", [("val",), ("valid", "test")])
def test_a_validation_folder_is_not_taken_for_a_class(tmp_path: Path, others: tuple[str, ...]) -> None:
    for name in ("train", *others):
        folder(tmp_path / name)
    with pytest.raises(DataError, match=f"has a part '{others[0]}'.*move"):
        ImageFolder(tmp_path).identity()


def test_imagenet_has_its_test_set_in_val(tmp_path: Path) -> None:
    folder(tmp_path / "train", classes=("n01440764", "n02123045"))
    folder(tmp_path / "val", classes=("n01440764", "n02123045"), count=2)
    arrays = ImageFolder(tmp_path, image_size=4, test_folder="val").read()
    assert arrays.class_names == ("n01440764", "n02123045")
    assert arrays.test_images is not None
    assert (len(arrays.images), len(arrays.test_images)) == (12, 4)
    with pytest.raises(DataError, match=r"data\.test_folder must be one of test, val, valid, validation, got 'vla'"):
        ImageFolder(tmp_path, test_folder="vla")


def test_categories_and_per_class_choose(tmp_path: Path) -> None:
    folder(tmp_path, classes=("cat", "dog", "eel"))
    arrays = ImageFolder(tmp_path, categories=["eel", "cat"], per_class=4, image_size=4).read()
    assert arrays.class_names == ("eel", "cat")
    assert np.bincount(arrays.labels).tolist() == [4, 4]
    with pytest.raises(DataError, match=r"no class 'dgo' in .*Did you mean 'dog'"):
        ImageFolder(tmp_path, categories=["cat", "dgo"]).identity()


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere cannot be read: No such file.*Set data.root"):
        ImageFolder(tmp_path / "nowhere").identity()


def test_a_folder_without_classes_is_refused(tmp_path: Path) -> None:
    picture(tmp_path / "cat.png")
    with pytest.raises(DataError, match="no folders in"):
        ImageFolder(tmp_path).identity()


def test_a_class_without_an_image_is_named(tmp_path: Path) -> None:
    folder(tmp_path)
    (tmp_path / "eel").mkdir()
    (tmp_path / "eel" / "eel.txt").touch()
    with pytest.raises(DataError, match="class 'eel' has no image in"):
        ImageFolder(tmp_path).identity()


def test_one_class_is_refused(tmp_path: Path, open_data: Open) -> None:
    with pytest.raises(DataError, match=r"at least 2 classes, got 1: \['cat'\]"):
        open_data(ImageFolder(folder(tmp_path, classes=("cat",))))


def test_one_image_per_class_is_refused_by_name(tmp_path: Path, open_data: Open) -> None:
    with pytest.raises(DataError, match=r"2 of 2 classes have too few images.*'cat' \(1\), 'dog' \(1\)"):
        open_data(ImageFolder(folder(tmp_path, count=1)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_size": 0}, "data.image_size must be a number of pixels or .*got 0"),
        ({"image_size": [8]}, r"got \[8\]"),
        ({"image_size": [8, 8.5]}, "data.image_size"),
        ({"image_size": "32x32"}, "data.image_size"),
        ({"channels": 4}, r"data.channels must be 1 \(grey\) or 3 \(colour\), got 4"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        ImageFolder(tmp_path, **arguments)


def test_unreadable_images_are_named_all_at_once(tmp_path: Path) -> None:
    folder(tmp_path)
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "cat" / "photo.jpg")
    whole = (tmp_path / "cat" / "photo.jpg").read_bytes()
    (tmp_path / "cat" / "photo.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "dog" / "page.png").write_bytes(b"<html>404</html>")
    (tmp_path / "dog" / "void.gif").touch()
    with pytest.raises(DataError) as caught:
        ImageFolder(tmp_path).read()
    assert "3 of 15 images cannot be read" in str(caught.value)
    for name in ("photo.jpg", "page.png", "void.gif", "truncated", "not an image"):
        assert name in str(caught.value)


@pytest.mark.parametrize(
    ("mode", "colour", "suffix", "expected"),
    [
        ("L", 200, "png", (200, 200, 200)),
        ("1", 1, "png", (255, 255, 255)),
        ("RGB", (10, 20, 30), "png", (10, 20, 30)),
        ("RGB", (10, 20, 30), "bmp", (10, 20, 30)),
        ("RGB", (10, 20, 30), "webp", (10, 20, 30)),
        ("P", 0, "gif", (0, 0, 0)),
        ("I;16", 51400, "png", (200, 200, 200)),
        ("I;16", 51400, "tif", (200, 200, 200)),
        ("I", 51400, "tiff", (200, 200, 200)),
        ("CMYK", (0, 255, 255, 0), "jpg", (255, 0, 0)),
        ("CMYK", (0, 255, 255, 0), "tif", (255, 0, 0)),
        ("RGBA", (0, 0, 0, 0), "png", (255, 255, 255)),
        ("RGBA", (200, 0, 0, 255), "png", (200, 0, 0)),
        ("LA", (0, 51), "png", (204, 204, 204)),
    ],
)
def test_every_kind_of_picture_keeps_its_colour(
    tmp_path: Path, mode: str, colour: Any, suffix: str, expected: tuple[int, int, int]
) -> None:
    path = tmp_path / f"a.{suffix}"
    lossless = {"lossless": True} if suffix == "webp" else {}
    Image.new(mode, (20, 10), colour).save(path, **lossless)  # type: ignore[arg-type]
    pixels = decode(path, (4, 6), 3).reshape(3, -1).T.astype(int)
    assert np.abs(pixels - np.array(expected)).max() <= 2
    grey = decode(path, (4, 6), 1).astype(int)
    assert np.abs(grey - np.dot(expected, [0.299, 0.587, 0.114])).max() <= 2


def test_a_transparent_palette_is_laid_on_white(tmp_path: Path) -> None:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, 90, 80, 70])
    image.save(tmp_path / "index.png", transparency=1)
    image.save(tmp_path / "alphas.png", transparency=b"\xff\x00")
    for name in ("index.png", "alphas.png"):
        assert decode(tmp_path / name, (4, 4), 3).min() == 255


@pytest.mark.parametrize(("mode", "colour"), [("F", 0.5), ("I", 70_000), ("I", -1)])
def test_brightness_that_is_anyones_guess_is_not_guessed(tmp_path: Path, mode: str, colour: float) -> None:
    Image.new(mode, (4, 4), colour).save(tmp_path / "a.tif")
    with pytest.raises(UnreadableError, match="save it with 8 or 16 bits"):
        decode(tmp_path / "a.tif", (4, 4), 1)


def test_a_single_pixel_fills_the_image(tmp_path: Path) -> None:
    Image.new("RGB", (1, 1), (1, 2, 3)).save(tmp_path / "a.png")
    assert decode(tmp_path / "a.png", (3, 3), 3)[:, 1, 1].tolist() == [1, 2, 3]


def test_a_photograph_is_turned_as_the_camera_says(tmp_path: Path) -> None:
    image = Image.new("L", (20, 10))
    image.paste(255, (0, 0, 10, 10))  # left half white
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise to see it upright
    image.save(tmp_path / "a.jpg", exif=exif, quality=95)
    upright = decode(tmp_path / "a.jpg", (20, 10), 1)[0]
    assert upright[:8].min() > 200
    assert upright[12:].max() < 50


def test_a_large_photograph_shrinks_smoothly(tmp_path: Path) -> None:
    board = np.indices((1024, 1024)).sum(0) % 2 * 255  # a fine chequerboard is grey from afar
    Image.fromarray(board.astype(np.uint8)).save(tmp_path / "a.png")
    assert np.abs(decode(tmp_path / "a.png", (16, 16), 1).astype(int) - 127).max() <= 2


@pytest.mark.filterwarnings("ignore")  # Pillow's, of odd metadata
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), suffix=st.sampled_from(["png", "jpg", "gif", "tif", "bmp", "webp"]))
def test_damage_anywhere_in_a_file_is_an_answer_and_not_a_crash(
    tmp_path: Path, data: st.DataObject, suffix: str
) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (12, 12, 3), dtype=np.uint8)).save(path)
    content = bytearray(path.read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=8)):
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    with contextlib.suppress(UnreadableError):  # the only way to fail
        assert decode(path, (8, 8), 3).shape == (3, 8, 8)


def test_links_are_followed_but_round_no_circle(tmp_path: Path) -> None:
    folder(tmp_path / "data")
    folder(tmp_path / "elsewhere", classes=("more",))
    (tmp_path / "data" / "cat" / "more").symlink_to(tmp_path / "elsewhere" / "more")
    (tmp_path / "data" / "cat" / "again").symlink_to(tmp_path / "data" / "cat")
    (tmp_path / "data" / "cat" / "gone.png").symlink_to(tmp_path / "gone.png")
    assert np.bincount(ImageFolder(tmp_path / "data", image_size=4).read().labels).tolist() == [12, 6]


def test_odd_names_do(tmp_path: Path, open_data: Open) -> None:
    names = ('it\'s "a" cat', "two\nlines", "földer é")
    root = folder(tmp_path / "my data's", classes=names)
    (root / os.fsdecode(b"latin \xe9")).mkdir()
    for number in range(6):
        picture(root / os.fsdecode(b"latin \xe9") / os.fsdecode(b"\xff%d.png" % number))
    data = open_data(ImageFolder(root, image_size=4))
    assert set(names) < set(data.class_names)
    assert open_data(ImageFolder(root, image_size=4)).fingerprint == data.fingerprint


def test_a_changed_added_or_renamed_image_is_another_identity(tmp_path: Path) -> None:
    root = folder(tmp_path)
    seen = [ImageFolder(root).identity()]
    (root / "cat" / "0.png").rename(root / "cat" / "zero.png")
    seen.append(ImageFolder(root).identity())
    picture(root / "cat" / "new.png")
    seen.append(ImageFolder(root).identity())
    picture(root / "cat" / "new.png", colour=(200, 100, 0), size=(30, 30))
    seen.append(ImageFolder(root).identity())
    seen.append(ImageFolder(root, image_size=8).identity())
    seen.append(ImageFolder(root, channels=1).identity())
    assert len({str(identity) for identity in seen}) == 6
    assert ImageFolder(root).identity() == seen[3]


def test_a_copy_elsewhere_is_the_same_data(tmp_path: Path) -> None:
    root = folder(tmp_path / "here")
    before = ImageFolder(root).identity()
    root.rename(tmp_path / "there")
    assert ImageFolder(tmp_path / "there").identity() == before
