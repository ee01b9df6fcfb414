"""Slurm as a cluster of seats: each is a job, or one of an array of jobs where several are asked for at once."""

from __future__ import annotations

import itertools
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from idealfit.engines.failures import tail_of
from idealfit.engines.seats import Loss
from idealfit.engines.slurm_commands import ENDED, JobState, SlurmError, cancel, job_states, remembered_state
from idealfit.engines.slurm_job import JobOptions, SlurmJob, mailboxes
from idealfit.engines.slurm_session import SlurmSession
from idealfit.spec import JSON, ConfigError, FailureKind

CAUSES = {
    "OUT_OF_MEMORY": FailureKind.OOM,
    **dict.fromkeys(("NODE_FAIL", "BOOT_FAIL", "PREEMPTED", "TIMEOUT", "DEADLINE"), FailureKind.PREEMPTED),
}
NEVER_TIMED_OUT = 10**6  # submitit takes most signals for a time-out, and gives up after so many
MAX_ARRAY = 1000  # of jobs at once out of one array: all
LISTED_S = 10.0  # by then a new job is listed


@dataclass(frozen=True, kw_only=True)
class Submission:
    """How jobs are submitted.

    Attributes:
        options: Options of `sbatch` by their long names.
        setup: Lines of shell that a job runs first.
        signal_delay_s: Seconds before the end of a job's time at which it is told.
    """

    options: Mapping[str, Any]
    setup: Sequence[str]
    num_cpus: int
    time_min: int
    signal_delay_s: int
    idle_s: float
    stop_grace_s: float
    poll_s: float
    state_s: float
    preload: tuple[str, ...]


class SlurmCluster:
    """Jobs of one session."""

    def __init__(self, session: SlurmSession, submission: Submission) -> None:
        self.session = session
        self._submission = submission
        self._numbers = itertools.count()
        self._states: dict[str, JobState] = {}
        self._looked_at = 0.0
        self.num_looks = 0

    def open_seats(self, count: int) -> list[SlurmSeat]:
        """Submit jobs: one, or an array of them.

        Raises:
            ConfigError: Slurm refuses them.
        """
        jobs = []
        for number in itertools.islice(self._numbers, count):
            for mailbox in mailboxes(self.session.path, number):
                mailbox.create()
            jobs.append((number, SlurmJob(self._job_options(number))))
        try:
            submitted = self._executor().submit_array([job for _, job in jobs])
        except Exception as error:
            raise ConfigError(f"Slurm refuses a job: {error}") from error
        return [
            SlurmSeat(self, job.job_id, number, job.paths.stdout)
            for (number, _), job in zip(jobs, submitted, strict=True)
        ]

    def look(self) -> None:
        """Ask Slurm, now and then. While it does not answer, jobs are taken to be where they were."""
        now = time.monotonic()
        if now - self._looked_at < self._submission.state_s:
            return
        self._looked_at = now
        try:
            self._states = job_states(self.session.job_name)
        except SlurmError:
            return
        self.num_looks += 1

    def state_of(self, job_id: str) -> JobState | None:
        """As of the latest look; None where it was not listed."""
        return self._states.get(job_id)

    def close(self) -> None:
        """End all jobs and wait until they are gone."""
        try:
            self.session.end()
        except SlurmError as error:
            print(f"idealfit: jobs {self.session.job_name} could not be ended: {error}", file=sys.stderr)

    def _job_options(self, number: int) -> JobOptions:
        how = self._submission
        return JobOptions(
            folder=str(self.session.path),
            seat=number,
            num_cpus=how.num_cpus,
            idle_s=how.idle_s,
            stop_grace_s=how.stop_grace_s,
            poll_s=how.poll_s,
            preload=how.preload,
        )

    def _executor(self) -> Any:
        import submitit

        how = self._submission
        token = shlex.quote(str(self.session.token_path))
        check = (
            f'[ "$(cat {token})" = {self.session.job_name} ] || {{ echo "{token} is not to be read here"; exit 66; }}'
        )
        executor = submitit.SlurmExecutor(self.session.path, max_num_timeout=NEVER_TIMED_OUT)
        executor.update_parameters(
            job_name=self.session.job_name,
            time=how.time_min,
            signal_delay_s=how.signal_delay_s,
            setup=[check, *how.setup],
            stderr_to_stdout=True,
            array_parallelism=MAX_ARRAY,
            srun_args=[f"--cpus-per-task={how.num_cpus}"],  # since Slurm 22.05 it does not take it from the job
            additional_parameters={"requeue": True, **how.options},
        )
        return executor


class SlurmSeat:
    """A job."""

    def __init__(self, cluster: SlurmCluster, job_id: str, number: int, log: Path) -> None:
        self.job_id = job_id
        self._cluster = cluster
        self._orders, self._events = mailboxes(cluster.session.path, number)
        self._log = log
        self._submitted_at = time.monotonic()
        self._has_greeted = False
        self._greeted_at_look = 0
        self._node = ""
        self._ended: tuple[int, JobState] | None = None  # the look that found it so

    @property
    def is_running(self) -> bool:
        """Whether Slurm says so; until it has been asked again, a job that has just said hello is taken to run."""
        if self._has_greeted and self._cluster.num_looks == self._greeted_at_look:
            return True
        job = self._cluster.state_of(self.job_id)
        return job is not None and job.state == "RUNNING"

    def send(self, message: JSON) -> None:
        """Give an order."""
        self._orders.append(message)

    def events(self) -> list[JSON]:
        """What the job said."""
        events = self._events.read()
        if any(event["event"] == "hello" for event in events):
            self._has_greeted = True
            self._greeted_at_look = self._cluster.num_looks
        return events

    def loss(self) -> Loss | None:
        """Why the job is gone: found so by two looks, for its last words may take a while through a file system."""
        job = self._cluster.state_of(self.job_id)
        if job is None and time.monotonic() - self._submitted_at > LISTED_S:
            job = self._ended[1] if self._ended else remembered_state(self.job_id)
        if job is None or job.state not in ENDED:
            self._node = job.node if job and job.node else self._node
            self._ended = None
            return None
        if self._ended is None:
            self._ended = self._cluster.num_looks, job
        return self._loss(job) if self._cluster.num_looks > self._ended[0] else None

    def facts(self) -> JSON:
        """The job, its node, and where its log lies."""
        job = self._cluster.state_of(self.job_id)
        node = job.node if job and job.node else self._node
        return {"slurm_job": self.job_id, "slurm_node": node, "slurm_log": str(self._log)}

    def give_up(self) -> None:
        """Cancel the job."""
        cancel(self.job_id)

    def _loss(self, job: JobState) -> Loss:
        what = f"Slurm job {self.job_id} on node {job.node or self._node or '(none)'} ended as {job.state}."
        tail = tail_of(self._log)
        log = f" The end of its log, {self._log}:\n{tail}" if tail else f" It left no log ({self._log})."
        if job.state in CAUSES:
            return Loss(CAUSES[job.state], what + log)
        if job.state == "CANCELLED":
            return Loss(FailureKind.KILLED, what + log, is_final=True)
        if self._has_greeted:
            return Loss(FailureKind.KILLED, what + log)
        if tail:
            return Loss(FailureKind.INPUT, f"{what} It never began to work.{log}")
        token = self._cluster.session.token_path
        return Loss(
            FailureKind.INPUT,
            f"{what} It found no {token}, which was written here: that folder is another one on the node. "
            "Set runs_dir to a folder that all nodes share.",
        )
