"""The schema of every shipped data set; see `schema_groups`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from omegaconf import MISSING

from idealfit.config.bounds import bounded
from idealfit.config.schema import MAX_SEED
from idealfit.config.schema_models import TargetConfig


@dataclass
class DataConfig(TargetConfig):
    """What every data set has; `conf/train.yaml` gives the values."""

    batch_size: int = bounded(at_least=1)
    val_fraction: float = bounded(above=0, below=1)
    test_fraction: float = bounded(above=0, below=1)
    split_seed: int = bounded(at_least=0, at_most=MAX_SEED)
    limit: int | None = bounded(at_least=1)
    cache_dir: str = MISSING


@dataclass
class PublishedConfig(DataConfig):
    """MNIST, Fashion-MNIST, KMNIST, CIFAR, SVHN: published files, with a test set of their own."""

    root: str = MISSING
    download: bool = MISSING


@dataclass
class QuickDrawConfig(DataConfig):
    """Quick, Draw! bitmaps: a file for each category."""

    root: str = MISSING
    categories: list[str] | None = MISSING
    per_class: int | None = bounded(at_least=1)


@dataclass
class StrokesConfig(QuickDrawConfig):
    """Quick, Draw! drawings as sequences."""

    max_points: int = bounded(at_least=2)


@dataclass
class RasterConfig(QuickDrawConfig):
    """Quick, Draw! drawings as pictures of any size."""

    side: int = bounded(at_least=8)


@dataclass
class ImageFolderConfig(DataConfig):
    """A folder for each class."""

    root: str = MISSING
    image_size: Any = bounded(at_least=1)  # noqa: RUF009 - one number, or height and width
    channels: int = MISSING
    categories: list[str] | None = MISSING
    per_class: int | None = bounded(at_least=1)
    test_folder: str = MISSING


@dataclass
class COCOConfig(DataConfig):
    """COCO: photographs with any number of labels."""

    root: str = MISSING
    year: int = MISSING
    image_size: Any = bounded(at_least=1)  # noqa: RUF009 - one number, or height and width
    channels: int = MISSING
    categories: list[str] | None = MISSING
    per_part: int | None = bounded(at_least=1)


@dataclass
class TIMITConfig(DataConfig):
    """TIMIT: phones as log-mel pictures."""

    root: str = MISSING
    num_mels: int = bounded(at_least=8)
    num_frames: int = bounded(at_least=4)
    fold: bool = MISSING
    dialect_sentences: bool = MISSING


DATA: dict[str, type] = {
    "digits": DataConfig,
    "published": PublishedConfig,
    "quickdraw": QuickDrawConfig,
    "strokes": StrokesConfig,
    "raster": RasterConfig,
    "image_folder": ImageFolderConfig,
    "coco": COCOConfig,
    "timit": TIMITConfig,
}
