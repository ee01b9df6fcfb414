"""What of a network, estimator or module can be seen not to fit before anything runs."""

from __future__ import annotations

import lightning.pytorch as pl
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch import nn

from idealfit.config.schema import TrainerConfig
from idealfit.data import BRIGHTNESS
from idealfit.models.estimators import KNN, Estimator
from idealfit.spec import JSON, ConfigError
from idealfit.tasks import BINARY, MULTI_CLASS, Task
from idealfit.train.freezing import Start


def check_net(net: nn.Module) -> None:
    """Check what can be seen without running it.

    Raises:
        ConfigError: It is a LightningModule of another package, or one that cannot train itself.
    """
    name = type(net).__name__
    if isinstance(net, pl.LightningModule):
        if type(net).training_step is pl.LightningModule.training_step:
            raise ConfigError(f"model {name}: a LightningModule needs a training_step; a plain network is an nn.Module")
    elif callable(getattr(net, "training_step", None)):
        raise ConfigError(f"model {name} has a training_step but is no LightningModule: import lightning.pytorch as pl")


def check_own_module(net: pl.LightningModule, trainer: TrainerConfig) -> None:
    """Refuse what only idealfit's own training step does.

    Raises:
        ConfigError: It is asked for.
    """
    ours = {
        "trainer.l1": trainer.l1 > 0,
        "trainer.max_norm": trainer.max_norm is not None,
        "trainer.compile": trainer.compile != "none",
    }
    for key, is_asked in ours.items():
        if is_asked:
            raise ConfigError(f"{key}: model {type(net).__name__} has a training_step of its own: do it there")


def check_task(config: JSON, augment: nn.Module | None) -> None:
    """Check that augmentation leaves what is learned as it is.

    Raises:
        ConfigError: It would change it.
    """
    if augment is not None and (config.get("task") or {}).get("target") == BRIGHTNESS:
        raise ConfigError(
            "task.target=brightness is measured on an image as it is, and augmentation changes it: take augment=none"
        )


def check_own_data(module: pl.LightningDataModule, task: Task) -> None:
    """Refuse to make targets of the labels of a data module, which idealfit sees batch by batch.

    Raises:
        ConfigError: The task needs other targets.
    """
    if task.name != MULTI_CLASS:
        raise ConfigError(
            f"task={task.name}: data {type(module).__name__} is a data module of its own, and idealfit makes targets "
            "of the images of its own data sets only. Take task=multi_class, or an ImageSource in the module's place."
        )


def check_estimator(net: Estimator, augment: nn.Module | None, trainer: TrainerConfig, task: Task) -> None:
    """Refuse what only a network can use.

    Raises:
        ConfigError: It is asked for.
    """
    name = type(net).__name__
    if task.name not in (MULTI_CLASS, BINARY):
        raise ConfigError(
            f"model {name} gives each image one class, and {task.row}. Take a network, or task=multi_class or binary"
        )
    if augment is not None:
        raise ConfigError(f"model {name} sees each training image once, as it is: take augment=none")
    if trainer.attack.epsilon:
        raise ConfigError(f"model {name} has no gradient to attack it by: take trainer.attack.epsilon=0")
    if trainer.devices > 1:
        raise ConfigError(f"model {name} is fitted by one process: take trainer.devices=1")


def check_start(start: Start, net: nn.Module, trainer: TrainerConfig) -> None:
    """Refuse what this training can't do with a frozen or slower body.

    Raises:
        ConfigError: It is asked for.
    """
    if start.thaw_epoch is not None and start.thaw_epoch >= trainer.max_epochs:
        raise ConfigError(
            f"model.thaw_epoch={start.thaw_epoch}: training ends after trainer.max_epochs={trainer.max_epochs}, and "
            "epochs count from 0"
        )
    if start.thaw_epoch is not None and trainer.devices > 1:
        raise ConfigError(
            "model.thaw_epoch: devices agree before the first epoch on which gradients they share: take "
            "trainer.devices=1, or no thaw_epoch"
        )
    key = "thaw_epoch" if start.thaw_epoch is not None else "body_lr_factor" if start.body_lr_factor != 1.0 else ""
    if key and isinstance(net, pl.LightningModule) and is_overridden("configure_optimizers", net):
        raise ConfigError(f"model.{key}: model {type(net).__name__} makes its own optimizer: do it there")


def check_look(net: nn.Module, task: Task) -> None:
    """Refuse to look inside what shows nothing.

    Raises:
        ConfigError: It has neither a gradient nor neighbours, or images have no class that pixels could count for.
    """
    name = type(net).__name__
    if not task.is_of_classes:
        raise ConfigError(f"trainer.look: task={task.name} gives no class that pixels could count for")
    if isinstance(net, Estimator) and (not isinstance(net, KNN) or net.body is not None):
        raise ConfigError(f"trainer.look: model {name} has neither a gradient nor images as neighbours")
