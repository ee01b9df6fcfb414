"""A trained run as a folder that stands by itself: weights, config, pages, and a script that needs no idealfit."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from safetensors.torch import save_file
from torch import Tensor, nn

from idealfit.provenance import Provenance, requirements
from idealfit.reproduce.cards import data_card, readme
from idealfit.reproduce.predict_template import predict_source
from idealfit.reproduce.program import trace
from idealfit.spec import JSON, StudyError
from idealfit.tasks import task_of
from idealfit.train.checkpoints import load_safely

NEEDED = ("torch", "safetensors", "numpy", "pillow")
"""What predict.py imports."""


@dataclass(frozen=True, kw_only=True)
class Exportable:
    """A run to export.

    Attributes:
        label: `STUDY/NUMBER`.
        config: The trial config.
        facts: The result's: image_shape, num_classes, class_names, fingerprints, numbers of images.
        network: Built from the config, behind the trust gate; its weights don't matter.
        weights: The file with the state dict of the best epoch.
        normalization: Mean and standard deviation of each channel, pixels 0..255; None where the user's own data
            module normalises.
        provenance: Of the run; None where it was not recorded: then the versions installed now are written.
    """

    label: str
    config: JSON
    facts: JSON
    network: nn.Module
    weights: Path
    normalization: tuple[Sequence[float], Sequence[float]] | None
    summaries: Mapping[str, float] = field(default_factory=dict)
    provenance: Provenance | None = None


def export(run: Exportable, folder: Path) -> list[str]:
    """Write `folder`, all of it or nothing.

    Returns:
        The names of the files in it.

    Raises:
        StudyError: `folder` holds something already, or the weights are missing or of another network.
        ConfigError: The network cannot be traced.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StudyError(f"{folder} is there already. Name a new or empty folder.")
    weights = _load(run)
    channels = int(run.facts["image_shape"][0])
    program = trace(run.network, run.facts["image_shape"])
    mean, std = run.normalization or ([0.0] * channels, [255.0] * channels)
    texts = {
        "predict.py": predict_source(
            label=run.label,
            class_names=[str(name) for name in run.facts["class_names"]],
            image_shape=run.facts["image_shape"],
            mean=list(mean),
            std=list(std),
            lines=program.lines,
            loss=str(run.config["loss"].get("_target_", "")).rpartition(".")[2],
            task=task_of(run.config).name,
        ),
        "config.yaml": yaml.safe_dump(run.config, sort_keys=False, allow_unicode=True, default_flow_style=False),
        "README.md": readme(
            label=run.label,
            config=run.config,
            summaries=run.summaries,
            num_params=sum(parameter.numel() for parameter in run.network.parameters()),
            provenance=run.provenance,
            is_normalized=run.normalization is not None,
        ),
        "data_card.md": data_card(config=run.config, facts=run.facts, normalization=run.normalization or ()),
        "requirements.txt": _needed(run.provenance),
        **_environment(run.provenance),
    }
    _write(folder, texts, weights | {name: value.clone().contiguous() for name, value in program.constants.items()})
    return sorted([*texts, "weights.safetensors"])


def _load(run: Exportable) -> dict[str, Tensor]:
    """The best weights, checked against the network; each with memory of its own, as safetensors wants it."""
    try:
        state: Any = load_safely(run.weights)
        run.network.load_state_dict(state)
    except FileNotFoundError as error:
        raise StudyError(f"{run.label} has no weights to export: there is no {run.weights}.") from error
    except Exception as error:  # damaged in any way that a file can be, or the weights of another network
        raise StudyError(f"{run.weights} does not hold the weights of this network: {error}") from error
    return {name: tensor.detach().clone().contiguous() for name, tensor in state.items()}


def _needed(provenance: Provenance | None) -> str:
    recorded = provenance.packages if provenance else {}
    versions = {name: recorded.get(name) or importlib.metadata.version(name) for name in NEEDED}
    return requirements(versions, {})


def _environment(provenance: Provenance | None) -> dict[str, str]:
    if provenance is None:
        return {}
    head = f"# {provenance.machine.python}, {provenance.machine.os}\n"
    return {"environment.txt": head + requirements(provenance.packages, provenance.package_origins)}


def _write(folder: Path, texts: Mapping[str, str], weights: dict[str, Tensor]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = folder.with_name(f".{folder.name}.{os.getpid()}")
    scratch.mkdir()
    try:
        for name, text in texts.items():
            (scratch / name).write_text(text, encoding="utf-8")
        save_file(weights, scratch / "weights.safetensors")
        scratch.replace(folder)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
