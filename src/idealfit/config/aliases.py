"""YAML aliases are copied where they stand: a few lines of aliases of aliases would fill any memory."""

from __future__ import annotations

from pathlib import Path

import yaml

from idealfit.spec import ConfigError

MAX_NODES = 100_000


def check_aliases(path: Path) -> None:
    """Check that a file stays small once its aliases are written out.

    Raises:
        ConfigError: It would not.
    """
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, yaml.SafeLoader) if "&" in text and "*" in text else None
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return  # whoever loads it says what is wrong with it
    if root is not None and _num_nodes(root, {}) > MAX_NODES:
        raise ConfigError(
            f"{path}: its aliases (`*name`) stand for more than {MAX_NODES:,} values. Write out what it is."
        )


def _num_nodes(node: yaml.Node, known: dict[int, int]) -> int:
    """Nodes below and with `node`; one that contains itself counts as endless."""
    if id(node) not in known:
        known[id(node)] = MAX_NODES + 1  # until it is known: seen again inside itself, it has no end
        inner = node.value if isinstance(node, yaml.CollectionNode) else []
        flat = [part for item in inner for part in (item if isinstance(item, tuple) else (item,))]
        known[id(node)] = 1 + sum(_num_nodes(part, known) for part in flat)
    return known[id(node)]
