"""The inline engine alone."""

from __future__ import annotations

import os
from collections.abc import Callable

import engine_works as works
import pytest

from idealfit.engines import InlineEngine
from idealfit.spec import ConfigError, Engine, TrialSpec

MakeEngine = Callable[..., Engine]
MakeSpec = Callable[..., TrialSpec]


def test_runs_in_this_process(inline: MakeEngine, make_spec: MakeSpec) -> None:
    assert inline().submit(works.look_around, make_spec()).result().facts["pid"] == os.getpid()


def test_output_still_reaches_the_terminal(
    inline: MakeEngine, make_spec: MakeSpec, capsys: pytest.CaptureFixture[str]
) -> None:
    inline().submit(works.talk, make_spec()).result()
    assert capsys.readouterr() == ("said on stdout: é\n", "said on stderr\n")


def test_more_than_one_slot_is_refused() -> None:
    with pytest.raises(ConfigError, match="engine=local"):
        InlineEngine(slots=2)


def test_more_than_one_device_a_trial_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"trainer\.devices=2.*engine=local"):
        InlineEngine(devices_per_trial=2)
