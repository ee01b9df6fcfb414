"""The look at the test set: refused when it was taken before, noted before it is taken."""

from __future__ import annotations

import hashlib
import statistics
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from idealfit.promotion.options import PromoteOptions
from idealfit.record import Record
from idealfit.spec import Engine, StudyError, TrialSpec, TrialState, Work
from idealfit.study.promotion import (
    Look,
    Promotion,
    looks_of_others,
    now,
    promotion_dir,
    read_looks,
    write_look,
)
from idealfit.study.promotion_words import headline

NO_TEST_PART = (
    "the data have no test part that idealfit can open: none is published and data.test_fraction is 0, or they come "
    "from a data module of your own. `idealfit promote STUDY --no-test` ranks without a test."
)


def may_look(study_dir: Path, options: PromoteOptions) -> bool:
    """Whether the test set is to be opened.

    Raises:
        StudyError: It was opened before, and nobody said that a second look is meant.
    """
    if not options.test:
        return False
    seen = [look for look in read_looks(study_dir) if look.measures]
    if not seen or options.again:
        return True
    if options.is_automatic:
        return False
    raise StudyError(
        f"the test set of study {study_dir.name!r} was looked at on {seen[-1].date[:10]}: {seen[-1].name}, "
        f"{headline(seen[-1])}. A second look is a weaker test, and is counted: --again takes it, "
        "--no-test ranks without it."
    )


def refit_spec(records: list[Record]) -> TrialSpec:
    """The configuration of these replicates, to be trained on training and validation images.

    Nothing is left to say when to stop: it takes as many epochs as the replicates took to their best one, by the
    median.
    """
    results = [record.read_result() for record in records]
    epochs = [result.summaries["best/epoch"] + 1 for result in results if result and "best/epoch" in result.summaries]
    spec = records[0].read_spec()
    config = {**spec.config, "trainer": {**spec.config["trainer"]}}
    config.pop("protocol", None)  # one network, of all images
    stopping = config["trainer"].get("early_stopping")
    if stopping:
        config["trainer"]["early_stopping"] = {**stopping, "patience": 0}
    longest = int(config["trainer"]["max_epochs"])
    num_epochs = round(statistics.median(epochs)) if epochs else longest
    return spec.with_(
        config=config,
        objective=replace(spec.objective, epoch="last"),
        stop_after=max(num_epochs, int(config["trainer"]["min_epochs"])),
        refit=True,
        tags={**spec.tags, "refit": "true"},
    )


def look(
    promotion: Promotion,
    study_dir: Path,
    record: Record,
    engine: Engine,
    score: Work,
    *,
    trusted: list[str],
    working_dir: str,
    say: Callable[[str], None],
) -> None:
    """Score the test images with the weights of `record`; the look is on the disk before they are touched.

    A look that was interrupted before it had a number goes on under its number.

    Raises:
        StudyError: The images can't be scored.
    """
    spec, result = record.read_spec(), record.read_result()
    weights = record.trained(result).best_weights_path
    facts = result.facts if result else {}
    if not weights.exists():  # an estimator, as nearest neighbours
        raise StudyError(f"{promotion.choice.name} keeps no weights to test. Rank without a test: --no-test.")
    looks = read_looks(study_dir)
    is_open = bool(looks) and not looks[-1].measures
    taken = Look(
        number=len(looks) if is_open else len(looks) + 1,
        date=now(),
        name=promotion.choice.name,
        record=spec.number,
        weights_sha256=hashlib.sha256(weights.read_bytes()).hexdigest(),
        refit=spec.refit,
        data=[str(facts.get("data_fingerprint", "")), str(facts.get("split_sha256", ""))],
    )
    write_look(study_dir, taken)
    if others := looks_of_others(study_dir.parent, study_dir.name, taken.data):
        say(f"note: the same test images were looked at by other studies too: {', '.join(others)}")
    place = promotion_dir(study_dir) / "test"
    work = spec.with_(
        record_dir=str(place),
        attempt=taken.number,
        trusted_packages=trusted,
        working_dir=working_dir,
        stop_after=None,
        num_ranks=1,
    )
    done = engine.submit(score, work).result()
    if done.state is not TrialState.COMPLETE:
        raise StudyError(f"the test images could not be scored: {done.message.strip()}")
    write_look(study_dir, replace(taken, measures=done.facts["measures"]))
