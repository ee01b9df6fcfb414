"""The journal: a study's history in one file, one JSON line an operation, in the format of Optuna's own backend."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shlex
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend

from idealfit.pruning.errors import StorageLostError
from idealfit.spec import StudyError

# Optuna's operations, by the start of their lines (optuna.storages.journal._storage.JournalOperation).
CREATION = tuple(b'{"op_code":%d,' % code for code in (0, 1, 4))
UNUSED_BY_WORKERS = tuple(b'{"op_code":%d,' % code for code in (2, 5, 8))  # user attributes, parameters
START = b'{"op_code":'
VALUE_CODE = 7
VALUE = b'{"op_code":%d,' % VALUE_CODE
NUM_CODES = 11

Keep = Callable[[bytes], bool]


def open_journal(path: Path, keep: Keep | None = None) -> JournalStorage:
    """The storage in the file `path`, made if it is not there.

    Raises:
        StudyError: The file cannot be read, written and locked, or is damaged.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return JournalStorage(JournalFile(path, keep))
    except StudyError:
        raise
    except OSError as error:
        raise StudyError(f"The study's journal {path} cannot be used: {error.strerror}. {_cure(error)}") from error
    except Exception as error:  # Optuna replays the operations, and takes each for what it should be
        raise StudyError(
            f"The journal {path} is damaged: its operations do not fit together ({error!r}).\n{_way_on(path)}"
        ) from error


class JournalFile(BaseJournalBackend):
    """Optuna's journal in one file.

    Every access locks the file itself (`flock`), and the system frees that lock when its holder dies, however it dies.
    What a killed writer, a full disk or a power cut left of the last line is cut off when the file is opened and before
    the next line is added; those who read at that moment notice nothing, because they never took it for a line.

    Args:
        keep: Which lines this reader wants; None means all.

    Raises:
        OSError: The file cannot be made, written or locked.
    """

    def __init__(self, path: Path, keep: Keep | None = None) -> None:
        self._path = path
        self._keep = keep
        self._offset = 0  # where the next line begins
        self._num_read = 0  # lines handed out, the kept ones only
        self._is_waiting = self._is_unsynced = False
        is_new = not path.exists()
        with _opened(path, os.O_CREAT) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            _require_journal(file, path)
            _cut_torn_tail(file)
            self._identity = _identity(file)
        if is_new:
            _sync_directory(path.parent)

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """The operations since the last read."""
        if log_number_from != self._num_read:  # a new JournalStorage on this backend: it replays from the start
            self._offset = self._num_read = 0
        with self._locked(fcntl.LOCK_SH) as file:
            new = _read_from(file, self._offset)
        for line in new.splitlines(keepends=True):
            if not line.endswith(b"\n"):
                break
            if self._keep is not None and not self._keep(line):
                self._offset += len(line)
                continue
            log = self._parse(line)
            self._offset += len(line)
            self._num_read += 1
            yield log

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Add operations at the end, all or none."""
        data = b"".join(json.dumps(log, separators=(",", ":")).encode() + b"\n" for log in logs)
        with self._locked(fcntl.LOCK_EX) as file:
            end = _cut_torn_tail(file)
            try:
                written = 0
                while written < len(data):
                    written += os.write(file, data[written:])
                if any(log["op_code"] != VALUE_CODE for log in logs):  # values may be lost in a power cut, trials not
                    self._is_unsynced = self._is_waiting
                    if not self._is_waiting:
                        os.fsync(file)
            except OSError:
                os.ftruncate(file, end)
                raise

    @contextmanager
    def synced_once(self) -> Iterator[None]:
        """What is appended inside is on the disk itself when the block ends: one wait for all, 4 ms on a plain disk."""
        self._is_waiting = True
        try:
            yield
        finally:
            self._is_waiting = False
            if self._is_unsynced:
                self._is_unsynced = False
                with self._locked(fcntl.LOCK_SH) as file:
                    os.fsync(file)

    @contextmanager
    def _locked(self, how: int) -> Iterator[int]:
        try:
            with _opened(self._path) as file:
                fcntl.flock(file, how)
                if _identity(file) != self._identity or os.fstat(file).st_size < self._offset:
                    raise StorageLostError(f"The study's journal {self._path} was replaced while the study ran.")
                yield file
        except OSError as error:
            raise StorageLostError(f"The study's journal {self._path}: {error.strerror}. {_cure(error)}") from error

    def _parse(self, line: bytes) -> dict[str, Any]:
        try:
            log: dict[str, Any] = json.loads(line)
            if log["op_code"] not in range(NUM_CODES):
                raise ValueError(f"no operation has the code {log['op_code']}")
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            number = self._path.read_bytes()[: self._offset].count(b"\n") + 1
            raise StorageLostError(
                f"The journal {self._path} is damaged: line {number} is no operation of a study ({error}).\n"
                f"{_way_on(self._path)}"
            ) from error
        return log


@contextmanager
def _opened(path: Path, flags: int = 0) -> Iterator[int]:
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | flags, 0o666)
    try:
        yield file
    finally:
        os.close(file)


def _identity(file: int) -> tuple[int, int]:
    status = os.fstat(file)
    return status.st_dev, status.st_ino


def _read_from(file: int, offset: int) -> bytes:
    parts: Iterable[bytes] = iter(lambda: os.read(file, 1 << 24), b"")
    os.lseek(file, offset, os.SEEK_SET)
    return b"".join(parts)


def _require_journal(file: int, path: Path) -> None:
    """Check that the file is a journal, or was to become one: any other would be cut and written to."""
    head = os.pread(file, len(START), 0)
    is_torn = not any(chunk.strip(b"\0") for chunk in iter(lambda: os.read(file, 1 << 20), b""))  # zeros are all it has
    if not (head.startswith(START[: len(head)]) or is_torn):
        raise StudyError(
            f"The journal {path} is damaged: line 1 is no operation of a study. If it is another file of yours, give "
            f"study.storage another path (a database needs sqlite:///).\n{_way_on(path)}"
        )


def _cut_torn_tail(file: int) -> int:
    """Truncate `file` after its last whole line; returns its size then.

    A power cut may leave zeros where text was meant to be, and JSON has none.
    """
    size = end = os.fstat(file).st_size
    while end > 0:
        start = _line_start(file, end)
        if os.pread(file, 1, end - 1) == b"\n" and b"\0" not in os.pread(file, end - start, start):
            break
        end = start
    if end < size:
        os.ftruncate(file, end)
    return end


def _line_start(file: int, end: int) -> int:
    """Where the line begins that ends at `end`, with or without a newline."""
    stop = end - 1
    while stop > 0:
        start = max(0, stop - 4096)
        newline = os.pread(file, stop - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        stop = start
    return 0


def _sync_directory(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _way_on(path: Path) -> str:
    return (
        "Put back a copy of the file; or move it away and start the study again: it takes over its trials "
        f"from their records:\nmv {shlex.quote(str(path))} {shlex.quote(f'{path}.damaged')}"
    )


def _cure(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "Make room, then start the study again: it goes on where it stopped."
    if error.errno in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL):
        return (
            "Its file system cannot lock files, as some network shares cannot, and without locks processes overwrite "
            "each other. Keep the journal on a local disk (study.storage=/local/path/study.journal) or use PostgreSQL."
        )
    return "Choose a directory that can be written (study.storage or runs_dir)."
