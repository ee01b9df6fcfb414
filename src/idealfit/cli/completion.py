"""Tab completion that knows verbs: `eval "$(idealfit -sc install=bash)"`."""

from __future__ import annotations

import os
from collections.abc import Sequence

from idealfit.cli.app import DONE, VERBS, UsageError
from idealfit.cli.hydra_flags import through_hydra

NAME_FIRST = ("sweep", "plan", "resume", "promote", "runs", "report", "watch", "ui", "dashboard", "sync")


def complete(arguments: Sequence[str]) -> int:
    """Answer `-sc install=SHELL | uninstall=SHELL | query=SHELL`; a query comes with the line in `COMP_LINE`."""
    action, _, shell = (arguments[0] if arguments else "").partition("=")
    if action not in ("install", "uninstall", "query") or not shell:
        raise UsageError("-sc wants install=SHELL, uninstall=SHELL or query=SHELL, SHELL one of bash, zsh, fish")
    if action == "query":
        return _query(shell)
    _hydra(["-sc", f"{action}={shell}"], config_name="train")
    return DONE


def _query(shell: str) -> int:
    """Complete verbs, sweep names and study names here; keys, groups and their options by Hydra."""
    program, *words = os.environ.get("COMP_LINE", "idealfit ").split(" ")
    if len(words) <= 1:
        _offer(VERBS, words[0] if words else "")
        return DONE
    verb, *rest = words
    if verb == "compare" or (verb in NAME_FIRST and len(rest) == 1):
        _offer(_names(verb), rest[-1])
    elif verb in ("train", "lr-range", "sweep", "plan"):
        config_name, keys = ("train", rest) if verb in ("train", "lr-range") else (rest[0], rest[1:])
        os.environ["COMP_LINE"] = " ".join([program, *keys])
        _hydra(["-sc", f"query={shell}"], config_name=config_name)
    return DONE


def _names(verb: str) -> Sequence[str]:
    if verb in ("sweep", "plan"):
        from idealfit.config import config_names

        return config_names("sweep")
    from pathlib import Path

    from idealfit.study.outcome import list_studies

    return list_studies(Path("runs").resolve())


def _offer(names: Sequence[str] | dict[str, str], prefix: str) -> None:
    print(" ".join(name for name in names if name.startswith(prefix)))


def _hydra(arguments: Sequence[str], *, config_name: str) -> None:
    through_hydra(lambda config: None, config_name=config_name, flags=arguments)
