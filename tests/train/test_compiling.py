"""Training steps through torch.compile, and networks that keep their kernels channels first."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from idealfit.spec import JSON, ConfigError, Objective
from idealfit.train.checkpoints import BEST_WEIGHTS
from idealfit.train.compiling import COMPILERS
from idealfit.train.testing import score_test_images

Run = Callable[..., Any]

needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, COMPILERS)), reason="torch.compile needs a C++ compiler: install g++"
)


@needs_compiler
@pytest.mark.filterwarnings("ignore")  # torch's own, while it compiles
def test_compiled_steps_train_alike(config: JSON, run: Run) -> None:
    config["model"]["dropout"] = 0.0  # whose masks compiled code draws in another way
    plain = run(config, "plain").result.curves
    config["trainer"]["compile"] = "default"
    compiled = run(config, "compiled").result.curves
    assert compiled["train/loss"] == pytest.approx(plain["train/loss"], rel=1e-3)
    assert compiled["val/accuracy"] == pytest.approx(plain["val/accuracy"], abs=0.01)


@needs_compiler
@pytest.mark.filterwarnings("ignore")
def test_compiled_steps_go_on_bit_by_bit(config: JSON, run: Run) -> None:
    config["trainer"]["compile"] = "default"
    whole = run(config, "whole")
    stop = threading.Event()
    run(config, "parts", stop=stop, on_epoch=lambda epoch, metrics: stop.set())
    again = run(config, "parts")
    assert again.result.num_epochs == 3
    assert again.bits == whole.bits


def test_without_a_compiler_nothing_begins(config: JSON, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    config["trainer"]["compile"] = "default"
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(ConfigError, match=r"needs a C\+\+ compiler on a CPU, and there is no no-such-compiler"):
        run(config)


def test_what_takes_no_compiled_steps_needs_no_compiler(
    config: JSON, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run(config, "network")
    config["trainer"]["compile"] = "default"
    monkeypatch.setenv("CXX", "no-such-compiler")
    how: Any = {"objective": Objective(), "trusted": (), "refit": False}
    scored = score_test_images(config, weights=tmp_path / "network" / BEST_WEIGHTS, **how)
    assert len(scored.targets) > 0
    config["model"] = {"_target_": "idealfit.models.KNN"}
    assert run(config, "estimator").result.outcome == "complete"


@pytest.mark.usefixtures("own_nets")
def test_a_module_of_one_s_own_compiles_itself(config: JSON, run: Run) -> None:
    config["model"] = {"_target_": "own_nets.Own"}
    config["trainer"]["compile"] = "default"
    with pytest.raises(ConfigError, match=r"trainer.compile: model Own has a training_step of its own"):
        run(config, trusted_packages=["own_nets"])


@pytest.mark.parametrize("is_last", [True, False])
def test_kernels_are_kept_as_asked(config: JSON, run: Run, is_last: bool) -> None:
    config["model"] = {"_target_": "idealfit.models.CNN", "depth": 2, "width": 4}
    config["trainer"] |= {"max_epochs": 1, "channels_last": is_last}
    weights = torch.load(run(config).directory / "best.pt", weights_only=True)
    kernel = next(weight for weight in weights.values() if weight.ndim == 4 and weight.shape[1] > 1)
    assert kernel.is_contiguous(memory_format=torch.channels_last) is is_last
    assert kernel.is_contiguous() is not is_last
