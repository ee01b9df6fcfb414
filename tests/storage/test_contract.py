"""What every storage does alike."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from idealfit.pruning import open_storage

sys.path.insert(0, str(Path(__file__).parent))
from stored_studies import SPACE, ended, make_study, start, start_together

REPORT = """
reporter = StorageReporter(TrialSpec(study=name, number=0, config={}, record_dir="", storage=url,
                                     pruner={"name": "hyperband", "options": {}, "max_epochs": 30}))
print([reporter.report(epoch, value) for epoch, value in enumerate((0.5, float("nan"), float("inf"), 0.25))])
reporter.close()
"""


def test_what_another_process_reports_is_kept_whatever_the_number(url: str, study_name: str) -> None:
    study = make_study(url, study_name)
    study.ask(SPACE)
    assert ended(start(REPORT, url, study_name)) == "[False, False, False, False]\n"
    for reader in (study, make_study(url, study_name)):
        values = reader.trials[0].intermediate_values
        assert [values[1], values[3], values[4]] == [0.5, math.inf, 0.25]
        assert math.isnan(values[2])


def test_a_trial_ends_in_every_state_and_is_read_again(url: str, study_name: str) -> None:
    study = make_study(url, study_name)
    asked = [study.ask(SPACE) for _ in range(4)]
    study.tell(0, 0.75)
    study.tell(1, state=TrialState.PRUNED)
    study.tell(2, state=TrialState.FAIL)
    trials = make_study(url, study_name).trials
    assert [trial.state.name for trial in trials] == ["COMPLETE", "PRUNED", "FAIL", "RUNNING"]
    assert [trial.value for trial in trials] == [0.75, None, None, None]
    assert [trial.params for trial in trials] == [trial.params for trial in asked]
    assert [trial.number for trial in trials] == [0, 1, 2, 3]


def test_a_trial_that_ended_takes_no_more_values(url: str, study_name: str) -> None:
    study = make_study(url, study_name)
    late = study.ask(SPACE)
    make_study(url, study_name).tell(0, state=TrialState.FAIL)
    with pytest.raises(optuna.exceptions.UpdateFinishedTrialError):
        late.report(0.5, 0)


ASKS = """
study = load()
for _ in range(5):
    trial = study.ask()
    trial.suggest_float("x", 0, 1)
    trial.report(0.5, 0)
    study.tell(trial, 1.0)
    print(trial.number, trial.params["x"])
"""


def test_processes_that_ask_at_once_get_numbers_of_their_own(url: str, study_name: str) -> None:
    study = make_study(url, study_name)
    askers = start_together(ASKS, url, study_name, num=2)
    lines = [line.split() for asker in askers for line in ended(asker).splitlines()]
    assert sorted(int(number) for number, _ in lines) == list(range(10))
    for number, x in lines:
        trial = study.trials[int(number)]
        assert (trial.params["x"], trial.value, trial.intermediate_values) == (float(x), 1.0, {0: 0.5})


KILLED = """
study = load()
for _ in range(3):
    trial = study.ask()
    trial.suggest_float("x", 0, 1)
    trial.report(0.5, 7)
study.tell(1, 0.5)
print("asked", flush=True)
time.sleep(600)
"""


def test_what_a_killed_process_left_running_is_found_with_its_values(url: str, study_name: str) -> None:
    study = make_study(url, study_name)
    process = start(KILLED, url, study_name)
    assert process.stdout
    assert process.stdout.readline() == "asked\n"
    process.kill()
    process.communicate()
    running = study.get_trials(states=(TrialState.RUNNING,))
    assert [(trial.number, trial.intermediate_values) for trial in running] == [(0, {7: 0.5}), (2, {7: 0.5})]
    again = optuna.trial.Trial(study, running[1]._trial_id)
    assert again.suggest_float("x", 0, 1) == running[1].params["x"], "its parameters are asked for again, not drawn"
    study.tell(2, 0.25)
    assert make_study(url, study_name).trials[2].value == 0.25
    assert study.ask().number == 3


ATTRIBUTE: dict[str, Any] = {"space": {"x": "interval(0,1)", "größe": [1, 2.5, None, True]}, "n": 3}


def test_what_is_noted_about_a_study_is_read_again(url: str, study_name: str) -> None:
    study = make_study(url, study_name)
    study.set_user_attr("question", ATTRIBUTE)
    study.set_user_attr("seconds", 1.0)
    study.set_user_attr("seconds", 2.5)
    assert make_study(url, study_name).user_attrs == {"question": ATTRIBUTE, "seconds": 2.5}


def test_two_studies_share_a_storage(url: str, study_name: str) -> None:
    names = [study_name, f"{study_name} 2"]
    for name in (*names, *names):
        study = make_study(url, name)
        study.tell(study.ask(SPACE), float(name == study_name))
    assert set(names) <= {summary.study_name for summary in optuna.get_all_study_summaries(open_storage(url))}
    for name in names:
        assert [(trial.number, trial.value) for trial in make_study(url, name).trials] == [
            (0, float(name == study_name)),
            (1, float(name == study_name)),
        ]


OPENS = """
optuna.create_study(storage=open_storage(url), sampler=optuna.samplers.RandomSampler()).ask()
"""


@pytest.mark.parametrize("address", ["{}/new.journal", "sqlite:///{}/new.db"], ids=["journal", "sqlite"])
def test_studies_that_make_a_storage_at_once_do_not_disturb_each_other(tmp_path: Path, address: str) -> None:
    url = address.format(tmp_path)
    for each in start_together(OPENS, url, "", num=3):
        ended(each)
    assert len(optuna.get_all_study_summaries(open_storage(url))) == 3
