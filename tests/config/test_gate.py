"""What the gate builds, for an honest user."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from idealfit.config import Composer
from idealfit.config.gate import build, check_target
from idealfit.models import MLP
from idealfit.spec import ConfigError, TrustError, UserError
from idealfit.train.transfer import build_network

OFFERED = {"image_shape": (1, 8, 8), "num_classes": 10}
LINEAR = {"_target_": "torch.nn.Linear", "in_features": 3, "out_features": 2}


@pytest.fixture
def own_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A user's package `mynet`, importable."""
    folder = tmp_path / "mynet"
    folder.mkdir()
    (folder / "__init__.py").write_text(
        "import os\nfrom collections import OrderedDict\nfrom torch import nn\n\n\n"
        "class Net(nn.Module):\n"
        "    def __init__(self, num_classes, hidden=3, layer=None, **rest):\n"
        "        super().__init__()\n"
        "        if hidden < 0:\n            raise KeyError('hidden')\n"
        "        self.got = (num_classes, hidden, layer, rest)\n\n\n"
        "class Turn:\n    def __call__(self, image):\n        return image\n\n\n"
        "class Plain:\n    pass\n\n\n"
        "class Slippery(nn.Module):\n    def __new__(cls):\n        return 3\n\n\n"
        "def make():\n    return Net(1)\n"
    )
    (folder / "broken.py").write_text("import torch\nx = undefined_name\n")
    (folder / "needy.py").write_text("import a_package_that_is_not_there\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "mynet"
    for name in [name for name in sys.modules if name.split(".")[0] == "mynet"]:
        del sys.modules[name]


def test_shipped_parts_are_built_from_a_composed_config() -> None:
    config = Composer("train", ["model.width=4"]).trial_config()
    net = build_network(config["model"], trusted=[], extra=OFFERED)
    assert isinstance(net, MLP)
    parameters = list(net.parameters())
    optimizer = build(config["optimizer"], expect=torch.optim.Optimizer, extra={"params": parameters})
    assert optimizer.param_groups[0]["params"][0] is parameters[0], "the optimizer must hold the weights themselves"
    assert optimizer.param_groups[0]["betas"] == (0.9, 0.999)


def test_engines_are_built_without_torch() -> None:
    code = (
        "import sys\n"
        "from idealfit.config import Composer\n"
        "from idealfit.config.gate import build\n"
        "from idealfit.engines import InlineEngine, LocalEngine\n"
        "node = Composer('train', ['engine=inline']).root()['engine']\n"
        "build(node, expect=(InlineEngine, LocalEngine)).close()\n"
        "print(*{'torch', 'lightning', 'mlflow', 'optuna'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"


def test_checking_builds_nothing() -> None:
    assert check_target({"_target_": "torch.nn.Linear", "in_features": -3}, expect=nn.Module) is nn.Linear


def test_a_composed_node_works_like_a_plain_one() -> None:
    cfg = OmegaConf.create({"size": 3, "layer": {**LINEAR, "in_features": "${size}"}})
    assert build(cfg.layer, expect=nn.Module).in_features == 3


def test_nested_parts_and_positional_arguments_are_built() -> None:
    net = build(
        {"_target_": "torch.nn.Sequential", "_args_": [LINEAR, {"_target_": "torch.nn.ReLU"}]}, expect=nn.Module
    )
    assert [type(layer) for layer in net] == [nn.Linear, nn.ReLU]


def test_an_offer_is_made_only_to_who_names_it_and_yields_to_the_node(own_package: str) -> None:
    node = {"_target_": "mynet.Net", "hidden": 5}
    assert build(node, expect=nn.Module, trusted=[own_package], extra=OFFERED).got == (10, 5, None, {})
    assert build({**node, "num_classes": 2}, expect=nn.Module, trusted=[own_package], extra=OFFERED).got[0] == 2


def test_an_own_package_is_trusted_by_name_only(own_package: str) -> None:
    with pytest.raises(TrustError, match=r"'mynet.Net' is not trusted.*trusted_packages=\[mynet\]"):
        build({"_target_": "mynet.Net"}, expect=nn.Module)
    assert "mynet" not in sys.modules, "it must not even be imported"
    with pytest.raises(TrustError):
        build({"_target_": "mynet.Net"}, expect=nn.Module, trusted=["myne", "mynet.sub", "mynet.Net.x", ""])


def test_nobody_is_told_to_trust_all_of_a_library_that_is_trusted_in_part() -> None:
    with pytest.raises(TrustError, match=r"only classes in torch\.nn and torch\.optim") as refused:
        check_target({"_target_": "torch.load"}, expect=nn.Module)
    assert "trusted_packages=[torch]" not in str(refused.value)


def test_own_parts_nest_in_own_parts(own_package: str) -> None:
    node = {"_target_": "mynet.Net", "num_classes": 1, "layer": LINEAR, "turn": {"_target_": "mynet.Turn"}}
    _, _, layer, rest = build(node, expect=nn.Module, trusted=[own_package]).got
    assert isinstance(layer, nn.Linear)
    assert type(rest["turn"]).__name__ == "Turn"


def test_a_nested_part_may_be_left_unfinished(own_package: str) -> None:
    node = {
        "_target_": "mynet.Net",
        "num_classes": 1,
        "layer": {"_target_": "torch.optim.SGD", "lr": 0.5, "_partial_": True},
    }
    make = build(node, expect=nn.Module, trusted=[own_package]).got[2]
    assert make([nn.Parameter(torch.zeros(1))]).param_groups[0]["lr"] == 0.5


BAD_NODES = {
    "misspelt argument": (
        {**LINEAR, "out_feature": 3},
        r"torch.nn.Linear takes no 'out_feature'. Did you mean 'out_features'",
    ),
    "missing argument": ({"_target_": "torch.nn.Linear", "in_features": 3}, r"torch.nn.Linear: .*'out_features'"),
    "refused value": ({**LINEAR, "in_features": -3}, r"torch.nn.Linear can't be built: RuntimeError: "),
    "refused by us": (
        {"_target_": "idealfit.models.MLP", **OFFERED, "activation": "rleu"},
        r"unknown activation 'rleu'. Did you mean 'relu'",
    ),
    "misspelt class": ({"_target_": "torch.nn.Linea"}, r"torch.nn has no class 'Linea'. Did you mean 'Linear'"),
    "misspelt module": ({"_target_": "torch.nn.moduls.Linear"}, r"torch.nn has no class 'moduls'"),
    "another kind": ({"_target_": "torch.optim.SGD"}, r"torch.optim.SGD is no Module, which is wanted here"),
    "no target": ({"in_features": 3}, r"no `_target_` among \['in_features'\]"),
    "no mapping": ([3], r"wanted a mapping that names a class to build, got \[3\]"),
    "unfinished": ({**LINEAR, "_partial_": True}, r"idealfit builds it itself. Remove `_partial_`"),
    "positional no list": ({"_target_": "torch.nn.ReLU", "_args_": 3}, r"_args_ must be a list, got 3"),
    "misspelt special": ({"_target_": "torch.nn.ReLU", "_arg_": []}, r"takes no '_arg_'"),
    "not resolved": ({**LINEAR, "in_features": "${x}"}, r"in_features: '\${x}' is not resolved"),
    "no plain value": ({**LINEAR, "in_features": object()}, r"in_features: a object is no plain value"),
    "key no text": ({**LINEAR, "bias": {3: 4}}, r"bias: the key 3 is no text"),
    "own, not there": ({"_target_": "mynet.Nett"}, r"mynet has no class 'Nett'. Did you mean 'Net'"),
    "own, missing argument": ({"_target_": "mynet.Net"}, r"mynet.Net: missing a required argument: 'num_classes'"),
    "own, failing": (
        {"_target_": "mynet.Net", "num_classes": 1, "hidden": -1},
        r"mynet.Net can't be built \(.*__init__.py, line",
    ),
    "own, other object": ({"_target_": "mynet.Slippery"}, r"mynet.Slippery made a int, wanted: Module"),
    "own, broken module": (
        {"_target_": "mynet.broken.Net"},
        r"mynet.broken can't be imported: NameError.*broken.py, line 2",
    ),
    "own, needs a package": ({"_target_": "mynet.needy.Net"}, r"mynet.needy needs 'a_package_that_is_not_there'"),
    "own, not installed": ({"_target_": "mynets.Net"}, r"no package 'mynets' can be imported. Install it"),
    "own, a function": ({"_target_": "mynet.make"}, r"'mynet.make' is a function, not a class.*Wrap it in a class"),
}


@pytest.mark.parametrize("case", BAD_NODES)
def test_bad_nodes_are_the_users_to_mend(case: str, own_package: str) -> None:
    node, pattern = BAD_NODES[case]
    with pytest.raises(UserError, match=pattern) as caught:
        build(node, expect=nn.Module, trusted=[own_package, "mynets"])  # type: ignore[arg-type]
    assert "Hydra" not in str(caught.value)


def test_what_cannot_be_resolved_says_so() -> None:
    cfg = OmegaConf.create({"layer": {**LINEAR, "in_features": "${size}"}})
    with pytest.raises(ConfigError, match="can't be resolved"):
        build(cfg.layer, expect=nn.Module)
