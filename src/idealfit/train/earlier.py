"""Weights to start from: of an earlier run, by its record, of a file, or published ones."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from idealfit.record import Record
from idealfit.spec import JSON, ConfigError, StudyError
from idealfit.train.checkpoints import load_safely
from idealfit.train.published import Published

PARTS = ("val_fraction", "test_fraction", "split_seed")
"""Keys of `data` that decide which images validate and test, whatever `data.limit` keeps of the rest."""


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """The weights that `model.weights` names.

    Attributes:
        path: The file.
        record: Of the run that they are of; None where that is not known.
        published: What they are, where they are published ones.
    """

    path: Path
    record: Record | None
    published: Published | None = None

    @classmethod
    def find(cls, weights: str) -> Earlier:
        """Find `runs/STUDY/3`, a file, or published weights, which are downloaded where torch has not kept them.

        Raises:
            ConfigError: There is none.
        """
        if published := Published.find(weights):
            return cls(path=published.fetch(), record=None, published=published)
        place = Path(weights).expanduser()
        path = Record(place).best_weights_path if place.is_dir() else place
        if not path.is_file():
            raise ConfigError(
                f"model.weights: no {path}. Name a run by its record, e.g. runs/STUDY/3, a .pt or .safetensors file, "
                "or published weights, e.g. ResNet18_Weights.IMAGENET1K_V1."
            )
        record = Record(path.resolve().parent.parent)
        return cls(path=path, record=record if record.spec_path.is_file() else None)

    @property
    def facts(self) -> JSON:
        """What the record says of them: the file's hash, and the name that they are published by."""
        return {"weights_sha256": self.sha256} | ({"weights_name": self.published.name} if self.published else {})

    @property
    def sha256(self) -> str:
        """Of the file."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    @property
    def config(self) -> JSON | None:
        """What the run was trained by; None where that is not known.

        Raises:
            ConfigError: Its record is damaged.
        """
        if self.record is None:
            return None
        try:
            return self.record.read_spec().config
        except StudyError as error:
            raise ConfigError(f"model.weights: {error}") from error

    def read(self) -> dict[str, Tensor]:
        """The state dict.

        Raises:
            ConfigError: It is damaged, or something else.
        """
        try:
            if self.path.suffix == ".safetensors":
                from safetensors.torch import load_file

                return load_file(self.path)
            state = load_safely(self.path)
        except Exception as error:  # a file can be damaged in any way
            raise ConfigError(f"model.weights: {self.path} can't be read: {type(error).__name__}: {error}") from error
        if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
            raise ConfigError(f"model.weights: {self.path} holds no state dict of tensors")
        return state

    def check_unseen(self, config: JSON, fingerprint: str) -> None:
        """Check that the run learned from no image that validates or tests in a run of `config`.

        Nothing is known of a file without its record, and nothing of images that another data set has in common.

        Args:
            config: Of the run that begins with these weights.
            fingerprint: Of its data.

        Raises:
            ConfigError: They are the same images, split in another way.
        """
        then = self.config
        if then is None or self.record is None:
            return
        before = then["model"].get("weights")
        if before and Path(before).expanduser().exists():  # what it had learned from counts as well
            Earlier.find(before).check_unseen(config, fingerprint)
        result = self.record.read_result()
        if result is None or result.facts.get("data_fingerprint") != fingerprint:
            return
        here, there = _parts_of(config), _parts_of(then)
        changed = [f"{key} is {here[key]} here and was {there[key]}" for key in here if here[key] != there[key]]
        if self.record.read_spec().refit:
            changed.append("it was refitted to its validation images too")
        if changed:
            raise ConfigError(
                f"model.weights: {self.path} has learned from images that validate or test here, so that no score "
                f"could be trusted: {', '.join(changed)}. Train it anew on the same split, or on other data."
            )


def take_weights(net: nn.Module, state: Mapping[str, Tensor], *, path: Path, head: str, new_head: bool) -> None:
    """Load `state`, but for the head where it is to be new, or where it was one of other classes.

    Args:
        net: What starts from them.
        state: Of a network that is the same up to its head.
        path: Where `state` comes from, for messages.
        head: Name of the last linear layer.
        new_head: Whether the head stays as it is.

    Raises:
        ConfigError: They are those of another network.
    """
    wanted = net.state_dict()
    fitting = {key for key, tensor in wanted.items() if key in state and state[key].shape == tensor.shape}
    in_head = {key for key in wanted if key.startswith(f"{head}.")}
    for key, tensor in wanted.items():
        if key not in fitting | in_head:
            got = f"it is {list(state[key].shape)} there" if key in state else "there is none"
            raise ConfigError(
                f"model.weights: {path} is of another network than this {type(net).__name__}: {key} is "
                f"{list(tensor.shape)}, {got}. Give the model the arguments that it had then."
            )
    left_out = in_head if new_head or not in_head <= fitting else set()  # half a head is none
    net.load_state_dict({key: state[key] for key in fitting - left_out}, strict=False)


def _parts_of(config: Mapping[str, Any]) -> JSON:
    """What decides which images validate and test."""
    data, protocol = config["data"], config.get("protocol") or {}
    parts = {f"data.{key}": data.get(key) for key in PARTS}
    folds = protocol.get("folds")
    return parts | {"protocol.folds": folds, "its fold": protocol.get("fold", 0) if folds else None}
