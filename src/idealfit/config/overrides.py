"""Overrides as typed on the command line: read, told apart, and applied one by one, so that errors name the culprit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType, Sweep
from hydra.errors import HydraException
from omegaconf import DictConfig, ListConfig, Node, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from idealfit.config.errors import no_such_key, type_error
from idealfit.config.search_path import GROUPS, group_options
from idealfit.spec import ConfigError, nearest

MAX_KEY = 200  # Hydra looks for a file of that name
FREE_FORM = (
    *("study.space", "study.derive", "study.sampler_options", "study.pruner_options", "study.objective.penalty"),
    *("task.labels", "task.values"),
)


@dataclass(frozen=True)
class Overrides:
    """Overrides told apart.

    Attributes:
        choices: Those that choose a config file (`model=cnn`), or are for Hydra alone, as typed.
        values: Those that change the composed config, in order.
    """

    choices: tuple[str, ...]
    values: tuple[Override, ...]


def read_overrides(texts: Iterable[str], loader: ConfigLoaderImpl) -> Overrides:
    """Read what a user typed.

    Raises:
        ConfigError: Not KEY=VALUE, a sweep, or a group option that is no name.
    """
    choices: list[str] = []
    values: list[Override] = []
    for text in texts:
        override = _parse(text)
        value = override.value()
        if isinstance(value, Sweep):
            raise ConfigError(
                f"override {text!r} gives {override.key_or_group} several values. Only a study searches: "
                f"idealfit sweep NAME {text!r}. For a list, write {override.key_or_group}=[...]."
            )
        group = override.key_or_group
        if loader.repository.group_exists(group) and not isinstance(value, dict) and not group.startswith("hydra"):
            _check_choice(override, value)
            choices.append(text)
        elif override.is_hydra_override():
            if loader.repository.group_exists(group) and isinstance(value, str):
                require_inside(value, f"{group} (override {text!r})")
            choices.append(text)
        else:
            values.append(override)
    return Overrides(tuple(choices), tuple(values))


def apply(override: Override, cfg: DictConfig) -> None:
    """Change `cfg` as an override says.

    Raises:
        ConfigError: There is no such key, or it wants another type.
    """
    key, where = override.key_or_group, f"override {override.input_line!r}"
    if override.type == OverrideType.CHANGE:
        set_value(cfg, key, override.value(), where=where)
        return
    free_form = next((parent for parent in FREE_FORM if key.startswith(f"{parent}.")), "")
    node = OmegaConf.select(cfg, free_form) if free_form else None
    if override.is_delete() and node is not None and (inner := key.removeprefix(f"{free_form}.")) in node:
        with open_dict(node):
            del node[inner]
        return
    require_key(cfg, key if override.is_delete() else key.rpartition(".")[0], where=where)
    try:
        ConfigLoaderImpl._apply_overrides_to_config([override], cfg)
    except (HydraException, OmegaConfBaseException) as error:
        cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error
        if override.is_delete():
            raise ConfigError(f"{where}: {key} can't be removed. Give it another value instead.") from error
        raise type_error(cause, key, override.value(), where=where) from error


def set_value(cfg: DictConfig, key: str, value: Any, *, where: str) -> None:
    """Give an existing key a value; the schema's type is checked.

    Raises:
        ConfigError: There is no such key, or it wants another type.
    """
    free_form = next((parent for parent in FREE_FORM if key.startswith(f"{parent}.")), None)
    require_key(cfg, free_form or key, where=where)
    try:
        if free_form:
            node = OmegaConf.select(cfg, free_form)
            with open_dict(node):
                node[key.removeprefix(f"{free_form}.")] = value  # a searched key keeps its dots
        elif key in FREE_FORM:
            with open_dict(OmegaConf.select(cfg, key)):
                OmegaConf.update(cfg, key, value, merge=True)
        else:
            OmegaConf.update(cfg, key, value, merge=True)
    except OmegaConfBaseException as error:
        raise type_error(error, key, value, where=where) from error


def require_inside(name: str, what: str) -> None:
    """Check that the name of a config is one of a file in the folders that are searched for configs.

    A record or a study may come from a stranger, and so what it names; a config that is composed may grant trust.

    Raises:
        ConfigError: It leads elsewhere.
    """
    if name.startswith("/") or "//" in name or ".." in name.replace("\\", "/").split("/"):
        raise ConfigError(f"{what} must name a file in its own folder of conf/ or sweeps/, got {name!r}.")


def require_key(cfg: DictConfig, key: str, *, where: str) -> None:
    """Check that the config has a key.

    Raises:
        ConfigError: It has not; the nearest ones are named.
    """
    node: Any = cfg
    for depth, name in enumerate(key.split(".") if key else ()):
        parent = ".".join(key.split(".")[:depth])
        if isinstance(node, ListConfig):
            if not name.isdigit() or int(name) >= len(node):
                raise ConfigError(f"{parent} is a list of {len(node)}, it has no item {name!r} ({where}).")
            node = node._get_node(int(name))
            continue
        if isinstance(node, Node) and (node._is_none() or node._is_missing()):
            options = [option for option in group_options(parent) if option != "none"]
            cure = f"Choose one first, e.g. {parent}={options[0]}." if options else ""
            cure = "Only a sweep has one: idealfit sweep NAME." if parent == "study" else cure
            raise ConfigError(f"{parent} is none here, so there is no key {key!r} ({where}). {cure}".strip())
        if not isinstance(node, DictConfig):
            raise ConfigError(f"{parent} is a single value, so there is no key {key!r} ({where}).")
        if name not in node.keys():  # noqa: SIM118 - `in` alone hides missing values
            raise no_such_key(cfg, key, where=where)
        node = node._get_node(name)


def _parse(text: str) -> Override:
    try:
        override = OverridesParser.create().parse_override(text)
    except (HydraException, TypeError, ValueError, ArithmeticError) as error:
        raise ConfigError(f"can't read the override {text!r}. {_cure(text)}") from error
    if not 0 < len(override.key_or_group) <= MAX_KEY:
        raise ConfigError(f"can't read the override {text!r}: it names no key. Write KEY=VALUE.")
    return override


def _cure(text: str) -> str:
    if text.startswith("-"):
        return f"Write it without dashes: {text.lstrip('-')}."
    if "=" not in text:
        homes = [f"{group}={text}" for group in GROUPS if text in group_options(group)]
        return f"Write KEY=VALUE{', e.g. ' + ' or '.join(homes) if homes else ''}."
    key, _, value = text.partition("=")
    if not all(part.replace("-", "_").isidentifier() or part.isdigit() for part in key.strip("+~").split(".")):
        return f"{key!r} is no key: write e.g. model.depth=3."
    return f"Put a value with special characters in quotes: {key}='\"{value}\"' on a command line."


def _check_choice(override: Override, value: Any) -> None:
    group = override.key_or_group
    if override.is_add() and group in GROUPS:
        raise ConfigError(f"{group} is chosen already (override {override.input_line!r}). Write {group}={value}.")
    if isinstance(value, str):
        require_inside(value, f"{group} (override {override.input_line!r})")
    if override.is_delete() or isinstance(value, str):
        return
    hint = "For none, write none." if value is None else nearest(str(value), group_options(group))
    raise ConfigError(f"{group} is chosen by the name of one option (override {override.input_line!r}). {hint}".strip())
