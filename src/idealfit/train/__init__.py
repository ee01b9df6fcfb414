"""Training one config: a LightningModule, its callbacks, and `fit`."""

from idealfit.train.lean import without_signal_processing

with without_signal_processing():
    from idealfit.train.fit import FitResult as FitResult
    from idealfit.train.fit import fit as fit
    from idealfit.train.preflight import preflight as preflight
