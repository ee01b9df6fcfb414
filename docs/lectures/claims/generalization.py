"""What closes the gap between training and validation."""

from __future__ import annotations

from docs.lectures.claim import ACCURACY, GAP, ROBUST, Claim, one_of
from docs.lectures.verdicts import BestOf, Expectation

NO_L1, NO_L2 = {"trainer.l1": 0.0}, {"optimizer.weight_decay": 0.0}
L1 = {"trainer.l1": BestOf(0.0001, 0.0003, 0.001, 0.003), **NO_L2}
L2 = {"optimizer.weight_decay": BestOf(0.003, 0.01, 0.03, 0.1), **NO_L1}

GENERALIZATION = [
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
        study="fewer_parameters",
        title="Fewer parameters close the gap",
        says="A network with fewer parameters cannot learn its training images by heart.",
        expectations=[
            one_of(
                "model.width",
                few,
                many,
                f"{few} hidden units leave a smaller gap than {many}",
                metric=GAP,
                lower=True,
            )
            for few, many in ((2, 8), (8, 32), (32, 512))
        ]
        + [one_of("model.width", 32, 512, "32 units are more accurate than 512")],
        picture={"metric": GAP, "across": "model.width"},
        metrics=("num_params", "final/train_accuracy", ACCURACY, GAP, "overfit/val_loss_rise"),
    ),
    Claim(
        study="l2_l1",
        title="L2 against L1",
        says="Small weights make smooth functions. Punishing their squares (L2) shrinks all of them, punishing their "
        "absolute values (L1) most of them to nothing. Both close the gap, and L2 is usually the better one.",
        expectations=[
            Expectation(says=f"{name} {says}", better=side, worse=NO_L1 | NO_L2, **options)
            for name, side in (("L2", L2), ("L1", L1))
            for says, options in (
                ("at its best strength is more accurate than none", {}),
                ("leaves a smaller gap than none", {"metric": GAP, "lower": True}),
            )
        ]
        + [Expectation(says="each at its best strength, L2 is more accurate than L1", better=L2, worse=L1)],
        picture={"metric": ACCURACY},
        tried_first="1,000 digits of MNIST, where no statement was settled.",
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
    Claim(
        study="adversarial",
        title="Adversarial accuracy against dropout",
        says="A network that cannot rely on any single unit is harder to fool by changes that nobody sees.",
        expectations=[
            one_of("model.dropout", rate, 0.0, f"dropout {rate} keeps more accuracy under attack", metric=ROBUST)
            for rate in (0.25, 0.5, 0.75)
        ]
        + [one_of("model.dropout", 0.5, 0.0, "dropout 0.5 is more accurate where nobody attacks")],
        picture={"metric": ROBUST, "across": "model.dropout"},
        metrics=(ACCURACY, ROBUST, GAP),
        note="The attack is the fast gradient sign method: each pixel of the validation images moves by 0.1 of the way "
        "from black to white, to where the loss is larger.",
    ),
]
