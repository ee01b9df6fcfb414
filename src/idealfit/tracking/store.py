"""One MLflow tracking store: its client, made at the first use, and its experiment."""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import Any

from idealfit.spec import TrackingError
from idealfit.tracking import address
from idealfit.tracking.creation import make_database
from idealfit.tracking.naming import quoted
from idealfit.tracking.quiet import make_client
from idealfit.tracking.views import KNOWN_VERSIONS

EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
# Errors from anywhere else (a record, an artifact store), and what the store answers when one request is at fault, say
# nothing about the other runs.
_STORE_PACKAGES = {"mlflow", "requests", "urllib3", "sqlalchemy", "sqlite3"}
_OUR_FAULT = {"INVALID_PARAMETER_VALUE", "BAD_REQUEST", "RESOURCE_DOES_NOT_EXIST", "INVALID_STATE", "PERMISSION_DENIED"}


def preflight(uri: str) -> None:
    """Check thoroughly that runs can be written to `uri`; may cost the 1.5 s that importing MLflow takes.

    Raises:
        TrackingError: They cannot: unknown scheme, server down, folder not writable, a `./mlruns` folder, ...
    """
    Store(uri, "").connect()


class Store:
    """A tracking store and the experiment in it. Used by one thread at a time.

    Raises:
        TrackingError: `uri` cannot be the address of a tracking store.
    """

    def __init__(self, uri: str, experiment: str) -> None:
        self.uri = address.resolve(uri)
        self.experiment = experiment
        self._client: Any = None
        self._experiment_id: str | None = None

    @property
    def shown(self) -> str:
        """The address without credentials; also what a record's mirror.json knows the store by."""
        return address.shown(self.uri)

    @property
    def is_server(self) -> bool:
        """Whether it is reached over HTTP, and so has a UI already."""
        return address.scheme_of(self.uri) in ("http", "https")

    def connect(self) -> None:
        """Make sure that the store answers.

        Raises:
            TrackingError: It does not.
        """
        address.check(self.uri)
        try:
            self._connect_database()
            self.client.search_experiments(max_results=1)
        except Exception as error:
            raise self.unusable(error) from error

    @property
    def client(self) -> Any:
        """The `MlflowClient`."""
        if self._client is None:
            if database := address.sqlite_path(self.uri):
                make_database(database)
            self._client = make_client(self.uri)
        return self._client

    @property
    def experiment_id(self) -> str:
        """The experiment's id; it is created where it is missing, and restored where it was deleted."""
        if self._experiment_id is None:
            found = self.client.get_experiment_by_name(self.experiment) or self._create_experiment()
            if found.lifecycle_stage != "active":
                self.client.restore_experiment(found.experiment_id)
            self._experiment_id = str(found.experiment_id)
        return self._experiment_id

    @cached_property
    def knows_views(self) -> bool:
        """Whether the UI over this store is of a version whose saved views we know to write."""
        return address.mlflow_version(self.uri).startswith(KNOWN_VERSIONS)

    @property
    def known_experiment_id(self) -> str | None:
        """The experiment's id where it has been asked for before."""
        return self._experiment_id

    def take_experiment(self, experiment_id: str) -> None:
        """Believe another process that has found the experiment."""
        self._experiment_id = experiment_id

    def forget_experiment(self) -> None:
        """Look the experiment up again: the store has lost something."""
        self._experiment_id = None

    def find_run(self, key: str) -> str | None:
        """The id of the run that was created for `key`, if any."""
        runs = self.client.search_runs([self.experiment_id], f"tags.`idealfit.key` = {quoted(key)}", max_results=1)
        return str(runs[0].info.run_id) if runs else None

    def run_ids(self) -> set[str]:
        """All runs of the experiment, deleted ones too: what the user deleted is not made again."""
        from mlflow.entities import ViewType

        ids: set[str] = set()
        token = None
        while True:
            page = self.client.search_runs([self.experiment_id], "", ViewType.ALL, max_results=1000, page_token=token)
            ids |= {str(run.info.run_id) for run in page}
            token = page.token
            if not token:
                return ids

    def unusable(self, error: Exception) -> TrackingError:
        """The error that tells the user what is wrong with the store."""
        return error if isinstance(error, TrackingError) else TrackingError(self._cure(error))

    def explain(self, error: BaseException) -> str:
        """An error in one line, without credentials."""
        words = str(error).strip().splitlines() or [type(error).__name__]
        return address.scrub(words[0][:300], self.uri)

    def is_at_fault(self, error: BaseException) -> bool:
        """Whether `error` means that the store as a whole does not work now."""
        if isinstance(error, TrackingError):
            return True
        package = type(error).__module__.partition(".")[0]
        return package in _STORE_PACKAGES and getattr(error, "error_code", None) not in _OUR_FAULT

    def _create_experiment(self) -> Any:
        place = None
        if address.is_database(self.uri):  # as an address, for a path may hold what means something there: '#', '%'
            database = address.sqlite_path(self.uri)
            folder = database.parent if database else Path.cwd()
            place = (folder / "mlartifacts" / _slug(self.experiment)).as_uri()
        try:
            created = self.client.create_experiment(self.experiment, artifact_location=place, tags=EXPERIMENT_TAGS)
        except Exception as error:
            if getattr(error, "error_code", None) != "RESOURCE_ALREADY_EXISTS":
                raise
            return self.client.get_experiment_by_name(self.experiment)  # another process was faster
        return self.client.get_experiment(created)

    def _connect_database(self) -> None:
        """MLflow tries to connect ten times, for a minute; a wrong password should cost one."""
        if address.is_database(self.uri) and not address.sqlite_path(self.uri):
            import sqlalchemy

            engine = sqlalchemy.create_engine(self.uri, poolclass=sqlalchemy.pool.NullPool)
            engine.connect().close()

    def _cure(self, error: Exception) -> str:
        reason = self.explain(error)
        if "out-of-date database schema" in reason:
            return (
                f"The tracking store {self.shown!r} was made by another version of MLflow. Take a copy of it, then run "
                f"`mlflow db upgrade '{self.shown}'`, or set tracking.uri to a new file."
            )
        return f"The tracking store {self.shown!r} cannot be used: {reason}"


def _slug(name: str) -> str:
    return re.sub(r"[^\w.\-]+", "_", name).strip(".")[:80] or "experiment"
