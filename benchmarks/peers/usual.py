"""The Lightning code that the documentation of Lightning, torchvision and torchmetrics adds up to.

Every peer tunes this module: the same MNIST images, network and optimizer that idealfit is given. All options that the
documentation does not mention are left as they are.
"""

# ruff: noqa: D102 - Lightning says what its hooks are for
from __future__ import annotations

import os
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
import torchmetrics
from lightning.pytorch.loggers import MLFlowLogger
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset
from torchvision import datasets, transforms

from idealfit.models import MLP

ROOT = os.environ.get("PEER_DATA", "data")
SPLIT = os.environ.get("PEER_SPLIT", "split.npz")  # which images train and validate
NUM_TRIALS = int(os.environ.get("PEER_TRIALS", "20"))
NUM_EPOCHS = int(os.environ.get("PEER_EPOCHS", "2"))
SEED = int(os.environ.get("PEER_SEED", "0"))
IS_PRUNED = os.environ.get("PEER_PRUNED", "") == "1"
BATCH_SIZE = 128


def perceptron(depth: int, dropout: float) -> MLP:
    """The network of idealfit, initial weights included, with torch's dropout, as its users write it."""
    net = MLP(image_shape=(1, 28, 28), num_classes=10, depth=depth, width=128, dropout=dropout)
    for index, layer in enumerate(net.layers):
        if isinstance(layer, nn.Dropout):
            net.layers[index] = nn.Dropout(layer.p)
    return net


class LitClassifier(pl.LightningModule):
    """A perceptron with `depth` hidden layers of 128 units."""

    def __init__(self, lr: float, dropout: float, depth: int) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.net = perceptron(depth, dropout)
        self.loss = nn.CrossEntropyLoss()
        self.train_accuracy = torchmetrics.Accuracy(task="multiclass", num_classes=10)
        self.val_accuracy = torchmetrics.Accuracy(task="multiclass", num_classes=10)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        images, labels = batch
        logits = self.net(images)
        loss: Tensor = self.loss(logits, labels)
        self.train_accuracy(logits, labels)
        self.log("train_loss", loss)
        self.log("train_acc", self.train_accuracy, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        images, labels = batch
        logits = self.net(images)
        self.val_accuracy(logits, labels)
        self.log("val_loss", self.loss(logits, labels), prog_bar=True)
        self.log("val_acc", self.val_accuracy, prog_bar=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=self.hparams["lr"])


class MNISTData(pl.LightningDataModule):
    """MNIST as torchvision reads it, the parts as the benchmark says."""

    def setup(self, stage: str) -> None:
        transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
        full = datasets.MNIST(ROOT, train=True, transform=transform)
        parts = np.load(SPLIT)
        self.train, self.val = Subset(full, parts["train"]), Subset(full, parts["val"])

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.train, batch_size=BATCH_SIZE, shuffle=True)

    def val_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.val, batch_size=BATCH_SIZE)


def mlflow_logger() -> MLFlowLogger:
    """One run of MLflow for each trial; its own default, a folder, is refused by MLflow 3."""
    return MLFlowLogger(experiment_name="peers", tracking_uri="sqlite:///mlflow.db")


def tell(score: float) -> float:
    """Say how a trial ended, for the benchmark to read."""
    print(f"SCORE {score}", flush=True)
    return score
