"""Python's garbage collector, out of the way of what makes many objects and hardly any garbage."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """Let nothing be collected inside: imports of large libraries take a quarter less time.

    What they make stays, and the collector would look at all of it again and again. Afterwards it counts as old, so it
    is not looked at thrice more on its way there. Where several threads pause, it runs again when one of them is done.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            if not gc.get_freeze_count():  # else someone has frozen what is theirs
                gc.freeze()
                gc.unfreeze()  # into the oldest generation
            gc.enable()
