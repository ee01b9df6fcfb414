"""Nearest neighbours by hand and against scikit-learn; estimators that come back from their state dict."""

from __future__ import annotations

import sys

import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor

from idealfit import models
from idealfit.models.estimators import Estimator
from idealfit.spec import ConfigError

SHAPE = (1, 8, 8)


@pytest.fixture(scope="module")
def digits() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    images, labels = load_digits(return_X_y=True)
    pixels, targets = torch.tensor(images, dtype=torch.float32).view(-1, *SHAPE), torch.tensor(labels)
    return pixels[:800], targets[:800], pixels[800:1200], targets[800:1200]


@pytest.fixture(params=["faiss", "torch"])
def searcher(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What searches: faiss, or torch where there is no faiss."""
    if request.param == "faiss":
        pytest.importorskip("faiss", reason="needs faiss: pip install 'idealfit[faiss]'")
    else:
        monkeypatch.setitem(sys.modules, "faiss", None)
    return str(request.param)


@pytest.mark.parametrize("distance", ["l1", "l2"])
@pytest.mark.parametrize("k", [1, 5])
@pytest.mark.usefixtures("searcher")
def test_neighbours_vote_as_scikit_learns_do(
    digits: tuple[Tensor, Tensor, Tensor, Tensor], distance: str, k: int
) -> None:
    images, labels, others, _ = digits
    net = models.KNN(image_shape=SHAPE, num_classes=10, k=k, distance=distance)
    net.fit(images, labels)
    assert (net._index is None) is (sys.modules.get("faiss") is None)
    theirs = KNeighborsClassifier(k, p=int(distance[1]), algorithm="brute").fit(images.flatten(1).numpy(), labels)
    shares = torch.tensor(theirs.predict_proba(others.flatten(1).numpy()), dtype=torch.float32)
    differing = (net.votes(others) - shares).abs().amax(dim=1) > 1e-6
    assert differing.float().mean() < 0.01, "pixels are whole numbers, so a few neighbours are equally far"


@pytest.mark.usefixtures("searcher")
def test_the_two_distances_disagree_where_they_should() -> None:
    near_by_l1, near_by_l2 = torch.tensor([[3.0, 0.0]]), torch.tensor([[1.6, 1.6]])
    images = torch.stack([near_by_l1, near_by_l2]).view(2, 1, 1, 2)
    for distance, winner in (("l1", 0), ("l2", 1)):
        net = models.KNN(image_shape=(1, 1, 2), num_classes=2, k=1, distance=distance)
        net.fit(images, torch.tensor([0, 1]))
        assert net(torch.zeros(1, 1, 1, 2)).argmax().item() == winner


@pytest.mark.parametrize("model", [models.KNN, models.SVM, models.Forest])
def test_an_estimator_learns_digits_and_comes_back_from_its_state(
    digits: tuple[Tensor, Tensor, Tensor, Tensor], model: type[Estimator]
) -> None:
    images, labels, others, targets = digits
    torch.manual_seed(0)
    net = model(image_shape=SHAPE, num_classes=10)
    assert net(others[:2]).shape == (2, 10), "before it is fitted, so that a preflight can look at it"
    net.fit(images, labels)
    logits = net(others)
    assert (logits.argmax(dim=1) == targets).float().mean() > 0.9
    torch.manual_seed(1)
    again = model(image_shape=SHAPE, num_classes=10)
    again.load_state_dict(net.state_dict())
    assert torch.equal(again(others), logits)


@pytest.mark.parametrize("model", [models.SVM, models.Forest])
@pytest.mark.parametrize("classes", [(3, 7), (2, 5, 9)])
def test_classes_that_were_never_seen_get_the_least(
    digits: tuple[Tensor, Tensor, Tensor, Tensor], model: type[Estimator], classes: tuple[int, ...]
) -> None:
    images, labels, others, _ = digits
    seen = torch.isin(labels, torch.tensor(classes))
    net = model(image_shape=SHAPE, num_classes=10)
    net.fit(images[seen], labels[seen])
    logits = net(others)
    unseen = [index for index in range(10) if index not in classes]
    assert (logits[:, unseen] < logits[:, list(classes)].amin(dim=1, keepdim=True) + 1e-6).all()
    is_seen = torch.isin(digits[3], torch.tensor(classes))
    assert (logits.argmax(dim=1) == digits[3])[is_seen].float().mean() > 0.9


@pytest.mark.parametrize(
    ("model", "arguments", "message"),
    [
        (models.KNN, {"k": 0}, "k must be a whole number from 1 up"),
        (models.KNN, {"distance": "l3"}, "distance must be l1 or l2, but got 'l3'"),
        (models.SVM, {"kernel": "rbv"}, "unknown kernel 'rbv'. Did you mean 'rbf'"),
        (models.Forest, {"trees": 0}, "trees must be a whole number"),
        (models.Forest, {"features": "most"}, "features must be one of sqrt, log2, all"),
    ],
)
def test_what_makes_no_sense_is_refused(model: type[Estimator], arguments: dict, message: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(ConfigError, match=message):
        model(image_shape=SHAPE, num_classes=10, **arguments)  # type: ignore[arg-type]


def test_more_neighbours_than_images_are_refused() -> None:
    net = models.KNN(image_shape=SHAPE, num_classes=10, k=5)
    with pytest.raises(ConfigError, match="k=5 neighbours are more than the 3 training images"):
        net.fit(torch.zeros(3, *SHAPE), torch.tensor([0, 1, 2]))
