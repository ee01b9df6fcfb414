from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from idealfit.data import Augment
from idealfit.data.augment import apply_augment
from idealfit.data.augment.affine import draw_displacements, sampling_grid
from idealfit.data.rng import RandomStream
from idealfit.spec import ConfigError


def images(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def test_all_zeros_is_the_identity_and_draws_nothing() -> None:
    batch = images(5, 3, 8, 8)
    state = torch.get_rng_state()
    assert Augment()(batch) is batch
    assert torch.equal(torch.get_rng_state(), state)


def test_the_same_seed_gives_the_same_images() -> None:
    augment, batch = Augment(rotate_degrees=20, shift_fraction=0.1, scale=0.2, flip_p=0.5), images(6, 1, 9, 9)
    outputs = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        outputs.append(augment(batch))
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])
    assert outputs[0].shape == batch.shape


def test_every_image_has_parameters_of_its_own() -> None:
    torch.manual_seed(0)
    batch = images(1, 1, 12, 12).expand(16, 1, 12, 12)
    moved = Augment(rotate_degrees=30)(batch)
    assert len({tuple(image.flatten().tolist()) for image in moved}) == 16


def test_a_sure_flip_mirrors_exactly() -> None:
    batch = images(4, 3, 5, 6)
    assert torch.equal(Augment(flip_p=1.0)(batch), batch.flip(-1))


def test_flips_hit_their_share_of_images() -> None:
    torch.manual_seed(0)
    batch = images(4000, 1, 1, 2)
    flipped = (Augment(flip_p=0.25)(batch) != batch).any(-1).float().mean().item()
    assert 0.22 < flipped < 0.28


def test_a_flip_inside_an_affine_pass_mirrors_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        torch, "rand", lambda *shape: torch.full(shape, 0.5)
    )  # no turn, no shift: the middle of each range
    batch = images(4, 3, 5, 6)
    torch.testing.assert_close(Augment(shift_fraction=0.1, flip_p=0.9)(batch), batch.flip(-1))


@pytest.mark.parametrize(("height", "width"), [(8, 8), (6, 10)])
def test_a_quarter_turn_is_a_quarter_turn_on_any_shape(
    monkeypatch: pytest.MonkeyPatch, height: int, width: int
) -> None:
    monkeypatch.setattr(torch, "rand", lambda *shape: torch.ones(shape))  # the end of each range
    batch = torch.zeros(1, 1, height, width)
    batch[0, 0, height // 2 - 1, width // 2 + 1] = 1.0  # above the middle line, right of the middle column
    turned = Augment(rotate_degrees=90)(batch)
    place = divmod(int(turned.argmax()), width)
    assert turned.max() > 0.99  # square pixels stay square: nothing is smeared
    assert place in {(height // 2 - 2, width // 2 - 1), (height // 2 + 1, width // 2)}


def test_shifts_reach_as_far_as_said_and_repeat_the_edge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "rand", lambda *shape: torch.ones(shape))
    batch = torch.arange(8.0).expand(1, 1, 8, 8)
    shifted = Augment(shift_fraction=0.25)(batch)
    assert shifted[0, 0, 3].tolist() == [2, 3, 4, 5, 6, 7, 7, 7]


def test_scaling_up_enlarges(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = torch.zeros(1, 1, 9, 9)
    batch[0, 0, 3:6, 3:6] = 1.0
    sums = {}
    for name, value in (("up", 1.0), ("down", 0.0)):
        monkeypatch.setattr(torch, "rand", lambda *shape, value=value: torch.full(shape, value))
        sums[name] = Augment(scale=0.5)(batch).sum().item()
    assert sums["up"] > 9 > sums["down"] > 0


def test_the_background_stays_the_background() -> None:
    torch.manual_seed(0)
    batch = torch.full((8, 1, 10, 10), -0.42)
    moved = Augment(rotate_degrees=45, shift_fraction=0.3, scale=0.3)(batch)
    torch.testing.assert_close(moved, batch)


def test_the_sampling_grid_is_that_of_affine_grid() -> None:
    affine, batch = images(5, 2, 3), images(5, 1, 6, 9)
    expected = F.affine_grid(affine, [5, 1, 6, 9], align_corners=False)
    torch.testing.assert_close(sampling_grid(affine, batch), expected)


def test_bends_are_smooth_and_as_strong_as_said() -> None:
    torch.manual_seed(0)
    field = draw_displacements(images(400, 1, 28, 28), strength=0.03)
    corner = field[:, 0, 0]  # a node of the coarse grid: no interpolation
    assert corner.std().item() / 2 == pytest.approx(0.03, rel=0.1)
    assert (field[:, 1:] - field[:, :-1]).abs().max() < field.abs().max() / 4


def test_a_bend_changes_an_image_and_leaves_its_background() -> None:
    torch.manual_seed(0)
    batch = torch.zeros(4, 1, 16, 16)
    batch[:, :, 5:11, 5:11] = 1.0
    bent = Augment(elastic=0.05)(batch)
    assert not torch.equal(bent, batch)
    assert bent.min() == 0.0
    assert len({tuple(image.flatten().tolist()) for image in bent}) == 4


def test_brightness_adds_one_number_to_each_image() -> None:
    torch.manual_seed(0)
    batch = images(50, 3, 4, 4)
    added = Augment(brightness=0.5)(batch) - batch
    assert added.amax((1, 2, 3)).sub(added.amin((1, 2, 3))).max() < 1e-6
    assert 0.4 < added.abs().max() <= 0.5


def test_contrast_keeps_the_mean_and_stretches_about_it() -> None:
    torch.manual_seed(0)
    batch = images(50, 3, 4, 4)
    changed = Augment(contrast=0.4)(batch)
    torch.testing.assert_close(changed.mean((1, 2, 3)), batch.mean((1, 2, 3)))
    factors = changed.std((1, 2, 3)) / batch.std((1, 2, 3))
    assert 0.6 <= factors.min() < 0.7
    assert 1.3 < factors.max() <= 1.4


def test_saturation_keeps_the_grey_of_each_pixel() -> None:
    torch.manual_seed(0)
    batch = images(20, 3, 4, 4)
    changed = Augment(saturation=0.5)(batch)
    torch.testing.assert_close(changed.mean(1), batch.mean(1))
    assert not torch.allclose(changed, batch)
    assert torch.allclose(Augment(saturation=1.0)(batch[:, :1]), batch[:, :1])  # one channel has no colour


def test_a_share_of_images_becomes_grey() -> None:
    torch.manual_seed(0)
    is_grey = (Augment(grey_p=0.3)(images(2000, 3, 2, 2)).std(1).amax((1, 2)) < 1e-6).float().mean().item()
    assert 0.26 < is_grey < 0.34


def test_a_hole_has_the_size_that_was_asked_and_may_hang_over_the_edge() -> None:
    torch.manual_seed(0)
    holes = (Augment(cutout=0.5)(torch.ones(500, 2, 12, 12)) == 0).flatten(1).sum(1)
    assert holes.max() == 2 * 6 * 6
    assert 2 * 3 * 3 <= holes.min() < 2 * 6 * 6


def test_a_mixture_holds_the_same_shares_of_images_and_labels() -> None:
    torch.manual_seed(0)
    targets = torch.eye(8)
    mixed, shares = Augment(mixup=1.0).mix(targets.view(8, 1, 1, 8), targets)
    torch.testing.assert_close(mixed.view(8, 8), shares)
    torch.testing.assert_close(shares.sum(1), torch.ones(8))
    assert (shares.diagonal() >= 0.5).all()
    assert (shares > 0).sum() > 8


def test_only_mixing_changes_labels() -> None:
    stream, labels = RandomStream(0), torch.tensor([1, 0])
    batch = images(2, 1, 4, 4)
    _, kept = apply_augment(Augment(cutout=0.3), batch, labels, num_classes=2, stream=stream)
    assert kept is labels
    _, mixed = apply_augment(Augment(mixup=1.0), batch, labels, num_classes=2, stream=stream)
    assert (mixed.shape, mixed.dtype) == ((2, 2), torch.float32)


def test_the_same_seed_gives_the_same_mixture() -> None:
    labels, batch = torch.arange(6), images(6, 1, 4, 4)
    first, second = (
        apply_augment(Augment(mixup=0.4, elastic=0.1), batch, labels, num_classes=6, stream=RandomStream(5))
        for _ in range(2)
    )
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])


@pytest.mark.parametrize(
    "values",
    [
        {"rotate_degrees": -1},
        {"rotate_degrees": 181},
        {"rotate_degrees": "ten"},
        {"shift_fraction": 1.5},
        {"scale": 1.0},
        {"scale": float("nan")},
        {"flip_p": 1.1},
        {"flip_p": True},
        {"cutout": 1.1},
        {"mixup": -0.1},
        {"grey_p": 2},
    ],
)
def test_values_out_of_range_are_refused_by_name(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"augment.{next(iter(values))} must be a number between"):
        Augment(**values)
