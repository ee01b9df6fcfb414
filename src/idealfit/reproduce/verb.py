"""What the command line and the Python API offer about recorded runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from idealfit.config import Composer
from idealfit.provenance import Difference, requirements
from idealfit.record import Record
from idealfit.reproduce.again import Reproduction
from idealfit.reproduce.again import reproduce as train_again
from idealfit.reproduce.changed import changed_config, split_overrides
from idealfit.reproduce.recorded import read_recorded
from idealfit.reproduce.reference import resolve
from idealfit.reproduce.render import differences_table
from idealfit.spec import JSON, StudyError
from idealfit.tracking.origin import label_of

if TYPE_CHECKING:
    from idealfit.reproduce.export import Exportable


def reproduce(
    run: str, *overrides: str, dry_run: bool = False, checkout: bool = False, quiet: bool = False
) -> Reproduction:
    """Train a recorded run again in a process of its own, and compare what comes out.

    Args:
        run: `STUDY/NUMBER`, `STUDY/best`, a record's directory, or an MLflow run id (or how it begins).
        overrides: `runs_dir`, `tracking` and `trusted_packages`, or keys of the recorded config to change.
        dry_run: Only find what differs between then and now.
        checkout: Take the code from the recorded commit and patch.
        quiet: Print nothing.

    Raises:
        UserError: There is no such run, or it cannot be made again.
    """
    of_run, others = split_overrides(overrides)
    root = Composer("train", others).root()
    then = read_recorded(find(run, root))

    def say(text: str) -> None:
        if not quiet:
            print(text, flush=True)

    def show(differences: list[Difference]) -> None:
        from rich.console import Console

        if not quiet:
            Console().print(differences_table(differences), "")

    if then.note:
        say(f"note: {then.note}")
    config = changed_config(then.spec.config, of_run)
    made = train_again(then, root, config=config, from_commit=checkout, dry_run=dry_run, show=show, say=say)
    for line in made.lines:
        say(line)
    if made.record_dir:
        say(f"record    {shown(made.record_dir)}")
    return made


def shown(path: Path) -> Path:
    """The path as short as it goes."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def recorded_requirements(run: str, *overrides: str) -> str:
    """The text of a requirements file with every package that was installed when `run` was trained.

    Raises:
        UserError: There is no such run, or it was recorded without its provenance.
    """
    then = read_recorded(find(run, Composer("train", overrides).root()))
    if then.provenance is None:
        raise StudyError(then.note)
    machine = then.provenance.machine
    head = f"# {then.spec.label}: {machine.python}, {machine.os}\n"
    return head + requirements(then.provenance.packages, then.provenance.package_origins)


def find(run: str, root: JSON) -> Record:
    """The record that `run` means, where the composed config says that records and runs in MLflow lie.

    Raises:
        StudyError: There is none.
    """
    runs_dir = Path(root["runs_dir"]).expanduser().resolve()
    return resolve(run, runs_dir, look_up=lambda run_id: label_of(root["tracking"]["uri"], run_id))


def exportable(run: str, *overrides: str) -> Exportable:
    """A recorded run with its network, to hand to `reproduce.export`.

    Raises:
        UserError: There is no such run, or its network cannot be built.
    """
    from idealfit.reproduce.trained import trained

    root = Composer("train", overrides).root()
    return trained(find(run, root), trusted=root["trusted_packages"])


def config_like(run: str, overrides: Sequence[str]) -> tuple[Composer, JSON]:
    """The recorded config of `run` with some keys changed, and the composed rest: places, tracking, trust.

    Raises:
        UserError: There is no such run, or its config has no such key.
    """
    of_run, others = split_overrides(overrides)
    composer = Composer("train", others)
    return composer, changed_config(find(run, composer.root()).read_spec().config, of_run)
