"""Are promote's statements true? 1,000 simulated studies with known truth: coverage of intervals, false "is better"."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import store
from idealfit.selection import Candidate, judge

NUM_STUDIES = 1000
NUM_TRIALS = 20  # of the simulated search, whose best become candidates
TOP, NUM_SEEDS = 3, 5
Floats = NDArray[np.float64]
TOLERANCE = 1e-12


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """How the truth of a study looks.

    Attributes:
        means: Draws the true mean of each trial of the search; the last is the default's.
        noise: Standard deviation from seed to seed; a range draws one for each configuration.
        shared: The part of that variance that a seed gives to all configurations alike.
        num_images: Validation images: scores are multiples of 1 / num_images; 0 leaves them as they are.
    """

    means: Callable[[np.random.Generator], Floats]
    noise: tuple[float, float] = (0.003, 0.003)
    shared: float = 0.2
    num_images: int = 0


def equal(rng: np.random.Generator) -> Floats:
    return np.full(NUM_TRIALS + 1, 0.97)


def one_better(rng: np.random.Generator) -> Floats:
    means = np.full(NUM_TRIALS + 1, 0.95)
    means[0] = 0.97
    return means


def small_differences(rng: np.random.Generator) -> Floats:
    return 0.97 + 0.001 * rng.standard_normal(NUM_TRIALS + 1)


def realistic(rng: np.random.Generator) -> Floats:
    """Many near the best, some far below, the default somewhere in between."""
    means = 0.975 - 0.02 * rng.beta(1, 3, NUM_TRIALS + 1)
    means[-1] = 0.97 - 0.01 * rng.random()
    return means


SCENARIOS = {
    "all equal": Scenario(means=equal),
    "all equal, unequal noise": Scenario(means=equal, noise=(0.001, 0.008)),
    "all equal, 288 images": Scenario(means=equal, noise=(0.004, 0.004), num_images=288),
    "one clearly better": Scenario(means=one_better),
    "small differences": Scenario(means=small_differences),
    "realistic": Scenario(means=realistic, noise=(0.001, 0.004), num_images=12000),
}


@dataclass
class Tally:
    """What came true, over studies."""

    num_intervals: int = 0
    num_covering: int = 0
    num_winners_covering: int = 0
    num_false: int = 0
    num_false_plain: int = 0
    num_found: int = 0
    num_findable: int = 0
    drop: float = 0.0

    def figures(self, num_studies: int) -> dict[str, float]:
        """As shares."""
        return {
            "coverage_percent": round(
                100 * (self.num_covering + self.num_winners_covering) / (self.num_intervals + num_studies), 2
            ),
            "coverage_of_the_others_percent": round(100 * self.num_covering / self.num_intervals, 2),
            "coverage_of_the_best_percent": round(100 * self.num_winners_covering / num_studies, 2),
            "false_better_percent": round(100 * self.num_false / num_studies, 2),
            "false_better_uncorrected_percent": round(100 * self.num_false_plain / num_studies, 2),
            "true_better_found_percent": round(100 * self.num_found / max(1, self.num_findable), 2),
            "mean_drop_from_searched": round(float(self.drop) / num_studies, 5),
        }


def simulate(scenario: Scenario, num_studies: int, rng: np.random.Generator) -> dict[str, float]:
    """Search, take the top, train them and the default on fresh seeds, judge; compare with the truth."""
    tally = Tally()
    for _ in range(num_studies):
        _one_study(scenario, rng, tally)
    return tally.figures(num_studies)


def _one_study(scenario: Scenario, rng: np.random.Generator, tally: Tally) -> None:
    truth = scenario.means(rng)
    spread = rng.uniform(*scenario.noise, size=len(truth))
    searched = _scores(scenario, truth, spread, 1, rng)[:-1, 0]
    chosen = [*np.argsort(-searched)[:TOP].tolist(), len(truth) - 1]
    scores = _scores(scenario, truth[chosen], spread[chosen], NUM_SEEDS, rng)
    true_mean = {str(place): float(truth[number]) for place, number in enumerate(chosen)}
    candidates = [Candidate(name=str(place), scores=tuple(row)) for place, row in enumerate(scores.tolist())]
    verdict = judge(candidates, step=1 / scenario.num_images if scenario.num_images else 0.0)
    best = true_mean[verdict.best.name]
    for candidate, interval in zip(verdict.ranked[1:], verdict.intervals[1:], strict=True):
        tally.num_intervals += 1
        tally.num_covering += interval.low <= true_mean[candidate.name] <= interval.high
    tally.num_winners_covering += verdict.intervals[0].low <= best <= verdict.intervals[0].high
    worse = [true_mean[rival.name] < best - TOLERANCE for rival in verdict.rivals]
    beaten = [rival.is_beaten for rival in verdict.rivals]
    tally.num_false += any(said and not true for said, true in zip(beaten, worse, strict=True))
    tally.num_false_plain += any(r.p <= 0.05 and not true for r, true in zip(verdict.rivals, worse, strict=True))
    tally.num_found += sum(said and true for said, true in zip(beaten, worse, strict=True))
    tally.num_findable += sum(worse)
    tally.drop += searched[chosen[0]] - scores[0].mean()


def _scores(scenario: Scenario, truth: Floats, spread: Floats, num_seeds: int, rng: np.random.Generator) -> Floats:
    """`[configurations, seeds]`: true mean, what the seed gives to all, what it gives to one."""
    own = rng.standard_normal((len(truth), num_seeds)) * np.sqrt(1 - scenario.shared)
    common = rng.standard_normal((1, num_seeds)) * np.sqrt(scenario.shared)
    scores: Floats = truth[:, None] + spread[:, None] * (own + common)
    return np.round(scores * scenario.num_images) / scenario.num_images if scenario.num_images else scores


def main() -> None:
    rng = np.random.default_rng(1)
    figures: dict[str, Any] = {name: simulate(each, NUM_STUDIES, rng) for name, each in SCENARIOS.items()}
    figures["of"] = {"studies": NUM_STUDIES, "trials": NUM_TRIALS, "top": TOP, "seeds": NUM_SEEDS}
    print(json.dumps(figures, indent=2))
    print(f"stored in {store('statistics', figures, repeats=f'{NUM_STUDIES:,} studies of each kind')}")


if __name__ == "__main__":
    main()
