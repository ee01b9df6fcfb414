"""A fork server that is started before it is known to be wanted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from idealfit.cli.app import main
from idealfit.engines import LocalEngine, close_ahead, forkserver, warm_up
from idealfit.engines.forkserver import ForkServer


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[ForkServer]]:
    """The servers that were started, in order."""
    servers: list[ForkServer] = []
    start = ForkServer.__init__

    def noted(self: ForkServer, *args: object, **kwargs: object) -> None:
        start(self, *args, **kwargs)  # type: ignore[arg-type]
        servers.append(self)

    monkeypatch.setattr(ForkServer, "__init__", noted)
    yield servers
    close_ahead()


def is_alive(server: ForkServer) -> bool:
    return server._process.poll() is None


@pytest.mark.parametrize("overrides", [[], ["engine.slots=2", "data=mnist"], ["engine=fused"]])
def test_the_engine_takes_the_server_that_was_started_for_it(started: list[ForkServer], overrides: list[str]) -> None:
    slots = 2 if "engine.slots=2" in overrides else 0
    warm_up(overrides)
    engine = LocalEngine(slots=slots)
    try:
        assert len(started) == 1
        assert is_alive(started[0])
    finally:
        engine.close()
    assert not is_alive(started[0])


@pytest.mark.parametrize("engine", ["local", "fused"])
def test_a_whole_sweep_starts_one_server(
    started: list[ForkServer], engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that reads the command changes what the server was started with."""
    monkeypatch.chdir(tmp_path)
    words = [f"engine={engine}", "study.budget.trials=1", "trainer.max_epochs=1", "tracking=none"]
    assert main(["sweep", "lr_dropout_depth", *words]) == 0
    assert len(started) == 1


def test_a_mistyped_key_leaves_no_server(started: list[ForkServer], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "lr_dropout_depth", "study.bugdet.trials=1"]) == 2
    assert "study.budget.trials" in capsys.readouterr().err
    close_ahead()  # as the end of the process does
    assert not is_alive(started[0])


def test_a_wrong_guess_is_ended_when_the_engine_is_another(
    started: list[ForkServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    warm_up([])
    monkeypatch.setenv("OF_THE_USERS_OWN_CODE", "set meanwhile")
    engine = LocalEngine(slots=1)
    engine.close()
    assert len(started) == 2
    assert not is_alive(started[0])


def test_what_the_guess_has_not_imported_takes_another_server(started: list[ForkServer]) -> None:
    warm_up([])
    engine = LocalEngine(preload=["json", "idealfit.spec"])
    engine.close()
    assert len(started) == 2


@pytest.mark.parametrize("engine", ["slurm", "ray", "inline", "workers"])
def test_engines_without_a_server_here_start_none(started: list[ForkServer], engine: str) -> None:
    warm_up([f"engine={engine}"])
    assert not started


def test_nobody_claims_it_and_it_ends_with_the_command(started: list[ForkServer]) -> None:
    warm_up([])
    assert forkserver._ahead == started
    close_ahead()
    assert not is_alive(started[0])
    with pytest.raises(ProcessLookupError):
        os.kill(started[0]._process.pid, 0)
