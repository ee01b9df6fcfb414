"""Training one config: a LightningModule, its callbacks, and `fit`."""

from idealfit.train.fit import FitResult as FitResult
from idealfit.train.fit import fit as fit
from idealfit.train.preflight import preflight as preflight
