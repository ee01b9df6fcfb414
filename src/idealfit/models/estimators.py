"""Classifiers that are fitted to all training images in one go: nearest neighbours, and scikit-learn's.

They look at pixels, or at the features that a trained network, frozen, makes of them.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from idealfit.models._parts import check_knobs
from idealfit.models.frozen import Frozen
from idealfit.spec import ConfigError, nearest

DISTANCES = {"l1": 1.0, "l2": 2.0}
KERNELS = ("linear", "poly", "rbf", "sigmoid")
FEATURES = ("sqrt", "log2", "all")
LEAST = 1e-6  # a probability of 0 has no logarithm
PIECE = 1024  # images that a network makes features of at a time


class Estimator(nn.Module):
    """A classifier without gradient: `fit` once, then images `[B, C, H, W]` to logits `[B, num_classes]`.

    One logit means two classes: it is that of the second minus that of the first.

    What it has learned is a function of the images that it saw and of its seed, so its state dict is these, and nothing
    is pickled: loading it fits it again.

    Attributes:
        body: Makes features of images; None: the pixels are the features. `images` then holds these.
    """

    body: Frozen | None
    images: Tensor
    labels: Tensor
    seed: Tensor

    def __init__(self, image_shape: tuple[int, int, int], num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.body = None
        self.register_buffer("images", torch.empty(0, *image_shape))
        self.register_buffer("labels", torch.empty(0, dtype=torch.int64))
        self.register_buffer("seed", torch.randint(2**31 - 1, ()))

    def fit(self, images: Tensor, labels: Tensor) -> None:
        """Learn float images `[N, C, H, W]` with their labels `[N]`, or with targets 0 and 1 `[N, 1]`."""
        with torch.no_grad():
            self.images = self.seen(images)
        self.labels = labels[:, 0].long() if labels.ndim == 2 else labels
        self._learn()

    @property
    def num_told(self) -> int:
        """Classes that are told apart."""
        return max(2, self.num_classes)

    def seen(self, images: Tensor) -> Tensor:
        """What it looks at: `[B, C, H, W]` as they are, or their features `[B, F]`."""
        if self.body is None:
            return images
        return torch.cat([self.body(piece) for piece in torch.split(images, PIECE)])

    def forward(self, images: Tensor) -> Tensor:
        """Images `[B, C, H, W]` to logits `[B, num_classes]`."""
        logits = self.logits(self.seen(images))
        return logits if self.num_classes > 1 else logits[:, 1:] - logits[:, :1]

    @abstractmethod
    def logits(self, images: Tensor) -> Tensor:
        """Images or their features to a logit for each class that is told apart."""

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Fit again to the images in `state_dict`."""
        device = self.images.device
        if self.body is not None:
            weights = {key.removeprefix("body."): value for key, value in state_dict.items() if key.startswith("body.")}
            self.body.load_state_dict(weights)
        self.seed = state_dict["seed"].to(device)
        self.images, self.labels = state_dict["images"].to(device), state_dict["labels"].to(device)
        self._learn()
        return torch.nn.modules.module._IncompatibleKeys([], [])

    @abstractmethod
    def _learn(self) -> None:
        """Learn `images` and `labels`."""


@final
class KNN(Estimator):
    """k-nearest neighbours: each image gets the class that most of the `k` training images nearest to it have.

    Logits are logarithms of the shares of the votes. Of classes with as many votes the first one wins. On a CPU faiss
    searches, where it is installed.

    Args:
        image_shape: Channels, height, width.
        num_classes: Number of logits.
        k: Neighbours that vote.
        distance: l1 (sum of absolute differences of the pixels) or l2 (root of the sum of their squares).
    """

    def __init__(
        self, *, image_shape: tuple[int, int, int], num_classes: int, k: int = 5, distance: str = "l2"
    ) -> None:
        super().__init__(image_shape, num_classes)
        check_knobs(self, k=k)
        if distance not in DISTANCES:
            raise ConfigError(f"KNN: distance must be l1 or l2, but got {distance!r}")
        self.k = k
        self.distance = distance
        self._index: Any = None

    def _learn(self) -> None:
        if len(self.labels) < self.k:
            raise ConfigError(f"KNN: k={self.k} neighbours are more than the {len(self.labels)} training images")
        self._index = None if self.images.is_cuda else _faiss_index(self.images.flatten(1), self.distance)

    def logits(self, images: Tensor) -> Tensor:
        """See `Estimator`."""
        return self.votes(images).add(LEAST).log()

    def votes(self, images: Tensor) -> Tensor:
        """Float `[B, num_told]`: the share of the neighbours that have each class."""
        if not len(self.labels):  # before it is fitted every class is as likely
            return torch.full((len(images), self.num_told), 1.0 / self.num_told, device=images.device)
        neighbours = self.labels[self._nearest(images.flatten(1))]
        return nn.functional.one_hot(neighbours, self.num_told).sum(dim=1) / self.k

    def _nearest(self, points: Tensor) -> Tensor:
        """Places `[B, k]` among the training images of those nearest to `points` `[B, F]`."""
        if self._index is not None and not torch.compiler.is_compiling():  # an exported network needs no faiss
            places: Tensor = torch.from_numpy(self._index.search(points.cpu().numpy(), self.k)[1])
            return places
        # One formula for batches of all sizes, so that it can be exported.
        mode = "use_mm_for_euclid_dist"
        distances = torch.cdist(points, self.images.flatten(1), p=DISTANCES[self.distance], compute_mode=mode)
        return distances.topk(self.k, largest=False).indices


def _faiss_index(points: Tensor, distance: str) -> Any:
    """An exact index of `points` `[N, F]`; None where faiss is not installed."""
    try:
        import faiss
    except ImportError:
        return None
    index = faiss.IndexFlat(points.shape[1], faiss.METRIC_L1 if distance == "l1" else faiss.METRIC_L2)
    index.add(points.float().numpy())
    return index


class SklearnEstimator(Estimator):
    """One of scikit-learn's classifiers, on the pixels or features."""

    name: ClassVar[str]

    def __init__(self, image_shape: tuple[int, int, int], num_classes: int) -> None:
        super().__init__(image_shape, num_classes)
        self._fitted: Any = None

    @abstractmethod
    def make(self, seed: int) -> Any:
        """A fresh estimator."""

    @abstractmethod
    def score(self, fitted: Any, pixels: NDArray[np.float32]) -> NDArray[np.float64]:
        """Logits `[B, number of classes that were seen]` for pixels `[B, C * H * W]`."""

    def _learn(self) -> None:
        labels = self.labels.cpu().numpy()
        if len(np.unique(labels)) < 2:
            raise ConfigError(f"{self.name} needs training images of two classes at least")
        self._fitted = self.make(int(self.seed)).fit(self.images.flatten(1).cpu().numpy(), labels)

    def logits(self, images: Tensor) -> Tensor:
        """See `Estimator`; a class that was never seen gets the least."""
        if self._fitted is None:
            return torch.zeros(len(images), self.num_told, device=images.device)
        scores = self.score(self._fitted, images.flatten(1).cpu().float().numpy())
        logits = np.full((len(images), self.num_told), min(math.log(LEAST), float(scores.min()) - 1.0), np.float32)
        logits[:, self._fitted.classes_] = scores
        return torch.from_numpy(logits).to(images.device)


@final
class SVM(SklearnEstimator):
    """scikit-learn's support vector machine; logits are its margins, one class against the rest.

    Its time grows with the square of the number of images: for thousands, not for tens of thousands.

    Args:
        image_shape: Channels, height, width.
        num_classes: Number of logits.
        c: Weight of what lies on the wrong side of the margin.
        kernel: linear, poly, rbf or sigmoid.
        gamma: Of the kernels but linear; None: 1 over the number of pixels or features times their variance.
    """

    name = "SVM"

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int],
        num_classes: int,
        c: float = 1.0,
        kernel: str = "rbf",
        gamma: float | None = None,
    ) -> None:
        super().__init__(image_shape, num_classes)
        if kernel not in KERNELS:
            raise ConfigError(f"SVM: unknown kernel {kernel!r}. {nearest(kernel, KERNELS)}".strip())
        self.options = {"C": c, "kernel": kernel, "gamma": "scale" if gamma is None else gamma}

    def make(self, seed: int) -> Any:
        """See `SklearnEstimator`."""
        from sklearn.svm import SVC

        return SVC(**self.options, random_state=seed)

    def score(self, fitted: Any, pixels: NDArray[np.float32]) -> NDArray[np.float64]:
        """See `SklearnEstimator`."""
        margins = np.asarray(fitted.decision_function(pixels))
        return np.stack([-margins, margins], axis=1) if margins.ndim == 1 else margins


@final
class Forest(SklearnEstimator):
    """scikit-learn's random forest; logits are logarithms of its probabilities.

    Args:
        image_shape: Channels, height, width.
        num_classes: Number of logits.
        trees: Number of trees.
        depth: Most splits from the root to a leaf; None: until each leaf is pure.
        features: Pixels or features that each split may choose from: their square root, logarithm, or all.
    """

    name = "Forest"

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int],
        num_classes: int,
        trees: int = 100,
        depth: int | None = None,
        features: str = "sqrt",
    ) -> None:
        super().__init__(image_shape, num_classes)
        check_knobs(self, trees=trees, **({} if depth is None else {"depth": depth}))
        if features not in FEATURES:
            raise ConfigError(f"Forest: features must be one of {', '.join(FEATURES)}, but got {features!r}")
        self.options = {
            "n_estimators": trees,
            "max_depth": depth,
            "max_features": None if features == "all" else features,
        }

    def make(self, seed: int) -> Any:
        """See `SklearnEstimator`."""
        from sklearn.ensemble import RandomForestClassifier

        return RandomForestClassifier(**self.options, random_state=seed, n_jobs=torch.get_num_threads())

    def score(self, fitted: Any, pixels: NDArray[np.float32]) -> NDArray[np.float64]:
        """See `SklearnEstimator`."""
        probabilities: NDArray[np.float64] = np.log(fitted.predict_proba(pixels) + LEAST)
        return probabilities
