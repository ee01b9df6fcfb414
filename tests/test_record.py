"""The record: what is written survives kills, and reads back as it was."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from idealfit.record import Record, find_record, iter_records
from idealfit.spec import FailureKind, Objective, StudyError, TrialResult, TrialSpec, TrialState, record_path

CONFIG = {"seed": 0, "model": {"_target_": "idealfit.models.MLP", "depth": 2}, "data": {"root": "Größe/数"}}


def spec_of(runs_dir: Path, number: int = 0, study: str = "s", **changes: object) -> TrialSpec:
    base = TrialSpec(study=study, number=number, config=CONFIG, record_dir=str(record_path(runs_dir, study, number)))
    return base.with_(**changes)


def test_importing_it_imports_nothing_heavy() -> None:
    code = "import idealfit.record, sys; print(sorted({'yaml', 'torch', 'optuna', 'mlflow'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_spec_reads_back_as_it_was_but_trusts_nobody(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, params={"optimizer.lr": 0.1}, objective=Objective(metric="val/loss", direction="minimize"))
    record = Record.create(spec.with_(trusted_packages=["evil"]))
    assert record.read_spec() == spec
    assert "evil" not in "".join(path.read_text() for path in record.path.iterdir())
    assert yaml.safe_load(record.config_path.read_text(encoding="utf-8")) == CONFIG


def test_a_spec_on_disk_cannot_grant_trust(tmp_path: Path) -> None:
    record = Record.create(spec_of(tmp_path))
    data = json.loads(record.spec_path.read_text())
    record.spec_path.write_text(json.dumps(data | {"trusted_packages": ["evil"]}))
    assert record.read_spec().trusted_packages == []


def test_no_credential_reaches_the_disk(tmp_path: Path) -> None:
    record = Record.create(spec_of(tmp_path, storage="postgresql://user:s3cret@host/db?password=s3cret"))
    assert "s3cret" not in "".join(path.read_text() for path in record.path.iterdir())
    assert "postgresql://***@host/db" in record.spec_path.read_text()


@pytest.mark.parametrize("name", ["two words", "a'quote\"", "zwei\nZeilen", "größe-数", "back\\slash"])
def test_odd_paths_work(tmp_path: Path, name: str) -> None:
    runs_dir = tmp_path / name
    record = Record.create(spec_of(runs_dir, study=name))
    record.append_metrics(0, {"val/loss": 1.0})
    record.write_result(TrialResult(state=TrialState.COMPLETE, value=1.0))
    found = find_record(runs_dir, f"{name}/0")
    assert (found.read_spec(), found.read_metrics()) == (record.read_spec(), record.read_metrics())


def test_result_reads_back_and_the_last_one_counts(tmp_path: Path) -> None:
    record = Record.create(spec_of(tmp_path))
    assert record.read_result() is None
    record.write_result(TrialResult(state=TrialState.FAILED, failure=FailureKind.OOM, message="naïve"))
    last = TrialResult(state=TrialState.PRUNED, value=0.5, summaries={"best/epoch": 3.0}, facts={"n": [1]}, attempt=1)
    record.write_result(last)
    assert record.read_result() == last


def test_writing_leaves_no_temporary_file_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = Record.create(spec_of(tmp_path))
    result = TrialResult(state=TrialState.COMPLETE)
    record.write_result(result)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        record.write_result(TrialResult(state=TrialState.FAILED))
    assert record.read_result() == result
    assert sorted(path.name for path in record.path.iterdir()) == ["config.yaml", "result.json", "spec.json"]


def test_curves_come_back_by_epoch(tmp_path: Path) -> None:
    record = Record(tmp_path / "new" / "0")
    for epoch in range(3):
        record.append_metrics(epoch, {"val/loss": 1.0 / (epoch + 1), "lr": 0.1}, attempt=0)
    assert record.curves() == {"val/loss": [1.0, 0.5, 1 / 3], "lr": [0.1, 0.1, 0.1]}
    assert [row.epoch for row in record.read_metrics()] == [0, 1, 2]


def test_a_metric_that_an_epoch_lacks_keeps_its_place(tmp_path: Path) -> None:
    record = Record(tmp_path)
    for epoch, metrics in enumerate([{"a": 0.0}, {"a": 1.0, "b": 1.0}, {"b": 2.0}]):
        record.append_metrics(epoch, metrics)
    curves = record.curves()
    assert str(curves) == "{'a': [0.0, 1.0, nan], 'b': [nan, 1.0, 2.0]}"


def test_values_that_are_not_finite_stay_valid_json(tmp_path: Path) -> None:
    record = Record(tmp_path)
    record.append_metrics(0, {"a": math.nan, "b": math.inf, "c": -math.inf})

    def refuse(constant: str) -> float:
        raise AssertionError(constant)

    json.loads(record.metrics_path.read_text(), parse_constant=refuse)
    values = record.read_metrics()[0].metrics
    assert math.isnan(values["a"])
    assert (values["b"], values["c"]) == (math.inf, -math.inf)


def test_an_epoch_recorded_again_replaces_all_after_it(tmp_path: Path) -> None:
    record = Record(tmp_path)
    for epoch in range(6):
        record.append_metrics(epoch, {"loss": epoch})
    for epoch in (3, 4):  # resumed from the checkpoint of epoch 2, and pruned after 4
        record.append_metrics(epoch, {"loss": 10 + epoch}, attempt=1)
    assert record.curves() == {"loss": [0, 1, 2, 13, 14]}
    assert [row.attempt for row in record.read_metrics()] == [0, 0, 0, 1, 1]


def test_a_torn_last_line_is_left_out_and_harms_no_later_one(tmp_path: Path) -> None:
    record = Record(tmp_path)
    for epoch in range(2):
        record.append_metrics(epoch, {"loss": epoch})
    with record.metrics_path.open("r+b") as file:
        file.truncate(record.metrics_path.stat().st_size - 20)
    assert record.curves() == {"loss": [0]}
    record.append_metrics(1, {"loss": 1.5}, attempt=1)
    assert record.curves() == {"loss": [0, 1.5]}


@settings(deadline=None)
@given(cut=st.integers(0, 400), epochs=st.integers(1, 4))
def test_metrics_cut_anywhere_read_as_whole_epochs(
    tmp_path_factory: pytest.TempPathFactory, cut: int, epochs: int
) -> None:
    record = Record(tmp_path_factory.mktemp("record"))
    for epoch in range(epochs):
        record.append_metrics(epoch, {"loss": epoch, "größe": 1.0})
    whole = record.metrics_path.read_bytes()
    record.metrics_path.write_bytes(whole[:cut])
    assert [row.epoch for row in record.read_metrics()] in [list(range(n)) for n in range(epochs + 1)]
    num_left = len(record.read_metrics())
    record.append_metrics(num_left, {"loss": 9.0}, attempt=1)
    assert record.curves()["loss"] == [*range(num_left), 9.0]


@pytest.mark.parametrize(
    "line",
    [
        "5",
        "[]",
        "null",
        '{"epoch": 1000000000000, "time": 0, "attempt": 0, "metrics": {"a": 1}}',
        '{"epoch": -1, "time": 0, "attempt": 0, "metrics": {"a": 1}}',
        '{"epoch": 0, "time": 0, "attempt": 0, "metrics": 7}',
        '{"epoch": Infinity, "time": 0, "attempt": 0, "metrics": {}}',
        "[" * 100_000,
        "\udc80",
    ],
)
def test_lines_that_are_no_metrics_are_left_out(tmp_path: Path, line: str) -> None:
    record = Record(tmp_path)
    record.append_metrics(0, {"a": 1.0})
    with record.metrics_path.open("a", errors="surrogateescape") as file:
        file.write(line + "\n")
    assert record.curves() == {"a": [1.0]}


def test_records_come_by_number(tmp_path: Path) -> None:
    for number in (10, 9, 0):
        Record.create(spec_of(tmp_path, number))
    (tmp_path / "s" / "11").mkdir()  # a controller died before it wrote the spec
    (tmp_path / "s" / "preflight").mkdir()
    assert [record.path.name for record in iter_records(tmp_path, "s")] == ["0", "9", "10"]
    assert list(iter_records(tmp_path, "none")) == []


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("lr_dropout/0", "Did you mean 'lr_dropout_depth'"),
        ("lr_dropout_depth/3", "its trials are 0 to 1"),
        ("lr_dropout_depth", "expected STUDY/NUMBER"),
        ("lr_dropout_depth/x", "no trial 'x'"),
        ("../elsewhere/0", "no study"),
        ("", "expected STUDY/NUMBER"),
    ],
)
def test_a_name_without_a_record_says_what_there_is(tmp_path: Path, name: str, hint: str) -> None:
    for number in (0, 1):
        Record.create(spec_of(tmp_path, number, study="lr_dropout_depth"))
    with pytest.raises(StudyError, match="No trial") as caught:
        find_record(tmp_path, name)
    assert hint in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"study": 1}', '{"state": "unheard of"}', "\x00", "[" * 100_000]
)
def test_a_damaged_record_is_named(tmp_path: Path, text: str) -> None:
    record = Record.create(spec_of(tmp_path))
    record.spec_path.write_text(text)
    record.result_path.write_text(text)
    for read in (record.read_spec, record.read_result):
        with pytest.raises(StudyError, match="json"):
            read()


def test_what_is_no_record_is_named(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="is no record"):
        Record(tmp_path).read_spec()
