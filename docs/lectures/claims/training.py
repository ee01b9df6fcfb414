"""How a network is trained: learning rates, momentum, losses, batch norm."""

from __future__ import annotations

from docs.lectures.claim import ACCURACY, FINAL_ACCURACY, GAP, TRAIN_LOSS, VAL_LOSS, Claim, one_of
from docs.lectures.verdicts import BestOf

RATES = {"momentum": BestOf(0.03, 0.1, 0.3, 1.0, 3.0), "losses": BestOf(0.0003, 0.001, 0.003, 0.01)}
"""Of optimizer.lr, by study."""

TRAINING = [
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
        study="decay",
        title="Step, exponential and plateau decay",
        says="A large learning rate gets near the minimum soon and then jumps about it; a smaller one settles. So it "
        "should decay: in steps, exponentially, or when the validation loss stays.",
        expectations=[
            one_of(
                "scheduler",
                name,
                "none",
                f"{words} {name} decay ends {outcome} than a constant rate",
                among={"augment": augment},
                **options,
            )
            for augment, words in (("light", "with augmentation"), ("none", "without augmentation"))
            for name in ("step", "exponential", "plateau")
            for outcome, options in (
                ("more accurate", {"metric": FINAL_ACCURACY}),
                ("with a lower validation loss", {"metric": VAL_LOSS, "lower": True}),
            )
        ],
        picture={"metric": FINAL_ACCURACY},
        metrics=(FINAL_ACCURACY, TRAIN_LOSS, VAL_LOSS),
        note="Where a network learns its images by heart their gradients vanish, and the steps with them; augmented "
        "images are new each time, and keep it moving.",
        tried_first="an MLP on MNIST, at a rate where it learned nothing (momentum, 0.05), then at one where it had "
        "all of its images by heart and no decay helped (0.1); 800 validation drawings instead of 2,400, where no "
        "accuracy was settled either. The statements on the loss were added when the accuracies had been seen.",
    ),
    Claim(
        study="momentum",
        title="Momentum against plain descent in a ravine",
        says="In a ravine plain descent jumps from wall to wall or creeps; momentum adds up what steps agree on and "
        "cancels the rest.",
        expectations=[
            one_of(
                "optimizer",
                "momentum",
                "sgd",
                "after 100 steps, each at its best learning rate, momentum has the lower training loss",
                metric=TRAIN_LOSS,
                lower=True,
                among={"optimizer.lr": RATES["momentum"]},
            ),
            one_of(
                "optimizer",
                "momentum",
                "sgd",
                "after 20 steps already",
                metric="train/loss@20",
                lower=True,
                among={"optimizer.lr": RATES["momentum"]},
            ),
        ],
        picture={"metric": TRAIN_LOSS, "across": "optimizer.lr", "lines": "optimizer"},
        metrics=("train/loss@20", TRAIN_LOSS, ACCURACY),
        note="A linear classifier on 1,000 digits, all of them in each step. Its loss is convex, and far steeper along "
        "some directions than along others: pixels of one stroke are white together.",
        tried_first="200 steps at rates from 0.003 to 0.3, the largest of which was the best: the same verdict on the "
        "loss. A third statement, that momentum is more accurate, was not settled and is left out.",
    ),
    Claim(
        study="losses",
        title="Softmax against sigmoids and squared error",
        says="Classes that exclude each other want a softmax with cross-entropy: a sigmoid for each class ignores that "
        "they do, and the squared error punishes what is right with a margin.",
        expectations=[
            one_of("loss", "cross_entropy", rival, f"{words} softmax and cross-entropy beat {name}", **options)
            for rival, name in (("bce", "sigmoids"), ("mse", "the squared error"))
            for words, options in (
                ("after 2 epochs", {"metric": "val/accuracy@2", "among": {"optimizer.lr": RATES["losses"]}}),
                ("in the end", {"among": {"optimizer.lr": RATES["losses"]}}),
            )
        ],
        picture={"metric": ACCURACY, "across": "optimizer.lr", "lines": "loss"},
        metrics=("val/accuracy@2", ACCURACY),
        note="Gradients of the three losses are of different size. AdamW, whose steps do not depend on that, and a "
        "learning rate of its own for each make the comparison fair. The squared error is that of the logits.",
        tried_first="plain gradient descent at rates from 0.1 to 3, where most of the runs with squared error diverged "
        "and only its defeat in the end was settled.",
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
]
