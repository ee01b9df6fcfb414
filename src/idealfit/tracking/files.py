"""What the mirror reads of a record, and the small file in which it keeps how much it has sent."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Protocol, Self

from idealfit.spec import JSON, TrialResult, TrialSpec


class RunFiles(Protocol):
    """The files of one record; `record.Record` is one. Tracking knows no other part that could own their names."""

    path: Path
    config_path: Path
    metrics_path: Path
    result_path: Path
    pictures_dir: Path
    mirror_path: Path

    def read_spec(self) -> TrialSpec:
        """The spec that the record was made from."""
        ...

    def rounds(self) -> Sequence[Self]:
        """The records of the trial's rounds that have begun; none where it has a single training run."""
        ...

    def read_result(self) -> TrialResult | None:
        """The latest attempt's result; None while there is none."""
        ...


@dataclass(frozen=True, kw_only=True)
class Sent:
    """How much of a trial's record is in which store. Plain JSON in RECORD/mirror.json.

    Attributes:
        key: Names this record in any store, so that a run is found again when this file did not learn its id.
        store: The store's address without credentials; another store starts from nothing.
        offset: Bytes of metrics.jsonl that were sent.
        epoch: The last epoch that was sent; a resumed attempt repeats some.
        opened: Parameters and config are in.
        ended: The state that was sent at the end; None while the run is open.
    """

    key: str = ""
    store: str = ""
    experiment_id: str = ""
    run_id: str = ""
    offset: int = 0
    epoch: int = -1
    opened: bool = False
    ended: str | None = None

    @classmethod
    def read(cls, path: Path) -> Sent:
        """What `write` wrote; nothing sent, without a key, where there is nothing usable."""
        data = read_json(path) or {}
        names = {f.name for f in fields(cls)}
        return cls(**{name: value for name, value in data.items() if name in names})

    def write(self, path: Path) -> None:
        """Replace the file in one step."""
        write_json(path, asdict(self))

    def in_store(self, store: str) -> Sent:
        """This state where it belongs to `store`, else a fresh one for it."""
        return self if self.store == store else Sent(key=self.key, store=store)

    def forget_run(self) -> Sent:
        """The state before there was a run."""
        return Sent(key=self.key, store=self.store)


def read_json(path: Path) -> JSON | None:
    """A JSON object; None where the file is missing or damaged."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) else None


def write_json(path: Path, data: JSON) -> None:
    """Write in one step: a reader sees the old file or the new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(json.dumps(data, indent=1), encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
