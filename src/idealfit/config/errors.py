"""Keys and values that do not fit, in the user's words: what, what was got, where, and the nearest valid names."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from omegaconf import DictConfig, Node
from omegaconf.errors import InterpolationResolutionError

from idealfit.config import schema
from idealfit.config.schema_groups import SCHEMAS
from idealfit.config.search_path import group_options
from idealfit.spec import ConfigError, nearest

TYPES = {"Integer": "a whole number", "Float": "a number", "Boolean": "true or false", "String": "text"}


def no_such_key(cfg: DictConfig, key: str, *, where: str) -> ConfigError:
    """A key that the config does not have."""
    return ConfigError(f"there is no key {key!r} ({where}). {_nearest_key(key, list(known_keys(cfg)))}".strip())


def type_error(error: BaseException, key: str, value: Any, *, where: str) -> ConfigError:
    """A value that the schema refuses."""
    text = str(error).partition("\n")[0]
    place = f" ({where})" if where else ""
    if re.search(r"is not Optional|Incompatible value 'None'", text):
        return ConfigError(f"{key} needs a value, got null{place}.")
    unknown = re.match(r"Key '(?P<key>.*?)' (?:not in|is not in struct)", text)
    if unknown:
        parent = f"{key}.".removesuffix(f"{unknown['key']}.")
        full = line_of(error, "full_key") or f"{parent}{unknown['key']}"
        return ConfigError(f"there is no key {full!r}{place}. {_nearest_field(full, error)}".strip())
    wanted = re.search(r"could not be converted to (?P<type>\w+)|is not a valid (?P<bool>bool)", text)
    if wanted:
        full = line_of(error, "full_key") or key
        got = repr(value) if full == key else text.partition("'")[2].partition("' of type")[0]
        return ConfigError(f"{full} must be {TYPES[wanted['type'] or 'Boolean']}, got {got}{place}.")
    if "is not a ListConfig" in text:
        return ConfigError(f"{key} must be a list, got {value!r}{place}. Write {key}=[{value}].")
    return ConfigError(f"{key} can't be {value!r}{place}: {plain(text)}.")


def resolving_error(error: BaseException, origin: Callable[[str], str]) -> ConfigError:
    """A `${...}` that leads nowhere; `origin` tells where the value of a key was given."""
    text = str(error)
    key = line_of(error, "full_key")
    where = origin(key) if key else ""
    place = f" ({where})" if where else ""
    target = re.search(r"Interpolation key '(?P<key>[^']+)' not found", text)
    if target:
        return ConfigError(f"{key} refers to ${{{target['key']}}}{place}, but there is no such key.")
    variable = re.search(r"Environment variable '(?P<name>[^']+)' not found", text)
    if variable:
        return ConfigError(f"{key} refers to the environment variable {variable['name']}{place}, which is not set.")
    if isinstance(error, InterpolationResolutionError) or key:
        return ConfigError(f"{key or 'the config'} can't be resolved{place}: {plain(text)}")
    return ConfigError(f"the config can't be resolved: {plain(text)}")


def nothing_chosen(key: str) -> ConfigError:
    """A key that must be given and was not."""
    group, _, rest = key.partition(".")
    options = group_options(group)
    if options and rest in ("", "_target_"):
        return ConfigError(f"nothing is chosen for {group}. Add {group}=NAME, one of: {', '.join(options)}.")
    return ConfigError(f"{key} has no value. Add {key}=VALUE, or give it in your YAML file.")


def missing_keys(cfg: DictConfig, prefix: str = "") -> Iterator[str]:
    """Dotted keys that must be given and were not; nothing is resolved."""
    for name in cfg:
        node = cfg._get_node(name)
        if isinstance(node, DictConfig) and not (node._is_none() or node._is_missing() or node._is_interpolation()):
            yield from missing_keys(node, f"{prefix}{name!s}.")
        elif isinstance(node, Node) and node._is_missing():
            yield f"{prefix}{name!s}"


def known_keys(cfg: DictConfig, prefix: str = "") -> Iterator[str]:
    """All dotted keys of a config."""
    for name in cfg:
        key = f"{prefix}{name!s}"
        yield key
        node = cfg._get_node(name)
        if isinstance(node, DictConfig) and not (node._is_none() or node._is_missing() or node._is_interpolation()):
            yield from known_keys(node, f"{key}.")


def _nearest_key(key: str, keys: Sequence[str]) -> str:
    """A key spelt alike in the same place, or of the same name elsewhere, or else what there is."""
    parent, _, name = key.rpartition(".")
    siblings = {other.rpartition(".")[2]: other for other in keys if other.rpartition(".")[0] == parent}
    alike = difflib.get_close_matches(name, [sibling for sibling in siblings if sibling[0] != "_"], n=1, cutoff=0.6)
    same_name = [other for other in keys if other.rpartition(".")[2] == name]
    found = [siblings[alike[0]]] if alike else same_name[:3]
    if found:
        return f"Did you mean {' or '.join(map(repr, found))}?"
    if parent in keys and siblings:
        return f"{parent} has: {', '.join(sibling for sibling in siblings if sibling[0] != '_')}."
    return nearest(key, keys)


def _nearest_field(key: str, error: BaseException) -> str:
    name = line_of(error, "object_type")
    every = [getattr(schema, item) for item in vars(schema)] + [c for group in SCHEMAS.values() for c in group.values()]
    found = next((item for item in every if is_dataclass(item) and getattr(item, "__name__", "") == name), None)
    if found is None:
        return ""
    parent = key.rpartition(".")[0]
    names = [f"{parent}.{item.name}".lstrip(".") for item in fields(found)]
    return _nearest_key(key, [parent, *names] if parent else names)


def line_of(error: BaseException, name: str) -> str:
    """A detail that OmegaConf appends to its message as a line `name: ...` or `name=...`."""
    found = re.search(rf"^\s*{name}[:=]\s*(.+?)\s*$", str(error), re.MULTILINE)
    return found[1] if found else ""


def plain(text: str) -> str:
    """The first line of a message, without its full stop."""
    return text.strip().partition("\n")[0].rstrip(".")
