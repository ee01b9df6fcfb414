"""What importing the training code leaves out."""

from __future__ import annotations

import subprocess
import sys

import pytest

LEAN = "import sys, scipy; import idealfit.train; assert 'torchmetrics' in sys.modules; "
WITHIN = (
    "import sys; from idealfit.train.lean import without_signal_processing\nwith without_signal_processing():\n    "
)


@pytest.mark.parametrize(
    "code",
    [
        LEAN + "assert not {'scipy.signal', 'scipy.stats'} & set(sys.modules)",
        LEAN + "import scipy.signal; assert scipy.signal.find_peaks([0, 1, 0])[0] == [1]",
        LEAN + "assert scipy.signal.find_peaks([0, 1, 0])[0] == [1]",
        WITHIN + "from scipy.signal import find_peaks\nassert find_peaks([0, 1, 0])[0] == [1]",
        WITHIN + "import scipy.signal as one\nimport scipy.signal\nassert scipy.signal.find_peaks == one.find_peaks",
        "import scipy.signal as first\n" + WITHIN + "import scipy.signal\nassert scipy.signal is first",
        WITHIN + "from scipy.signal import windows\nassert windows.__name__ == 'scipy.signal.windows'",
    ],
)
def test_training_imports_no_signal_processing_and_hides_none(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_name_that_does_not_exist_is_told_as_ever() -> None:
    code = WITHIN + "from scipy.signal import find_peeks"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "cannot import name 'find_peeks' from 'scipy.signal'" in done.stderr
