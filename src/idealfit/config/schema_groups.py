"""The schema of every shipped option of the groups `data model optimizer scheduler loss augment engine`.

Each is the signature of the class that the option builds, with the library's own parameter names; a test compares them.
A YAML file names its schema in its defaults list (`- /schema/model@_here_: mlp`) and gives the values. What comes from
elsewhere (image shape, number of classes, parameters to optimise) is no key.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from idealfit.config.bounds import bounded
from idealfit.config.schema import (
    BinaryConfig,
    EngineConfig,
    KFoldConfig,
    MultiLabelConfig,
    ProtocolConfig,
    RegressionConfig,
    SeedsConfig,
    TaskConfig,
)
from idealfit.config.schema_data import DATA
from idealfit.config.schema_models import MODELS, TargetConfig


@dataclass
class OptimizerConfig(TargetConfig):
    """What every optimizer has."""

    lr: float = bounded(at_least=0)
    weight_decay: float = bounded(at_least=0)


@dataclass
class SGDConfig(OptimizerConfig):
    """`torch.optim.SGD`."""

    momentum: float = bounded(at_least=0)
    dampening: float = MISSING
    nesterov: bool = MISSING


@dataclass
class AdagradConfig(OptimizerConfig):
    """`torch.optim.Adagrad`."""

    lr_decay: float = bounded(at_least=0)
    initial_accumulator_value: float = bounded(at_least=0)
    eps: float = bounded(at_least=0)


@dataclass
class AdadeltaConfig(OptimizerConfig):
    """`torch.optim.Adadelta`."""

    rho: float = bounded(at_least=0, at_most=1)
    eps: float = bounded(at_least=0)


@dataclass
class RMSpropConfig(OptimizerConfig):
    """`torch.optim.RMSprop`."""

    alpha: float = bounded(at_least=0)
    eps: float = bounded(at_least=0)
    momentum: float = bounded(at_least=0)
    centered: bool = MISSING


@dataclass
class AdamConfig(OptimizerConfig):
    """`torch.optim.Adam` and `AdamW`."""

    betas: list[float] = bounded(at_least=0, below=1)  # noqa: RUF009 - a field
    eps: float = bounded(at_least=0)
    amsgrad: bool = MISSING


@dataclass
class StepConfig(TargetConfig):
    """`StepLR`."""

    step_size: int = bounded(at_least=1)
    gamma: float = bounded(above=0)


@dataclass
class ExponentialConfig(TargetConfig):
    """`ExponentialLR`."""

    gamma: float = bounded(above=0)


@dataclass
class PlateauConfig(TargetConfig):
    """`ReduceLROnPlateau`, on the validation loss."""

    factor: float = bounded(above=0, below=1)
    patience: int = bounded(at_least=0)
    threshold: float = bounded(at_least=0)
    cooldown: int = bounded(at_least=0)
    min_lr: float = bounded(at_least=0)


@dataclass
class CosineConfig(TargetConfig):
    """`CosineAnnealingLR`."""

    T_max: int = bounded(at_least=1)
    eta_min: float = bounded(at_least=0)


@dataclass
class OneCycleConfig(TargetConfig):
    """`OneCycleLR`, stepped every batch; `total_steps` comes from the data and the epochs."""

    max_lr: float = bounded(above=0)
    pct_start: float = bounded(at_least=0, at_most=1)
    anneal_strategy: str = bounded(one_of=("cos", "linear"))
    div_factor: float = bounded(above=0)
    final_div_factor: float = bounded(above=0)


@dataclass
class WarmUpConfig(TargetConfig):
    """`train.schedule.WarmUpCosine`, stepped every batch."""

    warm_up: float = bounded(at_least=0, below=1)
    end: float = bounded(at_least=0, at_most=1)


@dataclass
class CrossEntropyConfig(TargetConfig):
    """`CrossEntropyLoss`."""

    label_smoothing: float = bounded(at_least=0, at_most=1)


@dataclass
class HingeConfig(TargetConfig):
    """`MultiMarginLoss`: the multi-class hinge loss."""

    p: int = bounded(at_least=1, at_most=2)
    margin: float = MISSING


@dataclass
class AugmentConfig(TargetConfig):
    """`data.Augment`."""

    rotate_degrees: float = bounded(at_least=0, at_most=180)
    shift_fraction: float = bounded(at_least=0, at_most=1)
    scale: float = bounded(at_least=0, below=1)
    flip_p: float = bounded(at_least=0, at_most=1)
    elastic: float = bounded(0.0, at_least=0, at_most=0.5)
    brightness: float = bounded(0.0, at_least=0, at_most=10)
    contrast: float = bounded(0.0, at_least=0, at_most=1)
    saturation: float = bounded(0.0, at_least=0, at_most=1)
    grey_p: float = bounded(0.0, at_least=0, at_most=1)
    cutout: float = bounded(0.0, at_least=0, at_most=1)
    mixup: float = bounded(0.0, at_least=0, at_most=100)


@dataclass
class SlurmConfig(EngineConfig):
    """`engines.SlurmEngine`."""

    trials_per_job: int = bounded(0, at_least=0)
    time_min: int = bounded(60, at_least=1)
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    cpus: int = bounded(1, at_least=1)
    gpus: int = bounded(0, at_least=0)
    mem_gb: float | None = bounded(None, above=0)
    options: dict[str, Any] = field(default_factory=dict)
    setup: list[str] = field(default_factory=list)
    signal_delay_s: int = bounded(90, at_least=1)
    idle_s: float = bounded(120.0, above=0)


@dataclass
class RayConfig(EngineConfig):
    """`engines.RayEngine`."""

    address: str | None = None
    cpus: int = bounded(1, at_least=1)
    gpus: float = bounded(0.0, at_least=0)
    resources: dict[str, float] = field(default_factory=dict)
    runtime_env: dict[str, Any] = field(default_factory=dict)


@dataclass
class WorkersConfig(EngineConfig):
    """`engines.WorkersEngine`."""

    lease_s: float = bounded(30.0, above=0)


SCHEMAS: dict[str, dict[str, type]] = {
    "data": DATA,
    "model": MODELS,
    "optimizer": {
        "sgd": SGDConfig,
        "adagrad": AdagradConfig,
        "adadelta": AdadeltaConfig,
        "rmsprop": RMSpropConfig,
        "adam": AdamConfig,
    },
    "scheduler": {
        "step": StepConfig,
        "exponential": ExponentialConfig,
        "plateau": PlateauConfig,
        "cosine": CosineConfig,
        "one_cycle": OneCycleConfig,
        "warm_up": WarmUpConfig,
    },
    "loss": {"cross_entropy": CrossEntropyConfig, "plain": TargetConfig, "hinge": HingeConfig},
    "augment": {"affine": AugmentConfig},
    "engine": {"slurm": SlurmConfig, "ray": RayConfig, "workers": WorkersConfig},
    "task": {
        "multi_class": TaskConfig,
        "binary": BinaryConfig,
        "multi_label": MultiLabelConfig,
        "regression": RegressionConfig,
    },
    "protocol": {"holdout": ProtocolConfig, "kfold": KFoldConfig, "seeds": SeedsConfig},
}
"""By group and by the name that YAML files use: `- /schema/GROUP@_here_: NAME`."""
