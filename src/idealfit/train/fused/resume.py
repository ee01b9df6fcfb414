"""Checkpoints of a trial in a group: those of a trial alone, so that either goes on from the other's."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback

from idealfit.train.parts import Parts

NET = "net."  # how the network's weights are called in the module of a trial alone


def checkpoint_of(parts: Parts, callbacks: Sequence[Callback], num_epochs: int, chunk_size: int) -> dict[str, Any]:
    """What a trainer saves after `num_epochs` epochs of `chunk_size` batches a training step."""
    num_batches = parts.data.num_train_batches
    num_steps = num_epochs * num_batches
    schedule = parts.schedule
    return {
        "epoch": num_epochs - 1,
        "global_step": num_steps,
        "pytorch-lightning_version": version("lightning"),
        # Views into the stack would be saved with all of it.
        "state_dict": {NET + name: tensor.detach().cpu().clone() for name, tensor in parts.net.state_dict().items()},
        "loops": _loops(num_epochs, -(-num_batches // chunk_size), num_steps),
        "callbacks": {each.state_key: state for each in callbacks if (state := each.state_dict())},
        "optimizer_states": [_own_tensors(parts.stepper.state_dict())],
        "lr_schedulers": [schedule.scheduler.state_dict()] if schedule and schedule.is_per_batch else [],
    }


def restore(checkpoint: dict[str, Any], parts: Parts, callbacks: Sequence[Callback]) -> None:
    """Go on where `checkpoint` left off."""
    state = {name.removeprefix(NET): value for name, value in checkpoint["state_dict"].items() if name.startswith(NET)}
    parts.net.load_state_dict(state)
    parts.stepper.load_state_dict(checkpoint["optimizer_states"][0])
    for callback in callbacks:
        if callback.state_key in checkpoint["callbacks"]:
            callback.load_state_dict(checkpoint["callbacks"][callback.state_key])


def _own_tensors(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {key: _own_tensors(item) for key, item in value.items()}
    return [_own_tensors(item) for item in value] if isinstance(value, list) else value


def _loops(num_epochs: int, num_chunks: int, num_steps: int) -> dict[str, Any]:
    """The counts of a trainer's loops, at the end of an epoch."""
    loops = _fresh_loops()
    fit = dict(loops["fit_loop"])
    chunks = dict.fromkeys(("ready", "completed", "started", "processed"), num_epochs * num_chunks)
    epochs = {"ready": num_epochs, "completed": num_epochs - 1, "started": num_epochs, "processed": num_epochs}
    steps = {"ready": num_steps, "completed": num_steps}
    fit["epoch_loop.state_dict"] = {"_batches_that_stepped": chunks["ready"]}
    current = dict.fromkeys(chunks, num_chunks)
    fit["epoch_loop.batch_progress"] = {"total": chunks, "current": current, "is_last_batch": True}
    fit["epoch_loop.manual_optimization.optim_step_progress"] = {"total": steps, "current": steps}
    fit["epoch_progress"] = {"total": epochs, "current": epochs}
    return {**loops, "fit_loop": fit}


@cache
def _fresh_loops() -> dict[str, Any]:
    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
    names = ("fit_loop", "validate_loop", "test_loop", "predict_loop")
    return {name: getattr(trainer, name).state_dict() for name in names}
