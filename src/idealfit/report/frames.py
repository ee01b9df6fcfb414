"""Results as pandas frames, for notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from idealfit.record import iter_records
from idealfit.study.outcome import TrialRow

if TYPE_CHECKING:
    import pandas as pd


def trials_frame(rows: Sequence[TrialRow]) -> pd.DataFrame:
    """One row a trial, best first, indexed by trial number: state, value, `params.*` and every summary by its name."""
    import pandas as pd

    frame = pd.DataFrame(
        [
            {
                "trial": row.number,
                "state": str(row.state),
                "value": row.value,
                "num_epochs": row.num_epochs,
                "seconds": row.seconds,
                "replicate_of": row.replicate_of,
                "failure": None if row.failure is None else str(row.failure),
                **{f"params.{key}": value for key, value in row.params.items()},
                **row.summaries,
            }
            for row in rows
        ]
    )
    return frame.set_index("trial") if len(frame) else frame


def curves_frame(runs_dir: Path, study: str) -> pd.DataFrame:
    """One row an epoch of each trial: columns `trial`, `epoch` (from 0) and each metric."""
    import pandas as pd

    return pd.DataFrame(
        [
            {"trial": record.read_spec().number, "epoch": row.epoch, **row.metrics}
            for record in iter_records(runs_dir, study)
            for row in record.read_metrics()
        ]
    )
