"""Any run again: what differs by now, the same training in a process of its own, and whether it came out the same."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from idealfit.engines import LocalEngine
from idealfit.engines.hardware import usable_cores
from idealfit.provenance import Conditions, Difference, changes, changes_of_run, checkout, collect, save
from idealfit.record import Record
from idealfit.reproduce.compare import Deviation, Verdict, compare_curves, first_deviation
from idealfit.reproduce.recorded import Recorded, run_id_of
from idealfit.reproduce.render import verdict_lines
from idealfit.spec import JSON, ConfigError, FailureKind, StudyError, TrialResult, TrialSpec, TrialState
from idealfit.study.circumstances import written_by_us
from idealfit.study.mirroring import RunMirror
from idealfit.study.single import run_recorded
from idealfit.study.stopping import StopSwitch
from idealfit.trial import check_trial

STUDY = "reproduce"  # the folder of runs made again, and their experiment in MLflow
POLL_S = 0.2


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """A run made again.

    Attributes:
        label: The run of then.
        record_dir: Where the new run lies; None after a dry run.
        differences: Then and now.
        verdict: None where nothing was trained, or the training was interrupted.
        first: Where the runs part by the first bit.
        result: Of the new run.
    """

    label: str
    differences: list[Difference]
    record_dir: Path | None = None
    verdict: Verdict | None = None
    first: Deviation | None = None
    result: TrialResult | None = None

    @property
    def lines(self) -> list[str]:
        """The verdict in words; empty without one."""
        if self.verdict is None:
            return []
        lines = verdict_lines(self.verdict, self.differences, self.first)
        failed = self.result and self.result.state is TrialState.FAILED and self.verdict.kind == "different"
        return [*lines, f"The new run failed: {self.result.message.strip()}"] if failed and self.result else lines


def reproduce(
    then: Recorded,
    root: JSON,
    *,
    config: JSON | None = None,
    from_commit: bool = False,
    dry_run: bool = False,
    show: Callable[[list[Difference]], None],
    say: Callable[[str], None],
) -> Reproduction:
    """Run `then` again under `RUNS_DIR/reproduce`, mirrored, and compare.

    Args:
        then: The run.
        root: A composed config: where records and runs in MLflow go, and which packages are trusted.
        config: Another config than the recorded one, whose differences are part of the table.
        from_commit: Take the user's code from the recorded commit and patch, not from the working directory.
        dry_run: End with the table.
        show: Given the table.
        say: Prints a line.

    Raises:
        UserError: The run cannot be made again: its code, data or a trusted package is missing.
    """
    runs_dir = Path(root["runs_dir"]).expanduser().resolve()
    threads = then.result.facts.get("num_threads")
    with _code(then, from_commit=from_commit) as folder:
        spec = _spec(then, config or then.spec.config, folder, trusted=root["trusted_packages"])
        # As many slots as then: each gets the same share of the cores, and so the same environment.
        slots = max(1, usable_cores() // (threads * spec.num_ranks)) if threads else 1
        engine = LocalEngine(slots=slots, devices_per_trial=spec.num_ranks)
        try:
            with StopSwitch(kill=engine.kill, last_words="Ended at once.") as switch:
                found = _check(engine, spec)
                now = collect(folder, command_line=sys.argv, study={"name": STUDY}, excluded=written_by_us(root))
                conditions = replace(Conditions.of(spec.config, found), num_threads=threads)
                known = then.provenance
                differences = (
                    changes(known.of_run(then.conditions), now.of_run(conditions))
                    if known
                    else changes_of_run(then.conditions, conditions)
                )
                show(differences)
                if dry_run:
                    return Reproduction(label=then.spec.label, differences=differences)
                spec = spec.with_(provenance=save(now, runs_dir / STUDY))
                with RunMirror(root["tracking"], STUDY) as mirror:
                    mirror.wait_ready()
                    pictures = root["tracking"]["pictures"]
                    record = run_recorded(spec, runs_dir, engine, mirror, switch, pictures=pictures, say=say)
        finally:
            engine.close()
    for problem in mirror.not_sent:
        say(f"warning: {problem}")
    return _compared(then, record, differences)


def _compared(then: Recorded, record: Record, differences: list[Difference]) -> Reproduction:
    result, curves = record.read_result(), record.curves()
    made = Reproduction(label=then.spec.label, differences=differences, record_dir=record.path, result=result)
    if result is None or result.state is TrialState.INTERRUPTED:
        return made
    return replace(made, verdict=compare_curves(then.curves, curves), first=first_deviation(then.curves, curves))


@contextmanager
def _code(then: Recorded, *, from_commit: bool) -> Iterator[Path]:
    if not from_commit:
        yield Path.cwd()
        return
    if then.provenance is None:
        raise StudyError(f"The code of this run cannot be checked out: {then.note}")
    with checkout(then.provenance.code, Path.cwd()) as folder:
        yield folder


def _spec(then: Recorded, config: JSON, folder: Path, *, trusted: Sequence[str]) -> TrialSpec:
    run_id = run_id_of(then.record)
    return then.spec.with_(
        study=STUDY,
        number=0,
        config=config,
        seed=config["seed"],
        record_dir="",
        attempt=0,
        storage="",
        pruner={},
        trusted_packages=list(trusted),
        working_dir=os.path.abspath(folder),  # noqa: PTH100 - as the user typed it
        num_threads=then.result.facts.get("num_threads"),
        num_ranks=config["trainer"].get("devices", 1),
        device_indices=None,
        stop_after=then.stop_after,
        tags={"reproduces": then.spec.label} | ({"reproduces_run_id": run_id} if run_id else {}),
    )


def _check(engine: LocalEngine, spec: TrialSpec) -> JSON:
    """What the worker finds: data, device, threads.

    Raises:
        ConfigError: The run cannot start.
    """
    with tempfile.TemporaryDirectory(prefix="idealfit-") as scratch:
        future = engine.submit(check_trial, spec.with_(record_dir=scratch))
        while not wait([future], timeout=POLL_S).done:
            continue
        result = future.result()
    if result.state is not TrialState.COMPLETE:
        reason = result.message if result.failure is FailureKind.INPUT else f"{result.failure}: {result.message}"
        raise ConfigError(f"{spec.tags['reproduces']} cannot be made again: {reason}")
    return result.facts
