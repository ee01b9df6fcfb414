"""Networks for any image shape and number of classes: images `[B, C, H, W]` in, logits `[B, num_classes]` out."""

from idealfit.models.alexnet import AlexNet as AlexNet
from idealfit.models.cnn import CNN as CNN
from idealfit.models.dbn import DBN as DBN
from idealfit.models.dropout import Dropout as Dropout
from idealfit.models.estimators import KNN as KNN
from idealfit.models.estimators import SVM as SVM
from idealfit.models.estimators import Forest as Forest
from idealfit.models.googlenet import GoogLeNet as GoogLeNet
from idealfit.models.lenet import LeNet as LeNet
from idealfit.models.linear import Linear as Linear
from idealfit.models.mlp import MLP as MLP
from idealfit.models.resnet import ResNet as ResNet
from idealfit.models.rnn import RNN as RNN
from idealfit.models.vgg import VGG as VGG
