"""Data sets as uint8 images in memory: sources, the decoded cache, splits, batches, augmentation."""

from idealfit.data.adapter import LoaderData as LoaderData
from idealfit.data.augment import Augment as Augment
from idealfit.data.augment import Mixing as Mixing
from idealfit.data.loader import Batch as Batch
from idealfit.data.loader import ImageData as ImageData
from idealfit.data.loader import Part as Part
from idealfit.data.loader import TrainingData as TrainingData
from idealfit.data.opening import DATA_KEYS as DATA_KEYS
from idealfit.data.opening import open_source as open_source
from idealfit.data.source import ImageArrays as ImageArrays
from idealfit.data.source import ImageSource as ImageSource
from idealfit.data.source import file_identity as file_identity
from idealfit.data.sources.coco import COCO as COCO
from idealfit.data.sources.digits import Digits as Digits
from idealfit.data.sources.drawings import QuickDrawRaster as QuickDrawRaster
from idealfit.data.sources.drawings import QuickDrawStrokes as QuickDrawStrokes
from idealfit.data.sources.image_folder import ImageFolder as ImageFolder
from idealfit.data.sources.published import CIFAR10 as CIFAR10
from idealfit.data.sources.published import CIFAR100 as CIFAR100
from idealfit.data.sources.published import KMNIST as KMNIST
from idealfit.data.sources.published import MNIST as MNIST
from idealfit.data.sources.published import SVHN as SVHN
from idealfit.data.sources.published import FashionMNIST as FashionMNIST
from idealfit.data.sources.quickdraw import QuickDraw as QuickDraw
from idealfit.data.sources.timit import TIMIT as TIMIT
from idealfit.data.targets import BRIGHTNESS as BRIGHTNESS
