"""Bad checkpoints, and configs that compose but may not fit together."""

from __future__ import annotations

import json
import random
import threading
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.faults import mutate
from benchmarks.faults.cases import Case, WrongError
from idealfit.spec import (
    FailureKind,
    Objective,
    SilentReporter,
    TrialSpec,
    UserError,
)

OBJECTIVE = Objective()


def checkpoint(rng: random.Random) -> Case:
    """A trial that goes on from a damaged checkpoint."""
    name, seed = rng.choice(("last.ckpt", "last.ckpt", "best.pt")), rng.randrange(2**32)

    def action(folder: Path) -> None:
        dice = random.Random(seed)
        for file_name, good in checkpoint_files().items():
            path = folder / "checkpoints" / file_name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(mutate.content(dice, good) if file_name == name else good)
        if _losses(fit_tiny(folder, max_epochs=2)) != _whole_fit():
            raise WrongError("it went on to other losses than an uninterrupted fit")

    return Case("checkpoint", f"{name}, seed {seed}", action)


def trial(rng: random.Random) -> Case:
    """A config that composes but may not fit together, in the worker's own check."""
    odd = (
        *("data.limit=1", "data.limit=10", "data.batch_size=99999999999999999999", "data.val_fraction=1e-9"),
        *(
            "data.val_fraction=0.999999",
            "data.test_fraction=0.999999",
            "model=lenet",
            "model.batch_norm=true model=mlp",
        ),
        *("trainer.eval_batch_size=99999999999999999999", "trainer.precision=16-true", "trainer.accelerator=cuda"),
        *("trainer.devices=3", "optimizer.lr=1e300", "optimizer.betas=[0.9]", "optimizer.betas=[]", "loss.margin=nan"),
        *(
            "model.activation=nn.ReLU",
            "model.activation=''",
            "model=cnn model.kernel_size=99",
            "model=cnn model.depth=9",
        ),
        *(
            "data.cache_dir=/proc/nowhere",
            "data.cache_dir=~nobody-at-all/x",
            "data.cache_dir=''",
            "scheduler=one_cycle",
        ),
        *("data=image_folder data.root=~nobody-at-all", "data=mnist data.root=''", "data=quickdraw data.root=."),
        *("data=quickdraw data.categories=[a]", "data=image_folder data.image_size=[]", "augment=photo", "loss=bce"),
        *("trainer.max_epochs=99999999999999999999 scheduler=cosine", "data.split_seed=4294967295", "seed=4294967295"),
        *("scheduler=step scheduler.step_size=99999999999999999999", "optimizer=sgd +optimizer.maximize=maybe"),
        *("trainer.batches_per_step=99999999999999999999", "trainer.accumulate_grad_batches=99999999999999999999"),
        *("trainer.checkpoint_every_s=1e308", "trainer.early_stopping.monitor=x trainer.early_stopping.patience=1"),
        *("model._target_=torch.nn.ReLU", "loss._target_=torch.nn.NLLLoss2d", "optimizer._target_=torch.optim.LBFGS"),
        *(
            "model._target_=idealfit.models",
            "data._target_=idealfit.data.ImageSource",
            "augment={_target_:torch.nn.GELU}",
        ),
    )
    texts = " ".join(rng.sample(odd, rng.choice((1, 1, 2)))).split(" ")

    def action(folder: Path) -> None:
        from idealfit.config import Composer
        from idealfit.trial import check_trial

        config = Composer("train", texts).trial_config()
        spec = TrialSpec(study="s", number=0, config=config, record_dir=str(folder / "runs" / "s" / "0"))
        result = check_trial(spec, threading.Event())
        if result.failure in (FailureKind.INPUT, FailureKind.DATA):
            raise UserError(result.message)
        if result.failure is not None:
            raise WrongError(f"{result.failure}: {result.message[:500]}")

    return Case("trial", repr(texts), action)


def fit_tiny(folder: Path, *, max_epochs: int) -> Any:
    """Train a small network on the digits, from `FOLDER/checkpoints/last.ckpt` where it is there."""
    from idealfit.train import fit

    return fit(
        tiny_config(max_epochs),
        objective=OBJECTIVE,
        reporter=SilentReporter(),
        stop=threading.Event(),
        on_epoch=lambda epoch, metrics: None,
        checkpoint_dir=folder / "checkpoints",
        num_threads=1,
    )


@cache
def _tiny() -> dict[str, Any]:
    from idealfit.config import Composer

    cache_dir = Path(".idealfit-cache").resolve()  # of the first case; later ones decode the digits again: 5 ms
    texts = [
        "model.depth=1",
        "model.width=8",
        "data.limit=64",
        f"data.cache_dir='{cache_dir}'",
        "trainer.accelerator=cpu",
    ]
    return Composer("train", texts).trial_config()


def tiny_config(max_epochs: int) -> dict[str, Any]:
    """The trial config of `fit_tiny`."""
    config = json.loads(json.dumps(_tiny()))
    config["trainer"] |= {"max_epochs": max_epochs, "checkpoint_every_s": 0.0}
    config["data"]["cache_dir"] = str(Path.cwd() / "cache")
    return dict(config)


def _losses(fitted: Any) -> str:
    return repr({name: curve for name, curve in fitted.curves.items() if name.endswith("loss")})


@cache
def _whole_fit() -> str:
    """The losses of two epochs that nothing interrupted."""
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        return _losses(fit_tiny(Path(name), max_epochs=2))


@cache
def checkpoint_files() -> dict[str, bytes]:
    """The files of a trial after its first epoch."""
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        fit_tiny(Path(name), max_epochs=1)
        return {path.name: path.read_bytes() for path in sorted(Path(name, "checkpoints").iterdir())}
