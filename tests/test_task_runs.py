"""A run of each task by the command line: trained, reproduced to the last bit, exported to a program of its own."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
import torch

from idealfit.cli import main
from idealfit.record import Record
from idealfit.tasks import TASKS

RUNS = {
    "binary": (["task=binary", "task.positive=[1,3,5,7,9]"], 2),
    "multi_label": (["task=digit_traits"], 3),
    "regression": (["task=regression"], 1),
    "unit_regression": (["task=unit_regression"], 1),
}


@pytest.mark.parametrize("name", RUNS)
def test_a_run_is_recorded_reproduced_and_exported(
    name: str, in_tmp_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overrides, num_columns = RUNS[name]
    main(["train", *overrides, "trainer.max_epochs=2", "tracking=none", "trainer.accelerator=cpu"])
    record = Record(in_tmp_dir / "runs" / "train" / "0")
    result = record.read_result()
    assert result is not None
    assert TASKS[name].objective in capsys.readouterr().out
    pictures = {path.stem for path in (record.path / "pictures").iterdir()}
    assert ("confusion_matrix" in pictures) == (name == "binary")
    assert "overfitting_curve" in pictures
    main(["reproduce", "train/0", "tracking=none"])
    assert "identical" in capsys.readouterr().out
    main(["export", "train/0", "out"])
    predict = runpy.run_path(str(in_tmp_dir / "out" / "predict.py"))["predict"]
    given = predict(torch.zeros(2, 1, 8, 8, dtype=torch.uint8))
    assert given.shape == (2, num_columns)
    assert len(result.facts["class_names"]) == num_columns
    if name != "regression":
        assert ((given >= 0) & (given <= 1)).all()
