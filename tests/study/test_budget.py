import pytest

from idealfit.study.budget import Budget, Spent


@pytest.mark.parametrize(
    ("spent", "limit"),
    [
        (Spent(trials=9, epochs=99, hours=1.9), None),
        (Spent(trials=10), "10 trials"),
        (Spent(trials=11), "10 trials"),
        (Spent(trials=3, epochs=100), "100 epochs"),
        (Spent(trials=3, hours=2.0), "2 hours"),
    ],
)
def test_whichever_limit_is_reached_first_ends_it(spent: Spent, limit: str | None) -> None:
    assert Budget(trials=10, epochs=100, hours=2).ended_by(spent) == limit


def test_no_limit_but_trials_by_default() -> None:
    budget = Budget.from_config({"trials": 5, "epochs": None, "hours": None})
    assert budget.ended_by(Spent(trials=4, epochs=10**9, hours=10**6)) is None


def test_a_grid_ends_when_it_is_exhausted() -> None:
    assert Budget.from_config({"trials": 50, "epochs": None, "hours": None}, num_points=6).trials == 6
