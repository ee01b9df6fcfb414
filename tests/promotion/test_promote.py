"""A study promoted for real: fresh seeds, one counted look at the test set, a champion in the registry."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import mlflow
import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score

import idealfit
from idealfit.cli import main
from idealfit.predictions import Predictions
from idealfit.promotion.candidates import fresh_seeds
from idealfit.record import Record, iter_records
from idealfit.selection import share_interval
from idealfit.spec import StudyError, TrialResult
from idealfit.study.promotion import DEFAULT, Look, Promotion, read_looks, write_look

NOWHERE = "tracking=none"
HERE = ("tracking=none", "engine=inline", "engine.slots=1")


def result_of(record: Record) -> TrialResult:
    result = record.read_result()
    assert result is not None
    return result


def test_the_best_and_the_default_are_trained_on_the_same_fresh_seeds_and_the_same_split(
    promoted: tuple[Path, Promotion],
) -> None:
    place, promotion = promoted
    searched = [record.read_spec() for record in iter_records(place / "runs", "small")]
    assert [each.name for each in promotion.candidates][-1] == DEFAULT
    assert len(promotion.candidates) == 3
    replicas = {
        each.name: [Record(place / f"runs/small/promote/{n}") for n in each.records] for each in promotion.candidates
    }
    for records in replicas.values():
        specs = [record.read_spec() for record in records]
        assert [spec.config["seed"] for spec in specs] == promotion.seeds
        assert {spec.config["data"]["split_seed"] for spec in specs} == {searched[0].config["data"]["split_seed"]}
        splits = {result_of(record).facts["split_sha256"] for record in records}
        assert len(splits) == 1
    assert not {spec.config["seed"] for spec in searched} & set(promotion.seeds)
    scores = [result_of(record).value for record in replicas[promotion.choice.name]]
    assert promotion.choice.scores == scores


def test_more_seeds_begin_with_the_fewer_and_keep_clear_of_replicates() -> None:
    seeds = fresh_seeds(3, 8)
    assert fresh_seeds(3, 5) == seeds[:5]
    assert len(set(seeds)) == 8
    assert all((seed - 3) % 2**32 >= 100_000 for seed in seeds)


def test_the_test_set_is_scored_once_and_what_is_told_follows_from_the_predictions(
    promoted: tuple[Path, Promotion],
) -> None:
    place, promotion = promoted
    (look,) = promotion.looks
    kept = Predictions.read(place / "runs/small/promote/test/look-1.npz")
    assert kept is not None
    found = look.measures
    assert found["num_images"] == len(kept.labels) == 359
    accuracy = look.metrics["accuracy"]
    assert accuracy.value == pytest.approx(accuracy_score(kept.labels, kept.predicted))
    assert (accuracy.low, accuracy.high) == share_interval(found["num_right"], 359)
    assert look.metrics["f1"].value == pytest.approx(f1_score(kept.labels, kept.predicted, average="macro"))
    assert found["confusion"] == confusion_matrix(kept.labels, kept.predicted).tolist()
    assert [each["num_images"] for each in found["classes"]] == np.bincount(kept.labels).tolist()
    assert all(0.5 < each["roc_auc"] <= 1 for each in found["classes"])
    validated = Predictions.read(place / f"runs/small/promote/{look.record}" / "predictions.npz")
    assert validated is not None
    assert len(validated.labels) != len(kept.labels)


def test_a_second_look_is_refused_then_counted_and_told(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {record.path.name: record.result_path.stat().st_mtime_ns for record in iter_records(study, "promote")}
    assert main(["promote", "small", "--top=2", "--seeds=2", *HERE]) == 2
    assert "was looked at on 20" in capsys.readouterr().err
    assert main(["promote", "small", "--top=2", "--seeds=2", "--again", *HERE]) == 0
    said = capsys.readouterr().out
    assert "Test set, second look" in said
    assert "had been looked at once before" in said
    assert [look.number for look in read_looks(study)] == [1, 2]
    after = {record.path.name: record.result_path.stat().st_mtime_ns for record in iter_records(study, "promote")}
    assert after == before, "what is trained is not trained again"
    assert "second look" in idealfit.load_study("small").report(format="md").read_text()
    assert "second look" in idealfit.load_study("small").report().read_text()


def test_a_look_of_an_older_version_is_told_still(study: Path) -> None:
    (look,) = read_looks(study)
    old = {"accuracy": 0.9, "low": 0.86, "high": 0.93, "num_right": 323, "num_images": 359, "calibration_error": 0.1}
    write_look(study, Look(**{**look.__dict__, "measures": old}))
    said = "is right on 323 of 359 images: accuracy 0.9000, 95 % interval 0.8600 to 0.9300."
    assert said in idealfit.load_study("small").report(format="md").read_text()


def test_a_look_that_was_interrupted_goes_on_under_its_number(study: Path) -> None:
    (look,) = read_looks(study)
    write_look(study, Look(**{**look.__dict__, "measures": {}}))
    again = idealfit.promote("small", *HERE, top=2, seeds=2, quiet=True)
    assert again is not None
    assert [each.number for each in again.looks] == [1]
    assert again.looks[0].measures == look.measures


def test_a_killed_promotion_trains_only_what_is_missing(study: Path) -> None:
    results = {record.path.name: record.result_path for record in iter_records(study, "promote")}
    lost = json.loads(results["1"].read_text())["value"]
    results["1"].unlink()
    (study / "promote" / "promotion.json").unlink()
    times = {name: path.stat().st_mtime_ns for name, path in results.items() if name != "1"}
    again = idealfit.promote("small", *HERE, top=2, seeds=2, test=False, quiet=True)
    assert again is not None
    assert {name: path.stat().st_mtime_ns for name, path in results.items() if name != "1"} == times
    assert again.candidates[0].scores[1] == lost, "from its last checkpoint, to the same bits"


def test_a_refit_trains_on_training_and_validation_images(finished: Path) -> None:
    made = idealfit.promote("small", *HERE, top=1, seeds=2, refit=True, quiet=True)
    assert made is not None
    (look,) = made.looks
    record = Record(finished / "promote" / str(look.record))
    facts, replica = result_of(record).facts, result_of(Record(finished / "promote" / "0")).facts
    assert facts["num_train_images"] == replica["num_train_images"] + replica["num_val_images"]
    assert facts["pixel_mean"] != replica["pixel_mean"]
    assert look.refit
    assert record.read_spec().stop_after == result_of(record).num_epochs


def test_the_champion_is_registered_with_its_test_score(
    promoted: tuple[Path, Promotion], monkeypatch: pytest.MonkeyPatch
) -> None:
    place, promotion = promoted
    monkeypatch.chdir(place)
    uri = f"sqlite:///{place / 'mlflow.db'}"
    client = mlflow.MlflowClient(uri, uri)
    version = client.get_model_version_by_alias("small", "champion")
    run = client.get_run(version.run_id)
    accuracy = promotion.looks[0].metrics["accuracy"].value
    assert run.data.metrics["test/accuracy"] == pytest.approx(accuracy)
    assert float(version.tags["test/accuracy"]) == pytest.approx(accuracy, abs=1e-5)
    children = client.search_runs([run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{version.run_id}'")
    assert len(children) == 6
    trials = client.search_runs([run.info.experiment_id], "tags.study = 'small'")
    assert len(trials) == 4, "the study's own view shows its trials and itself, and no replicate"


def test_a_replicate_is_reproduced_by_its_name(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", "small/promote/1", NOWHERE]) == 0
    assert "identical" in capsys.readouterr().out


def test_a_sweep_may_end_with_it_and_says_so_again_without_a_second_look(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["sweep", "small", NOWHERE, "engine.slots=2", "study.promote.top=1", "study.promote.seeds=2"]
    assert main(command) == 0
    first = capsys.readouterr().out
    assert "Over 2 fresh seeds on the same 288 validation images" in first
    assert "Test set, first look" in first
    assert main(command) == 0
    assert "Test set, first look" in capsys.readouterr().out
    assert len(read_looks(finished)) == 1


def test_a_score_of_folds_rests_on_all_images_that_they_validate_on(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folds = ["protocol=kfold", "protocol.folds=2", "data.limit=60", "trainer.max_epochs=1", "study.budget.trials=1"]
    command = ["sweep", "small", "study.name=folded", "engine=inline", "tracking=none", *folds]
    assert main([*command, "study.promote.top=1", "study.promote.seeds=2"]) == 0
    # Not the 719 of the best fold.
    assert "Over 2 fresh seeds on the same 1,438 validation images" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["small", "--seeds=1"], "at least 2 seeds, got seeds=1"),
        (["small", "--top=0"], "at least 1 trial must be promoted, got top=0"),
        (["smal"], "Did you mean 'small'?"),
        (["small", "--again", "--no-test"], "give one of them"),
        (["small", "trainer.max_epochs=4"], "has changed since trial"),
        (["small", "data.test_fraction=0.1"], "has changed since trial"),
    ],
)
def test_bad_input_is_one_clear_line_before_training(
    finished: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert main(["promote", *words, NOWHERE]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert not list((finished / "promote").glob("*/spec.json"))


def test_there_is_nothing_to_promote_before_a_trial_is_complete(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in finished.glob("*/result.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"state": "pruned"}))
    assert main(["promote", "small", NOWHERE]) == 2
    assert "no complete trial yet (3 pruned)" in capsys.readouterr().err


def test_a_sweep_with_one_seed_is_refused_before_it_trains(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "small", "study.promote.top=1", "study.promote.seeds=1", "study.name=other", NOWHERE]) == 2
    assert "study.promote.seeds must be at least 2" in capsys.readouterr().err
    assert not (finished.parent / "other").exists()


def test_damaged_looks_are_an_error_and_no_fresh_count(study: Path) -> None:
    (study / "promote" / "looks.json").write_text('{"looks": [{"number": 1}]}')
    with pytest.raises(StudyError, match="it counts the looks"):
        idealfit.promote("small", *HERE, top=2, seeds=2, quiet=True)


def test_only_promoting_unlocks_the_test_images() -> None:
    source = Path(idealfit.__file__).parent
    unlocking = [
        path.relative_to(source).as_posix()
        for path in source.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.keyword)
        and node.arg == "unlock_test"
        and not (isinstance(node.value, ast.Name) and node.value.id == "unlock_test")
    ]
    assert unlocking == ["train/testing.py"]
    users = [
        path.relative_to(source).as_posix()
        for path in source.rglob("*.py")
        if "train.testing" in path.read_text() and path.name != "testing.py"
    ]
    assert users == ["promotion/worker.py"]


def test_trials_on_two_devices_are_promoted_on_two_and_tested_by_one_process(in_tmp_dir: Path) -> None:
    two = ("trainer=ddp", "trainer.devices=2", "trainer.accelerator=cpu", "trainer.max_epochs=2", "tracking=none")
    idealfit.sweep("lr_dropout_depth", *two, "study.budget.trials=1", "engine.slots=1", quiet=True)
    promotion = idealfit.promote("lr_dropout_depth", top=1, seeds=2, quiet=True)
    assert promotion is not None
    assert {len(each.scores) for each in promotion.candidates} == {2}
    specs = [record.read_spec() for record in iter_records(in_tmp_dir / "runs", "lr_dropout_depth/promote")]
    assert {spec.num_ranks for spec in specs} == {2}
    assert promotion.looks[-1].measures["num_images"] == 359
