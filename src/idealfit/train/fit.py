"""`fit`: one config in, its curves out."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import lightning.pytorch as pl
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback
from torch import nn

from idealfit.models.estimators import Estimator
from idealfit.objective import constants_of
from idealfit.predictions import Predictions
from idealfit.record import BEST_WEIGHTS
from idealfit.spec import JSON, ConfigError, Objective, Reporter, StopSignal
from idealfit.train.assembly import device_facts, early_stopping, lean, make_trainer
from idealfit.train.batches import ChunkLoader, EpochLoader, PieceLoader
from idealfit.train.callbacks import EpochEnd, EpochSeeds, History, Interrupted, Interruption
from idealfit.train.checkpoints import LAST_CHECKPOINT, Checkpoints
from idealfit.train.classifier import Classifier, StepOptions
from idealfit.train.compiling import compiled_call
from idealfit.train.estimating import fit_estimator
from idealfit.train.latency import latency_probe
from idealfit.train.own_module import adopt
from idealfit.train.parts import Parts, make_parts
from idealfit.train.predicting import best_predictions
from idealfit.train.pretraining import pretraining

Outcome = Literal["complete", "pruned", "interrupted"]


@dataclass(frozen=True, kw_only=True)
class FitResult:
    """What came out of a fit.

    Attributes:
        outcome: Why it ended.
        curves: By metric one value an epoch, over all attempts.
        facts: What the parts turned out to be: number of parameters, image shape, device, precision, ...
        num_epochs: Epochs finished, over all attempts.
        fit_seconds: Seconds of this attempt.
        predictions: What the best weights say of the validation images; None where the fit goes on later.
    """

    outcome: Outcome
    curves: dict[str, list[float]]
    facts: JSON
    num_epochs: int
    fit_seconds: float
    predictions: Predictions | None = None


@dataclass(frozen=True)
class Trainee:
    """A module with the loader that feeds it and what the Trainer must know of it."""

    module: pl.LightningModule
    loader: EpochLoader
    network: Callable[[pl.LightningModule], nn.Module]
    steps_schedule: bool
    trainer_options: dict[str, Any]


def fit(
    config: JSON,
    *,
    objective: Objective,
    reporter: Reporter,
    stop: StopSignal,
    on_epoch: Callable[[int, dict[str, float]], None],
    checkpoint_dir: Path,
    trusted_packages: Sequence[str] = (),
    num_threads: int | None = None,
    refit: bool = False,
) -> FitResult:
    """Train what `config` says, from the last checkpoint in `checkpoint_dir` where there is one.

    A resumed fit ends with the same bits as one that was never interrupted.

    Args:
        config: The resolved tree of one training run.
        objective: Decides which weights are the best, and what is reported.
        reporter: Told the objective's value after every epoch; may prune.
        stop: Looked at between chunks of batches.
        on_epoch: Told every metric after every epoch, before the reporter.
        checkpoint_dir: Where `last.ckpt` and `best.pt` lie.
        trusted_packages: Packages whose classes may be built.
        num_threads: CPU threads; other numbers give other bits.
        refit: Train on the validation images too; the last weights then count as the best.

    Raises:
        UserError: The config does not fit together.
        NonFiniteLossError: The training or validation loss became NaN or infinite.
    """
    started = time.perf_counter()
    if num_threads is not None:
        torch.set_num_threads(num_threads)
    with lean():
        parts = make_parts(config, objective=objective, trusted=trusted_packages, refit=refit)
        telling: dict[str, Any] = {"objective": objective, "reporter": reporter, "on_epoch": on_epoch}
        if isinstance(parts.net, Estimator):
            found = fit_estimator(parts.net, parts, config["seed"], checkpoint_dir=checkpoint_dir, **telling)
            found |= {"outcome": "complete", "num_epochs": 1}
        else:
            history = History(constants=constants_of(parts.facts()), is_refit=refit)
            found = _fit_network(parts, history, config["seed"], stop, checkpoint_dir, telling)
    return FitResult(fit_seconds=time.perf_counter() - started, **found)


def _fit_network(
    parts: Parts, history: History, seed: int, stop: StopSignal, checkpoint_dir: Path, telling: dict[str, Any]
) -> dict[str, Any]:
    """Let Lightning train what has a gradient; what `FitResult` says of it."""
    trainee = make_trainee(parts)
    checkpoints = Checkpoints(
        checkpoint_dir,
        every_s=parts.trainer.checkpoint_every_s,
        objective=telling["objective"],
        history=history,
        stop=stop,
        network=trainee.network,
    )
    layers = pretraining(parts.net, parts.data, seed, stop)
    callbacks: list[Callback] = [
        *layers,
        EpochSeeds(seed, trainee.loader),
        Interruption(stop, history),
        *parts.start.thaws(),
        *latency_probe(telling["objective"], parts.data.image_shape, history, trainee.network),
        _epoch_end(parts, trainee, history, telling),
        *early_stopping(parts.trainer),
        checkpoints,
    ]
    trainer = make_trainer(parts.trainer, callbacks, root_dir=checkpoint_dir, **trainee.trainer_options)
    last = checkpoint_dir / LAST_CHECKPOINT
    with checkpoints.going_on_from(last):
        is_interrupted = _run(trainer, trainee, parts, last)
    predictions = None if is_interrupted else _predictions(trainer, trainee, parts, checkpoint_dir / BEST_WEIGHTS)
    return {
        "outcome": "interrupted" if is_interrupted else "pruned" if history.is_pruned else "complete",
        "curves": history.curves,
        "facts": parts.facts() | device_facts(trainer) | _latency(history) | (layers[0].facts() if layers else {}),
        "num_epochs": history.num_epochs,
        "predictions": predictions,
    }


def _epoch_end(parts: Parts, trainee: Trainee, history: History, telling: dict[str, Any]) -> EpochEnd:
    return EpochEnd(
        evaluation=parts.evaluation,
        attack=parts.attack,
        data=parts.data,
        schedule=parts.schedule if trainee.steps_schedule else None,
        monitors=parts.monitors,
        history=history,
        **telling,
    )


def make_trainee(parts: Parts) -> Trainee:
    """Our module around the net, or the user's own as it is."""
    config = parts.trainer
    if isinstance(parts.net, pl.LightningModule):
        options = {
            "gradient_clip_val": config.gradient_clip_val,
            "accumulate_grad_batches": config.accumulate_grad_batches,
        }
        loader = PieceLoader(parts.data, config.accumulate_grad_batches)
        return Trainee(parts.net, loader, lambda module: module, adopt(parts.net, parts), options)
    step_options = StepOptions(
        gradient_clip_val=config.gradient_clip_val,
        num_micro_batches=config.accumulate_grad_batches,
        averages_batch=parts.averages_batch,
        l1=config.l1,
        max_norm=config.max_norm,
    )
    compiled = compiled_call(parts.net, config.compile)
    module = Classifier(parts.net, parts.loss, parts.criterion, parts.stepper, parts.schedule, step_options, compiled)
    return Trainee(module, ChunkLoader(parts.data, config.batches_per_step), lambda _: parts.net, True, {})


def _latency(history: History) -> JSON:
    return {key: value for key, value in history.constants.items() if key == "latency_ms"}


def _predictions(trainer: pl.Trainer, trainee: Trainee, parts: Parts, weights: Path) -> Predictions | None:
    if not trainer.is_global_zero:
        return None
    network = trainee.network(trainee.module).to(trainer.strategy.root_device)
    with trainer.precision_plugin.val_step_context():
        return best_predictions(network, parts, weights, trainer.precision_plugin.convert_input)


def _run(trainer: pl.Trainer, trainee: Trainee, parts: Parts, checkpoint: Path) -> bool:
    """Run the Trainer; whether it was interrupted."""
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    device = trainer.strategy.root_device
    parts.data.to(device)
    parts.loss.to(device)
    trainee.loader.attach(trainer)
    try:
        with own_sigint():
            trainer.fit(trainee.module, trainee.loader, ckpt_path=checkpoint if checkpoint.exists() else None)
    except Interrupted:
        return True
    except MisconfigurationException as error:  # how a user's own module and the trainer's options go together
        raise ConfigError(f"model {type(parts.net).__name__} and trainer do not go together: {error}") from error
    return False


@contextmanager
def own_sigint() -> Iterator[None]:
    """Ctrl-C stays a KeyboardInterrupt: Lightning turns it into an exit and ignores further ones for good."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from error
        raise
    finally:
        if in_main_thread:
            signal.signal(signal.SIGINT, handler)
