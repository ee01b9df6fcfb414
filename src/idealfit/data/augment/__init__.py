"""Random changes of whole batches, on the device where the images are: movement, colour, holes, mixtures."""

from idealfit.data.augment.augment import Augment as Augment
from idealfit.data.augment.mixup import Mixing as Mixing
from idealfit.data.augment.mixup import apply_augment as apply_augment
