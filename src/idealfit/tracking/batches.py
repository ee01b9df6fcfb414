"""What is logged to a run, in as few calls as MLflow allows: each costs four commits, or a round trip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from idealfit.tracking.naming import text, valid_key
from idealfit.tracking.rows import Row

MAX_METRICS = 800  # of one call; MLflow's own limits are 1000 things of all kinds, 100 parameters, 100 tags
MAX_PARAMS = MAX_TAGS = 100


def log(
    client: Any,
    run_id: str,
    *,
    rows: Sequence[Row] = (),
    params: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Log epochs at the time they were measured, parameters (each new, or what it was), and tags."""
    from mlflow.entities import Metric, Param, RunTag

    points = [
        Metric(valid_key(key), float(v), row.time_ms, row.epoch) for row in rows for key, v in row.metrics.items()
    ]
    pairs = [Param(key, value) for key, value in (params or {}).items()]
    marks = [RunTag(key, text(value)) for key, value in (tags or {}).items()]
    while points or pairs or marks:
        some = {"metrics": points[:MAX_METRICS], "params": pairs[:MAX_PARAMS], "tags": marks[:MAX_TAGS]}
        client.log_batch(run_id, **some, synchronous=True)
        del points[:MAX_METRICS], pairs[:MAX_PARAMS], marks[:MAX_TAGS]
