"""A recorded config with some keys changed."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from idealfit.config import Composer
from idealfit.provenance import flattened
from idealfit.spec import JSON, ConfigError, nearest

TRIAL_KEYS = ("seed", "data", "model", "optimizer", "scheduler", "loss", "augment", "trainer", "protocol", "task")
GROUPS = ("data", "model", "optimizer", "scheduler", "loss", "augment")


def split_overrides(overrides: Sequence[str]) -> tuple[list[str], list[str]]:
    """Those that change the training run, and those that say where it is recorded and what is trusted."""
    of_run = [each for each in overrides if _key(each).partition(".")[0] in TRIAL_KEYS]
    return of_run, [each for each in overrides if each not in of_run]


def changed_config(config: JSON, overrides: Sequence[str]) -> JSON:
    """`config` with `overrides` applied: a group's option replaces its node, a value replaces the recorded one.

    Raises:
        ConfigError: A key that the recorded config does not have, or a value that does not fit.
    """
    changed = copy.deepcopy(config)
    for override in overrides:
        key = _key(override)
        if key in GROUPS:
            changed[key] = Composer("train", [override]).trial_config()[key]
            continue
        value = _value(override)
        if key.partition(".")[0] in ("trainer", "seed"):
            Composer("train", [override])  # its schema knows the types
        _set(changed, key, value)
    return changed


def _set(config: JSON, key: str, value: Any) -> None:
    *parents, name = key.split(".")
    node: Any = config
    for parent in parents:
        node = node.get(parent) if isinstance(node, dict) else None
    if not isinstance(node, dict) or name not in node:
        raise ConfigError(f"{key} is not in the recorded config. {nearest(key, list(flattened(config)))}")
    node[name] = value


def _value(override: str) -> Any:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        parsed = OverridesParser.create().parse_override(override)
    except HydraException as error:
        raise ConfigError(f"{override!r} is not KEY=VALUE: {error}") from error
    if parsed.is_sweep_override() or parsed.is_delete() or parsed.is_add():
        raise ConfigError(f"{override!r}: one recorded run takes one value for a key that it has.")
    return parsed.value()


def _key(override: str) -> str:
    return override.partition("=")[0].lstrip("+~").strip()
