"""The tasks: what a network says of a picture, its last layer, the losses that fit it, and its metrics.

The table is that of lectures on deep learning (e.g. Goodfellow et al., "Deep learning", 2016, section 6.2.2): what is
learned decides the last layer's activation, and with it the loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from idealfit.spec import ConfigError, nearest

MULTI_CLASS, BINARY, MULTI_LABEL = "multi_class", "binary", "multi_label"
REGRESSION, UNIT_REGRESSION = "regression", "unit_regression"
LOSS_OPTIONS = {
    "CrossEntropyLoss": "cross_entropy",
    "BCEWithLogitsLoss": "bce",
    "MultiMarginLoss": "hinge",
    "MSELoss": "mse",
    "L1Loss": "l1",
}
"""The option of the group `loss` that builds each class of `torch.nn`."""
_TORCH_NN = "torch.nn."


@dataclass(frozen=True, kw_only=True)
class Task:
    """One row of the table.

    Attributes:
        outputs: How many numbers the last layer gives.
        activation: What is made of them.
        loss: The loss by default, in words.
        losses: Classes of `torch.nn` that fit, the default first; None: any that takes logits and labels.
        metrics: What every epoch measures beside the loss.
        more: What it measures where it is asked for.
        objective: The metric that a study optimises unless it names another one.
        is_of_classes: Whether each picture belongs to one class.
    """

    name: str
    outputs: str
    activation: str
    loss: str
    losses: tuple[str, ...] | None
    metrics: tuple[str, ...]
    more: tuple[str, ...] = ()
    objective: str
    is_of_classes: bool = False

    @property
    def row(self) -> str:
        """The row in a sentence, for messages."""
        return f"task={self.name} has {self.outputs} with {self.activation}, and its loss is {self.loss}"

    @property
    def loss_options(self) -> list[str]:
        """The options of the group `loss` that fit; of a task that takes any, all."""
        return [option for name, option in LOSS_OPTIONS.items() if self.losses is None or name in self.losses]

    def refusal(self, target: str) -> str:
        """Why the loss of class `target` contradicts the task, and what to take; "" where it fits.

        A loss of the user's own is let through: it is tried before anything trains.
        """
        package, _, name = target.rpartition(".")
        if self.losses is None or not f"{package}.".startswith(_TORCH_NN) or name in self.losses:
            return ""
        instead = " or ".join(f"loss={LOSS_OPTIONS[each]}" for each in self.losses if each in LOSS_OPTIONS)
        return f"{name} contradicts the task: {self.row}. Take {instead}"


_OF_CLASSES = ("precision", "recall", "f1", "roc_auc", "pr_auc", "calibration_error")
_ERRORS = ("mae", "mse", "r2")

TASKS = {
    task.name: task
    for task in (
        Task(
            name=MULTI_CLASS,
            outputs="one output for each class",
            activation="softmax",
            loss="categorical cross-entropy",
            losses=None,
            metrics=("accuracy", "top5_accuracy"),
            more=_OF_CLASSES,
            objective="val/accuracy",
            is_of_classes=True,
        ),
        Task(
            name=BINARY,
            outputs="one output",
            activation="sigmoid",
            loss="binary cross-entropy",
            losses=("BCEWithLogitsLoss",),
            metrics=("accuracy",),
            more=_OF_CLASSES,
            objective="val/accuracy",
            is_of_classes=True,
        ),
        Task(
            name=MULTI_LABEL,
            outputs="one output for each label",
            activation="sigmoid of each",
            loss="binary cross-entropy",
            losses=("BCEWithLogitsLoss", "MultiLabelSoftMarginLoss"),
            metrics=("accuracy", "exact_match", "f1"),
            more=("precision", "recall", "roc_auc", "map"),
            objective="val/f1",
        ),
        Task(
            name=REGRESSION,
            outputs="one output",
            activation="no activation (linear)",
            loss="squared error",
            losses=("MSELoss", "L1Loss", "SmoothL1Loss", "HuberLoss"),
            metrics=_ERRORS,
            objective="val/r2",
        ),
        Task(
            name=UNIT_REGRESSION,
            outputs="one output",
            activation="sigmoid",
            loss="binary cross-entropy or squared error",
            losses=("BCEWithLogitsLoss", "MSELoss", "L1Loss", "SmoothL1Loss", "HuberLoss"),
            metrics=_ERRORS,
            objective="val/r2",
        ),
    )
}
"""By the name that `task.name` has in a config."""


def task_of(config: Mapping[str, Any]) -> Task:
    """The task of a config; one that names none tells classes apart.

    Raises:
        ConfigError: There is no such task.
    """
    name = (config.get("task") or {}).get("name", MULTI_CLASS)
    if name not in TASKS:
        raise ConfigError(f"task.name: there is no task {name!r}. {nearest(str(name), TASKS)}")
    return TASKS[name]


def is_default(node: Mapping[str, Any]) -> bool:
    """Whether the `task` node of a config says nothing beyond what a config without one means."""
    return node.get("name") == MULTI_CLASS and not node.get("metrics")
