"""One pass over the validation images with the best weights, at the end of a fit."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from idealfit.models.estimators import KNN
from idealfit.predictions import MAX_SIDE_PX, NUM_WORST, Predictions, kept_scores
from idealfit.train.checkpoints import load_safely
from idealfit.train.evaluation import EvalBatches, eval_mode
from idealfit.train.looking import feature_maps, first_kernels, neighbours, saliency
from idealfit.train.parts import Parts

NUM_NEIGHBOURHOODS = 6  # images whose neighbours are shown


def _as_they_are(images: Tensor) -> Tensor:
    return images


def best_predictions(
    net: nn.Module, parts: Parts, weights: Path, convert: Callable[[Tensor], Tensor] = _as_they_are
) -> Predictions | None:
    """What `net` with the best weights says of the validation images of `parts`.

    None where there are no weights, where images have no class, or where it cannot say: predictions are not worth a
    trained network.

    Args:
        net: Where its data are.
        parts: What it was trained with.
        weights: The state dict of the best epoch.
        convert: Turns images into the precision of the network.
    """
    if not weights.exists() or not parts.task.is_of_classes:
        return None
    try:
        return predict_validation(
            net,
            parts.data,
            weights=weights,
            activation=parts.measure.activation,
            num_images=parts.data.sizes["val"],
            num_classes=parts.data.num_classes,
            convert=convert,
            look=parts.trainer.look,
        )
    except Exception as error:  # noqa: BLE001 - a user's network may do anything
        message = f"no predictions, and no picture drawn from them: {type(error).__name__}: {error}"
        print(message, file=sys.stderr, flush=True)
        return None


def predict_validation(
    net: nn.Module,
    data: EvalBatches,
    *,
    weights: Path | None,
    activation: Callable[[Tensor], Tensor],
    num_images: int,
    num_classes: int,
    convert: Callable[[Tensor], Tensor] = _as_they_are,
    look: bool = False,
) -> Predictions:
    """Load `weights` into `net` and score every validation image.

    Args:
        net: Images to logits.
        data: Whose part "val" is scored.
        weights: The state dict of the best epoch; None takes `net` as it is.
        activation: Logits to a probability for each class.
        num_images: Images of that part.
        num_classes: Classes that are told apart.
        convert: Turns images into the precision of the network.
        look: Look inside it as well.
    """
    if weights:
        net.load_state_dict(load_safely(weights))
    scored = kept_scores(num_images, num_classes)
    is_scored = torch.zeros(num_images, dtype=torch.bool)
    is_scored[torch.from_numpy(scored)] = True
    worst = _Worst()
    parts: list[tuple[Any, ...]] = []
    start = 0
    with torch.inference_mode(), eval_mode(net):
        for images, labels in data.eval_batches("val"):
            labels, scores = as_classes(labels), activation(net(convert(images)).float())
            worst.add(start, images, scores.gather(1, labels[:, None])[:, 0])
            kept = is_scored[start : start + len(labels)].to(scores.device)
            columns = (labels, scores.argmax(dim=1), scores[kept].half())
            parts.append(tuple(column.cpu().numpy() for column in columns))
            start += len(labels)
    all_labels, predicted, kept_rows = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Predictions(
        labels=all_labels,
        predicted=predicted,
        scored=scored[scored < start],
        scores=kept_rows,
        worst=worst.indices,
        worst_images=worst.pixels,
        kernels=first_kernels(net, images.shape[1:]),
        **(_looked(net, worst, images.device, convert) if look else {}),
    )


def _looked(net: nn.Module, worst: _Worst, device: torch.device, convert: Callable[[Tensor], Tensor]) -> dict[str, Any]:
    """What `trainer.look` keeps of the worst images; nothing of what this network has not."""
    images = worst.images.to(device)
    with eval_mode(net):
        if isinstance(net, KNN):
            found = neighbours(net, images[:NUM_NEIGHBOURHOODS])
            rows = [torch.stack([_as_picture(image) for image in row]) for row in found]
            return {"neighbours": torch.stack(rows).cpu().numpy()}
        seen = {"saliency": saliency(net, images, convert), "feature_maps": feature_maps(net, images[:1], convert)}
    return {name: torch.stack([*map(_as_map, maps)]).cpu().numpy() for name, maps in seen.items() if len(maps)}


def _as_map(values: Tensor) -> Tensor:
    """`[H, W]` as uint8 of bounded size, 0 to its largest value."""
    return (_bounded(values[None])[0] / values.max().clamp(min=1e-12) * 255).round().clamp(0, 255).to(torch.uint8)


def as_classes(labels: Tensor) -> Tensor:
    """int64 `[B]`: class 1 or 0 of binary targets `[B, 1]`; classes are what they are."""
    return (labels[:, 0] > 0.5).long() if labels.is_floating_point() else labels


class _Worst:
    """The images whose right class got the least probability, gathered batch by batch."""

    def __init__(self) -> None:
        self._found: list[tuple[float, int, Tensor]] = []

    def add(self, start: int, images: Tensor, right: Tensor) -> None:
        values, places = right.topk(min(NUM_WORST, len(right)), largest=False)
        limit = self._found[-1][0] if len(self._found) == NUM_WORST else float("inf")
        for value, place in zip(values.tolist(), places.tolist(), strict=True):
            if value < limit:
                self._found.append((value, start + place, images[place].float().cpu()))
        self._found = sorted(self._found, key=lambda found: found[:2])[:NUM_WORST]

    @property
    def indices(self) -> Any:
        return np.array([index for _, index, _ in self._found], dtype=np.int64)

    @property
    def images(self) -> Tensor:
        """Normalised, `[W, C, H, W]`; of a kind that gradients can be taken of."""
        return torch.stack([image for _, _, image in self._found]).clone()

    @property
    def pixels(self) -> Any:
        return torch.stack([_as_picture(image) for _, _, image in self._found]).numpy()


def _as_picture(image: Tensor) -> Tensor:
    """A normalised image `[C, H, W]` as uint8, its own darkest pixel 0 and its brightest 255, of bounded size."""
    image = _bounded(image)
    low, high = image.min(), image.max()
    return ((image - low) / (high - low).clamp(min=1e-12) * 255).round().to(torch.uint8)


def _bounded(image: Tensor) -> Tensor:
    """`[C, H, W]`, smaller where it is too large to be kept."""
    if max(image.shape[1:]) <= MAX_SIDE_PX:
        return image
    scale = MAX_SIDE_PX / max(image.shape[1:])
    size = [max(1, round(side * scale)) for side in image.shape[1:]]
    return F.interpolate(image[None], size=size, mode="area")[0]
