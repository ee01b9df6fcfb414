"""A study's own run in MLflow, the parent of its trials' runs."""

from __future__ import annotations

import contextlib
import re
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from idealfit.spec import JSON, Objective
from idealfit.tracking.batches import log
from idealfit.tracking.files import read_json, write_json
from idealfit.tracking.model import log_model, register
from idealfit.tracking.naming import text, user_name, valid_key
from idealfit.tracking.origin import log_provenance
from idealfit.tracking.rows import Row
from idealfit.tracking.store import Store
from idealfit.tracking.views import StudyViews

STATUS = {"done": "FINISHED", "failed": "FAILED"}  # all others: KILLED, and the tag `state` says why
STATE_FILE = "mirror.json"
CHAMPION = "champion"  # the alias in the registry
LINK = re.compile(r"\[([^\]]*)\]\(trial:(\d+)\)")  # in a description


@dataclass(frozen=True, kw_only=True)
class StudyPage:
    """What the parent run shows. Plain JSON in RUNS_DIR/STUDY/mirror.json, so that it can be sent at any later time.

    Attributes:
        key: Names this study in any store.
        experiment: The MLflow experiment.
        tags: Repeated on every trial's run, so that a flat filter finds them.
        params: Of the parent alone; MLflow never changes a parameter once it is logged.
        description: Markdown; `[words](trial:3)` becomes a link to the run of trial 3.
        searched: The keys of the space: columns of the leaderboard.
        ending: `done`, `interrupted`, `failed`; "" while the study runs.
        report_dir: A folder whose content becomes artifacts.
        model_dir: The exported winner, which becomes a model.
        metrics: Of the parent run itself.
        champion: The name under which the model is registered, with the alias `champion`; "" registers none.
        store, run_id, opened, ended: How much of this is in which store.
    """

    key: str
    name: str
    experiment: str
    tags: dict[str, str] = field(default_factory=dict)
    params: JSON = field(default_factory=dict)
    description: str = ""
    objective: JSON = field(default_factory=dict)
    searched: list[str] = field(default_factory=list)
    start_ms: int = 0
    ending: str = ""
    end_ms: int = 0
    report_dir: str | None = None
    model_dir: str | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    champion: str = ""
    store: str = ""
    run_id: str = ""
    opened: bool = False
    ended: bool = False


class StudyRun:
    """Keeps what a study wants to show, and sends it. Whatever is sent twice lands on itself."""

    def __init__(self, study_dir: Path, name: str, experiment: str) -> None:
        self._path = study_dir / STATE_FILE
        self._lock = threading.Lock()  # the study notes, the mirror's thread sends
        self.page = _read(self._path) or StudyPage(key=uuid.uuid4().hex, name=name, experiment=experiment)
        self._note(name=name, experiment=experiment)

    @property
    def key(self) -> str:
        """Names the study in any store."""
        return self.page.key

    @property
    def label(self) -> str:
        """For messages."""
        return f"study {self.page.name}"

    @property
    def objective(self) -> Objective:
        """What ranks the trials."""
        return Objective.from_json(self.page.objective)

    @property
    def shared_tags(self) -> dict[str, str]:
        """Tags that every trial's run repeats."""
        return dict(self.page.tags)

    def start(
        self,
        *,
        tags: Mapping[str, str],
        params: Mapping[str, Any],
        description: str,
        objective: Objective,
        searched: Sequence[str],
    ) -> None:
        """Note what to show; nothing is sent yet. A resumed study keeps its run, which runs again."""
        self._note(
            tags=dict(tags),
            params={valid_key(key): text(value) for key, value in params.items()},
            description=description,
            objective=objective.to_json(),
            searched=list(searched),
            start_ms=self.page.start_ms or int(time.time() * 1000),
            ending="",
            opened=False,
            ended=False,
        )

    def finish(
        self,
        *,
        state: str,
        description: str,
        report_dir: Path | None,
        model_dir: Path | None = None,
        metrics: Mapping[str, float] | None = None,
        champion: str = "",
    ) -> None:
        """Note how the study ended; nothing is sent yet."""
        folder, model = (str(path.resolve()) if path else None for path in (report_dir, model_dir))
        end_ms = int(time.time() * 1000)
        with contextlib.suppress(OSError):  # a full disk: the run ends all the same
            self._note(
                ending=state,
                description=description,
                report_dir=folder,
                model_dir=model,
                metrics=dict(metrics or {}),
                champion=champion,
                end_ms=end_ms,
                ended=False,
            )

    def is_complete(self, store: Store) -> bool:
        """Whether everything noted is in the store."""
        return self.page.store == store.shown and self.page.opened and (self.page.ended or not self.page.ending)

    def run_id(self, store: Store) -> str:
        """The run's id in `store`; it is created where it is missing."""
        if self.page.store != store.shown:
            self._note(store=store.shown, run_id="", opened=False, ended=False)
        if not self.page.run_id:
            run_id = store.find_run(self.key) or self._create(store)
            self._note(run_id=run_id)
        return self.page.run_id

    def forget_run(self) -> None:
        """Begin anew: the store has lost the run."""
        self._note(run_id="", opened=False, ended=False)

    def send(self, store: Store, *, finish: bool = True) -> None:
        """Bring the store up to date; `finish` ends the run too where the study has ended."""
        run_id = self.run_id(store)
        if not self.page.opened:
            self._describe(store, run_id, state="running")
            store.client.update_run(run_id, status="RUNNING")
            self._note(opened=True)
        if finish and self.page.ending and not self.page.ended:
            self._describe(store, run_id, state=self.page.ending)
            store.client.set_terminated(run_id, STATUS.get(self.page.ending, "KILLED"), self.page.end_ms)
            if self.page.report_dir and Path(self.page.report_dir).is_dir():
                store.client.log_artifacts(run_id, self.page.report_dir)
            if self.page.metrics:
                log(store.client, run_id, rows=[Row(0, self.page.end_ms / 1000, self.page.metrics)])
            self._send_model(store, run_id)
            log_provenance(store.client, run_id, self._path.parent)
            self._note(ended=True)

    def _send_model(self, store: Store, run_id: str) -> None:
        page = self.page
        if not page.model_dir or not Path(page.model_dir).is_dir():
            return
        model_id = log_model(store, run_id, Path(page.model_dir), tags={"study": page.name})
        if page.champion:
            tags = {name: f"{value:.6g}" for name, value in page.metrics.items()}
            register(store, page.champion, model_id, run_id, alias=CHAMPION, tags=tags)

    def _create(self, store: Store) -> str:
        tags = {
            "idealfit.key": self.key,
            "study": self.page.name,
            "mlflow.source.name": "idealfit",
            "mlflow.source.type": "LOCAL",
            "mlflow.user": user_name(),
        }
        start_ms = self.page.start_ms or int(time.time() * 1000)
        return str(store.client.create_run(store.experiment_id, start_ms, tags, self.page.name).info.run_id)

    def _describe(self, store: Store, run_id: str, *, state: str) -> None:
        page = self.page
        there = store.client.get_run(run_id).data.params
        params = {key: value for key, value in page.params.items() if key not in there}
        tags = page.tags | {"state": state, "mlflow.note.content": self._linked(store)}
        log(store.client, run_id, params=params, tags=tags)
        for name, value in self.views().tags().items():
            store.client.set_experiment_tag(store.experiment_id, name, value)

    def _linked(self, store: Store) -> str:
        """The description; its links to trials lead to their runs in this store, as far as they are there."""

        def link(found: re.Match[str]) -> str:
            words, number = found.groups()
            run_id = store.find_run(f"{self.key}/{number}")
            return f"[{words}](#/experiments/{store.experiment_id}/runs/{run_id})" if run_id else words

        return LINK.sub(link, self.page.description)

    def views(self) -> StudyViews:
        """The saved views of this study."""
        page = self.page
        return StudyViews(
            study=page.name,
            alone=page.name == page.experiment,
            objective=self.objective,
            searched=page.searched,
            created_ms=page.start_ms,
        )

    def _note(self, **changes: Any) -> None:
        with self._lock:
            page = replace(self.page, **changes)
            if page != self.page or not self._path.exists():
                self.page = page  # before it is written: a full disk keeps no run from ending in a true state
                self._path.parent.mkdir(parents=True, exist_ok=True)
                write_json(self._path, asdict(page))


def is_left_open(study_dir: Path) -> bool:
    """Whether a study's run was begun and never ended: its controller was killed, after the last trial perhaps."""
    page = _read(study_dir / STATE_FILE)
    return page is not None and not page.ending


def _read(path: Path) -> StudyPage | None:
    data = read_json(path)
    if data is None or not isinstance(data.get("key"), str):
        return None
    names = {f.name for f in fields(StudyPage)}
    return StudyPage(**{name: value for name, value in data.items() if name in names})
