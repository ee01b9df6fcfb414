"""What can go wrong with a storage."""

from __future__ import annotations

from idealfit.spec import StudyError


class StorageLostError(StudyError):
    """The storage stopped answering, is full or damaged: the study stops, and goes on once that is mended."""


class NoTrialError(StudyError):
    """A worker was sent to report a trial that its storage has never heard of."""
