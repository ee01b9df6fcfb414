"""What a type alone cannot say: bounds of values, and rules between values."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import is_dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf

from idealfit.config.bounds import violations
from idealfit.config.schema import Config, StudyConfig
from idealfit.config.schema_data import DataConfig
from idealfit.config.schema_groups import SCHEMAS
from idealfit.protocol import HOLDOUT
from idealfit.spec import JSON, ConfigError, nearest
from idealfit.tasks import task_of

Problem = tuple[str, str]  # key, and what is wrong with it

OPTIONAL = ("scheduler", "augment")
LOCKED = (
    "the test set is locked while you train and search: choosing by it would make its score meaningless. "
    "Use a val/ metric; `idealfit promote` opens the test set once, for the winner"
)


def validate(cfg: DictConfig, resolved: JSON, origin: Callable[[str], str]) -> None:
    """Check a composed config.

    Args:
        cfg: The config, which knows the schema of each of its parts.
        resolved: Its plain content, whole or in part.
        origin: Where the value of a key was given, for the message.

    Raises:
        ConfigError: The first value that is out of bounds or contradicts another.
    """
    problems = itertools.chain(
        _not_plain(resolved, ""),
        _no_class(resolved),
        _out_of_bounds(cfg, resolved),
        _contradictions(resolved),
        _task(resolved),
    )
    for key, problem in problems:
        place = origin(key)
        raise ConfigError(f"{key} {problem}{f' ({place})' if place else ''}.")


def _not_plain(value: Any, key: str) -> Iterator[Problem]:
    """A config is recorded as JSON: text keys, and values that JSON has."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if not isinstance(name, str):
                yield f"{key}.{name}", "must be text: put the key in quotes"
            else:
                yield from _not_plain(inner, f"{key}.{name}" if key else name)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _not_plain(inner, f"{key}.{index}")
    elif not isinstance(value, str | bool | int | float | None):
        yield key, f"must be text, a number, true, false or null, got {value!r}"


def _no_class(resolved: Mapping[str, Any]) -> Iterator[Problem]:
    for group in (SCHEMAS.keys() & resolved.keys()) - {"protocol", "task"}:  # a trial's config holds no engine
        node = resolved[group]
        if node is None and group in OPTIONAL:
            continue
        if not isinstance(node, Mapping) or not isinstance(node.get("_target_"), str):
            yield group, f"must name a class by `_target_`, got {node!r:.200}"


def _out_of_bounds(cfg: DictConfig, resolved: Mapping[str, Any]) -> Iterator[Problem]:
    schemas: list[tuple[type, Mapping[str, Any], str]] = [(Config, resolved, "")]
    if resolved.get("study"):
        schemas.append((StudyConfig, resolved["study"], "study."))
    for group in SCHEMAS:
        node = resolved.get(group)
        schema = OmegaConf.get_type(cfg, group) if isinstance(node, Mapping) else None
        if schema is dict and group == "data":
            schema = DataConfig  # a data set of the user's own has the common keys too
        if schema is not None and is_dataclass(schema) and isinstance(node, Mapping):
            schemas.append((schema, node, f"{group}."))
    for schema, values, prefix in schemas:
        for key, value, bounds in violations(schema, values, prefix):
            yield key, f"must be {bounds.violation(value)}, got {value!r}"


def _contradictions(resolved: Mapping[str, Any]) -> Iterator[Problem]:
    trainer = resolved.get("trainer") or {}
    low, high = trainer.get("min_epochs", 0), trainer.get("max_epochs", 0)
    if low > high:
        yield "trainer.min_epochs", f"must be at most trainer.max_epochs, got {low} and {high}"
    protocol = (resolved.get("protocol") or {}).get("name", HOLDOUT)
    if protocol != HOLDOUT and trainer.get("devices", 1) > 1:
        yield (
            "trainer.devices",
            (
                f"must be 1 with protocol={protocol}, got {trainer['devices']}: its rounds train on one device each, "
                "and other trials use the rest"
            ),
        )
    monitor = (trainer.get("early_stopping") or {}).get("monitor", "")
    if monitor.startswith("test/"):
        yield "trainer.early_stopping.monitor", f"can't be {monitor!r}: {LOCKED}"
    data = resolved.get("data") or {}
    fractions = [data.get("val_fraction", 0), data.get("test_fraction", 0)]
    if sum(fractions) >= 1:
        yield "data.val_fraction", f"and data.test_fraction must leave images to train on, got {fractions}"
    metric = ((resolved.get("study") or {}).get("objective") or {}).get("metric") or ""
    if metric.startswith("test/"):
        yield "study.objective.metric", f"can't be {metric!r}: {LOCKED}"


def _task(resolved: Mapping[str, Any]) -> Iterator[Problem]:
    if "loss" not in resolved:  # a part of a config
        return
    task = task_of(resolved)
    if refusal := task.refusal(resolved["loss"]["_target_"]):
        yield "loss", refusal
    for metric in (resolved.get("task") or {}).get("metrics", ()):
        if metric not in (*task.metrics, *task.more):
            has = f"task={task.name} has: {', '.join(task.more) or 'none beyond its own'}"
            yield "task.metrics", f"can't hold {metric!r}; {has}. {nearest(metric, task.more)}".rstrip(" .")
