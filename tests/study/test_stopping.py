import signal
import subprocess
import sys
import threading

import pytest

from idealfit.study.stopping import StopSwitch

TWICE = """
import os, signal, sys, time
from idealfit.study.stopping import StopSwitch
with StopSwitch(kill=lambda: print("killed", flush=True), last_words="go on with X") as switch:
    os.kill(os.getpid(), signal.SIGINT)
    while not switch.is_requested():
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_noted_and_old_handlers_come_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with StopSwitch(kill=lambda: None) as switch:
        assert not switch.is_requested()
        signal.raise_signal(number)
        assert switch.is_requested()
    assert signal.getsignal(number) is before


def test_the_second_signal_ends_everything_at_once() -> None:
    done = subprocess.run([sys.executable, "-c", TWICE], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "killed\n", "\ngo on with X\n")


def test_outside_the_main_thread_nothing_is_caught() -> None:
    def open_switch() -> None:
        with StopSwitch(kill=lambda: None) as switch:
            seen.append(switch.is_requested())

    seen: list[bool] = []
    thread = threading.Thread(target=open_switch)
    thread.start()
    thread.join()
    assert seen == [False]
