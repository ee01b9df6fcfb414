"""The folder of one session with a Slurm cluster, and the jobs that belong to it.

`FOLDER/slurm/ID/` holds a token, the mailboxes of the jobs and what submitit writes. The id is new for each session and
part of its jobs' name: so no old job's file is taken for a new one's, and jobs can be found again whose controller died
before it learnt their numbers.
"""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from idealfit.engines.mailbox import Mailbox
from idealfit.engines.slurm_commands import ENDED, SlurmError, cancel, job_states
from idealfit.spec import StudyError

FOLDER = "slurm"
POLL_S = 0.25
LEAVE_S = 10.0  # what jobs without work get to leave by themselves
CANCEL_S = 90.0  # Slurm's KillWait is 30 s


class SlurmSession:
    """A session's folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.job_name = f"idealfit-{path.name}"
        self.token_path = path / "token"
        self.seats_path = path / "seats"

    @classmethod
    def create(cls, study_dir: Path) -> SlurmSession:
        """A new one, which nobody else may read: orders name the study's storage with its password."""
        session = cls(study_dir / FOLDER / secrets.token_hex(6))
        session.seats_path.mkdir(parents=True)
        session.path.chmod(0o700)
        session.token_path.write_text(session.job_name + "\n")
        return session

    def end(self, *, leave_s: float = LEAVE_S) -> None:
        """End all jobs and wait until they are gone; their logs stay.

        Raises:
            SlurmError: They cannot be found.
        """
        for path in self.seats_path.glob("*.orders"):
            Mailbox(path).append({"do": "end"})
        if self._count():
            cancel(f"--name={self.job_name}", "--state=PENDING")
            if not self._are_gone(leave_s):
                cancel(f"--name={self.job_name}")
                self._are_gone(CANCEL_S)
        self._clean()

    def _are_gone(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self._count():
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_S)
        return True

    def _count(self) -> int:
        return sum(job.state not in ENDED for job in job_states(self.job_name).values())

    def _clean(self) -> None:
        for path in self.path.glob("*"):
            if not path.is_dir() and path.suffix != ".out":
                path.unlink(missing_ok=True)
        shutil.rmtree(self.seats_path, ignore_errors=True)


def end_leftovers(study_dir: Path, *, grace_s: float, say: Callable[[str], None]) -> None:
    """End the jobs of sessions whose controller died, so that no trial is attempted twice at once.

    Running trials write their checkpoints first; the study goes on from there.

    Raises:
        StudyError: It cannot be found out whether there are any.
    """
    for seats in sorted((study_dir / FOLDER).glob("*/seats")):
        session = SlurmSession(seats.parent)
        say(f"ending the Slurm jobs of a session that was cut off: {session.job_name}")
        try:
            session.end(leave_s=grace_s + LEAVE_S)
        except SlurmError as error:
            raise StudyError(
                f"{session.path}: a session with Slurm was cut off, and its jobs may still run ({error}). Go on from "
                f"a machine with Slurm's commands; or, if no job {session.job_name} is left, remove that folder."
            ) from None
