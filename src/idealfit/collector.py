"""Python's garbage collector, out of the way of what makes many objects and hardly any garbage."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """Let nothing be collected inside: imports of large libraries take a quarter less time.

    What they make stays, and the collector looks at all of it again and again. Of pauses in several threads the
    longest one counts, or a shorter one: in the end it runs as before.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
