"""The pages of an exported run: what it is, and what it was trained on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from idealfit.provenance import Provenance

MAX_CLASSES = 1000


def readme(
    *,
    label: str,
    config: Mapping[str, Any],
    summaries: Mapping[str, float],
    num_params: int,
    provenance: Provenance | None,
    is_normalized: bool,
) -> str:
    """The folder's README.md."""
    network = str(config["model"].get("_target_", "a network")).rpartition(".")[2]
    lines = [
        f"# {escaped(label)}",
        "",
        f"An image classifier, {escaped(network)} with {num_params:,} parameters, trained and exported by idealfit.",
        "",
        "```bash",
        "pip install -r requirements.txt",
        "python predict.py IMAGE.png",
        "```",
        "",
        *([] if is_normalized else [_OWN_LOADERS, ""]),
        *_table("metric", [(name, f"{value:.6g}") for name, value in summaries.items()]),
        "Validation images chose the epoch and, in a study, the configuration: a fresh test set may score lower.",
        "",
        *_FILES,
        *([_ENVIRONMENT] if provenance else []),
        "",
        *_origin(label, provenance),
    ]
    return "\n".join(lines)


_OWN_LOADERS = (
    "**Before you use it:** this run read its images with a data module of its own, which normalised them by itself. "
    "`normalize` in predict.py only scales pixels to 0..1: put that module's transform there."
)

_FILES = (
    "| file | what |",
    "|---|---|",
    "| `predict.py` | classifies images; one file, needs only what requirements.txt lists |",
    "| `weights.safetensors` | the weights of the best epoch, named as in the network's state dict |",
    "| `config.yaml` | the whole config of the training run |",
    "| `data_card.md` | what it was trained on |",
    "| `requirements.txt` | what predict.py needs, exact versions |",
)
_ENVIRONMENT = "| `environment.txt` | everything that was installed when it was trained, exact versions |"


def data_card(*, config: Mapping[str, Any], facts: Mapping[str, Any], normalization: Sequence[Sequence[float]]) -> str:
    """The folder's data_card.md."""
    data = config["data"]
    shape = " x ".join(str(int(side)) for side in facts["image_shape"])
    mean, std = ([round(value, 4) for value in values] for values in normalization) if normalization else (None, None)
    facts_rows = [
        ("source", data.get("_target_")),
        ("images (channels x height x width)", shape),
        ("training images", facts.get("num_train_images")),
        ("validation images", facts.get("num_val_images")),
        ("classes", facts["num_classes"]),
        ("mean of a channel, pixels 0..255", mean or "the data module's own"),
        ("standard deviation", std or "the data module's own"),
        ("fingerprint of the images", facts.get("data_fingerprint")),
        ("fingerprint of the split", facts.get("split_sha256")),
    ]
    rows = [(name, value) for name, value in facts_rows if value is not None]
    keys = [(f"`{key}`", value) for key, value in data.items() if key != "_target_"]
    names = list(facts["class_names"])
    classes = [(str(index), name) for index, name in enumerate(names[:MAX_CLASSES])]
    more = [f"... and {len(names) - MAX_CLASSES:,} more, in predict.py"] if len(names) > MAX_CLASSES else []
    lines = ["# Data", "", *_table("what", rows), "## Parameters", "", *_table("key", keys)]
    return "\n".join([*lines, "## Classes", "", *_table("index", classes), *more, ""])


def _origin(label: str, provenance: Provenance | None) -> list[str]:
    if provenance is None:
        return []
    code = provenance.code
    commit = f", code of commit {code.commit}" if code.commit else ""
    changes = " with uncommitted changes" if code.dirty else ""
    machine = ", ".join(provenance.machine.gpus) or provenance.machine.cpu
    return [
        f"Trained with idealfit {escaped(provenance.idealfit)}{escaped(commit)}{changes}, on {escaped(machine)}.",
        f"Where its record lies, `idealfit reproduce {escaped(label)}` trains it again and compares.",
        "",
    ]


def _table(head: str, rows: Sequence[tuple[str, Any]]) -> list[str]:
    if not rows:
        return []
    return [f"| {head} | |", "|---|---|", *(f"| {escaped(key)} | {escaped(value)} |" for key, value in rows), ""]


def escaped(value: object) -> str:
    """`value` as text that Markdown shows as it is, on one line."""
    text = "".join(letter if letter.isprintable() else " " for letter in str(value))
    return re.sub(r"([\\|<>*\[\]#])", r"\\\1", text)
