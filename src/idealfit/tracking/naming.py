"""Names and values in the form that MLflow takes."""

from __future__ import annotations

import getpass
import json
import posixpath
import re
from collections.abc import Mapping
from typing import Any

from idealfit.spec import JSON, TrialSpec

MAX_VALUE = 5000  # of a tag or a parameter; MLflow's own limits are 8000 and 6000 characters
MAX_KEY = 250


def valid_key(name: str) -> str:
    """`name` with what MLflow refuses in the name of a metric or parameter replaced by `_`."""
    cleaned = posixpath.normpath(re.sub(r"[^/\w.\- :]", "_", name))
    return (re.sub(r"^[./]+", "_", cleaned) or "_")[:MAX_KEY]


def text(value: Any) -> str:
    """A parameter's or tag's value: strings as they are, the rest as JSON; cut where it is too long."""
    words = value if isinstance(value, str) else json.dumps(value, default=str)
    return words if len(words) <= MAX_VALUE else words[: MAX_VALUE - 1] + "…"


def trial_params(spec: TrialSpec) -> dict[str, str]:
    """What identifies a trial in a table: the searched values, and a few names that are the same all over a study."""
    params: JSON = {}
    for group in ("data", "model", "optimizer", "scheduler", "loss", "augment"):
        node = spec.config.get(group)
        if isinstance(node, Mapping) and node.get("_target_"):
            params[group] = str(node["_target_"]).rpartition(".")[2]
    params["seed"] = spec.config.get("seed", spec.seed)
    trainer = spec.config.get("trainer")
    if isinstance(trainer, Mapping) and "max_epochs" in trainer:
        params["trainer.max_epochs"] = trainer["max_epochs"]
    params |= spec.params
    return {valid_key(key): text(value) for key, value in params.items()}


def quoted(value: str) -> str:
    """A string in MLflow's filter language, which has no escapes: the quote that `value` does not use."""
    return f"'{value}'" if "'" not in value else f'"{value}"'


def user_name() -> str:
    """Who runs this; containers often have no such name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return "unknown"
