"""Which trials may be trained as one program: those whose configs differ only in what fusing keeps apart."""

from __future__ import annotations

from typing import Any

from idealfit.spec import JSON, TrialSpec, sha256_of

OWN = ("seed", "scheduler", "augment")
"""Nodes that each trial of a group has for itself, whatever they say."""
OWN_KEYS = {"data": ("split_seed",), "model": ("dropout",), "loss": ("label_smoothing",)}
"""Keys of other nodes that each trial has for itself."""
STRUCTURAL = ("momentum", "dropout")
"""Numbers that change what is computed where they are 0: a layer or a buffer less."""


def shape_of(spec: TrialSpec) -> str:
    """A hash that trials have in common if they may share a group, by their configs alone."""
    kept: JSON = {}
    for name, node in spec.config.items():
        if name in OWN:
            continue
        if name == "optimizer":
            kept[name] = {key: _kind(key, value) for key, value in node.items()}
        elif isinstance(node, dict):
            own = OWN_KEYS.get(name, ())
            kept[name] = {key: _kind(key, value) if key in own else value for key, value in node.items()}
        else:
            kept[name] = node
    return sha256_of([kept, spec.trusted_packages, spec.working_dir, spec.num_threads, spec.device_indices])


def _kind(key: str, value: Any) -> Any:
    """What of an own value is structure: words and switches as they are, numbers not at all."""
    if isinstance(value, bool) or not isinstance(value, int | float | list):
        return value
    return bool(value) if key in STRUCTURAL else "number"
