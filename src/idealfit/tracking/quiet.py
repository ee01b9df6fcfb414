"""MLflow, imported late and made silent: no telemetry, no news of its migrations, no minute-long retries."""

from __future__ import annotations

import logging
import os
from typing import Any

from idealfit.collector import collector_paused

# Set before the import, and only where the user has not decided otherwise. A store that is down must cost seconds: our
# own loop retries for as long as the study runs, so MLflow's seven retries with up to two minutes each only delay it.
_DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}
# They warn of every retry; what becomes of it is told by the mirror, in one line.
_TALKATIVE = ("alembic", "psycopg", "urllib3.connectionpool", "sqlalchemy.pool")


def make_client(uri: str) -> Any:
    """An `MlflowClient` on `uri`. Importing MLflow costs 1.5 s, creating an SQLite database as much again."""
    for key, value in _DEFAULTS.items():
        os.environ.setdefault(key, value)
    with collector_paused():
        from mlflow.tracking import MlflowClient

    for name in _TALKATIVE:
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.ERROR)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # 80 lines for each try on a full disk
    return MlflowClient(tracking_uri=uri, registry_uri=uri)
