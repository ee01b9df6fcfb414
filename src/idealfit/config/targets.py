"""From the text of a `_target_` to a class: trusted by name before anything is imported, judged by what it is after."""

from __future__ import annotations

import inspect
import re
import sys
import traceback
from collections.abc import Iterable, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any

from idealfit.spec import ConfigError, TrustError, nearest

BUILT_IN = (
    "idealfit",
    "torch.nn",
    "torch.optim",
    "lightning",
    "torchmetrics.classification",  # others fetch and load weights while they are built
    "torchvision.models",
    "torchvision.transforms",
)
NAME = re.compile(r"[a-z]\w*(\.[a-z]\w*)+", re.IGNORECASE | re.ASCII)
OWN_NAME = re.compile(r"(?!__)[a-z_]\w*(\.(?!__)[a-z_]\w*)+", re.IGNORECASE | re.ASCII)
# What may be built inside a part, e.g. a layer of a model. Looked up, not imported: a class that derives from one of
# these has loaded its module.
KINDS = (
    ("torch.nn", "Module"),
    ("torch.optim", "Optimizer"),
    ("torch.optim.lr_scheduler", "LRScheduler"),
    ("lightning.pytorch", "LightningDataModule"),
)
TRANSFORMS = "torchvision.transforms"  # plain classes with __call__; so are many of a user's own


def resolve_target(target: Any, trusted: Sequence[str], where: str) -> type:
    """The class that `target` names.

    Args:
        target: A dotted name, e.g. `torch.optim.SGD`.
        trusted: Packages trusted beyond the built-in ones.
        where: The key, for messages.

    Raises:
        TrustError: Nobody trusted it, or it turned out to be something else than its name says.
        ConfigError: No dotted name, or there is no such class.
    """
    if not isinstance(target, str) or target == "???":
        raise ConfigError(
            f"{where}_target_ must be the dotted name of a class, e.g. torch.optim.SGD, got {target!r:.200}."
        )
    shipped, own = _is_inside(target, BUILT_IN), _is_inside(target, trusted)
    if not (NAME if shipped and not own else OWN_NAME).fullmatch(target):
        raise TrustError(f"{where}_target_ must be the plain dotted name of a public class, got {target!r:.200}.")
    if not (shipped or own):
        raise _untrusted(target, where)
    found = _locate(target, where)
    if not isinstance(found, type):
        raise TrustError(
            f"{where}_target_ {target!r} is a {type(found).__name__}, not a class, so it is not called. "
            "Wrap it in a class of your own."
        )
    if not (_is_inside(found.__module__, BUILT_IN) or _is_inside(found.__module__, trusted)):
        raise _untrusted(f"{found.__module__}.{found.__qualname__}", where, alias=target)
    return found


def is_of_known_kind(cls: type, trusted: Sequence[str]) -> bool:
    """Whether `cls` is something that a network, an optimizer or a data set is made of."""
    for module, name in KINDS:
        kind = getattr(sys.modules.get(module), name, None)
        if isinstance(kind, type) and issubclass(cls, kind):
            return True
    is_called = any("__call__" in vars(base) for base in cls.__mro__)
    return is_called and _is_inside(cls.__module__, (TRANSFORMS, *trusted))


def is_shipped(target: str) -> bool:
    """Whether a `_target_` is idealfit's or a library's, not the user's own."""
    return _is_inside(target, BUILT_IN)


def _locate(target: str, where: str) -> object:
    """Walk the name as Hydra does, so that both find the same; an alias of a module leads nowhere."""
    first, *names = target.split(".")
    found: object = _import(first, target, where)
    walked = first
    for name in names:
        walked = f"{walked}.{name}"
        parent, found = found, getattr(found, name, None)
        if found is None and isinstance(parent, ModuleType):
            found = _import(walked, target, where)
        if isinstance(found, ModuleType) and found.__name__ != walked:
            raise TrustError(
                f"{where}_target_ {target!r} leads through {walked!r}, another name of {found.__name__!r}."
            )
        if found is None or (not isinstance(found, ModuleType | type) and walked != target):
            raise _no_such_class(target, parent, name, where)
    return found


def _import(module: str, target: str, where: str) -> ModuleType | None:
    """The module; None where there is none of that name inside its package."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name == module and "." in module:
            return None
        if error.name == module:
            raise ConfigError(
                f"{where}_target_ {target!r}: no package {module!r} can be imported. Install it, or start idealfit "
                "in the folder where it lies."
            ) from error
        raise ConfigError(f"{where}_target_ {target!r}: {module} needs {error.name!r}, which is missing.") from error
    except Exception as error:  # a user's module may raise anything while it loads
        place = traceback.extract_tb(error.__traceback__)[-1]
        raise ConfigError(
            f"{where}_target_ {target!r}: {module} can't be imported: {type(error).__name__}: {error} "
            f"({place.filename}, line {place.lineno})."
        ) from error


def _no_such_class(target: str, parent: object, name: str, where: str) -> ConfigError:
    owner = getattr(parent, "__name__", type(parent).__name__)
    classes = (
        [key for key, value in vars(parent).items() if isinstance(value, type)] if hasattr(parent, "__dict__") else []
    )
    return ConfigError(f"{where}_target_ {target!r}: {owner} has no class {name!r}. {nearest(name, classes)}".strip())


def _untrusted(name: str, where: str, alias: str = "") -> TrustError:
    top = name.partition(".")[0]
    what = f"{alias!r} is in truth {name!r}, which" if alias else f"{name!r:.200}"
    cure = f"If you know it: trusted_packages=[{top}] on the command line or in a config file of your own."
    parts = [part for part in BUILT_IN if part.startswith(f"{top}.")]
    if top in sys.stdlib_module_names:
        cure = "It is a part of Python itself, nothing to train with."
    elif parts:  # not "trust all of torch", which would open far more than was asked for
        cure = f"Of {top}, only classes in {' and '.join(parts)} are built, unless trusted_packages names more."
    return TrustError(f"{where}_target_ {what} is not trusted, so it is not built. {cure}")


def _is_inside(name: str, packages: Iterable[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def parameters_of(cls: type) -> inspect.Signature:
    """The constructor's signature; one that takes anything where Python knows none."""
    try:
        return inspect.signature(cls)
    except (TypeError, ValueError):
        return inspect.Signature(
            [
                inspect.Parameter(n, k)
                for n, k in (("args", inspect.Parameter.VAR_POSITIONAL), ("kwargs", inspect.Parameter.VAR_KEYWORD))
            ]
        )
