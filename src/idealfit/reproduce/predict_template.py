"""The text of an exported run's `predict.py`: one file that needs torch, safetensors, numpy and Pillow alone."""

from __future__ import annotations

import re

from idealfit.tasks import BINARY, MULTI_CLASS, MULTI_LABEL, REGRESSION, UNIT_REGRESSION

TEMPLATE = '''"""Classify images with @LABEL@: python predict.py IMAGE [IMAGE ...]

Needs torch, safetensors, numpy and Pillow (requirements.txt); idealfit, which wrote this file, is not needed.
`forward` is what the network computes, traced operator by operator; its weights lie in weights.safetensors.
"""

import operator  # noqa: F401
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from safetensors.torch import load_file

CLASSES = @CLASSES@
CHANNELS, HEIGHT, WIDTH = @SHAPE@
# Per channel, over pixels from 0 to 255 of the training images.
MEAN, STD = @MEAN@, @STD@
WEIGHTS = Path(__file__).with_name("weights.safetensors")


def read(path):
    """An image file as uint8 [C, H, W], as the training images were read: resized whole, transparency on white."""
    with Image.open(path) as image:
        image.draft(None, (2 * WIDTH, 2 * HEIGHT))
        image = ImageOps.exif_transpose(image)
        if image.mode.startswith("I"):  # 16 bits
            image = Image.fromarray((np.asarray(image) / 257).round().astype(np.uint8))
        if "A" in image.getbands() or "transparency" in image.info:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        image = image.convert("L" if CHANNELS == 1 else "RGB").resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR)
    pixels = torch.from_numpy(np.array(image))
    return pixels[None] if CHANNELS == 1 else pixels.permute(2, 0, 1)


def normalize(images):
    """uint8 [B, C, H, W] to what the network was trained on, float32."""
    mean, std = (torch.tensor(values, device=images.device).view(1, -1, 1, 1) for values in (MEAN, STD))
    return (images.float() - mean) / std


def forward(weights, images):
    """Normalised images [B, C, H, W] to logits [B, num_outputs]."""
    @FORWARD@


@torch.inference_mode()
def predict(images, weights=None):
    """uint8 images [B, C, H, W] to @MEANING@ [B, len(CLASSES)]."""
    logits = forward(weights or load_file(WEIGHTS), normalize(images))
    return @ACTIVATION@


def main(paths):
    """Print the likeliest classes of each image."""
    weights = load_file(WEIGHTS)
    for path in paths:
        scores = predict(read(path)[None], weights)[0]
        best = scores.argsort(descending=True)[:3].tolist()
        print(f"{path}: " + ", ".join(f"{CLASSES[index]} {scores[index]:.4f}" for index in best))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__.splitlines()[0])
    main(sys.argv[1:])
'''


def predict_source(
    *,
    label: str,
    class_names: list[str],
    image_shape: list[int],
    mean: list[float],
    std: list[float],
    lines: list[str],
    loss: str,
    task: str = MULTI_CLASS,
) -> str:
    """The file's text. Everything that comes from a record enters as a Python literal."""
    of_task = {
        BINARY: ("a probability for each class", "torch.cat([(-logits).sigmoid(), logits.sigmoid()], 1)"),
        MULTI_LABEL: ("a probability for each label", "logits.sigmoid()"),
        REGRESSION: ("numbers", "logits"),
        UNIT_REGRESSION: ("numbers between 0 and 1", "logits.sigmoid()"),
    }
    of_loss = {
        "CrossEntropyLoss": ("probabilities", "logits.softmax(1)"),
        "BCEWithLogitsLoss": ("a probability for each class", "logits.sigmoid()"),
    }
    meaning, activation = of_task.get(task) or of_loss.get(loss, ("scores", "logits"))
    values = {
        "LABEL": "".join(letter if letter.isalnum() or letter in " ._/+=-" else "?" for letter in label),
        "CLASSES": repr(class_names),
        "SHAPE": ", ".join(map(str, map(int, image_shape))),
        "MEAN": repr([float(value) for value in mean]),
        "STD": repr([float(value) for value in std]),
        "FORWARD": "\n    ".join(lines),
        "MEANING": meaning,
        "ACTIVATION": activation,
    }
    # One pass: what is filled in is never looked at again.
    return re.sub("@([A-Z]+)@", lambda match: values[match[1]], TEMPLATE)
