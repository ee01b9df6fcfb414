"""Slots: tasks wait in order for one of a few threads, each of which carries one task at a time to its end."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future
from typing import Generic, Protocol, TypeVar

from idealfit.spec import ConfigError, TrialResult


class Task(Protocol):
    """One attempt on its way. `stop` and `kill` come from other threads: before, during and after `run`."""

    def run(self, slot: int) -> TrialResult:
        """Carry the attempt to its end."""
        ...

    def stop(self) -> None:
        """Ask it to end soon."""
        ...

    def kill(self) -> None:
        """End it now."""
        ...


T = TypeVar("T", bound=Task)


class SlotPool(Generic[T]):
    """Daemon threads that run tasks.

    `concurrent.futures.ThreadPoolExecutor` does not do: the interpreter waits for its threads at exit, and the futures
    that its shutdown cancels never wake a `concurrent.futures.wait`.
    """

    def __init__(self, num_slots: int) -> None:
        self.num_slots = num_slots
        self._changed = threading.Condition()
        self._waiting: deque[tuple[T, Future[TrialResult]]] = deque()
        self._running: set[T] = set()
        self._closed = False
        self._threads: list[threading.Thread] = []

    def submit(self, task: T) -> Future[TrialResult]:
        """Queue `task`; its future resolves when it ended, or is cancelled by `forget_waiting`."""
        future: Future[TrialResult] = Future()
        with self._changed:
            if self._closed:
                raise RuntimeError("the engine is closed")
            self._waiting.append((task, future))
            if len(self._threads) < self.num_slots:
                slot = len(self._threads)
                thread = threading.Thread(target=self._serve, args=(slot,), name=f"idealfit-slot-{slot}", daemon=True)
                self._threads.append(thread)
                thread.start()
            self._changed.notify()
        return future

    def stop(self) -> None:
        """Cancel the futures of waiting tasks and ask the running ones to end."""
        self._end_all(kill=False)

    def kill(self) -> None:
        """Cancel the futures of waiting tasks and end the running ones."""
        self._end_all(kill=True)

    def close(self, timeout_s: float | None = None) -> None:
        """Let the threads go, and wait for them."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(timeout_s)

    def _end_all(self, *, kill: bool) -> None:
        with self._changed:
            waiting, self._waiting = self._waiting, deque()
            running = list(self._running)
        for _, future in waiting:
            future.cancel()
            future.set_running_or_notify_cancel()  # wakes those who wait for it
        for task in running:
            task.kill() if kill else task.stop()

    def _serve(self, slot: int) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._closed:
                    self._changed.wait()
                if not self._waiting:
                    return
                task, future = self._waiting.popleft()
                self._running.add(task)
            if future.set_running_or_notify_cancel():
                try:
                    result = task.run(slot)
                except BaseException as error:  # noqa: BLE001 - it belongs to whoever waits for the future
                    self._forget(task)
                    future.set_exception(error)
                else:
                    self._forget(task)  # first: who hears of the result finds the slot free
                    future.set_result(result)
            else:
                self._forget(task)

    def _forget(self, task: T) -> None:
        with self._changed:
            self._running.discard(task)


def checked_timeout(timeout_s: float | None) -> float | None:
    """Seconds that an attempt may take.

    Raises:
        ConfigError: They are no positive number.
    """
    if timeout_s is not None and (isinstance(timeout_s, bool) or not timeout_s > 0):
        raise ConfigError(f"engine.timeout_s={timeout_s}: expected a number of seconds above 0, or null for no limit.")
    return timeout_s


def checked_slots(slots: int) -> int:
    """The number of slots that a user asked for; 0 leaves it to the engine.

    Raises:
        ConfigError: It is negative or no whole number.
    """
    if isinstance(slots, bool) or not isinstance(slots, int) or slots < 0:
        raise ConfigError(f"engine.slots={slots!r}: expected a whole number, 0 or above; 0 lets the engine choose.")
    return slots
