"""A Hydra application around the usual module, for `--multirun`: the Optuna sweeper's plugin or Hydra's own."""

from __future__ import annotations

import hydra
import lightning.pytorch as pl
from omegaconf import DictConfig

from benchmarks.peers.usual import NUM_EPOCHS, LitClassifier, MNISTData, mlflow_logger, tell


@hydra.main(version_base=None, config_path=".", config_name="hydra_app")
def main(config: DictConfig) -> float:
    """Train one trial."""
    if config.default_logging:
        trainer = pl.Trainer(max_epochs=NUM_EPOCHS)
    else:
        trainer = pl.Trainer(max_epochs=NUM_EPOCHS, logger=mlflow_logger(), enable_checkpointing=False)
    trainer.fit(LitClassifier(lr=config.lr, dropout=config.dropout, depth=config.depth), datamodule=MNISTData())
    return tell(float(trainer.callback_metrics["val_acc"]))


if __name__ == "__main__":
    main()
