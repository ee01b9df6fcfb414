"""Configs written by an attacker: none of them runs or imports anything that it chose."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch import LightningDataModule
from torch import nn
from torch.optim import Optimizer

from idealfit.config.gate import build, check_target
from idealfit.data import ImageSource
from idealfit.spec import UserError

MARK = "touched"
SHELL = f"touch {MARK}"

TARGETS = [
    *("os.system", "os.popen", "posix.system", "subprocess.Popen", "subprocess.run", "builtins.eval", "builtins.exec"),
    *("builtins.__import__", "importlib.import_module", "runpy.run_path", "pickle.loads", "shutil.rmtree", "pty.spawn"),
    *(
        "torch.load",
        "torch.hub.load",
        "torch.jit.load",
        "torch.utils.cpp_extension.load",
        "torch.package.PackageImporter",
    ),
    *("logging.os.system", "logging.config.dictConfig", "code.InteractiveConsole", "ctypes.CDLL", "webbrowser.open"),
    *(
        "torch.nn.modules.module.os.system",
        "torch.nn.modules.module.torch.load",
        "torch.optim.optimizer.torch.hub.load",
    ),
    *("torch.nn.functional.torch.hub.load", "torch.nn.torch.load", "torch.nn.init.torch.load", "torch.nn.utils.torch"),
    *("torch.nn.parallel.distributed.pickle.loads", "lightning.pytorch.trainer.trainer.os.system"),
    *("lightning.pytorch.Trainer", "lightning.pytorch.cli.LightningCLI", "lightning.fabric.Fabric"),
    *("lightning.pytorch.core.saving._load_state", "lightning.fabric.utilities.cloud_io._load"),
    *("lightning.pytorch.LightningModule.load_from_checkpoint", "lightning.pytorch.utilities.deepspeed.torch.load"),
    *("torchmetrics.functional.image.lpips._LPIPS", "torchmetrics.utilities.imports.os.system"),
    *(
        "torchvision.models.resnet18",
        "torchvision.models.get_model",
        "torchvision.models.resnet.load_state_dict_from_url",
    ),
    *(
        "torchvision.models._api.WeightsEnum",
        "torchvision.transforms.Lambda",
        "torchvision.transforms.functional.Image.open",
    ),
    *(
        "torch.nn.Module.__init__",
        "torch.nn.Module.__init__.__globals__",
        "torch.nn.Linear.__class__",
        "torch.nn.__loader__",
    ),
    *("torch.nn.Module.__subclasses__", "torch.nn.Module.mro", "torch.nn.Linear.forward", "torch.nn.Module.apply"),
    *("torch.nn.modules.container.OrderedDict", "torch.nn.modules.module.partial", "torch.nn.modules.module.Any"),
    *("idealfit.__main__", "idealfit.__main__.main", "idealfit.cli.main", "idealfit.spec.Path", "idealfit.spec.Future"),
    *("idealfit.config.gate.instantiate", "idealfit.config.gate.build", "idealfit.config.targets.import_module"),
    *(
        "idealfit.config.targets.sys",
        "idealfit.record.Record",
        "idealfit.record.Record.create",
        "idealfit.spec.TrialSpec",
    ),
    *("__main__.Net", "tests.config.Net", "torch.nn", "torch", "torch.nn.", ".torch.nn.Linear", "torch..nn.Linear", ""),
    *(
        "torch.nn.Linear ",
        "torch.nn.Linear\n",
        "torch/nn/Linear",
        "torch.nn.Linear()",
        "torch.nn:Linear",
        "torch.nn[0]",
    ),
    *("../../evil.Net", "file:///evil.Net", "TORCH.NN.LINEAR", "torch.nn\u200b.Linear", "t\u043erch.nn.Linear", "evil"),
]
VALUES: list[Any] = [None, 3, True, [], ["os.system"], {"_target_": "os.system"}, "???", "${oc.env:HOME}", b"os.system"]


def run_path(target: Any) -> dict[str, Any]:
    return {"_target_": target, "_args_": [SHELL]}


@pytest.mark.parametrize("target", [*TARGETS, *VALUES], ids=repr)
def test_a_hostile_target_is_refused(target: Any, in_tmp_dir: Path) -> None:
    before = set(sys.modules)
    kinds: list[Any] = [nn.Module, Optimizer, (ImageSource, LightningDataModule)]
    for expect, arguments in itertools.product(kinds, ({}, {"_args_": [SHELL]}, {"command": SHELL})):
        with pytest.raises(UserError):
            build({"_target_": target, **arguments}, expect=expect)
        with pytest.raises(UserError):
            check_target({"_target_": target, **arguments}, expect=expect)
    assert not list(in_tmp_dir.iterdir())
    assert not {"pty", "runpy", "webbrowser", "evil", "torch.utils.cpp_extension"} & (set(sys.modules) - before)


HIDING_PLACES = {
    "argument": lambda evil: {"_target_": "torch.nn.Linear", "in_features": evil, "out_features": 2},
    "position": lambda evil: {"_target_": "torch.nn.Sequential", "_args_": [{"_target_": "torch.nn.ReLU"}, evil]},
    "list in list": lambda evil: {"_target_": "torch.nn.Sequential", "_args_": [[[evil]]]},
    "mapping without target": lambda evil: {"_target_": "torch.nn.Linear", "in_features": {"a": {"b": [evil]}}},
    "not recursive": lambda evil: {"_target_": "torch.nn.Sequential", "_recursive_": False, "_args_": [evil]},
    "special key": lambda evil: {"_target_": "torch.nn.ReLU", "_convert_": evil},
    "unknown key": lambda evil: {"_target_": "torch.nn.ReLU", "_call_": evil},
    "unfinished": lambda evil: {"_target_": "torch.nn.Sequential", "_args_": [{**evil, "_partial_": True}]},
    "behind a good one": lambda evil: {
        "_target_": "torch.nn.Sequential",
        "_args_": [{"_target_": "torch.nn.TransformerEncoder", "encoder_layer": evil, "num_layers": 1}],
    },
}


@pytest.mark.parametrize("place", HIDING_PLACES)
@pytest.mark.parametrize(
    "target", ["os.system", "torch.hub.load", "lightning.pytorch.Trainer", "torch.nn.modules.module.os"]
)
def test_a_hostile_target_is_found_wherever_it_hides(place: str, target: str, in_tmp_dir: Path) -> None:
    with pytest.raises(UserError):
        build(HIDING_PLACES[place](run_path(target)), expect=nn.Module)
    assert not list(in_tmp_dir.iterdir())


@pytest.mark.parametrize(
    "text",
    [
        "${oc.create:'{_target_: os.system, _args_: [touch touched]}'}",
        "${oc.decode:'{_target_: os.system}'}",
        "\\${oc.env:HOME}",
        "a ${oc.env:HOME} b",
    ],
)
def test_text_cannot_turn_into_something_else_after_the_check(text: str, in_tmp_dir: Path) -> None:
    for node in ({"_target_": "torch.nn.Sequential", "_args_": [text]}, {"_target_": "torch.nn.ReLU", "inplace": text}):
        with pytest.raises(UserError, match="is not resolved"):
            build(node, expect=nn.Module)
    assert not list(in_tmp_dir.iterdir())


def test_a_trusted_package_lends_no_trust_to_what_it_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lender.py").write_text(
        "import os, subprocess\nfrom subprocess import Popen\nfrom torch import hub, load, nn\nsystem = os.system\n"
        "class Holder:\n    os = os\n    Popen = Popen\n    system = staticmethod(os.system)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    names = ("os.system", "Popen", "subprocess.Popen", "hub.load", "load", "system", "Holder.os.system", "Holder.Popen")
    for name in (*names, "Holder.system", "Holder", "nn.Linear"):
        for node in (
            run_path(f"lender.{name}"),
            {"_target_": "torch.nn.Sequential", "_args_": [run_path(f"lender.{name}")]},
        ):
            with pytest.raises(UserError):
                build(node, expect=nn.Module, trusted=["lender"])
    assert not (tmp_path / MARK).exists()
    del sys.modules["lender"]


def test_an_untrusted_module_beside_the_config_is_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / MARK)!r}, 'w')\n")
    monkeypatch.syspath_prepend(tmp_path)
    for target in ("evil.Net", "evil.a.b.Net"):
        with pytest.raises(UserError):
            build({"_target_": target}, expect=nn.Module)
    assert not (tmp_path / MARK).exists()
    assert "evil" not in sys.modules


def test_depth_is_bounded() -> None:
    node: dict[str, Any] = {"_target_": "torch.nn.ReLU"}
    for _ in range(5000):
        node = {"_target_": "torch.nn.Sequential", "_args_": [node]}
    with pytest.raises(UserError, match="nested deeper"):
        build(node, expect=nn.Module)


def test_the_shell_command_of_these_tests_would_leave_a_mark(in_tmp_dir: Path) -> None:
    subprocess.run(SHELL, shell=True, check=True)
    assert os.listdir(in_tmp_dir) == [MARK]  # noqa: PTH208
