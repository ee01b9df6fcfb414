"""The schema of every shipped network; see `schema_groups`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from idealfit.config.bounds import bounded


@dataclass
class TargetConfig:
    """A class to build, by its dotted name."""

    _target_: str = MISSING


@dataclass
class ModelConfig(TargetConfig):
    """What every network has; `conf/train.yaml` gives the values."""

    weights: str | None = MISSING
    new_head: bool = MISSING
    freeze: str = MISSING
    thaw_epoch: int | None = bounded(at_least=1)
    body_lr_factor: float = bounded(above=0, at_most=1)
    zca_epsilon: float | None = bounded(above=0)


@dataclass
class LayersConfig(ModelConfig):
    """What `models.MLP` and `models.CNN` share."""

    depth: int = bounded(at_least=1)
    width: int = bounded(at_least=1)
    dropout: float = bounded(at_least=0, below=1)
    activation: str = MISSING
    batch_norm: bool = MISSING
    norm_after: bool = MISSING


@dataclass
class MLPConfig(LayersConfig):
    """`models.MLP`."""

    residual: bool = MISSING


@dataclass
class PretrainConfig:
    """`models.rbm.Pretraining`."""

    epochs: int = bounded(at_least=0)
    visible: str = bounded(one_of=("binary", "gaussian"))
    cd_steps: int = bounded(at_least=1)
    lr: float = bounded(above=0)
    momentum: float = bounded(at_least=0, below=1)
    weight_decay: float = bounded(at_least=0)


@dataclass
class DBNConfig(ModelConfig):
    """`models.DBN`."""

    depth: int = bounded(at_least=1)
    width: int = bounded(at_least=1)
    dropout: float = bounded(at_least=0, below=1)
    pretrain: PretrainConfig = field(default_factory=PretrainConfig)


@dataclass
class CNNConfig(LayersConfig):
    """`models.CNN`."""

    kernel_size: int = bounded(at_least=1)


@dataclass
class LeNetConfig(ModelConfig):
    """`models.LeNet`."""

    dropout: float = bounded(at_least=0, below=1)
    activation: str = MISSING


@dataclass
class ResNetConfig(ModelConfig):
    """`models.ResNet`."""

    depth: int = bounded(at_least=1)
    dropout: float = bounded(at_least=0, below=1)


@dataclass
class DropoutConfig(ModelConfig):
    """`models.Linear`, `AlexNet`, `GoogLeNet`: their sizes are given."""

    dropout: float = bounded(at_least=0, below=1)


@dataclass
class VGGConfig(ResNetConfig):
    """`models.VGG`."""

    batch_norm: bool = MISSING


@dataclass
class RNNConfig(ModelConfig):
    """`models.RNN`."""

    cell: str = bounded(one_of=("rnn", "lstm", "gru"))
    depth: int = bounded(at_least=1)
    width: int = bounded(at_least=1)
    dropout: float = bounded(at_least=0, below=1)
    both_ways: bool = MISSING


@dataclass
class EstimatorConfig(ModelConfig):
    """What every estimator has."""

    body: Any = MISSING


@dataclass
class KNNConfig(EstimatorConfig):
    """`models.KNN`."""

    k: int = bounded(at_least=1)
    distance: str = bounded(one_of=("l1", "l2"))


@dataclass
class SVMConfig(EstimatorConfig):
    """`models.SVM`."""

    c: float = bounded(above=0)
    kernel: str = bounded(one_of=("linear", "poly", "rbf", "sigmoid"))
    gamma: float | None = bounded(above=0)


@dataclass
class ForestConfig(EstimatorConfig):
    """`models.Forest`."""

    trees: int = bounded(at_least=1)
    depth: int | None = bounded(at_least=1)
    features: str = bounded(one_of=("sqrt", "log2", "all"))


MODELS: dict[str, type] = {
    "linear": DropoutConfig,
    "mlp": MLPConfig,
    "dbn": DBNConfig,
    "cnn": CNNConfig,
    "lenet": LeNetConfig,
    "resnet": ResNetConfig,
    "alexnet": DropoutConfig,
    "vgg": VGGConfig,
    "googlenet": DropoutConfig,
    "rnn": RNNConfig,
    "knn": KNNConfig,
    "svm": SVMConfig,
    "forest": ForestConfig,
}
