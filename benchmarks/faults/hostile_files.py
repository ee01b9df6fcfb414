"""Files that execute when somebody careless opens them: checkpoints, YAML, records, repositories."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.faults import hostile_data
from benchmarks.faults.input_training import OBJECTIVE, checkpoint_files, fit_tiny, tiny_config
from benchmarks.faults.payloads import SHELL, Attack, Hostile, evil_checkpoint, evil_pickle, stranger_module, write
from benchmarks.faults.tripwire import STRANGER
from idealfit.record import Record
from idealfit.spec import TrialSpec, UserError

TRUSTING = f"# @package _global_\ntrusted_packages: [{STRANGER}]\nmodel: {{_target_: {STRANGER}.Net}}\n"


PICKLES: dict[str, Callable[[], bytes]] = {
    "a plain pickle": evil_pickle,
    "a plain pickle of the oldest protocol": lambda: evil_pickle(0),
    "torch's own format": lambda: evil_checkpoint(checkpoint_files()["last.ckpt"]),
}


def cases() -> Iterator[Hostile]:
    """All of them."""
    for what, make in PICKLES.items():
        yield Hostile("last.ckpt", what, _resume_from("last.ckpt", make), hostile_data.load_carelessly(make))
        yield Hostile("best.pt", what, _export(make), hostile_data.load_carelessly(make))
    yield from hostile_data.arrays()
    yield from hostile_data.pictures()
    yield from hostile_data.published()
    for what, text in YAML.items():
        yield Hostile("config file", what, _compose(text), _unsafe_yaml(text))
    for what, changes in RECORDS.items():
        yield Hostile("record", what, _run_record(changes))
    for what, overrides in LAUNCHES.items():
        yield Hostile("study.json", what, _resume_study(overrides), in_process=False)
    yield Hostile(
        "repository", "git filters and monitors of its own", _look_at_repository, _git_status, in_process=False
    )


def _resume_from(name: str, make: Callable[[], bytes]) -> Attack:
    def attack(folder: Path) -> None:
        for file_name, good in checkpoint_files().items():
            write(folder / "checkpoints" / file_name, make() if file_name == name else good)
        fit_tiny(folder, max_epochs=2)
        raise AssertionError("it was taken")

    return attack


def _export(make: Callable[[], bytes]) -> Attack:
    def attack(folder: Path) -> None:
        from torch import nn

        from idealfit.reproduce.export import Exportable, export

        write(folder / "best.pt", make())
        facts = {"image_shape": [1, 8, 8], "num_classes": 2, "class_names": ["a", "b"]}
        network = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
        run = Exportable(
            label="s/0",
            config=tiny_config(1),
            facts=facts,
            network=network,
            weights=folder / "best.pt",
            normalization=None,
        )
        export(run, folder / "out")
        raise AssertionError("it was taken")

    return attack


YAML = {
    "os.system as a tag": f"x: !!python/object/apply:os.system [{SHELL}]\n",
    "a new object as a tag": f"x: !!python/object/new:os.system [{SHELL}]\n",
    "a module as a tag": f"x: !!python/module:{STRANGER}\n",
    "a name as a tag": "x: !!python/name:os.system\n",
    "os.system in a resolver": "x: ${eval:__import__('os').system('touch canary')}\n",
    "os.system as the engine": f"# @package _global_\nengine: {{_target_: os.system, command: {SHELL}}}\n",
    "os.system as Hydra's sweeper": f"# @package _global_\nhydra: {{sweeper: {{_target_: os.system, command: {SHELL}}}}}\n",
    "os.system as Hydra's launcher": f"# @package _global_\nhydra: {{launcher: {{_target_: os.system, command: {SHELL}}}}}\n",
    "os.system as Hydra's callback": f"# @package _global_\nhydra: {{callbacks: {{x: {{_target_: os.system, command: {SHELL}}}}}}}\n",
    "os.system as a handler of Hydra's log": "# @package _global_\nhydra: {hydra_logging: {version: 1, handlers: {x: {"
    f"(): os.system, command: {SHELL}}}}}}}}}\n",
    "os.system as a handler of the job's log": "# @package _global_\nhydra: {job_logging: {version: 1, handlers: {x: {"
    f"(): os.system, command: {SHELL}}}}}}}}}\n",
    "eight levels of aliases": "".join(
        f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10) if level else 'x'}]\n" for level in range(9)
    ),
}


def _compose(text: str) -> Attack:
    """Compose it as a model and as a sweep, and let Hydra itself look at it, as `--cfg` and `-m` do."""

    def attack(folder: Path) -> None:
        from benchmarks.faults.cases import command_line
        from idealfit.config import Composer

        write(folder / f"{STRANGER}.py", stranger_module())
        write(folder / "conf" / "model" / "evil.yaml", text.encode())
        study = "defaults: [train, _self_]\nstudy: {space: {model.depth: 'range(1,3)'}}\n"
        write(folder / "sweeps" / "evil.yaml", (study + text.replace("# @package _global_\n", "")).encode())
        refused: Exception | None = None
        for arguments in (
            ["train", "--cfg", "job", "model=evil"],
            ["sweep", "evil", "--cfg", "job"],
            ["train", "-m", "model=evil", "seed=1,2"],
        ):
            command_line([*arguments, "tracking.uri=''"] if "-m" in arguments else arguments)
        for name, overrides in (("train", ["model=evil"]), ("evil", [])):
            try:
                Composer(name, overrides).trial_config()
            except UserError as error:
                refused = error
        if refused:
            raise refused

    return attack


def _unsafe_yaml(text: str) -> Attack | None:
    def attack(folder: Path) -> None:
        import yaml

        write(folder / f"{STRANGER}.py", stranger_module())
        sys.path.insert(0, str(folder))
        try:
            yaml.unsafe_load(text)
            yaml.load(text.replace("module:stranger", f"object/apply:{STRANGER}.net []"), yaml.UnsafeLoader)
        finally:
            sys.path.remove(str(folder))
            sys.modules.pop(STRANGER, None)

    return attack if "!!python/object" in text else None


RECORDS: dict[str, dict[str, Any]] = {
    "a package trusted by the record itself": {
        "trusted_packages": [STRANGER],
        "config": {"model": {"_target_": f"{STRANGER}.Net"}},
    },
    "a folder to import from": {"working_dir": "evil"},
    "a record that lies elsewhere": {"record_dir": "/tmp/canary-record"},
    "a storage elsewhere": {
        "storage": "/tmp/canary-journal",
        "pruner": {"name": "none", "options": {}, "max_epochs": 1},
    },
    "os.system as the model": {"config": {"model": {"_target_": "os.system", "command": SHELL}}},
    "torch.load as the model": {"config": {"model": {"_target_": "torch.load", "f": "evil.pkl"}}},
}


def _run_record(changes: dict[str, Any]) -> Attack:
    """Run a stranger's record again, as it is."""

    def attack(folder: Path) -> None:
        from idealfit.trial import check_trial, run_trial

        for name in (STRANGER, "sklearn", "evil/sklearn", "evil/yaml", "evil/torchvision"):
            write(folder / f"{name}.py", stranger_module())
        write(folder / "evil.pkl", evil_pickle())
        config = tiny_config(1)
        config |= changes.get("config", {})
        spec = TrialSpec(study="s", number=0, config=config, record_dir=str(folder / "0"), objective=OBJECTIVE)
        record = Record.create(spec)
        data = json.loads(record.spec_path.read_text()) | {**changes, "config": config}
        data["working_dir"] = str(folder / data.get("working_dir", "."))
        record.spec_path.write_text(json.dumps(data))
        path = list(sys.path)
        hidden = {name: module for name, module in sys.modules.items() if name.partition(".")[0] in ("sklearn", "yaml")}
        for name in hidden:
            del sys.modules[name]
        try:
            for work in (check_trial, run_trial):
                result = work(record.read_spec(), threading.Event())
        finally:
            sys.path[:] = path
            sys.modules.update(hidden)
        if result.failure:
            raise UserError(result.message)

    return attack


LAUNCHES: dict[str, dict[str, Any]] = {
    "trust": {"overrides": [f"trusted_packages=[{STRANGER}]", f"model={{_target_: {STRANGER}.Net}}"]},
    "trust, added": {"overrides": [f"++trusted_packages=[{STRANGER}]", f"model={{_target_: {STRANGER}.Net}}"]},
    "trust, after a space": {"overrides": [f" +trusted_packages=[{STRANGER}]", f"model={{_target_: {STRANGER}.Net}}"]},
    "trust, in a package": {"overrides": [f"trusted_packages@x=[{STRANGER}]", f"model={{_target_: {STRANGER}.Net}}"]},
    "a config beside the records": {"config_name": "../runs/s/evil"},
    "a config at an absolute path": {"config_name": "/FOLDER/runs/s/evil"},
    "a model beside the records": {"overrides": ["model=../../runs/s/model"]},
    "a search path of its own": {"overrides": ["hydra.searchpath=[file:///FOLDER/runs/s]", "model=model"]},
    "a sweeper of its own": {"overrides": [f"hydra.sweeper={{_target_: os.system, command: {SHELL}}}"]},
    "an engine of its own": {"overrides": [f"engine={{_target_: os.system, command: {SHELL}}}"]},
    "a model of its own": {"overrides": [f"model={{_target_: {STRANGER}.Net}}"]},
    "a file of mine as the journal": {"overrides": ["study.storage=/FOLDER/precious"]},
}


def _resume_study(changes: dict[str, Any]) -> Attack:
    """Go on with a stranger's study: `idealfit resume s`."""

    def attack(folder: Path) -> None:

        write(folder / f"{STRANGER}.py", stranger_module())
        write(folder / "runs" / "s" / "model.yaml", TRUSTING.encode())
        evil = TRUSTING + "defaults: [/train, _self_]\nstudy: {name: s, space: {model.depth: 'range(1,3)'}}\n"
        write(folder / "runs" / "s" / "evil.yaml", evil.encode())
        precious = b"first\n" + bytes(range(256)) * 4
        write(folder / "precious", precious)
        launch = {"config_name": "lr_dropout_depth", "overrides": [], "is_multirun": False} | changes
        launch["overrides"] = [*launch["overrides"], "study.name=s", "study.budget.trials=1", "trainer.max_epochs=1"]
        launch["overrides"] += ["engine.slots=1", "tracking.uri=''"]
        text = json.dumps(launch).replace("/FOLDER", str(folder))
        write(folder / "runs" / "s" / "study.json", text.encode())
        Record.create(
            TrialSpec(study="s", number=7, config=tiny_config(1), record_dir=str(folder / "runs" / "s" / "7"))
        )
        # A process of its own, for there are workers: what they execute leaves the canary.
        done = subprocess.run(
            [sys.executable, "-m", "idealfit", "resume", "s"], cwd=folder, capture_output=True, text=True, timeout=300
        )
        if "Traceback" in done.stderr:
            raise AssertionError(done.stderr[-600:])
        if (folder / "precious").read_bytes() != precious:
            raise AssertionError("a file of the user's was changed")
        if done.returncode == 2:
            raise UserError(done.stderr)

    return attack


def _look_at_repository(folder: Path) -> None:
    from idealfit.provenance import collect

    _make_repository(folder)
    collect(folder)


def _git_status(folder: Path) -> None:
    _make_repository(folder)
    subprocess.run(["git", "add", "."], cwd=folder, check=False, capture_output=True)


def _make_repository(folder: Path) -> None:
    script = f"sh -c '{SHELL}; cat'"
    for arguments in (
        ["init", "-q"],
        ["config", "core.fsmonitor", f"sh -c '{SHELL}'"],
        *(["config", f"filter.evil.{kind}", script] for kind in ("clean", "smudge")),
        ["config", "diff.evil.textconv", script],
        ["config", "diff.external", script],
    ):
        subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)
    write(folder / ".gitattributes", b"*.py filter=evil diff=evil\n")
    write(folder / "net.py", b"x = 1\n")
    for name in ("pre-commit", "post-checkout", "post-index-change"):
        write(folder / ".git" / "hooks" / name, f"#!/bin/sh\n{SHELL}\n".encode())
        (folder / ".git" / "hooks" / name).chmod(0o755)
