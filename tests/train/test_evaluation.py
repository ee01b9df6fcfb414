"""Metrics are those of the whole part, in eval mode, whatever the batches."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from idealfit.tasks import TASKS
from idealfit.train.evaluation import Evaluation, Ranks, eval_mode
from idealfit.train.measuring import make_measure
from idealfit.train.task import make_criterion


class Images:
    """100 images of noise in batches of a given size."""

    def __init__(self, batch_size: int) -> None:
        generator = torch.Generator().manual_seed(0)
        self.images = torch.randn(100, 1, 4, 4, generator=generator)
        self.labels = torch.randint(0, 12, (100,), generator=generator)
        self.batch_size = batch_size

    def eval_batches(self, part: str, *, rank: int = 0, world_size: int = 1) -> Iterator[tuple[Tensor, Tensor]]:
        images, labels = self.images[rank::world_size], self.labels[rank::world_size]
        if len(images):
            yield from zip(images.split(self.batch_size), labels.split(self.batch_size), strict=True)


def evaluation(loss: nn.Module, *more: str) -> Evaluation:
    return Evaluation(
        criterion=make_criterion(loss, 12),
        sums_over_batch=loss.reduction == "sum",
        measure=make_measure(TASKS["multi_class"], 12, loss),
        parts=("val",),
        more=more,
    )


@pytest.mark.parametrize("batch_size", [1, 7, 100])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_metrics_are_means_over_all_images(batch_size: int, reduction: str) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(16, 12))
    data = Images(batch_size)
    metrics = evaluation(nn.CrossEntropyLoss(reduction=reduction))(net, data)
    logits = net.eval()(data.images)
    ranks = (logits > logits.gather(1, data.labels[:, None])).sum(dim=1)
    assert metrics["val/loss"] == pytest.approx(F.cross_entropy(logits, data.labels).item(), rel=1e-6)
    assert metrics["val/accuracy"] == pytest.approx((ranks == 0).float().mean().item())
    assert metrics["val/top5_accuracy"] == pytest.approx((ranks < 5).float().mean().item())


def test_each_module_is_left_as_it_was() -> None:
    net: Any = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.5))
    net[0].eval()
    with eval_mode(net):
        assert not any(module.training for module in net.modules())
    assert [module.training for module in net.modules()] == [True, False, True]


@pytest.mark.parametrize("num_ranks", [3, 101])
def test_metrics_of_all_ranks_are_those_of_one(num_ranks: int) -> None:
    net, data = nn.Sequential(nn.Flatten(), nn.Linear(16, 12)), Images(7)
    score = evaluation(nn.CrossEntropyLoss())
    sums: list[Tensor] = []

    def note(tensor: Tensor) -> Tensor:
        sums.append(tensor)
        return tensor + 1  # no division by the 0 images of a rank that has none

    for rank in range(num_ranks):
        score(net, data, ranks=Ranks(rank, num_ranks, note))
    together = score(net, data, ranks=Ranks(0, num_ranks, lambda _: torch.stack(sums).sum(dim=0)))
    assert together == pytest.approx(score(net, data), rel=1e-6)
    assert together["val/accuracy"] == score(net, data)["val/accuracy"]


@pytest.mark.parametrize("num_ranks", [3, 101])
def test_metrics_of_all_outputs_are_the_same_on_ranks(num_ranks: int) -> None:
    """Each rank puts its rows between zeros, so that sums are everybody's rows."""
    torch.manual_seed(0)
    net, data = nn.Sequential(nn.Flatten(), nn.Linear(16, 12)), Images(7)
    score = evaluation(nn.CrossEntropyLoss(), "roc_auc", "f1")
    alone = score(net, data)
    meeting = Meeting(num_ranks)
    with ThreadPoolExecutor(num_ranks) as pool:
        found = list(
            pool.map(lambda rank: score(net, data, ranks=Ranks(rank, num_ranks, meeting.add_up)), range(num_ranks))
        )
    assert all(each == found[0] for each in found)
    assert found[0] == pytest.approx(alone, rel=1e-6)


class Meeting:
    """Adds up what all threads bring, like ranks."""

    def __init__(self, size: int) -> None:
        self._barrier = threading.Barrier(size)
        self._lock = threading.Lock()
        self._brought: list[Tensor] = []

    def add_up(self, tensor: Tensor) -> Tensor:
        with self._lock:
            self._brought.append(tensor)
        self._barrier.wait()
        total = torch.stack(self._brought).sum(dim=0)
        if self._barrier.wait() == 0:
            self._brought.clear()
        self._barrier.wait()
        return total
