"""Whitening that is fitted to the training part, and to nothing else."""

from __future__ import annotations

import torch

from idealfit.data import ImageData, TrainingData
from idealfit.models.whitening import Whitening
from idealfit.spec import ConfigError


def fit_whitening(whitening: Whitening, data: TrainingData) -> None:
    """Fit it to the training images, un-augmented.

    Raises:
        ConfigError: A data module of the user's own does not give them.
    """
    if not isinstance(data, ImageData):
        raise ConfigError("model.zca_epsilon: a data module of your own does not give training images as they are")
    whitening.fit(data.train_pixels(), torch.tensor(data.mean), torch.tensor(data.std))
