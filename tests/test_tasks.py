"""The table of tasks: each has its last layer, its losses and metrics, and says so where a config contradicts it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from idealfit.config import Composer, group_options
from idealfit.objective import natural_direction
from idealfit.spec import ConfigError
from idealfit.study.objective import default_objective
from idealfit.tasks import LOSS_OPTIONS, TASKS, task_of
from idealfit.train.task import make_criterion

DEFAULT_LOSSES = {
    "multi_class": "cross_entropy",
    "binary": "bce",
    "multi_label": "bce",
    "regression": "mse",
    "unit_regression": "bce",
}


def test_every_task_is_an_option() -> None:
    assert set(TASKS) == set(DEFAULT_LOSSES)
    assert set(TASKS) < set(group_options("task"))


@pytest.mark.parametrize("name", TASKS)
def test_the_loss_follows_the_task_unless_it_is_chosen(name: str) -> None:
    config = Composer("train", [f"task={name}"]).trial_config()
    loss = config["loss"]["_target_"].rpartition(".")[2]
    assert LOSS_OPTIONS[loss] == DEFAULT_LOSSES[name]
    assert task_of(config) is TASKS[name]
    if "task" in config:
        assert config["task"]["name"] == name
    other = next((option for option in TASKS[name].loss_options if option != DEFAULT_LOSSES[name]), None)
    if other:
        chosen = Composer("train", [f"task={name}", f"loss={other}"]).trial_config()["loss"]["_target_"]
        assert LOSS_OPTIONS[chosen.rpartition(".")[2]] == other
        searched = Composer("train", [f"task={name}"]).trial_config({"loss": other})["loss"]["_target_"]
        assert searched == chosen


def test_a_config_without_a_task_is_that_of_classes() -> None:
    assert "task" not in Composer("train").trial_config(), "records of before stay the same question"
    assert "task" in Composer("train", ["task.metrics=[f1]"]).trial_config()


@pytest.mark.parametrize(
    ("task", "loss"),
    [(name, loss) for name, task in TASKS.items() for loss in group_options("loss") if loss not in task.loss_options],
)
def test_a_contradicting_loss_is_refused_with_the_row_of_the_table(task: str, loss: str) -> None:
    message = rf"task={task} has one output.*{TASKS[task].loss}. Take loss={DEFAULT_LOSSES[task]}"
    with pytest.raises(ConfigError, match=message):
        Composer("train", [f"task={task}", f"loss={loss}"])


def test_only_the_table_refuses_a_loss() -> None:
    """A config that was never composed is refused too; a loss of one's own is tried instead."""
    with pytest.raises(ConfigError, match="loss CrossEntropyLoss contradicts the task: task=binary"):
        make_criterion(torch.nn.CrossEntropyLoss(), 2, TASKS["binary"])
    assert TASKS["binary"].refusal("mylosses.FocalLoss") == ""
    with pytest.raises(ConfigError, match=r"there is no task 'binery'. Did you mean 'binary'"):
        task_of({"task": {"name": "binery"}})


@pytest.mark.parametrize("name", TASKS)
def test_every_task_has_a_metric_to_optimise(name: str) -> None:
    task = TASKS[name]
    assert task.objective.removeprefix("val/") in task.metrics
    objective = default_objective({"task": {"name": name}})
    assert (objective.metric, objective.direction) == (task.objective, natural_direction(task.objective))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("task=regresion", r"there is no task 'regresion'.*Did you mean 'regression'"),
        ("task.positive=[1]", r"there is no key 'task.positive'"),
        ("task.metrics=[f2]", r"task.metrics can't hold 'f2'; task=multi_class has: precision.*Did you mean 'f1'"),
        ("task.name=ranking", r"task.name must be one of multi_class, binary"),
    ],
)
def test_a_misspelt_task_is_named(override: str, message: str, in_tmp_dir: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        Composer("train", [override])
