"""Ray Tune as its page "Using PyTorch Lightning with Tune" tells, with ASHA, in a function instead of a `TorchTrainer`.

The trainer of that page would start one more worker for each trial.
"""

from __future__ import annotations

import os
from typing import Any

import lightning.pytorch as pl
import ray
from ray import tune
from ray.tune.integration.pytorch_lightning import TuneReportCheckpointCallback
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

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


class TellLast(pl.Callback):
    """Tells the score of the last epoch before it is reported: ASHA ends the function then, and nothing comes after."""

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """See the class."""
        if not trainer.sanity_checking and trainer.current_epoch == NUM_EPOCHS - 1:
            tell(float(trainer.callback_metrics["val_acc"]))


def train_fn(config: dict[str, Any]) -> None:
    """Train one trial."""
    os.chdir(os.environ["PEER_PLACE"])  # where MLflow's database is
    trainer = pl.Trainer(
        logger=mlflow_logger(),
        enable_checkpointing=False,
        max_epochs=NUM_EPOCHS,
        accelerator="auto",
        devices=1,
        callbacks=[
            TellLast(),
            TuneReportCheckpointCallback({"val_acc": "val_acc"}, save_checkpoints=False, on="validation_end"),
        ],
    )
    trainer.logger.log_hyperparams(config)  # type: ignore[union-attr]
    trainer.fit(LitClassifier(**config), datamodule=MNISTData())


if __name__ == "__main__":
    os.environ["PEER_PLACE"] = os.getcwd()  # noqa: PTH109 - as the page does
    ray.init(num_cpus=len(os.sched_getaffinity(0)))
    tuner = tune.Tuner(
        tune.with_resources(train_fn, {"cpu": 1}),
        param_space={
            "lr": tune.loguniform(1e-4, 1e-1),
            "dropout": tune.uniform(0.0, 0.6),
            "depth": tune.randint(1, 5),
        },
        tune_config=tune.TuneConfig(
            metric="val_acc",
            mode="max",
            num_samples=NUM_TRIALS,
            search_alg=OptunaSearch(seed=SEED),
            scheduler=ASHAScheduler(max_t=NUM_EPOCHS, grace_period=1, reduction_factor=2) if IS_PRUNED else None,
        ),
        run_config=tune.RunConfig(storage_path=os.path.join(os.getcwd(), "ray")),  # noqa: PTH109, PTH118
    )
    tuner.fit()
