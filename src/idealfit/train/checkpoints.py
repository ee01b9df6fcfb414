"""The two files that a fit leaves behind: `last.ckpt` to go on from, `best.pt` to use."""

from __future__ import annotations

import math
import os
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.fabric.plugins.io import TorchCheckpointIO
from lightning.pytorch.callbacks import Checkpoint
from torch import Tensor, nn

from idealfit.record import BEST_WEIGHTS
from idealfit.spec import Objective, StopSignal, StudyError, UserError
from idealfit.train.callbacks import History

LAST_CHECKPOINT = "last.ckpt"


def save_atomically(state: Any, path: Path) -> None:
    """`torch.save` that leaves either the old file or the new one, whatever happens."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            torch.save(state, file)
        temporary.replace(path)
    except RuntimeError as error:
        if isinstance(error.__context__, OSError):  # torch calls a full disk an unexpected position
            raise error.__context__ from None
        raise
    finally:
        temporary.unlink(missing_ok=True)


def load_safely(path: Path, map_location: Any = "cpu") -> Any:
    """What `torch.save` wrote: tensors, numbers, strings, lists and dictionaries only. Nothing in it is executed.

    Raises:
        Exception: It is damaged in any way that a file can be, or holds something else.
    """
    check_sums(path)
    return torch.load(path, map_location=map_location, weights_only=True)


class SafeCheckpointIO(TorchCheckpointIO):
    """Writes atomically beside the target (Lightning's goes through $TMPDIR) and never unpickles code."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write `checkpoint` to `path`."""
        save_atomically(checkpoint, Path(path))

    def load_checkpoint(self, path: Any, map_location: Any = "cpu", weights_only: bool | None = True) -> dict[str, Any]:
        """Read `path`: tensors, numbers, strings, lists and dictionaries only.

        Raises:
            StudyError: It is damaged, or holds something else.
        """
        try:
            checkpoint: dict[str, Any] = load_safely(Path(path), map_location)
        except Exception as error:  # a file can be damaged in any way
            raise unusable(Path(path), error) from error
        return checkpoint


def check_sums(path: Path) -> None:
    """Check the sums in torch's archive, which torch itself never looks at.

    Raises:
        ValueError: A bit has flipped.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if damaged := archive.testzip():
                raise ValueError(f"the sum of {damaged} is wrong")


def unusable(path: Path, error: Exception) -> StudyError:
    """What to tell of a checkpoint that cannot be gone on from."""
    reason = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
    if isinstance(error, UnpicklingError):  # torch's own words recommend to load it all the same
        reason = "it is damaged, or holds more than numbers and text, and to read that would be to run somebody's code"
    return StudyError(f"{path} can't be gone on from ({reason}). Remove it: the trial then begins at its first epoch.")


class Checkpoints(Checkpoint):
    """Keeps the best weights in memory; writes both files every `every_s` seconds, at the end and when asked to stop.

    `best.pt` holds the `state_dict` of the network alone. It is written before a `last.ckpt` that is later than it, so
    a resumed fit finds the best weights up to its checkpoint on disk.

    Args:
        network: Picks the network out of the module.
    """

    def __init__(
        self,
        directory: Path,
        *,
        every_s: float,
        objective: Objective,
        history: History,
        stop: StopSignal,
        network: Callable[[pl.LightningModule], nn.Module],
    ) -> None:
        self._directory = directory
        self._every_s = every_s
        self._objective = objective
        self._history = history
        self._stop = stop
        self._network = network
        self._best: dict[str, Tensor] | None = None
        self._has_stopped = False
        self._has_begun = False

    @contextmanager
    def going_on_from(self, path: Path) -> Iterator[None]:
        """Tell what goes wrong before training begins as a fault of the checkpoint `path`, if there is one."""
        try:
            yield
        except UserError:
            raise
        except Exception as error:  # sizes, names and types in it may be any
            if self._has_begun or not path.exists():
                raise
            raise unusable(path, error) from error

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A fit that had stopped early before its result was read is not trained any further."""
        self._saved_at = time.monotonic()
        self._has_begun = True
        self._history.num_saved = self._history.num_epochs
        if self._has_stopped:
            trainer.should_stop = True

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remember the best weights, write what is due."""
        epoch = trainer.current_epoch
        curve = self._objective.curve(self._history.curves, self._history.constants)
        if trainer.is_global_zero and (self._history.is_refit or self._is_best(curve, epoch)):
            state = self._network(pl_module).state_dict()
            self._best = {name: tensor.detach().cpu().clone() for name, tensor in state.items()}
        is_over = trainer.should_stop or epoch + 1 == trainer.max_epochs
        is_due = is_over or self._stop.is_set() or time.monotonic() - self._saved_at >= self._every_s
        if trainer.strategy.broadcast(is_due):
            self._write_best()
            self._has_stopped = trainer.should_stop
            trainer.save_checkpoint(self._directory / LAST_CHECKPOINT, weights_only=False)
            self._saved_at = time.monotonic()
            self._history.num_saved = self._history.num_epochs

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """The weights have moved on since the last epoch, but the best ones are kept."""
        self._write_best()

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Leave out what a user's module remembers of its arguments: any object, which would have to be unpickled."""
        for key in (pl_module.CHECKPOINT_HYPER_PARAMS_KEY, pl_module.CHECKPOINT_HYPER_PARAMS_NAME):
            checkpoint.pop(key, None)

    def state_dict(self) -> dict[str, Any]:
        """Whether the fit had stopped by itself."""
        return {"has_stopped": self._has_stopped}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where `state_dict` left off."""
        self._has_stopped = state_dict["has_stopped"]

    def _is_best(self, curve: list[float], epoch: int) -> bool:
        return any(map(math.isfinite, curve)) and self._objective.best_epoch(curve) == epoch

    def _write_best(self) -> None:
        if self._best is not None:
            save_atomically(self._best, self._directory / BEST_WEIGHTS)
            self._best = None
