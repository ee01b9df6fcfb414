"""Where a run came from, as MLflow shows it: its provenance as files, its data set as an input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from idealfit.spec import JSON, TrialSpec
from idealfit.tracking import address
from idealfit.tracking.naming import text
from idealfit.tracking.quiet import make_client

FOLDER = "provenance"  # beside the records; `provenance.store` writes it
MAX_DIGEST = 36  # MLflow's own limit


def log_provenance(client: Any, run_id: str, study_dir: Path, *, name: str = "") -> None:
    """Add the documents and patches of a study, or those of one `name`, to the artifacts."""
    for path in sorted((study_dir / FOLDER).glob(f"{name}*")):
        if not path.name.startswith("."):
            client.log_artifact(run_id, str(path), FOLDER)


def log_data_set(client: Any, run_id: str, spec: TrialSpec, facts: JSON) -> None:
    """Name the images that the run was trained on, by the hash of their content."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    fingerprint = facts.get("data_fingerprint")
    if not isinstance(fingerprint, str) or not fingerprint:
        return
    node = spec.config.get("data") or {}
    data_set = Dataset(
        name=str(node.get("_target_", "data")).rpartition(".")[2],
        digest=fingerprint[:MAX_DIGEST],
        source_type="local",
        source=text({"root": node.get("root")}),
        profile=json.dumps({name: facts.get(f"num_{name}_images") for name in ("train", "val")}),
    )
    client.log_inputs(run_id, [DatasetInput(data_set, [InputTag("mlflow.data.context", "training")])])


def origin_tags(facts: JSON) -> dict[str, str]:
    """What a filter in MLflow may ask for."""
    return {name: str(facts[name]) for name in ("data_fingerprint", "split_sha256") if facts.get(name)}


def label_of(uri: str, run_id: str) -> str | None:
    """`STUDY/NUMBER` of a run in MLflow; None where there is no such run, or idealfit did not make it."""
    if not uri:
        return None
    from mlflow.exceptions import MlflowException

    client = make_client(address.resolve(uri))
    try:
        tags = client.get_run(run_id).data.tags
    except MlflowException:
        return None
    return f"{tags['study']}/{tags['trial']}" if {"study", "trial", "idealfit.key"} <= tags.keys() else None
