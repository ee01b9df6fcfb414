"""Slurm's own commands, as far as jobs of idealfit need them. With accounting and without."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

TIMEOUT_S = 60.0
ENDED = {
    *("COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "BOOT_FAIL", "DEADLINE"),
    *("OUT_OF_MEMORY", "REVOKED", "GONE"),
}
"""States of jobs that will not run again. GONE is our word for a job that Slurm no longer knows."""


class SlurmError(Exception):
    """A command failed, with what it said."""


@dataclass(frozen=True)
class JobState:
    """What Slurm says of a job: `state` as in its manual, e.g. RUNNING; `node` may be empty."""

    state: str
    node: str = ""


def slurm(*command: str) -> str:
    """The output of a command.

    Raises:
        SlurmError: It failed, or took too long.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SlurmError(f"{command[0]}: {error}") from error
    if done.returncode != 0:
        words = [line.split("error: ")[-1] for line in done.stderr.strip().splitlines()]
        raise SlurmError(f"{command[0]}: {'; '.join(dict.fromkeys(words)) or f'exit code {done.returncode}'}")
    return done.stdout


def flags(options: Mapping[str, object]) -> list[str]:
    """Options as a command takes them."""
    return [f"--{key}" if value is True else f"--{key}={value}" for key, value in options.items()]


def job_states(job_name: str) -> dict[str, JobState]:
    """Jobs of that name by their ids, ended ones too as long as Slurm's controller remembers them.

    Raises:
        SlurmError: Nobody answers.
    """
    listing = slurm("squeue", "--noheader", "--all", "--array", "--states=all", f"--name={job_name}", "-o", "%i|%T|%N")
    rows = (line.split("|") for line in listing.splitlines() if line.count("|") == 2)
    return {job_id: JobState(state, node) for job_id, state, node in rows}


def remembered_state(job_id: str) -> JobState:
    """What the accounting database knows of a job that `squeue` lists no more; GONE where there is none."""
    if shutil.which("sacct"):
        try:
            rows = slurm(
                "sacct", "--noheader", "--allocations", "--parsable2", f"--jobs={job_id}", "-o", "State,NodeList"
            )
        except SlurmError:  # accounting is switched off
            rows = ""
        for line in rows.splitlines()[-1:]:
            state, _, node = line.partition("|")
            return JobState(state.split(" ")[0], node)
    return JobState("GONE")


def cancel(*options: str) -> None:
    """Cancel jobs; it is no error where there are none."""
    try:
        slurm("scancel", "--quiet", *options)
    except SlurmError:
        return
