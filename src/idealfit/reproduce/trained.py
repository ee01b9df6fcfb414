"""A record's network with what an export needs beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from idealfit.engines.worker import make_importable
from idealfit.record import Record
from idealfit.reproduce.export import Exportable
from idealfit.reproduce.recorded import read_recorded
from idealfit.spec import StudyError
from idealfit.train.transfer import build_network

NEEDED = ("image_shape", "num_classes", "class_names")


def trained(record: Record, *, trusted: Sequence[str]) -> Exportable:
    """Build the network of a record behind the trust gate.

    Raises:
        UserError: The record is damaged, or its network's code is missing or not trusted.
    """
    then = read_recorded(record)
    record = record.trained(then.result)
    facts = then.result.facts
    if missing := [name for name in NEEDED if not facts.get(name)]:
        raise StudyError(f"{then.spec.label} cannot be exported: its result does not say {', '.join(missing)}.")
    make_importable(record.read_spec().with_(working_dir=str(Path.cwd()), trusted_packages=list(trusted)))
    offered = {
        "image_shape": tuple(facts["image_shape"]),
        "num_classes": facts.get("num_outputs", facts["num_classes"]),
    }
    moments = facts.get("pixel_mean"), facts.get("pixel_std")
    return Exportable(
        label=then.spec.label,
        config=then.spec.config,
        facts=facts,
        network=build_network(then.spec.config["model"], trusted=trusted, extra=offered),
        weights=record.best_weights_path,
        normalization=(moments[0], moments[1]) if moments[0] and moments[1] else None,
        summaries=then.result.summaries,
        provenance=then.provenance,
    )
