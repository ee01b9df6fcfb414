"""One controller a study: a lock that dies with its process."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from idealfit.spec import StudyError

NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL)
HELD_BY_A_LOOK_S = 0.3  # `is_driven` takes the lock for a moment: whoever watches a study must not stop its start


@contextmanager
def controller_lock(study_dir: Path) -> Iterator[None]:
    """Hold the right to ask and tell; the kernel frees it when the process ends, however it ends.

    Raises:
        StudyError: Another process drives the study.
    """
    path = _path(study_dir)
    try:
        study_dir.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        lock.acquire(timeout=HELD_BY_A_LOOK_S, poll_interval=0.02)
    except Timeout:
        raise StudyError(
            f"study {study_dir.name!r} is being driven by another process, which holds {path}. "
            "Wait for it or stop it, or start another study with study.name=OTHER."
        ) from None
    except OSError as error:
        if error.errno in NO_LOCKS:
            raise StudyError(
                f"runs_dir: the file system of {study_dir} cannot lock files ({error.strerror}), as some network "
                "shares cannot: two controllers would mix their trials. Set runs_dir to a folder on a local disk."
            ) from None
        raise StudyError(
            f"runs_dir: cannot write to {study_dir}: {error}. Set runs_dir to a writable folder."
        ) from None
    try:
        yield
    finally:
        lock.release()


def is_driven(study_dir: Path) -> bool:
    """Whether a controller works on the study now."""
    if not _path(study_dir).exists():
        return False
    lock = FileLock(_path(study_dir))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False


def _path(study_dir: Path) -> Path:
    return study_dir / "controller.lock"
