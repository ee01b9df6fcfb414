"""What a session's runs depend on besides their configs: collected once, beside the start of the engine."""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from threading import Thread
from typing import Any

from idealfit.provenance import collect, save, save_data_files
from idealfit.spec import JSON


class Circumstances:
    """Collects the provenance in the background and keeps it in a study's folder; trials refer to it by its hash.

    Args:
        study_dir: Where it is kept.
        root: The composed config: says what idealfit itself writes, which is nobody's code.
        study: What to keep beside it: name, sampler, pruner, seeds.
        on_problem: Told when it cannot be collected; no study fails for it.
    """

    def __init__(
        self, study_dir: Path, root: JSON, *, study: dict[str, Any], on_problem: Callable[[str], None]
    ) -> None:
        self._study_dir = study_dir
        self._excluded = written_by_us(root)
        self._study = study
        self._on_problem = on_problem
        self._found: Future[str] = Future()
        Thread(target=self._collect, args=(Path.cwd(),), name="idealfit-provenance", daemon=True).start()

    @property
    def sha256(self) -> str:
        """The hash; waits for it. "" where it could not be collected."""
        return self._found.result()

    def keep_data_files(self, facts: JSON) -> None:
        """Keep which files the data set was read from, so that a later change has a name; taken out of `facts`."""
        files = facts.pop("data_files", {})
        if files:
            save_data_files(self._study_dir, facts["data_fingerprint"], files)

    def _collect(self, working_dir: Path) -> None:
        try:
            found = collect(working_dir, command_line=sys.argv, study=self._study, excluded=self._excluded)
            self._found.set_result(save(found, self._study_dir))
        except Exception as error:  # noqa: BLE001 - whatever a repository or a machine comes up with, trials can run
            self._on_problem(f"warning: the provenance of this session could not be collected: {error}")
            self._found.set_result("")


def written_by_us(root: JSON) -> list[Path]:
    """Folders that idealfit writes."""
    cache = root["data"].get("cache_dir")
    return [Path(root["runs_dir"]).expanduser(), Path("mlartifacts"), *([Path(cache).expanduser()] if cache else [])]
