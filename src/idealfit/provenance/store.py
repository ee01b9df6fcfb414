"""Where provenance lies on disk: once for each state, in the study's directory, named by its hash.

A study that is resumed with other code or packages gets a second document; each trial refers to its own.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path

from idealfit.provenance.document import Provenance
from idealfit.spec import JSON, StudyError

FOLDER = "provenance"


def save(provenance: Provenance, study_dir: Path) -> str:
    """Write `STUDY_DIR/provenance/HASH.json`, and `HASH.patch` where there is a difference; nothing if it is there.

    Returns:
        The hash that a trial keeps, and `load` takes.
    """
    sha256 = provenance.sha256
    folder = study_dir / FOLDER
    document = folder / f"{sha256[:16]}.json"
    if not document.exists():
        folder.mkdir(parents=True, exist_ok=True)
        if provenance.code.patch:
            _write(document.with_suffix(".patch"), provenance.code.patch)
        _write(document, (json.dumps(provenance.to_json(), indent=1) + "\n").encode())
    return sha256


def load(study_dir: Path, sha256: str) -> Provenance:
    """Read what `save` wrote.

    Raises:
        StudyError: It is missing, damaged, or written by a newer idealfit.
    """
    path = study_dir / FOLDER / f"{sha256[:16]}.json"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise StudyError(f"The provenance of this run is gone: there is no {path}.") from error
    except (OSError, ValueError) as error:
        raise StudyError(f"{path} is damaged: {error}.") from error
    if not isinstance(data, dict):
        raise StudyError(f"{path} is damaged: expected a JSON object, got {type(data).__name__}.")
    provenance = Provenance.from_json(data)
    if provenance.code.patch_sha256 is None:
        return provenance
    return replace(provenance, code=replace(provenance.code, patch=_patch(path, provenance.code.patch_sha256)))


def save_data_files(study_dir: Path, fingerprint: str, files: JSON) -> None:
    """Keep which files a data set was read from, once for each content; nothing if it is there."""
    path = _data_path(study_dir, fingerprint)
    if files and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, (json.dumps(files) + "\n").encode())


def load_data_files(study_dir: Path, fingerprint: str) -> JSON:
    """The files that `save_data_files` kept; empty where there are none to know: then a change has no name."""
    try:
        files = json.loads(_data_path(study_dir, fingerprint).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return files if isinstance(files, dict) else {}


def _data_path(study_dir: Path, fingerprint: str) -> Path:
    return study_dir / FOLDER / f"data-{hashlib.sha256(fingerprint.encode()).hexdigest()[:16]}.json"


def _patch(document: Path, sha256: str) -> bytes:
    path = document.with_suffix(".patch")
    try:
        patch = path.read_bytes()
    except OSError as error:
        raise StudyError(f"The uncommitted changes of this run are gone: {path} cannot be read: {error}.") from error
    if hashlib.sha256(patch).hexdigest() != sha256:
        raise StudyError(f"{path} is not the patch that was recorded: its hash differs.")
    return patch


def _write(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(content)
    temporary.replace(path)
