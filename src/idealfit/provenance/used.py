"""The code that decides what a training run computes: ours, and that of the classes which a config builds."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

LIBRARIES = frozenset({"torch", "torchvision", "torchmetrics", "lightning"})
"""Their versions are part of the environment, not of the code."""
OURS = ("data", "models", "train", "overfit.py")
"""What of idealfit decides the result of a run; the rest may change while a study goes on."""


def used_code(config: Mapping[str, Any]) -> dict[str, str]:
    """A hash for each package that the config takes a class from; imported ones only, for nothing is imported here."""
    packages = {target.partition(".")[0] for target in _targets(config)} - LIBRARIES | {"idealfit"}
    return {name: _hash(name) for name in sorted(packages) if getattr(sys.modules.get(name), "__file__", None)}


def _hash(name: str) -> str:
    file = Path(str(sys.modules[name].__file__))
    files = [file] if file.name != "__init__.py" else sorted(file.parent.rglob("*.py"))
    if name == "idealfit":
        files = [path for path in files if path.relative_to(file.parent).parts[0] in OURS]
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.relative_to(file.parent).as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _targets(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        if isinstance(node.get("_target_"), str):
            yield node["_target_"]
        for value in node.values():
            yield from _targets(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from _targets(value)
