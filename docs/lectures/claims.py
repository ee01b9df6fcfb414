"""The lectures' claims: what each says, the study that tests it, and the statements that its records settle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from docs.lectures.verdicts import Expectation

ACCURACY, GAP, LOSS = "best/val_accuracy", "overfit/gap_final", "final/val_loss"
TRAIN_LOSS = "final/train_loss"


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One claim and how it is shown.

    Attributes:
        study: A file of `sweeps/lectures/`.
        says: The claim in the lectures' words.
        expectations: The statements that make it; all must hold.
        picture: What is drawn: `across` and perhaps `lines` (searched keys) for a metric's values, or neither for its
            curves over the epochs.
        metrics: Columns of the table.
        note: What a reader should know of the set-up.
    """

    study: str
    title: str
    says: str
    expectations: Sequence[Expectation]
    picture: Mapping[str, str]
    metrics: Sequence[str] = (ACCURACY, GAP)
    note: str = ""


def one_of(key: str, better: Any, worse: Any, says: str, **options: Any) -> Expectation:
    """`better` against `worse` values of one key; `among` narrows both sides."""
    among = options.pop("among", {})
    return Expectation(says=says, better={key: better, **among}, worse={key: worse, **among}, **options)


ROBUST = "final/val_robust_accuracy"
NO_L1, NO_L2 = {"trainer.l1": 0.0}, {"optimizer.weight_decay": 0.0}
RELU, SIGMOID, DEPTH = "relu", "sigmoid", "model.depth"

CLAIMS = [
    Claim(
        study="relu_sigmoid",
        title="ReLU against sigmoid, by depth",
        says="Sigmoids saturate, and their gradients shrink from layer to layer: deep networks need ReLU.",
        expectations=[
            one_of("model.activation", RELU, SIGMOID, f"at depth {depth} ReLU beats sigmoid", among={DEPTH: depth})
            for depth in (1, 2, 4, 8)
        ]
        + [one_of(DEPTH, 1, 8, "depth 8 costs sigmoid accuracy", among={"model.activation": SIGMOID})],
        picture={"metric": ACCURACY, "across": DEPTH, "lines": "model.activation"},
    ),
    Claim(
        study="learning_rate",
        title="The learning rate: too small, right, too large",
        says="Too small a learning rate crawls, too large a one jumps about or diverges; the right one lies between.",
        expectations=[
            one_of("optimizer.lr", 0.3, 0.0003, "0.3 beats 0.0003"),
            one_of("optimizer.lr", 0.3, 0.003, "0.3 beats 0.003"),
            one_of("optimizer.lr", 0.3, 3.0, "0.3 beats 3.0"),
        ],
        picture={"metric": ACCURACY, "across": "optimizer.lr"},
        metrics=(ACCURACY, "final/train_loss"),
    ),
    Claim(
        study="dropout_gap",
        title="Dropout closes the gap",
        says="Dropout keeps units from relying on each other: the gap between training and validation closes.",
        expectations=[
            one_of("model.dropout", 0.5, 0.0, "dropout 0.5 ends with a smaller gap than none", metric=GAP, lower=True),
            one_of("model.dropout", 0.75, 0.5, "dropout 0.75 ends with a smaller gap than 0.5", metric=GAP, lower=True),
            one_of("model.dropout", 0.5, 0.0, "dropout 0.5 is more accurate than none"),
        ],
        picture={"metric": GAP, "across": "model.dropout"},
    ),
    Claim(
        study="more_data",
        title="More data close the gap",
        says="The best cure for overfitting is more data.",
        expectations=[
            one_of(
                "data.limit", more, less, f"{more:,} images leave a smaller gap than {less:,}", metric=GAP, lower=True
            )
            for less, more in ((100, 1000), (1000, 10000))
        ]
        + [one_of("data.limit", 10000, 1000, "10,000 images are more accurate than 1,000")],
        picture={"metric": GAP, "across": "data.limit"},
    ),
    Claim(
        study="batch_norm",
        title="Batch norm trains faster",
        says="Batch norm keeps each layer's input in range: training is faster and bears larger learning rates.",
        expectations=[
            one_of(
                "model.batch_norm",
                True,
                False,
                f"with lr {lr} batch norm is ahead after 2 epochs",
                metric="val/accuracy@2",
                among={"optimizer.lr": lr},
            )
            for lr in (0.01, 0.1, 0.5)
        ]
        + [
            one_of(
                "optimizer.lr", 0.5, 0.01, "with batch norm lr 0.5 ends above 0.01", among={"model.batch_norm": True}
            )
        ],
        picture={"metric": "val/accuracy"},
        metrics=("val/accuracy@2", ACCURACY, GAP),
    ),
    Claim(
        study="equal_parameters",
        title="Linear, MLP and CNN with as many parameters",
        says="What counts is not the number of parameters but where they are: weights that are shared over the image "
        "see more with as many.",
        expectations=[
            one_of("model", "mlp", "linear", "the MLP beats the linear classifier"),
            one_of("model", "cnn", "mlp", "the CNN beats the MLP"),
        ],
        picture={"metric": "val/accuracy"},
        metrics=("num_params", ACCURACY, GAP),
    ),
    Claim(
        study="augmentation",
        title="Augmentation on little data",
        says="With few images, turned and shifted copies are as good as new ones.",
        expectations=[
            one_of("augment", "light", "none", f"with {n:,} drawings it is more accurate", among={"data.limit": n})
            for n in (100, 300, 1000)
        ]
        + [one_of("augment", "light", "none", "the gap is smaller", metric=GAP, lower=True)],
        picture={"metric": ACCURACY, "across": "data.limit", "lines": "augment"},
    ),
]
