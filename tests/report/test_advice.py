"""The advice of a real study that overfits: a large network on a few digits."""

from __future__ import annotations

from pathlib import Path

import pytest

from idealfit.cli import main
from idealfit.record import Record, iter_records
from idealfit.report.artifacts import report_path, write_report
from idealfit.study.outcome import read_rows


def test_an_overfitting_study_says_so_on_the_terminal_and_in_its_report(
    in_tmp_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["data.limit=60", "model.width=128", "optimizer.lr=0.01", "trainer.max_epochs=25"]
    study = ["study.name=over", "study.sampler=grid", "study.pruner=none", "study.budget.trials=4"]
    space = ["model.depth=1,3", "model.dropout=0.0,0.3"]
    assert main(["sweep", "overfitting", "engine=inline", "tracking=none", *arguments, *study, *space]) == 0
    printed = capsys.readouterr().out
    rows, _ = read_rows(in_tmp_dir / "runs", "over")
    best = rows[0]
    curves = Record(Path(best.record_dir)).curves()
    train, val = (curves[f"{part}/accuracy"][best.best_epoch or 0] for part in ("train", "val"))
    assert train - val > 0.05, "60 images are too few"
    said = f"Trial {best.number} overfits: training {100 * train:.2f} %, validation {100 * val:.2f} %"
    assert f"advice    {said}" in printed
    assert "4 trials ran to the end: too few to tell the effect of model.depth and model.dropout." in printed
    assert said in report_path(in_tmp_dir / "runs" / "over").read_text()
    markdown = write_report(in_tmp_dir / "runs" / "over", in_tmp_dir / "over.md", "md").read_text()
    assert f"## Advice\n\n- {said}" in markdown
    assert len(list(iter_records(in_tmp_dir / "runs", "over"))) == 4
