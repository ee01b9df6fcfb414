"""Every shipped option composes with every other, and says exactly what its class takes."""

from __future__ import annotations

import inspect
import itertools
import random
from typing import Any

import pytest
import torch
from hydra.utils import get_class

from idealfit.config import Composer, config_names, group_options
from idealfit.config.compose import TRIAL_GROUPS
from idealfit.config.schema_groups import SCHEMAS
from idealfit.data import DATA_KEYS, ImageSource
from idealfit.space import Space
from idealfit.train.transfer import BODY, MODEL_KEYS

GROUPS = [group for group in SCHEMAS if group in TRIAL_GROUPS]
OPTIONS = [(group, option) for group in GROUPS for option in group_options(group)]
FIXED = ["data.root=pictures"]  # a folder of one's own has no default place
ELSEWHERE = {"image_shape", "num_classes", "params", "optimizer", "total_steps", "cycle_momentum", "mode", "verbose"}
NEVER_NEEDED = {  # knobs of torch's classes that no YAML file sets; +KEY=VALUE adds them
    *("foreach", "maximize", "differentiable", "fused", "capturable", "decoupled_weight_decay", "last_epoch"),
    *("threshold_mode", "eps", "epochs", "steps_per_epoch", "base_momentum", "max_momentum", "three_phase"),
    *("weight", "size_average", "ignore_index", "reduce", "reduction", "pos_weight"),
}


@pytest.fixture(scope="module")
def nodes() -> dict[tuple[str, str], Any]:
    """The node of each option, composed in a run of defaults; all other nodes must be the defaults'."""
    composer, pictures = Composer(), Composer("train", ["data=image_folder", *FIXED])
    base = composer.trial_config()
    found = {}
    for group, option in OPTIONS:
        config = (pictures if option == "image_folder" else composer).trial_config({group: option})
        found[group, option] = config.pop(group)
        assert config == {key: value for key, value in base.items() if key != group}, f"{group}={option} moves others"
    return found


def test_any_choice_composes_with_any_other(nodes: dict[tuple[str, str], Any]) -> None:
    """No option touches another group (see `nodes`), so the matrix is the product; a sample is composed for real."""
    matrix = list(itertools.product(*(group_options(group) for group in GROUPS)))
    assert len(matrix) == 14 * 13 * 8 * 7 * 5 * 7
    composer = Composer("train", ["data=image_folder", *FIXED])
    for choice in random.Random(0).sample([row for row in matrix if row[0] == "image_folder"], 12):
        config = composer.trial_config(dict(zip(GROUPS, choice, strict=True)))
        assert {group: config[group] for group in GROUPS} == {
            group: _following(nodes[group, option], config) for group, option in zip(GROUPS, choice, strict=True)
        }


def _following(node: Any, config: dict[str, Any]) -> Any:
    """One-cycle's peak is the learning rate of whatever optimizer there is."""
    return {**node, "max_lr": config["optimizer"]["lr"]} if node and "max_lr" in node else node


@pytest.mark.parametrize(("group", "option"), OPTIONS, ids=lambda value: value)
def test_the_keys_are_the_parameters_of_the_class(nodes: dict[tuple[str, str], Any], group: str, option: str) -> None:
    node = nodes[group, option]
    if node is None:
        assert option == "none"
        return
    cls = get_class(node["_target_"])
    parameters = inspect.signature(cls).parameters
    common = set(DATA_KEYS) if issubclass(cls, ImageSource) else {*MODEL_KEYS, BODY} if group == "model" else set()
    keys = set(node) - {"_target_"} - common
    assert keys <= set(parameters), f"{cls.__name__} takes no {keys - set(parameters)}"
    assert set(parameters) - keys <= ELSEWHERE | NEVER_NEEDED, f"{cls.__name__} takes more"


def test_all_common_keys_of_data_have_a_value() -> None:
    assert set(DATA_KEYS) <= set(Composer().root()["data"])


def test_every_optimizer_and_scheduler_is_built_by_its_library(nodes: dict[tuple[str, str], Any]) -> None:
    weights = [torch.nn.Parameter(torch.zeros(3))]
    for (group, option), node in nodes.items():
        if group != "optimizer":
            continue
        arguments = {key: value for key, value in node.items() if key != "_target_"}
        optimizer = get_class(node["_target_"])(weights, **arguments)
        assert optimizer.param_groups[0]["lr"] == node["lr"], option


@pytest.mark.parametrize("name", config_names("sweep"))
def test_every_shipped_sweep_asks_a_question_that_its_space_can_answer(name: str) -> None:
    composer = Composer(name)
    study = composer.root()["study"]
    assert study["name"] == name.replace("/", "_")
    assert study["question"].endswith("?")
    space = Space.parse(study["space"], forbid=study["forbid"])
    for params in space.corners():
        composer.trial_config(params)
    if study["sampler"] == "grid":
        assert space.size == study["budget"]["trials"]
