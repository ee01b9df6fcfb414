"""Transfer learning: a network starts from the weights of an earlier run, with a new head, its body frozen or not."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from idealfit.config.gate import build
from idealfit.models.estimators import Estimator
from idealfit.record import Record
from idealfit.spec import JSON, ConfigError
from idealfit.train.checkpoints import load_safely

MODEL_KEYS = ("weights", "new_head", "freeze")
"""Keys of the `model` node that every network has; all others go to its constructor."""


def build_network(node: JSON, *, trusted: Sequence[str], extra: Mapping[str, Any]) -> nn.Module:
    """The network of a `model` node, with fresh weights.

    Raises:
        UserError: It does not exist, is not trusted, or refuses its arguments.
    """
    own = {key: value for key, value in node.items() if key not in MODEL_KEYS}
    network: nn.Module = build(own, expect=nn.Module, trusted=trusted, extra=extra)
    return network


def prepare(net: nn.Module, node: JSON) -> JSON:
    """Load `model.weights` into `net` and freeze what `model.freeze` says.

    The head is the last linear layer. It stays fresh where `model.new_head` says so, and where the earlier network told
    another number of classes apart.

    Returns:
        Facts of the run: the hash of the file that the weights came from.

    Raises:
        ConfigError: There are no such weights, they are damaged or another network's, or there is no head to train.
    """
    weights, new_head, freeze = (node.get(key) for key in MODEL_KEYS)
    name = type(net).__name__
    if not weights:
        if new_head or freeze == "body":
            key = "new_head" if new_head else "freeze"
            raise ConfigError(f"model.{key}: without model.weights the whole network is new, and learns")
        return {}
    if isinstance(net, Estimator):
        raise ConfigError(f"model.weights: {name} is fitted anew to its training images")
    path = _file_of(str(weights))
    head = _head(net)
    _load(net, _read(path), new_head=bool(new_head), name=name, path=path, head=head)
    if freeze == "body":
        _freeze(net, except_for=head)
    with path.open("rb") as file:
        return {"weights_sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _file_of(weights: str) -> Path:
    place = Path(weights).expanduser()
    path = Record(place).best_weights_path if place.is_dir() else place
    if not path.is_file():
        raise ConfigError(
            f"model.weights: no {path}. Name a run by its record, e.g. runs/STUDY/3, or a .pt or .safetensors file."
        )
    return path


def _read(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        state = load_safely(path)
    except Exception as error:  # a file can be damaged in any way
        raise ConfigError(f"model.weights: {path} can't be read: {type(error).__name__}: {error}") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ConfigError(f"model.weights: {path} holds no state dict of tensors")
    return state


def _head(net: nn.Module) -> str:
    """The name of the last linear layer."""
    names = [str(name) for name, layer in net.named_modules() if isinstance(layer, nn.Linear)]
    if not names:
        raise ConfigError(f"model.weights: {type(net).__name__} has no linear layer that could be its head")
    return names[-1]


def _load(net: nn.Module, state: Mapping[str, Tensor], *, new_head: bool, name: str, path: Path, head: str) -> None:
    wanted = net.state_dict()
    fitting = {key for key, tensor in wanted.items() if key in state and state[key].shape == tensor.shape}
    in_head = {key for key in wanted if key.startswith(f"{head}.")}
    for key, tensor in wanted.items():
        if key not in fitting | in_head:
            got = f"it is {list(state[key].shape)} there" if key in state else "there is none"
            raise ConfigError(
                f"model.weights: {path} is of another network than this {name}: {key} is {list(tensor.shape)}, {got}. "
                "Give the model the arguments that it had then."
            )
    left_out = in_head if new_head or not in_head <= fitting else set()  # half a head is none
    net.load_state_dict({key: state[key] for key in fitting - left_out}, strict=False)


def _freeze(net: nn.Module, *, except_for: str) -> None:
    for parameter in net.parameters():
        parameter.requires_grad_(False)
    head = net.get_submodule(except_for)
    for parameter in head.parameters():
        parameter.requires_grad_(True)
    for layer in net.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            # Its running means are part of what is frozen: training mode would move them.
            layer.eval()
            layer.train = lambda mode=True, layer=layer: layer  # type: ignore[method-assign,misc]
