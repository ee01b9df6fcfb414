"""Where a value of a composed config was given: an override or a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from omegaconf import Container, DictConfig, OmegaConf

from idealfit.config.search_path import find_file


def shown(path: Path) -> str:
    """A path as short as it can be: relative where it lies in the working directory."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def find_origin(
    key: str, loader: ConfigLoaderImpl, config_name: str, choices: Sequence[str], values: Sequence[Override]
) -> str:
    """Name the override (of `values`) or the file that gave `key` its value; empty when a schema's default did."""
    for override in reversed(values):
        if key == override.key_or_group or key.startswith(f"{override.key_or_group}."):
            return f"override {override.input_line!r}"
    defaults = loader.compute_defaults_list(config_name, list(choices), RunMode.RUN).defaults
    for default in reversed(defaults):
        name = default.config_path or ""
        path = find_file(name)
        result = loader.repository.load_config(name) if path else None
        if path and result:
            inner = _inside(key, default.package or result.header["package"] or "")
            if inner is not None and _gives(result.config, inner):
                return shown(path)
    return ""


def _inside(key: str, package: str) -> str | None:
    """`key` as seen from a file that is placed at `package`; None when it lies elsewhere."""
    if package in ("", "_global_"):
        return key
    if key == package:
        return ""
    return key.removeprefix(f"{package}.") if key.startswith(f"{package}.") else None


def _gives(config: Container, key: str) -> bool:
    if not key:
        return True
    parent, _, name = key.rpartition(".")
    node = OmegaConf.select(config, parent, throw_on_missing=False) if parent else config
    return isinstance(node, DictConfig) and name in node.keys()  # noqa: SIM118 - `in` alone hides missing values
