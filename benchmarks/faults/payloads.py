"""What hostile inputs are made of, and the type of one."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.faults.tripwire import CANARY

SHELL = f"touch {CANARY}"
CODE = f"open({CANARY!r}, 'w').close()"

Attack = Callable[[Path], object]


@dataclass(frozen=True)
class Hostile:
    """One hostile input.

    Attributes:
        attack: Gives it to idealfit, in the folder given; may raise an `IdealfitError`.
        careless: Gives it to what a careless program would use instead: it must trip, or the input proves nothing.
            None where that would need idealfit itself.
        in_process: Whether the tripwire sees it; else programs are started, and the canary alone tells.
    """

    kind: str
    what: str
    attack: Attack
    careless: Attack | None = None
    in_process: bool = True


class _Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        import os

        return os.system, (SHELL,)


def evil_pickle(protocol: int = 2) -> bytes:
    """A pickle that makes the canary when it is loaded."""
    return pickle.dumps(_Evil(), protocol)


def evil_checkpoint(good: bytes) -> bytes:
    """A checkpoint in torch's own format whose pickle makes the canary."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(good)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as new:
        for item in old.infolist():
            new.writestr(item.filename, evil_pickle() if item.filename.endswith("data.pkl") else old.read(item))
    return buffer.getvalue()


def stranger_module() -> bytes:
    """A module that makes the canary when it is imported."""
    return f"import torch\n{CODE}\nclass Net(torch.nn.Module):\n    pass\ndef net():\n    return Net()\n".encode()


def write(path: Path, content: bytes) -> None:
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
