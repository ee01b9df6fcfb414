"""Configs that name something to execute: by itself, by an alias, nested, disguised, inside a package that is trusted."""

from __future__ import annotations

import functools
import importlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.faults.cases import command_line
from benchmarks.faults.payloads import CODE, SHELL, Hostile, evil_pickle, stranger_module, write
from benchmarks.faults.tripwire import CANARY, STRANGER
from idealfit.spec import FailureKind, TrialSpec, UserError

Node = dict[str, Any]
SYSTEM: Node = {"_target_": "os.system", "command": SHELL}

# What Hydra alone would call. `evil.pkl`, `stranger.py` and the like lie in the folder.
CALLS: tuple[Node, ...] = (
    SYSTEM,
    {"_target_": "os.popen", "cmd": SHELL},
    {"_target_": "os.execvp", "_args_": ["touch", ["touch", CANARY]]},
    {"_target_": "os.posix_spawn", "_args_": ["/bin/touch", ["touch", CANARY], {}]},
    {"_target_": "subprocess.run", "args": ["touch", CANARY]},
    {"_target_": "subprocess.Popen", "args": ["touch", CANARY]},
    {"_target_": "subprocess.getoutput", "cmd": SHELL},
    {"_target_": "builtins.eval", "_args_": [f"__import__('os').system({SHELL!r})"]},
    {"_target_": "builtins.exec", "_args_": [CODE]},
    {"_target_": "builtins.open", "file": CANARY, "mode": "w"},
    {"_target_": "builtins.__import__", "_args_": [STRANGER]},
    {"_target_": "importlib.import_module", "name": STRANGER},
    {"_target_": "runpy.run_path", "path_name": f"{STRANGER}.py"},
    {"_target_": "timeit.timeit", "stmt": CODE, "number": 1},
    {"_target_": "cProfile.run", "statement": CODE},
    {"_target_": "pty.spawn", "argv": ["touch", CANARY]},
    {"_target_": "ctypes.CDLL", "name": "./evil.so"},
    {"_target_": "webbrowser.open", "url": "http://127.0.0.1:9"},
    {"_target_": "urllib.request.urlopen", "url": "http://127.0.0.1:9"},
    {"_target_": "shutil.copy", "src": "evil.pkl", "dst": CANARY},
    {"_target_": "pathlib.Path.write_text", "_args_": [{"_target_": "pathlib.Path", "_args_": [CANARY]}, "x"]},
    {"_target_": "torch.load", "f": "evil.pkl", "weights_only": False},
    {"_target_": "torch.serialization.load", "f": "evil.pkl", "weights_only": False},
    {"_target_": "torch.hub.load", "repo_or_dir": ".", "model": "net", "source": "local"},
    {"_target_": "torch.ops.load_library", "path": "./evil.so"},
    {"_target_": "torch.utils.cpp_extension.load", "name": "x", "sources": ["x.cpp"], "build_directory": "."},
    {"_target_": "numpy.load", "file": "evil.npy", "allow_pickle": True},
    {"_target_": "pandas.read_pickle", "filepath_or_buffer": "evil.pkl"},
    {"_target_": "joblib.load", "filename": "evil.pkl"},
    {"_target_": "yaml.unsafe_load", "stream": f"!!python/object/apply:os.system [{SHELL}]"},
    {
        "_target_": "functools.reduce",
        "_args_": [{"_target_": "hydra.utils.get_method", "path": "os.mkdir"}, [CANARY, 511]],
    },
    {"_target_": "hydra.utils.call", "config": {"_target_": "subprocess.call", "args": ["touch", CANARY]}},
    {"_target_": "lightning.pytorch.LightningModule.load_from_checkpoint", "checkpoint_path": "evil.pkl"},
    {"_target_": "idealfit.engines.forkserver.ForkServer", "preload": [STRANGER], "env": {}},
    {"_target_": "idealfit.tracking.server.subprocess.run", "args": ["touch", CANARY]},
    {"_target_": "idealfit.config.gate.instantiate", "config": SYSTEM},
    {"_target_": "torch.nn.Module.__init__.__globals__.get", "_args_": ["os"]},
    {"_target_": "trusted.run", "command": SHELL},
    {"_target_": "trusted.os.system", "command": SHELL},
    {"_target_": "trusted.StrangersNet"},
    {"_target_": "trusted.Runs"},
    {"_target_": "torchmetrics_evil.Net"},
    {"_target_": "idealfit_evil.Net"},
    {"_target_": f"{STRANGER}.Net"},
)
DISGUISED = (
    *(" os.system", "os.system ", "os\n.system", "os .system", "os..system", ".os.system", "os.system.", "OS.system"),
    *(
        "ｏｓ.system",
        "os\u200b.system",
        "os.syst\u0435m",
        "os.system\0",
        "torch.nn..Module",
        "torch.nn.Module; import os",
    ),
    *("os.system('touch canary')", "torch.nn.modules.module.__builtins__.eval", "torch.nn.__loader__.load_module"),
    *("torch.nn.Module.__subclasses__", "idealfit.__main__", "idealfit.cli.main", "torch.nn.functional.F", "lightning"),
    *(
        "!!python/name:os.system",
        "${oc.env:HOME}",
        "torch.nn.modules.sys.modules.os.system",
        "torch.nn.Module.__class__",
    ),
)
NO_TEXT: tuple[Any, ...] = (None, 1, True, ["os.system"], {"_target_": "os.system"}, os.system, b"os.system")
ALIASES = {os: "system", subprocess: "getoutput", sys.modules["builtins"]: "eval"}


def cases(*, max_aliases: int = 60) -> Iterator[Hostile]:
    """All of them."""
    for node in CALLS:
        yield Hostile("target", _short(node), _at_the_gate(node), _careless(node))
    for node in _nested(SYSTEM):
        yield Hostile("nested target", _short(node), _at_the_gate(node), _careless(node))
    for target in (*DISGUISED, *NO_TEXT):
        yield Hostile("disguised target", repr(target), _at_the_gate({"_target_": target, "command": SHELL}))
    for target in _aliases()[:max_aliases]:
        node = {"_target_": target, "_args_": [SHELL if not target.endswith("eval") else f"open({CANARY!r}, 'w')"]}
        yield Hostile("alias", target, _at_the_gate(node), _careless(node))
    for group in ("data", "model", "optimizer", "scheduler", "loss", "augment"):
        yield Hostile("trial", f"{group}: os.system", _in_a_trial(group))
    for group in ("model", "engine", "data"):
        override = f"{group}={{_target_: os.system, command: {SHELL}}}"
        yield Hostile("command line", override, _typed(["train", override]))
    yield Hostile("every class", "all that the gate lets pass, a pickle for every argument", _every_class)


def _at_the_gate(node: Node) -> Callable[[Path], None]:
    def attack(folder: Path) -> None:
        from torch import nn

        from idealfit.config.gate import build

        with _surroundings(folder):
            build(node, expect=nn.Module, trusted=["trusted"], extra={"image_shape": (1, 4, 4), "num_classes": 3})

    return attack


def _careless(node: Node) -> Callable[[Path], None]:
    """What `_target_` means without any gate."""

    def attack(folder: Path) -> None:
        with _surroundings(folder):
            _call(node)

    return attack


def _call(value: Any) -> Any:
    """Build whatever is named, as Hydra up to 1.3.2 did; 1.3.8 refuses most of what is here by itself."""
    if isinstance(value, list):
        return [_call(item) for item in value]
    if not isinstance(value, dict):
        return value
    arguments = {key: _call(item) for key, item in value.items() if not (key.startswith("_") and key.endswith("_"))}
    if "_target_" not in value:
        return arguments
    first, *names = value["_target_"].split(".")
    found: Any = importlib.import_module(first)
    for name in names:
        if not hasattr(found, name):
            importlib.import_module(f"{found.__name__}.{name}")
        found = getattr(found, name)
    positional = [_call(item) for item in value.get("_args_", ())]
    return (
        functools.partial(found, *positional, **arguments)
        if value.get("_partial_")
        else found(*positional, **arguments)
    )


def _in_a_trial(group: str) -> Callable[[Path], None]:
    def attack(folder: Path) -> None:
        from idealfit.config import Composer
        from idealfit.trial import check_trial, run_trial

        config = Composer("train", [f"data.cache_dir='{folder / 'cache'}'", "trainer.max_epochs=1"]).trial_config()
        config[group] = dict(SYSTEM)
        spec = TrialSpec(study="s", number=0, config=config, record_dir=str(folder / "0"), working_dir=str(folder))
        for work in (check_trial, run_trial):
            result = work(spec, threading.Event())
            if result.failure is not FailureKind.INPUT:
                raise AssertionError(f"{result.failure}: {result.message}")
        raise UserError(result.message)

    return attack


def _typed(arguments: list[str]) -> Callable[[Path], None]:
    def attack(folder: Path) -> None:
        code, said = command_line([*arguments, "tracking.uri=''"])
        if code != 2:
            raise AssertionError(f"exit code {code}: {said}")
        raise UserError(said)

    return attack


def _every_class(folder: Path) -> None:
    """Build each class that a `_target_` may name, with the path of a pickle wherever it takes a text."""
    import inspect

    from torch import nn
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler

    from idealfit.config.gate import build
    from idealfit.config.targets import parameters_of
    from idealfit.data import ImageSource

    for target, cls in _classes():
        if not issubclass(cls, nn.Module | Optimizer | LRScheduler | ImageSource):
            continue
        for value in ("evil.pkl", ["evil.pkl"], SHELL):
            wanted = [
                name
                for name, parameter in parameters_of(cls).parameters.items()
                if (
                    parameter.kind is parameter.POSITIONAL_OR_KEYWORD
                    and parameter.default in (inspect.Parameter.empty, None)
                )
                or isinstance(parameter.default, str)
            ]
            with _surroundings(folder):
                try:
                    build({"_target_": target, **dict.fromkeys(wanted, value)}, expect=cls)
                except UserError:
                    continue


def _nested(node: Node) -> Iterator[Node]:
    sequential = "torch.nn.Sequential"
    yield {"_target_": sequential, "_args_": [node]}
    yield {
        "_target_": sequential,
        "_args_": [{"_target_": sequential, "_args_": [{"_target_": "torch.nn.ReLU"}, node]}],
    }
    yield {"_target_": "idealfit.models.MLP", "activation": node}
    yield {"_target_": "torch.nn.TransformerEncoderLayer", "d_model": 4, "nhead": 1, "activation": [{"deep": [node]}]}
    yield {"_target_": sequential, "_args_": [{**node, "_partial_": True}]}
    yield {"_target_": sequential, "_args_": [{"_target_": "functools.partial", "_args_": [node]}]}
    yield {"_target_": "torchvision.transforms.Lambda", "lambd": {**node, "_partial_": True}}
    yield {"_target_": "torch.optim.lr_scheduler.LambdaLR", "lr_lambda": node}
    yield {**node, "_partial_": True}
    yield {"_target_": sequential, "_recursive_": False, "_args_": [node]}
    yield {"_target_": sequential, "_convert_": "object", "_args_": [{"_target_": sequential, "x": node}]}
    deep: Any = node
    for _ in range(45):
        deep = {"_target_": sequential, "_args_": [deep]}
    yield deep


def _aliases() -> list[str]:
    """Names inside the trusted packages that are Python's own dangerous modules: `logging.os` is one of them."""
    from idealfit.config.targets import BUILT_IN

    found = []
    for name, module in sorted(sys.modules.items()):
        if not any(name == top or name.startswith(f"{top}.") for top in BUILT_IN) or not isinstance(module, ModuleType):
            continue
        for attribute, value in sorted(vars(module).items()):
            if isinstance(value, ModuleType) and value in ALIASES:
                found.append(f"{name}.{attribute}.{ALIASES[value]}")
    return found


def _classes() -> list[tuple[str, type]]:
    from idealfit.config.targets import BUILT_IN, resolve_target

    found: dict[type, str] = {}
    for name, module in sorted(sys.modules.items()):
        if any(name == top or name.startswith(f"{top}.") for top in BUILT_IN):
            for attribute, value in sorted(vars(module).items()):
                if isinstance(value, type) and value not in found:
                    try:
                        resolve_target(f"{name}.{attribute}", (), "")
                    except UserError:
                        continue
                    found[value] = f"{name}.{attribute}"
    return [(target, cls) for cls, target in found.items()]


class _surroundings:  # noqa: N801 - a context manager
    """The folder with everything that the targets name, first on `sys.path`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> None:
        folder = self.folder
        write(folder / "evil.pkl", evil_pickle())
        write(folder / "evil.npy", b"\x93NUMPY\x01\x00v\x00" + _NPY_HEAD.ljust(117).encode() + b"\n" + evil_pickle())
        for name in (STRANGER, "torchmetrics_evil", "idealfit_evil", "hubconf"):
            write(folder / f"{name}.py", stranger_module())
        write(folder / "trusted.py", _TRUSTED.encode())
        sys.path.insert(0, str(folder))

    def __exit__(self, *_: object) -> None:
        sys.path.remove(str(self.folder))
        for name in (STRANGER, "torchmetrics_evil", "idealfit_evil", "hubconf", "trusted"):
            sys.modules.pop(name, None)


_NPY_HEAD = "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
_TRUSTED = f"""
import os
from os import system as run
from subprocess import Popen
import collections
class Runs(Popen):
    def __init__(self):
        super().__init__(["touch", {CANARY!r}])
StrangersNet = type("StrangersNet", (), {{"__module__": "{STRANGER}", "__init__": lambda self: os.system({SHELL!r})}})
"""


def _short(node: Node) -> str:
    return f"{node!r:.160}"
