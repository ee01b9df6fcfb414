"""Transfer learning: a network starts from the weights of an earlier run, with a new head, its body frozen or not.

An estimator takes all but the head, frozen, and learns from the features that it makes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from idealfit.config.gate import build, check_target
from idealfit.models.estimators import Estimator
from idealfit.models.frozen import Frozen, head_of
from idealfit.spec import JSON, ConfigError
from idealfit.train.earlier import Earlier, take_weights

MODEL_KEYS = ("weights", "new_head", "freeze")
"""Keys of the `model` node that every network has; all others go to its constructor."""
BODY = "body"
"""Key of an estimator's node: the network that its weights are of."""


def build_network(node: JSON, *, trusted: Sequence[str], extra: Mapping[str, Any]) -> nn.Module:
    """The network of a `model` node, with fresh weights.

    Raises:
        UserError: It does not exist, is not trusted, or refuses its arguments.
    """
    own = {key: value for key, value in node.items() if key not in MODEL_KEYS}
    is_estimator = issubclass(check_target(own, expect=nn.Module, trusted=trusted), Estimator)
    body = own.pop(BODY, None) if is_estimator else None
    network: nn.Module = build(own, expect=nn.Module, trusted=trusted, extra=extra)
    if isinstance(network, Estimator):
        if body and not node.get("weights"):
            raise ConfigError("model.body: without model.weights it would be a network that has learned nothing")
        if node.get("weights"):
            network.body = Frozen(_body(body, str(node["weights"]), trusted=trusted, extra=extra))
    return network


def _body(node: JSON | None, weights: str, *, trusted: Sequence[str], extra: Mapping[str, Any]) -> nn.Module:
    """The network that makes an estimator's features, as `node` says, or the record of its training."""
    config = None if node else Earlier.find(weights).config
    if not node and config is None:
        raise ConfigError(
            f"model.weights: {weights} does not say what network it is of. Name a run by its record, e.g. "
            "runs/STUDY/3, or the network: model.body={_target_: idealfit.models.CNN, depth: 3}"
        )
    network = build_network(node or config["model"], trusted=trusted, extra=extra)  # type: ignore[index]
    if isinstance(network, Estimator):
        raise ConfigError(f"model.weights: {weights} is a {type(network).__name__}, which makes no features")
    return network


def prepare(net: nn.Module, node: JSON, *, config: JSON | None = None, fingerprint: str = "") -> JSON:
    """Load `model.weights` into `net` and freeze what `model.freeze` says.

    The head is the last linear layer. It stays fresh where `model.new_head` says so, and where the earlier network told
    another number of classes apart. An estimator has everything but the head, and freezes it all.

    Args:
        net: As `build_network` made it.
        node: The `model` node.
        config: Of the run; None leaves unchecked whether the weights have seen its validation images.
        fingerprint: Of the run's data.

    Returns:
        Facts of the run: the hash of the file that the weights came from.

    Raises:
        ConfigError: There are no such weights, they are damaged or another network's, there is no head to train, or
            they have learned from images that validate or test here.
    """
    weights, new_head, freeze = (node.get(key) for key in MODEL_KEYS)
    if not weights:
        if new_head or freeze == "body":
            key = "new_head" if new_head else "freeze"
            raise ConfigError(f"model.{key}: without model.weights the whole network is new, and learns")
        return {}
    earlier = Earlier.find(str(weights))
    if config:
        earlier.check_unseen(config, fingerprint)
    if isinstance(net, Estimator):
        assert net.body is not None  # noqa: S101
        take_weights(net.body.net, earlier.read(), path=earlier.path, head="", new_head=True)
    else:
        head = head_of(net)
        take_weights(net, earlier.read(), path=earlier.path, head=head, new_head=bool(new_head))
        if freeze == "body":
            _freeze(net, except_for=head)
    return {"weights_sha256": earlier.sha256}


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
