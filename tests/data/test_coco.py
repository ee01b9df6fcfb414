"""COCO as published: annotations to labels, photographs of any size, and what is wrong with them in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from idealfit.config import Composer
from idealfit.data import COCO
from idealfit.data.split import strata
from idealfit.spec import ConfigError, DataError, Objective
from idealfit.train import preflight

CATEGORIES = [(1, "person"), (18, "dog"), (62, "chair")]  # published numbers have gaps
THINGS = [["person"], ["dog", "person"], [], ["chair"], ["chair", "chair", "dog"]]


def published(root: Path, num_train: int = 40, num_val: int = 10) -> Path:
    """A few photographs in the published layout, with what annotations have beside the labels."""
    noise = np.random.default_rng(0)
    (root / "annotations").mkdir(parents=True)
    numbers = {name: number for number, name in CATEGORIES}
    for part, count in (("train", num_train), ("val", num_val)):
        (root / f"{part}2017").mkdir()
        images, annotations = [], []
        for index in range(count):
            number = 1000 - index  # not in order
            name = f"{number:012d}.jpg"
            pixels = noise.integers(0, 256, (30 + index % 5, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels if index % 7 else pixels[:, :, 0]).save(root / f"{part}2017" / name)
            images.append({"id": number, "file_name": name, "height": 30, "width": 40, "license": 3})
            for thing in THINGS[number % 5]:
                box = {"bbox": [1.0, 2.0, 5.5, 6.5], "area": 35.75, "iscrowd": 0, "segmentation": [[1.0, 2.0, 3.0]]}
                annotations.append({"id": len(annotations), "image_id": number, "category_id": numbers[thing], **box})
        categories = [{"id": i, "name": name, "supercategory": "thing"} for i, name in reversed(CATEGORIES)]
        whole = {"info": {"year": 2017}, "images": images, "annotations": annotations, "categories": categories}
        (root / "annotations" / f"instances_{part}2017.json").write_text(json.dumps(whole))
    return root


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return published(tmp_path_factory.mktemp("coco") / "coco")


def test_annotations_become_labels(root: Path) -> None:
    arrays = COCO(root, image_size=[16, 24]).read()
    assert arrays.class_names == ("person", "dog", "chair")
    assert arrays.images.shape == (40, 3, 16, 24)
    wanted = [[int(name in THINGS[number % 5]) for _, name in CATEGORIES] for number in range(961, 1001)]
    assert arrays.labels.tolist() == wanted
    assert arrays.test_images is not None
    assert arrays.test_labels is not None
    assert len(arrays.test_images) == len(arrays.test_labels) == 10


def test_some_categories_and_images_are_taken(root: Path) -> None:
    arrays = COCO(root, categories=["chair", "person"], per_part=7, channels=1).read()
    assert arrays.class_names == ("chair", "person")
    assert arrays.images.shape == (7, 1, 64, 64)
    assert arrays.labels[:, 0].tolist() == [int("chair" in THINGS[number % 5]) for number in range(961, 968)]


def test_a_network_trains_on_the_labels(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [
        "data=coco",
        f"data.root={root}",
        "data.image_size=16",
        f"data.cache_dir={tmp_path}",
        "trainer.accelerator=cpu",
    ]
    config = Composer("train", [*keys, "task=multi_label", "model=cnn"]).trial_config()
    facts = preflight(config, objective=Objective(metric="val/map"))
    assert facts["class_names"] == ["person", "dog", "chair"]
    assert facts["num_outputs"] == 3
    assert (facts["num_train_images"], facts["num_val_images"], facts["num_test_images"]) == (32, 8, 10)
    for task in (["task=multi_class"], ["task=digit_traits"], ["task=regression"]):
        with pytest.raises(
            DataError, match=r"any number of labels for each image \(person, dog, chair, ...\).*task=multi_label"
        ):
            preflight(Composer("train", [*keys, *task]).trial_config(), objective=Objective())
    with pytest.raises(ConfigError, match="KNN gives each image one class"):
        preflight(Composer("train", [*keys, "task=multi_label", "model=knn"]).trial_config(), objective=Objective())


def test_parts_are_stratified_by_the_rarest_label() -> None:
    labels = np.array([[1, 0, 0]] * 20 + [[1, 1, 0]] * 8 + [[0, 0, 0]] * 6 + [[1, 0, 1]] * 2)
    found, names = strata(labels, ("person", "dog", "chair"))
    assert names == ("person", "dog", "no label"), "two chairs are too few for every part"
    assert found.tolist() == [0] * 20 + [1] * 8 + [2] * 6 + [0] * 2
    few, names = strata(np.eye(3, dtype=np.int64), ("a", "b", "c"))
    assert (few.tolist(), names) == ([0, 0, 0], ("all",))


def damage(root: Path, change: Any) -> None:
    path = root / "annotations" / "instances_train2017.json"
    whole = json.loads(path.read_text())
    change(whole)
    path.write_text(json.dumps(whole))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda whole: whole.pop("images"), "instances_train2017.json holds no annotations as published"),
        (lambda whole: whole["annotations"][0].pop("category_id"), "no annotations as published"),
        (lambda whole: whole["images"][0].update(file_name="../../etc/passwd"), "names no file in"),
        (lambda whole: whole["categories"].pop(), "different categories"),
        (lambda whole: whole["images"][0].update(file_name="missing.jpg"), "1 of 6 images cannot be read.*missing.jpg"),
    ],
)
def test_damage_is_named(change: Any, message: str, tmp_path: Path) -> None:
    root = published(tmp_path / "coco", 6, 2)
    damage(root, change)
    with pytest.raises(DataError, match=message):
        COCO(root).read()


def test_wrong_arguments_are_named(tmp_path: Path, root: Path) -> None:
    with pytest.raises(DataError, match=r"no instances_train2017.json in .*Set data.root to the folder"):
        COCO(tmp_path).identity()
    with pytest.raises(DataError, match=r"no category 'dgo'. Did you mean 'dog'"):
        COCO(root, categories=["dgo", "person"]).read()
    with pytest.raises(DataError, match="channels must be 1"):
        COCO(root, channels=2)
