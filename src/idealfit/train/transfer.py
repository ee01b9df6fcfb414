"""Transfer learning: a network starts from the weights of an earlier run, with a new head, its body frozen or not.

An estimator takes all but the head, frozen, and learns from the features that it makes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import lightning.pytorch as pl
from torch import nn

from idealfit.config.gate import build, check_target
from idealfit.models.estimators import Estimator
from idealfit.models.frozen import Frozen, head_of
from idealfit.models.whitening import Whitened, Whitening
from idealfit.spec import JSON, ConfigError
from idealfit.train.earlier import Earlier, take_weights
from idealfit.train.freezing import Start, freeze
from idealfit.train.published import Published

MODEL_KEYS = ("weights", "new_head", "freeze", "thaw_epoch", "body_lr_factor", "zca_epsilon")
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
    if node.get("zca_epsilon") is None:
        return network
    if isinstance(network, Estimator | pl.LightningModule):
        raise ConfigError(f"model.zca_epsilon: only a plain network can be whitened for, no {type(network).__name__}")
    return Whitened(Whitening(extra["image_shape"], float(node["zca_epsilon"])), network)


def _body(node: JSON | None, weights: str, *, trusted: Sequence[str], extra: Mapping[str, Any]) -> nn.Module:
    """The network that makes an estimator's features, as `node` says, or the record of its training."""
    if not node and (published := Published.find(weights)):
        node = published.node
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


def prepare(net: nn.Module, node: JSON, *, config: JSON | None = None, fingerprint: str = "") -> Start:
    """Load `model.weights` into `net` and freeze what `model.freeze` says.

    The head is the last linear layer. It stays fresh where `model.new_head` says so, and where the earlier network told
    another number of classes apart. An estimator has everything but the head, and freezes it all.

    Args:
        net: As `build_network` made it.
        node: The `model` node.
        config: Of the run; None leaves unchecked whether the weights have seen its validation images.
        fingerprint: Of the run's data.

    Raises:
        ConfigError: There are no such weights, they are damaged or another network's, there is no head to train, or
            they have learned from images that validate or test here; or an option has nothing to work on.
    """
    _check_options(node, is_estimator=isinstance(net, Estimator))
    if not node.get("weights"):
        return Start()
    weights, is_estimator = str(node["weights"]), isinstance(net, Estimator)
    if isinstance(net, Estimator):
        assert net.body is not None  # noqa: S101
        taker, head = net.body.net, ""
    else:
        taker, head = net, head_of(net)
    if published := Published.find(weights):
        published.check_fits(taker, head=head)  # before a download
    earlier = Earlier.find(weights)
    if config:
        earlier.check_unseen(config, fingerprint)
    state = published.renamed(earlier.read(), head=head) if published else earlier.read()
    take_weights(taker, state, path=earlier.path, head=head, new_head=is_estimator or bool(node.get("new_head")))
    if is_estimator:
        return Start(earlier.facts)
    upto = node.get("freeze") or "none"
    held = freeze(net, upto) if upto != "none" else None
    return Start(earlier.facts, held, node.get("thaw_epoch"), node.get("body_lr_factor", 1.0))


def _check_options(node: JSON, *, is_estimator: bool) -> None:
    """Refuse what could change nothing."""
    freezes, thaw_epoch = node.get("freeze", "none") != "none", node.get("thaw_epoch")
    slows = node.get("body_lr_factor", 1.0) != 1.0
    asked = {
        "new_head": node.get("new_head"),
        "freeze": freezes,
        "thaw_epoch": thaw_epoch is not None,
        "body_lr_factor": slows,
    }
    if key := next((key for key, is_asked in asked.items() if is_asked and not node.get("weights")), ""):
        raise ConfigError(f"model.{key}: without model.weights the whole network is new, and learns")
    if is_estimator and (thaw_epoch is not None or slows):
        key = "body_lr_factor" if slows else "thaw_epoch"
        raise ConfigError(f"model.{key}: an estimator has no gradient that its body could learn by")
    if thaw_epoch is not None and not freezes:
        raise ConfigError("model.thaw_epoch: nothing is frozen that could be thawed: set model.freeze=body")
    if slows and node.get("freeze") == "body" and thaw_epoch is None:
        raise ConfigError("model.body_lr_factor: the body is frozen, and learns at no rate: set model.thaw_epoch")
