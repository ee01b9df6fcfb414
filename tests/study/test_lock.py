import subprocess
import sys
from pathlib import Path

import pytest

from idealfit.spec import StudyError
from idealfit.study.lock import controller_lock

HOLD = """
import sys, time
from pathlib import Path
from idealfit.study.lock import controller_lock
with controller_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_controller_is_refused_and_a_dead_one_keeps_nothing(tmp_path: Path) -> None:
    other = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "s")], stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    try:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(StudyError, match="being driven by another process"), controller_lock(tmp_path / "s"):
            pass
    finally:
        other.kill()
        other.wait()
        other.stdout.close()
    with controller_lock(tmp_path / "s"):
        pass


def test_two_studies_in_one_place_do_not_meet(tmp_path: Path) -> None:
    with controller_lock(tmp_path / "a"), controller_lock(tmp_path / "b"):
        pass
