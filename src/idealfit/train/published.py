"""Weights that torchvision publishes, by its own names for them, e.g. `ResNet18_Weights.IMAGENET1K_V1`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse

import torch
from torch import Tensor, nn

from idealfit.spec import JSON, ConfigError, nearest

_NAME = re.compile(r"\w+\.IMAGENET\w*", re.IGNORECASE)
_RESNETS: dict[str, JSON] = {
    f"ResNet{depth}": {"_target_": "idealfit.models.ResNet", "depth": depth} for depth in (18, 34, 50, 101, 152)
}
_VGGS: dict[str, JSON] = {
    f"VGG{depth}{'_BN' * batch_norm}": {"_target_": "idealfit.models.VGG", "depth": depth, "batch_norm": batch_norm}
    for depth in (11, 13, 16, 19)
    for batch_norm in (False, True)
}
# Without GoogLeNet: its weights expect images in another range, which torchvision converts in the network itself.
NETWORKS: dict[str, JSON] = {**_RESNETS, **_VGGS, "AlexNet": {"_target_": "idealfit.models.AlexNet"}}
"""The `model` node of each network that published weights fit."""


@dataclass(frozen=True)
class Published:
    """Published weights of one of `NETWORKS`.

    Attributes:
        name: torchvision's, e.g. `ResNet18_Weights.IMAGENET1K_V1`.
    """

    name: str

    @classmethod
    def find(cls, weights: str) -> Published | None:
        """What `model.weights` names; None where that is no such name, but a path.

        Raises:
            ConfigError: It looks like a name, but there are no such weights, or no network of ours takes them.
        """
        if _NAME.fullmatch(weights) is None:
            return None
        if weights not in (names := known_names()):
            raise ConfigError(
                f"model.weights: torchvision publishes no {weights!r} for the networks here: {', '.join(NETWORKS)}. "
                f"{nearest(weights, names)}".strip()
            )
        return cls(weights)

    @property
    def _architecture(self) -> str:
        return self.name.split("_Weights.")[0]

    @property
    def node(self) -> JSON:
        """The `model` node of their network."""
        return NETWORKS[self._architecture]

    @property
    def url(self) -> str:
        """Where they are published."""
        from torchvision.models import get_weight

        return str(get_weight(self.name).url)

    @property
    def path(self) -> Path:
        """Where torch keeps the file, below TORCH_HOME."""
        return Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(self.url).path).name

    def fetch(self) -> Path:
        """The file, downloaded where it is not there yet; a download is checked against the hash in its name.

        Raises:
            ConfigError: It is not there and can't be had.
        """
        if not self.path.is_file():
            try:
                torch.hub.load_state_dict_from_url(
                    self.url, map_location="cpu", progress=False, check_hash=True, weights_only=True
                )
            except (OSError, RuntimeError) as error:  # no network; another hash
                raise ConfigError(
                    f"model.weights: {self.name} is the file {self.path.name}, which is not in {self.path.parent} and "
                    f"can't be downloaded: {error}. Fetch it where there is a network, and copy it there: python -c "
                    f"\"from torchvision.models import get_weight; get_weight('{self.name}').get_state_dict("
                    'check_hash=True)"'
                ) from error
        return self.path

    def check_fits(self, net: nn.Module, *, head: str) -> None:
        """Check that `net` is their network, before anything is downloaded.

        Args:
            net: What is to start from them.
            head: Name of its last linear layer, which may tell other classes apart; empty where it has none.

        Raises:
            ConfigError: It is another network, or has another stem.
        """
        with torch.device("meta"):
            from torchvision.models import get_model

            published = self.renamed(get_model(self._architecture.lower()).state_dict(), head=head)
        wanted = net.state_dict()
        for key in published | wanted:
            there, here = (list(state[key].shape) if key in state else None for state in (published, wanted))
            if there != here and not (head and key.startswith(f"{head}.")):
                settings = ", ".join(f"{name}={value}" for name, value in self.node.items() if name != "_target_")
                raise ConfigError(
                    f"model.weights: {self.name} is of {self.node['_target_']}{f' ({settings})' * bool(settings)} for "
                    f"colour images of more than 64 pixels, and this {type(net).__name__} is another: {key} is "
                    f"{here or 'not there'} here and {there or 'not there'} as published. Smaller or grey images get "
                    "another first layer: make them larger and colour, or take weights of an earlier run."
                )

    def renamed(self, state: Mapping[str, Tensor], *, head: str) -> dict[str, Tensor]:
        """A published state dict by the names of ours.

        Args:
            state: As published.
            head: Name of our last linear layer; empty leaves the published one out.
        """
        last = list(state)[-1].rsplit(".", 1)[0]
        ours = {key: tensor for key, tensor in state.items() if not key.startswith(f"{last}.")}
        renamed = {f"net.{key}": tensor for key, tensor in ours.items()}
        if head:
            renamed |= {f"{head}.{kind}": state[f"{last}.{kind}"] for kind in ("weight", "bias")}
        return renamed


def known_names() -> list[str]:
    """Of all weights that a network here can start from."""
    from torchvision.models import get_model_weights

    # VGG16's IMAGENET1K_FEATURES are none: no head, and another range of pixels.
    names = [str(weights) for network in NETWORKS for weights in get_model_weights(network.lower())]
    return [name for name in names if "IMAGENET1K_V" in name]
