"""Intermediate values and pruning: where they are stored, who decides, and how a worker reports them.

The controller owns the study; a worker opens the same storage, reports one value an epoch and asks whether to go on. A
worker lives for one trial only, so it reads of a study's history no more than its pruner needs.
"""

from idealfit.pruning.database import modules_to_preload
from idealfit.pruning.errors import StorageLostError
from idealfit.pruning.journal import JournalFile
from idealfit.pruning.pruners import FIRST_STEP, PRUNERS, make_pruner
from idealfit.pruning.reporter import StorageReporter
from idealfit.pruning.storage import close_storage, open_storage, reached, synced_once

__all__ = [
    "FIRST_STEP",
    "PRUNERS",
    "JournalFile",
    "StorageLostError",
    "StorageReporter",
    "close_storage",
    "make_pruner",
    "modules_to_preload",
    "open_storage",
    "reached",
    "synced_once",
]
