"""The inline engine: one trial at a time in this process, where a debugger can stop it."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import IO, Any

from idealfit.engines.failures import crashed, interrupted, timed_out
from idealfit.engines.hardware import WAIT_POLICY, usable_cores
from idealfit.engines.pool import SlotPool, checked_slots, checked_timeout
from idealfit.spec import ConfigError, TrialResult, TrialSpec, TrialState, Work, attempt_log_path

CLOSE_TIMEOUT_S = 10.0


class InlineEngine:
    """Runs attempts in this process, on a thread of its own, so that `breakpoint()` in a model just works.

    What only a process can promise is missing: a crash takes the controller along, and `kill` and a timeout can but
    ask, as `stop` does. Output goes to the terminal and to the attempt's log.

    Args:
        slots: 0 or 1; trials in one process would share their random numbers.
        timeout_s: Seconds after which an attempt is asked to stop, and counted as failed.
        devices_per_trial: `trainer.devices`: 1.

    Raises:
        ConfigError: More than one slot or device, or a timeout that is no positive number.
    """

    def __init__(self, slots: int = 1, timeout_s: float | None = None, *, devices_per_trial: int = 1) -> None:
        if checked_slots(slots) > 1:
            cure = "Take engine=local for more."
            raise ConfigError(f"engine.slots={slots}: the inline engine runs one trial at a time. {cure}")
        if devices_per_trial > 1:
            raise ConfigError(
                f"trainer.devices={devices_per_trial}: the inline engine has one process, and each device needs one of "
                "its own. Take engine=local."
            )
        self._timeout_s = checked_timeout(timeout_s)
        os.environ.setdefault("OMP_WAIT_POLICY", WAIT_POLICY)  # read when torch is loaded, which was not yet needed
        self._num_threads = usable_cores()
        self._pool: SlotPool[_InlineTask] = SlotPool(1)

    @property
    def num_slots(self) -> int:
        """One."""
        return self._pool.num_slots

    def submit(self, work: Work, spec: TrialSpec, *, timeout_s: float | None = None) -> Future[TrialResult]:
        """Run `work(spec, stop)` after those submitted before it."""
        if spec.num_threads is None:
            spec = spec.with_(num_threads=self._num_threads)
        return self._pool.submit(_InlineTask(work, spec, checked_timeout(timeout_s) or self._timeout_s))

    def stop(self) -> None:
        """Ask the running attempt to checkpoint and stop; cancel the futures of the waiting ones."""
        self._pool.stop()

    def kill(self) -> None:
        """The same as `stop`: nothing can end a thread."""
        self._pool.kill()

    def close(self) -> None:
        """Stop, and wait a few seconds for the attempt to end."""
        self._pool.stop()
        self._pool.close(CLOSE_TIMEOUT_S)


class _InlineTask:
    def __init__(self, work: Work, spec: TrialSpec, timeout_s: float | None) -> None:
        self._work = work
        self._spec = spec
        self._timeout_s = timeout_s
        self._stop = threading.Event()
        self._late = threading.Event()

    def run(self, slot: int) -> TrialResult:
        if self._stop.is_set():
            return interrupted(self._spec)
        timer = threading.Timer(self._timeout_s or 0.0, self._expire)
        timer.daemon = True
        if self._timeout_s:
            timer.start()
        try:
            result = self._call()
        finally:
            timer.cancel()
        if self._timeout_s and self._late.is_set() and result.state is TrialState.INTERRUPTED:
            return timed_out(self._spec, self._timeout_s)
        return result

    def stop(self) -> None:
        self._stop.set()

    def kill(self) -> None:
        self._stop.set()

    def _expire(self) -> None:
        self._late.set()
        self._stop.set()

    def _call(self) -> TrialResult:
        try:
            with _logged(attempt_log_path(self._spec.record_dir, self._spec.attempt)):
                try:
                    return self._work(self._spec, self._stop)
                except BaseException as error:  # noqa: BLE001 - an engine turns whatever work raises into a result
                    return crashed(self._spec, error)
        except OSError as error:  # the log cannot be written
            return crashed(self._spec, error)


class _Tee:
    """Writes what one thread says to a log as well; other threads, such as that of a live display, pass through."""

    def __init__(self, stream: Any, log: IO[str]) -> None:
        self._stream = stream
        self._log = log
        self._thread = threading.get_ident()

    def write(self, text: str) -> int:
        if threading.get_ident() == self._thread and not self._log.closed:
            self._log.write(text)
        return int(self._stream.write(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def _logged(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        path.open("a", encoding="utf-8", errors="backslashreplace", buffering=1) as log,
        contextlib.redirect_stdout(_Tee(sys.stdout, log)),
        contextlib.redirect_stderr(_Tee(sys.stderr, log)),
    ):
        yield
