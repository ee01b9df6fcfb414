"""The examples that lectures work out by hand, with our own layers."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from idealfit import models


def set_weights(layer: nn.Module, weight: list, bias: list[float]) -> None:  # type: ignore[type-arg]
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weight).reshape(layer.weight.shape))
        layer.bias.copy_(torch.tensor(bias))


def images(rows: list[list[float]]) -> Tensor:
    return torch.tensor(rows).reshape(1, 1, len(rows), len(rows[0]))


def test_a_3x3_kernel_slides_over_a_5x5_image() -> None:
    net = models.CNN(image_shape=(1, 5, 5), num_classes=2, depth=1, width=1, kernel_size=3)
    convolution, relu = net.layers[0], net.layers[1]
    set_weights(convolution, [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 1.0]], [0.0])
    image = [[1, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 1, 1], [0, 0, 1, 1, 0], [0, 1, 1, 0, 0]]
    maps = relu(convolution(images([[float(pixel) for pixel in row] for row in image])))
    assert maps.shape == (1, 1, 5, 5), "ours keeps the size; the lecture's 3x3 result is where the kernel fits"
    assert maps[0, 0, 1:4, 1:4].tolist() == [[4, 3, 4], [2, 4, 3], [2, 3, 4]]


def test_2x2_max_pooling_keeps_the_largest_of_four() -> None:
    net = models.CNN(image_shape=(1, 4, 4), num_classes=4, depth=1, width=1, kernel_size=1)
    set_weights(net.layers[0], [1.0], [0.0])
    set_weights(net.layers[-1], torch.eye(4).tolist(), [0.0] * 4)
    image = [[1.0, 1.0, 2.0, 4.0], [5.0, 6.0, 7.0, 8.0], [3.0, 2.0, 1.0, 0.0], [1.0, 2.0, 3.0, 4.0]]
    assert net(images(image)).tolist() == [[6.0, 8.0, 3.0, 4.0]]


def test_two_sigmoid_units_and_an_output_give_090_017_and_076() -> None:
    net = models.MLP(image_shape=(1, 1, 2), num_classes=1, depth=1, width=2, activation="sigmoid")
    flatten, hidden, sigmoid, output = net.layers
    set_weights(hidden, [[3.7, 3.7], [2.9, 2.9]], [-1.5, -4.5])
    set_weights(output, [[4.5, -5.2]], [-2.0])
    image = images([[1.0, 0.0]])
    units = sigmoid(hidden(flatten(image)))[0]
    assert units.tolist() == pytest.approx([0.90, 0.17], abs=0.005)
    assert torch.sigmoid(net(image)).item() == pytest.approx(0.76, abs=0.005)


def test_the_linear_classifier_takes_the_cat_for_a_dog() -> None:
    net = models.Linear(image_shape=(1, 2, 2), num_classes=3)
    weights = [[0.2, -0.5, 0.1, 2.0], [1.5, 1.3, 2.1, 0.0], [0.0, 0.25, 0.2, -0.3]]
    set_weights(net.layers[-1], weights, [1.1, 3.2, -1.2])
    scores = net(images([[56.0, 231.0], [24.0, 2.0]]))[0].tolist()
    # The slide prints 61.95 for the ship: the sum before its bias of -1.2.
    assert scores == pytest.approx([-96.8, 437.9, 60.75], abs=1e-3)


def test_hinge_and_cross_entropy_of_the_cat_that_is_taken_for_a_car() -> None:
    scores = torch.tensor([[3.2, 5.1, -1.7], [1.3, 4.9, 2.0], [2.2, 2.5, -3.1]])  # of a cat, a car, a frog
    labels = torch.tensor([0, 1, 2])
    hinge = [nn.MultiMarginLoss()(row[None], label[None]).item() for row, label in zip(scores, labels, strict=True)]
    # torch divides the lecture's 2.9, 0 and 12.9 by the number of classes.
    assert [3 * loss for loss in hinge] == pytest.approx([2.9, 0.0, 12.9], abs=1e-4)
    probability = scores[0].softmax(dim=0)[0].item()
    assert probability == pytest.approx(0.13, abs=0.005)
    assert nn.CrossEntropyLoss()(scores[:1], labels[:1]).item() == pytest.approx(2.04, abs=0.005)
