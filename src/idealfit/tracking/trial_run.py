"""One trial's run in MLflow. What is sent twice lands on itself, so any step may be repeated after any failure."""

from __future__ import annotations

import time
import uuid
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from idealfit.spec import Objective, TrialResult, TrialSpec, TrialState, sha256_of
from idealfit.tracking.batches import log
from idealfit.tracking.describe import verdict
from idealfit.tracking.files import RunFiles, Sent
from idealfit.tracking.naming import text, trial_params, user_name
from idealfit.tracking.origin import log_data_set, log_provenance, origin_tags
from idealfit.tracking.rows import Row, essence, first_rows, pretrain_rows, read_rows, rows_that_count
from idealfit.tracking.store import Store
from idealfit.tracking.study_run import StudyRun
from idealfit.tracking.views import FEASIBLE

STATUS = {TrialState.COMPLETE: "FINISHED", TrialState.FAILED: "FAILED"}  # all others: KILLED, and the tag says why


class TrialRun:
    """Sends one record to a store: what is not there yet, and nothing else.

    Args:
        files: The record.
        study: The parent run; None for a run outside a study.
        trial: The parent run of a round; None for a trial.
    """

    def __init__(self, files: RunFiles, study: StudyRun | None, *, trial: TrialRun | None = None) -> None:
        self.files = files
        self.study = study
        self.trial = trial
        self._rounds: dict[Path, TrialRun] = {}
        self._sent = Sent.read(files.mirror_path)

    @cached_property
    def spec(self) -> TrialSpec:
        """The trial's spec."""
        return self.files.read_spec()

    @property
    def label(self) -> str:
        """`STUDY/NUMBER`, for messages; the path where the record is damaged."""
        return f"{self.files.path.parent.name}/{self.files.path.name}"

    def is_complete(self, store: Store) -> bool:
        """Whether all of the record is in the store already."""
        result = self.files.read_result()
        return result is not None and self._sent.store == store.shown and self._sent.ended == result.state

    @property
    def key(self) -> str:
        """Names this record in any store; "" before it was sent to one."""
        return self._sent.key

    @property
    def run_id(self) -> str:
        """The run's id; "" as long as there is none."""
        return self._sent.run_id

    def forget_run(self) -> None:
        """Begin anew: the store has lost the run."""
        self._keep(self._sent.forget_run())
        for each in self._round_runs():
            each.forget_run()

    def send(self, store: Store, *, finish: bool) -> None:
        """Bring the store up to date with the record; `finish` ends the run too, in the state that the result tells."""
        sent = self._open(store)
        rows, offset = self._new_rows(sent)
        if rows:
            log(store.client, sent.run_id, rows=rows)
        if offset != sent.offset:
            epoch = rows[-1].epoch if rows else sent.epoch
            self._keep(replace(sent, offset=offset, epoch=epoch))
        for each in self._round_runs():
            each.send_round(store, finish=finish)
        if finish:
            self._finish(store)

    def send_round(self, store: Store, *, finish: bool) -> None:
        """The same for a round, which may end before its trial does."""
        if self._sent.store == store.shown and self._sent.ended == TrialState.COMPLETE:
            return  # a round that is complete is never trained again
        result = self.files.read_result()
        self.send(store, finish=finish or (result is not None and result.state is TrialState.COMPLETE))

    def _round_runs(self) -> list[TrialRun]:
        for files in self.files.rounds():
            self._rounds.setdefault(files.path, TrialRun(files, None, trial=self))
        return list(self._rounds.values())

    def _open(self, store: Store) -> Sent:
        """The run: found, else created, and running."""
        # The key is on the disk before the run exists: no run is made twice.
        sent = self._keep(replace(self._sent, key=self._sent.key or self._new_key()).in_store(store.shown))
        if not sent.run_id:
            run_id = store.find_run(sent.key) or self._create(store, sent.key)
            sent = self._keep(replace(sent, run_id=run_id, experiment_id=store.experiment_id))
        if not sent.opened:
            log(store.client, sent.run_id, params=trial_params(self.spec))
            store.client.log_artifact(sent.run_id, str(self.files.config_path))
            if self.trial:  # also where the trial's run was made anew
                store.client.set_tag(sent.run_id, "mlflow.parentRunId", self.trial.run_id)
            elif not self.study and self.spec.provenance:  # else the parent's run has it
                log_provenance(store.client, sent.run_id, self.files.path.parent, name=self.spec.provenance[:16])
            sent = self._keep(replace(sent, opened=True))
        if sent.ended is not None:  # a trial that was interrupted, or told finished, goes on
            store.client.update_run(sent.run_id, status="RUNNING")
            store.client.set_tag(sent.run_id, "state", TrialState.RUNNING.value)
            sent = self._keep(replace(sent, ended=None))
        return sent

    def _new_key(self) -> str:
        if self.trial:
            return f"{self.trial.key}/{self.files.path.name}"
        return f"{self.study.key}/{self.spec.number}" if self.study else uuid.uuid4().hex

    def _create(self, store: Store, key: str) -> str:
        spec = self.spec
        tags = {
            "idealfit.key": key,
            **self._place(),
            "state": TrialState.RUNNING.value,
            "config_sha256": sha256_of(spec.config),
            **({"provenance": spec.provenance} if spec.provenance else {}),
            **spec.tags,
            "mlflow.source.name": "idealfit",
            "mlflow.source.type": "LOCAL",
            "mlflow.user": user_name(),
        }
        if self.study:
            tags = self.study.shared_tags | tags | {"mlflow.parentRunId": self.study.run_id(store)}
        start_ms = int(self.files.config_path.stat().st_mtime * 1000)
        tags = {name: text(value) for name, value in tags.items()}
        run = store.client.create_run(store.experiment_id, start_ms, tags, self._name())
        return str(run.info.run_id)

    def _place(self) -> dict[str, str]:
        """Which run it is. A round lacks the tag `study`: a study's filter finds its trials and nothing else."""
        if self.trial:
            return {"round_of": self.spec.label, "mlflow.parentRunId": self.trial.run_id}
        return {"study": self.spec.study, "trial": str(self.spec.number)}

    def _name(self) -> str:
        if self.trial:
            return " ".join(next(iter(self.spec.tags.items()), ("round", self.files.path.name)))
        return f"trial {self.spec.number}" if self.study else self.spec.label

    def _new_rows(self, sent: Sent) -> tuple[list[Row], int]:
        """Rows that were not sent, and how far the file was read.

        A resumed attempt repeats the epochs after its checkpoint; the ones that are in the store stay as they are.
        """
        rows, offset = read_rows(self.files.metrics_path, sent.offset)
        return first_rows(rows, sent.epoch), offset

    def _finish(self, store: Store) -> None:
        result = self.files.read_result()
        if result and result.state.is_finished and self._has_diverged():
            self._replace_run(store)
        run_id = self._sent.run_id
        summaries = Row(0, self._end_ms(result) / 1000, _summaries(result, self.spec.objective))
        facts = result.facts if result else {}
        log(
            store.client,
            run_id,
            rows=[summaries, *pretrain_rows(facts, summaries.time)],
            tags=self._end_tags(result) | origin_tags(facts),
        )
        log_data_set(store.client, run_id, self.spec, facts)
        state = result.state if result else TrialState.INTERRUPTED
        # Before the artifacts: where they cannot be stored, the state is true all the same.
        store.client.set_terminated(run_id, STATUS.get(state, "KILLED"), self._end_ms(result))
        if self.files.pictures_dir.is_dir():
            store.client.log_artifacts(run_id, str(self.files.pictures_dir), "pictures")
        self._keep(replace(self._sent, ended=state.value))

    def _has_diverged(self) -> bool:
        """Whether an attempt measured an epoch again, and differently (as a GPU does)."""
        rows, _ = read_rows(self.files.metrics_path)
        return [essence(row) for row in first_rows(rows)] != [essence(row) for row in rows_that_count(rows)]

    def _replace_run(self, store: Store) -> None:
        """MLflow cannot change a metric: a run with outdated ones is deleted and made anew."""
        old = self._sent.run_id
        store.client.set_tag(old, "idealfit.key", "")  # first: whatever happens next, the old run is not found again
        store.client.delete_run(old)
        self.forget_run()
        sent = self._open(store)
        rows, offset = read_rows(self.files.metrics_path)
        final = rows_that_count(rows)
        log(store.client, sent.run_id, rows=final)
        self._keep(replace(sent, offset=offset, epoch=final[-1].epoch if final else -1))

    def _end_tags(self, result: TrialResult | None) -> dict[str, str]:
        if result is None:
            return {"state": TrialState.INTERRUPTED.value}
        tags = {"state": result.state.value, "mlflow.note.content": verdict(result, self.spec.objective)}
        if result.failure:
            tags |= {"failure": result.failure.value, "message": result.message}
        return tags

    def _end_ms(self, result: TrialResult | None) -> int:
        path: Path = self.files.result_path if result else self.files.metrics_path
        try:
            return int(path.stat().st_mtime * 1000)
        except FileNotFoundError:
            return int(time.time() * 1000)

    def _keep(self, sent: Sent) -> Sent:
        if sent != self._sent:
            sent.write(self.files.mirror_path)
            self._sent = sent
        return sent


def _summaries(result: TrialResult | None, objective: Objective) -> dict[str, float]:
    if result is None or not result.state.is_finished:
        return {}
    if result.value is None:
        return result.summaries
    is_feasible = objective.constraints and not objective.violations(result.summaries)
    return result.summaries | {"objective": result.value} | ({FEASIBLE: result.value} if is_feasible else {})
