"""Pictures of one trial, drawn beside the training: no window, no global state of matplotlib, safe on any thread."""

from idealfit.pictures.confusion import confusion_matrix as confusion_matrix
from idealfit.pictures.curves import learning_rate_curve as learning_rate_curve
from idealfit.pictures.curves import overfitting_curve as overfitting_curve
from idealfit.pictures.images import worst_images as worst_images
from idealfit.pictures.inside import feature_maps as feature_maps
from idealfit.pictures.inside import nearest_neighbours as nearest_neighbours
from idealfit.pictures.inside import saliency as saliency
from idealfit.pictures.kernels import first_layer as first_layer
from idealfit.pictures.range_test import range_test_curve as range_test_curve
from idealfit.pictures.recognition import class_curves as class_curves
