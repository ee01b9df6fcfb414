"""idealfit: hyperparameter sweeps that find the ideal fit between under- and overfitting.

>>> import idealfit
>>> study = idealfit.sweep("lr_dropout_depth", "data=mnist")
>>> study.trials().head()
"""

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from idealfit._version import __version__ as __version__

if TYPE_CHECKING:
    from idealfit.api import Run as Run
    from idealfit.api import Study as Study
    from idealfit.api import load_study as load_study
    from idealfit.api import lr_range as lr_range
    from idealfit.api import promote as promote
    from idealfit.api import resume as resume
    from idealfit.api import sweep as sweep
    from idealfit.api import train as train

__all__ = ["Run", "Study", "__version__", "load_study", "lr_range", "promote", "resume", "sweep", "train"]


def __getattr__(name: str) -> Any:
    """Import the API on first use: `import idealfit` itself costs nothing."""
    if name in __all__:
        from idealfit import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


class _CallableModule(ModuleType):
    def __call__(self, *overrides: str, **options: Any) -> Any:
        from idealfit import api

        return api.train(*overrides, **options)


class _Package(ModuleType):
    """Keeps `idealfit.train(...)` a verb: the import system puts the sub-package of that name in its place."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "train" and isinstance(value, ModuleType):
            value.__class__ = _CallableModule
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
