"""The gate: the one place where a config's `_target_` becomes an object.

A config may come from a stranger: a recorded run, a shared YAML file. So every `_target_`, nested ones too, is checked
before anything is built: its package is trusted by name before it is imported; it must be a class, of the kind that is
asked for, defined where it is trusted; and only arguments that its constructor takes reach it. Trust in more packages
comes from the caller (command line, the user's own config), never from the config that is built.
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from idealfit.config.targets import is_of_known_kind, is_shipped, parameters_of, resolve_target
from idealfit.spec import JSON, ConfigError, TrustError, UserError, nearest

SPECIAL: dict[str, tuple[type, ...]] = {
    "_target_": (str,),
    "_args_": (list,),
    "_partial_": (bool,),
    "_recursive_": (bool,),
    "_convert_": (str,),
}
MAX_DEPTH = 50
Kinds = type | tuple[type, ...]


def check_target(node: Mapping[str, Any] | DictConfig, *, expect: Kinds, trusted: Sequence[str] = ()) -> type:
    """The class that `node` would build, checked with all that is nested in it; nothing is built.

    Args:
        node: A dict with `_target_` and the constructor's arguments.
        expect: What the class must derive from.
        trusted: Packages whose classes may be built, beyond torch's, Lightning's and idealfit's own.

    Raises:
        TrustError: Something is named that nobody trusted, or that is no class of an allowed kind.
        ConfigError: Something is named that does not exist, or the node is no plain data.
    """
    return _check(_plain(node), expect, trusted)


def build(
    node: Mapping[str, Any] | DictConfig,
    *,
    expect: Kinds,
    trusted: Sequence[str] = (),
    extra: Mapping[str, Any] | None = None,
) -> Any:
    """Build the object that `node` describes, and what is nested in it.

    Args:
        node: A dict with `_target_` and the constructor's arguments, by their names.
        expect: What the object must be an instance of.
        trusted: Packages whose classes may be built, beyond torch's, Lightning's and idealfit's own.
        extra: Arguments on offer (`image_shape`, `params`, ...): passed if the constructor names them and the node does
            not give them.

    Raises:
        TrustError: See `check_target`.
        ConfigError: See `check_target`; an argument that the constructor does not take, or refuses.
    """
    plain = _plain(node)
    cls = _check(plain, expect, trusted)
    if plain.get("_partial_"):
        raise ConfigError(f"{plain['_target_']}: idealfit builds it itself. Remove `_partial_`.")
    accepted = parameters_of(cls).parameters
    offered = {key: value for key, value in (extra or {}).items() if key in accepted and key not in plain}
    for path, inner in _targets(plain):
        inner_cls = cls if inner is plain else resolve_target(inner["_target_"], trusted, path)
        _check_arguments(inner_cls, inner, offered if inner is plain else {}, path)
    # Deferred, so that what is on offer (tensors, modules) reaches the constructor itself and never a config.
    built = _call(plain, offered)
    if not isinstance(built, expect):
        raise ConfigError(f"{plain['_target_']} made a {type(built).__name__}, wanted: {_names(expect)}.")
    return built


def _check(plain: JSON, expect: Kinds, trusted: Sequence[str]) -> type:
    if "_target_" not in plain:
        raise ConfigError(f"no `_target_` among {sorted(plain)}: it names the class to build.")
    for path, inner in _targets(plain):
        for key, types in SPECIAL.items():
            if key != "_target_" and key in inner and not isinstance(inner[key], types):
                raise ConfigError(f"{path}{key} must be a {types[0].__name__}, got {inner[key]!r:.200}.")
        found = resolve_target(inner["_target_"], trusted, path)
        if inner is plain:
            cls = found
            if not issubclass(cls, expect):
                raise ConfigError(f"{plain['_target_']} is no {_names(expect)}, which is wanted here.")
        elif not (is_of_known_kind(found, trusted) or issubclass(found, expect)):
            raise TrustError(
                f"{path}_target_ {inner['_target_']!r} is no module, transform, optimizer or scheduler, "
                "so it is not built."
            )
    return cls


def _check_arguments(cls: type, node: JSON, offered: Mapping[str, Any], path: str) -> None:
    signature = parameters_of(cls)
    kinds = {parameter.kind for parameter in signature.parameters.values()}
    given = {key: value for key, value in node.items() if key not in SPECIAL}
    by_name = [
        name
        for name, parameter in signature.parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    ]
    for key in given:
        if key not in by_name and inspect.Parameter.VAR_KEYWORD not in kinds:
            raise ConfigError(f"{path}{key}: {node['_target_']} takes no {key!r}. {nearest(key, by_name)}".strip())
    bind = signature.bind_partial if node.get("_partial_") else signature.bind
    try:
        bind(*node.get("_args_", ()), **{**given, **offered})
    except TypeError as error:
        raise ConfigError(f"{path}{node['_target_']}: {error}.") from error


def _call(plain: JSON, offered: Mapping[str, Any]) -> Any:
    try:
        return instantiate({**plain, "_partial_": True, "_convert_": "all"})(**offered)
    except Exception as error:  # constructors may raise anything about the values that they got
        cause: BaseException = error
        while isinstance(cause, InstantiationException) and cause.__cause__ is not None:
            cause = cause.__cause__
        if isinstance(cause, UserError | MemoryError):
            raise cause from None
        last = traceback.extract_tb(cause.__traceback__)[-1]
        place = "" if is_shipped(plain["_target_"]) else f" ({last.filename}, line {last.lineno})"
        reason = f"{type(cause).__name__}: {cause}".rstrip(".")
        raise ConfigError(f"{plain['_target_']} can't be built{place}: {reason}.") from error


def _plain(node: Mapping[str, Any] | DictConfig) -> JSON:
    """Plain data, resolved. Whatever could still turn into something else after the check is refused."""
    if not isinstance(node, Mapping | DictConfig):
        raise ConfigError(f"no `_target_`: wanted a mapping that names a class to build, got {node!r:.200}.")
    try:
        plain = OmegaConf.to_container(node, resolve=True) if isinstance(node, DictConfig) else dict(node)
    except OmegaConfBaseException as error:
        raise ConfigError(f"can't be resolved: {str(error).partition(chr(10))[0]}.") from error
    if not isinstance(plain, dict):
        raise ConfigError(f"no `_target_`: wanted a mapping that names a class to build, got {plain!r:.200}.")
    _check_plain(plain, "", 0)
    return {str(key): value for key, value in plain.items()}


def _check_plain(value: Any, path: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ConfigError(f"nested deeper than {MAX_DEPTH} levels.")
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise ConfigError(f"{path}: the key {key!r} is no text.")
            _check_plain(inner, f"{path}.{key}" if path else key, depth + 1)
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            _check_plain(inner, f"{path}.{index}", depth + 1)
    elif isinstance(value, str):
        if "${" in value:
            raise ConfigError(f"{path}: {value!r:.200} is not resolved.")
    elif not isinstance(value, bool | int | float | None):
        raise ConfigError(f"{path}: a {type(value).__name__} is no plain value.")


def _targets(value: Any, path: str = "") -> Iterator[tuple[str, JSON]]:
    """Every mapping with a `_target_`, outermost first, with the path in front of its keys."""
    if isinstance(value, dict):
        if "_target_" in value:
            yield path, value
        for key, inner in value.items():
            yield from _targets(inner, f"{path}{key}.")
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _targets(inner, f"{path}{index}.")


def _names(expect: Kinds) -> str:
    return " or ".join(kind.__name__ for kind in (expect if isinstance(expect, tuple) else (expect,)))
