"""Why a trial is not trained together with others."""

from __future__ import annotations

from idealfit.spec import IdealfitError


class NotFusableError(IdealfitError):
    """The trial must be trained alone; its message says what fusing does not support."""


class UnlikeGroupError(NotFusableError):
    """This trial does not go with those of its group; others like it may."""
