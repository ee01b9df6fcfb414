"""Optuna's own Lightning example (optuna-examples, `pytorch/pytorch_lightning_simple.py`) with the usual module."""

from __future__ import annotations

import lightning.pytorch as pl
import optuna
from optuna_integration import PyTorchLightningPruningCallback

from benchmarks.peers.usual import (
    IS_PRUNED,
    NUM_EPOCHS,
    NUM_TRIALS,
    SEED,
    LitClassifier,
    MNISTData,
    mlflow_logger,
    tell,
)


def objective(trial: optuna.Trial) -> float:
    """Train one trial."""
    model = LitClassifier(
        lr=trial.suggest_float("lr", 1e-4, 1e-1, log=True),
        dropout=trial.suggest_float("dropout", 0.0, 0.6),
        depth=trial.suggest_int("depth", 1, 4),
    )
    trainer = pl.Trainer(
        logger=mlflow_logger(),
        enable_checkpointing=False,
        max_epochs=NUM_EPOCHS,
        accelerator="auto",
        devices=1,
        callbacks=[PyTorchLightningPruningCallback(trial, monitor="val_acc")],
    )
    trainer.logger.log_hyperparams(trial.params)  # type: ignore[union-attr]
    trainer.fit(model, datamodule=MNISTData())
    return tell(float(trainer.callback_metrics["val_acc"]))


if __name__ == "__main__":
    pruner = optuna.pruners.MedianPruner() if IS_PRUNED else optuna.pruners.NopPruner()
    study = optuna.create_study(direction="maximize", pruner=pruner, sampler=optuna.samplers.TPESampler(seed=SEED))
    study.optimize(objective, n_trials=NUM_TRIALS)
