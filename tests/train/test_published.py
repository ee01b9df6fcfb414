"""Weights that torchvision publishes, as files in its format where torch keeps them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from sklearn.datasets import load_sample_images
from torch import Tensor, nn
from torchvision.models import get_model
from torchvision.transforms.v2.functional import resize

from idealfit.models.estimators import Estimator
from idealfit.spec import JSON, ConfigError
from idealfit.train.published import Published
from idealfit.train.transfer import build_network, prepare

NAME = "ResNet18_Weights.IMAGENET1K_V1"
RESNET = {"_target_": "idealfit.models.ResNet", "depth": 18, "weights": NAME}


@pytest.fixture(autouse=True)
def checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where torch keeps files; nothing can be downloaded."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def torchvisions(checkpoints: Path) -> nn.Module:
    """torchvision's ResNet-18, with its weights where published ones would lie."""
    torch.manual_seed(1)
    net: nn.Module = get_model("resnet18").eval()
    torch.save(net.state_dict(), checkpoints / "resnet18-f37072fd.pth")
    return net


def network(node: JSON, *, num_classes: int = 1000, side: int = 96, channels: int = 3) -> nn.Module:
    return build_network(node, trusted=[], extra={"image_shape": (channels, side, side), "num_classes": num_classes})


def photos() -> Tensor:
    """Float `[2, 3, 96, 96]`."""
    images = torch.stack([torch.from_numpy(image.copy()) for image in load_sample_images().images])
    return resize(images.permute(0, 3, 1, 2), [96, 96]).float() / 255


def test_a_network_with_published_weights_says_what_torchvisions_says(torchvisions: nn.Module) -> None:
    net = network(RESNET)
    facts = prepare(net, RESNET).facts
    with torch.no_grad():
        torch.testing.assert_close(net.eval()(photos()), torchvisions(photos()))
    assert facts["weights_name"] == NAME
    assert len(facts["weights_sha256"]) == 64


def test_other_classes_get_a_new_head_behind_the_dropout(torchvisions: nn.Module) -> None:
    node = {**RESNET, "dropout": 0.1, "freeze": "body"}
    net = network(node, num_classes=5)
    prepare(net, node)
    state, published = net.state_dict(), torchvisions.state_dict()
    assert all(torch.equal(state[f"net.{key}"], value) for key, value in published.items() if key[:3] != "fc.")
    assert [key for key, one in net.named_parameters() if one.requires_grad] == ["net.fc.1.weight", "net.fc.1.bias"]


def test_an_estimator_learns_from_features_of_published_weights(torchvisions: nn.Module) -> None:
    node = {"_target_": "idealfit.models.SVM", "weights": NAME}
    net = network(node, num_classes=5)
    prepare(net, node)
    assert isinstance(net, Estimator)
    assert net.body is not None
    torchvisions.set_submodule("fc", nn.Identity())
    with torch.no_grad():
        torch.testing.assert_close(net.body(photos()), torchvisions(photos()))


@pytest.mark.parametrize(
    ("node", "side", "channels", "message"),
    [
        ({"weights": "ResNet34_Weights.IMAGENET1K_V1"}, 96, 3, r"is of idealfit.models.ResNet \(depth=34\)"),
        ({"weights": "VGG16_Weights.IMAGENET1K_V1"}, 96, 3, r"VGG \(depth=16, batch_norm=False\)"),
        ({}, 32, 3, r"net.conv1.weight is \[64, 3, 3, 3\] here and \[64, 3, 7, 7\] as published"),
        ({}, 96, 1, r"net.conv1.weight is \[64, 1, 7, 7\] here"),
        ({"weights": "ResNet18_Weight.IMAGENET1K_V1"}, 96, 3, f"Did you mean '{NAME}'"),
        ({"weights": "GoogLeNet_Weights.IMAGENET1K_V1"}, 96, 3, "torchvision publishes no 'GoogLeNet_Weights"),
    ],
)
def test_weights_of_another_network_are_refused_before_a_download(
    node: JSON, side: int, channels: int, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        prepare(network(RESNET, side=side, channels=channels), {**RESNET, **node})


@pytest.mark.parametrize(
    "node",
    [{"_target_": "idealfit.models.AlexNet"}, {"_target_": "idealfit.models.VGG", "depth": 11, "batch_norm": True}],
)
def test_networks_with_several_linear_layers_fit_too(node: JSON) -> None:
    architecture = "AlexNet" if "depth" not in node else "VGG11_BN"
    with torch.device("meta"):
        net = network(node, num_classes=5)
    Published(f"{architecture}_Weights.IMAGENET1K_V1").check_fits(net, head="net.classifier.6")


def test_without_a_network_the_file_and_how_to_fetch_it_are_named(checkpoints: Path) -> None:
    message = rf"resnet18-f37072fd.pth, which is not in {checkpoints} and can't be downloaded.*get_weight\('{NAME}'\)"
    with pytest.raises(ConfigError, match=message):
        prepare(network(RESNET), RESNET)
