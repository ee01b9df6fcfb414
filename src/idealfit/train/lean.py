"""Imports without what nobody here asks for.

Lightning's metrics library loads `scipy.signal`, and with it most of SciPy, to lend an audio metric the name `hamming`:
a second of the four that a worker's imports take.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

NAME = "scipy.signal"


class _Later(ModuleType):
    """In the place of `scipy.signal`: has the one name; whoever wants another one gets the real module's."""

    hamming = None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # asked by the import system itself
            raise AttributeError(name)
        if sys.modules.get(NAME) is self:
            del sys.modules[NAME]
        return getattr(importlib.import_module(NAME), name)


@contextmanager
def without_signal_processing() -> Iterator[None]:
    """What is imported inside does not load `scipy.signal` for `hamming` alone; afterwards it is imported as ever."""
    if NAME in sys.modules:
        yield
        return
    later = sys.modules[NAME] = _Later(NAME)
    try:
        yield
    finally:
        if sys.modules.get(NAME) is later:
            del sys.modules[NAME]
