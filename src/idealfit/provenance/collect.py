"""Collecting the provenance of a study: once, before its first trial."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from idealfit._version import __version__
from idealfit.provenance.code import code
from idealfit.provenance.document import Provenance
from idealfit.provenance.machine import environment, machine
from idealfit.provenance.packages import installed
from idealfit.provenance.redact import redacted_command


def collect(
    working_dir: Path,
    *,
    command_line: Sequence[str] = (),
    study: Mapping[str, Any] | None = None,
    excluded: Sequence[Path] = (),
) -> Provenance:
    """What everything depends on at this moment, around `working_dir`, in a fraction of a second.

    Args:
        working_dir: Where the user's code lies; its repository, if it has one, is only read.
        command_line: Usually `sys.argv`; secrets in it are replaced.
        study: What the caller wants kept beside it: sampler, pruner, name. Plain JSON without secrets.
        excluded: Folders and files that idealfit itself writes, such as the records: never part of the code.
    """
    packages, origins = installed()
    return Provenance(
        idealfit=__version__,
        idealfit_sha256=_own_source(),
        code=code(Path(working_dir), excluded=excluded),
        machine=machine(),
        packages=packages,
        package_origins=origins,
        environment=environment(),
        command_line=redacted_command(command_line),
        study=dict(study or {}),
        collected_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _own_source() -> str:
    root = Path(sys.modules["idealfit"].__path__[0])
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
