"""Ctrl-C and SIGTERM: the first asks the running trials to checkpoint and stop, the second ends everything at once."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM)
EXIT_CODE = 130


class StopSwitch:
    """Notes the first signal in `is_requested` while it is open, and ends the process on the second.

    Only the main thread can catch signals; opened elsewhere, it catches none.

    Args:
        kill: Called before the process ends, by a thread of its own: a handler may interrupt any line, so it must
            take no lock.
        last_words: What the terminal shows then.
    """

    def __init__(self, *, kill: Callable[[], None], last_words: str = "") -> None:
        self._kill = kill
        self._last_words = last_words
        self._previous: dict[signal.Signals, Any] = {}
        self._requested = False

    def is_requested(self) -> bool:
        """Whether to stop."""
        return self._requested

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._requested:
            threading.Thread(target=self._end, daemon=True).start()
        self._requested = True

    def _end(self) -> None:
        try:
            self._kill()
        finally:
            if sys.stdout.isatty():
                os.write(sys.stdout.fileno(), b"\x1b[?25h")  # a live display has hidden the cursor
            os.write(2, f"\n{self._last_words}\n".encode())
            os._exit(EXIT_CODE)
