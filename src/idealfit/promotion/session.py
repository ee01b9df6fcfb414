"""One sitting at a promotion: check, train on fresh seeds, judge, look at the test set once, register."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from idealfit.config import Composer
from idealfit.engines import end_leftovers
from idealfit.promotion.candidates import Chosen, choose, fresh_seeds
from idealfit.promotion.gathering import best_record, gathered, records_of
from idealfit.promotion.looking import NO_TEST_PART, look, may_look, refit_spec
from idealfit.promotion.options import PromoteOptions
from idealfit.promotion.replicates import Shelf, Trainings, is_settled
from idealfit.promotion.tracking import PromotionMirror
from idealfit.promotion.worker import score_test
from idealfit.record import Record, iter_records
from idealfit.spec import JSON, Engine, StudyError, TrialSpec, TrialState, Work
from idealfit.study.circumstances import Circumstances
from idealfit.study.finishing import Finisher
from idealfit.study.lock import controller_lock
from idealfit.study.plan import StudyPlan
from idealfit.study.preflight import Preflight
from idealfit.study.progress import Display, Progress
from idealfit.study.promotion import Promotion, promotion_dir, with_looks
from idealfit.study.running import LEFTOVERS_GRACE_S, make_engine
from idealfit.study.stopping import StopSwitch
from idealfit.study.winner import exported
from idealfit.trial import check_trial, run_trial

WriteReport = Callable[[Path], Path]


@dataclass(frozen=True, kw_only=True)
class Promoted:
    """How a sitting ended.

    Attributes:
        promotion: None where it was stopped before all were trained.
        not_tracked: What could not be mirrored to MLflow, in words.
    """

    promotion: Promotion | None
    not_tracked: list[str]


def promote_study(
    plan: StudyPlan,
    composer: Composer,
    options: PromoteOptions,
    *,
    display: Display,
    write_report: WriteReport,
    export: Work,
) -> Promoted:
    """Train the best of a study and its default on fresh seeds, judge them, look at the test set once.

    What is trained already is not trained again, so that a promotion that was stopped goes on.

    Args:
        plan: The study.
        composer: Makes its configs.
        options: What to do.
        display: Shows the progress.
        write_report: Called with the study's folder; writes its report and returns the report's folder.
        export: `reproduce.winner.export_winner`, or what stands for it.

    Raises:
        UserError: There is nothing to promote, or the test set was looked at; before any training.
    """
    opens_test = may_look(plan.study_dir, options)
    chosen = choose(plan, composer, top=options.top)
    with controller_lock(plan.study_dir):
        folder = promotion_dir(plan.study_dir)
        folder.mkdir(exist_ok=True)
        end_leftovers(folder, grace_s=LEFTOVERS_GRACE_S, say=display.say)
        engine = make_engine(plan.root, folder=folder, say=display.say)
        again = f"idealfit promote {plan.name}"
        try:
            with (
                StopSwitch(kill=engine.kill, last_words=f"Ended at once. Go on with: {again}") as switch,
                PromotionMirror(plan, options) as mirror,
            ):
                sitting = _Sitting(plan, options, engine, mirror, display, switch)
                promotion = sitting.run(chosen, opens_test=opens_test, write_report=write_report, export=export)
        finally:
            display.close()
            engine.close()
        return Promoted(promotion=promotion, not_tracked=mirror.not_sent)


class _Sitting:
    def __init__(
        self,
        plan: StudyPlan,
        options: PromoteOptions,
        engine: Engine,
        mirror: PromotionMirror,
        display: Display,
        switch: StopSwitch,
    ) -> None:
        self._plan = plan
        self._options = options
        self._engine = engine
        self._mirror = mirror
        self._display = display
        self._switch = switch
        self._shelf = Shelf(plan.runs_dir, plan.name)
        self._folder = promotion_dir(plan.study_dir)
        self._working_dir = str(Path.cwd())
        self._opens_test = False
        self._trusted = list(plan.root["trusted_packages"])
        self._circumstances = Circumstances(
            self._folder, plan.root, study={"name": self._shelf.study}, on_problem=display.say
        )

    def run(
        self, chosen: Sequence[Chosen], *, opens_test: bool, write_report: WriteReport, export: Work
    ) -> Promotion | None:
        """All of it; None after a stop request."""
        specs = [self._specs(each) for each in chosen]
        self._opens_test = opens_test
        if not self._check(specs):
            return None
        self._mirror.open()
        if not self._train([spec for of_one in specs for spec in of_one]):
            self._mirror.finish(None)
            return None
        promotion = gathered(self._plan, chosen, specs)
        promotion.write(self._plan.study_dir)
        record = best_record(promotion, self._folder)
        if self._opens_test:
            if self._options.refit:
                fit = self._shelf.place(refit_spec(records_of(promotion, self._folder)))
                fit = fit.with_(trusted_packages=self._trusted, working_dir=self._working_dir)
                if not self._train([fit]):
                    self._mirror.finish(None)
                    return None
                record = Record(fit.record_dir)
            self._look(promotion, record)
        promotion = with_looks(promotion, self._plan.study_dir)
        self._mirror.finish(promotion, report_dir=self._reported(write_report), model=self._model(export, record))
        return promotion

    def _specs(self, chosen: Chosen) -> list[TrialSpec]:
        """One for each seed."""
        seeds = fresh_seeds(int(self._plan.base["seed"]), self._options.seeds)
        promotes = f"{self._plan.name}/{chosen.trial}" if chosen.trial is not None else "default"
        return [
            self._shelf.place(
                TrialSpec(
                    study="",
                    number=0,
                    config={**chosen.config, "seed": seed},
                    record_dir="",
                    seed=seed,
                    objective=self._plan.objective,
                    params=chosen.params,
                    trusted_packages=self._trusted,
                    working_dir=self._working_dir,
                    num_ranks=chosen.config["trainer"]["devices"],
                    tags={"promotes": promotes},
                )
            )
            for seed in seeds
        ]

    def _check(self, specs: Sequence[list[TrialSpec]]) -> bool:
        """Whether every candidate can be trained, and tested; False after a stop request.

        Raises:
            StudyError: One can't be; or the images have changed since the study ran.
        """
        waiting = [of_one[0] for of_one in specs if not all(is_settled(Record(spec.record_dir)) for spec in of_one)]
        waiting = waiting or [specs[0][0]]
        preflight = Preflight(
            waiting, self._engine, check_trial, folder=self._folder, max_restarts=self._plan.max_restarts
        )
        results = preflight.results(self._switch.is_requested)
        if results is None:
            return False
        for spec, checked in zip(waiting, results, strict=True):
            if checked.state is not TrialState.COMPLETE:
                raise StudyError(f"{spec.tags['promotes']} can't be trained again: {checked.message.strip()}")
            self._circumstances.keep_data_files(checked.facts)
            self._check_images(checked.facts)
            self._check_test_part(checked.facts)
        return True

    def _check_test_part(self, facts: JSON) -> None:
        if not self._opens_test or facts.get("num_test_images"):
            return
        if not self._options.is_automatic:
            raise StudyError(NO_TEST_PART)
        self._display.say(f"note: {NO_TEST_PART}")
        self._opens_test = False

    def _check_images(self, facts: JSON) -> None:
        for name, what in (("data_fingerprint", "images"), ("split_sha256", "split of the images")):
            then = self._facts_then.get(name)
            if then and facts.get(name) and then != facts[name]:
                raise StudyError(
                    f"the {what} changed since study {self._plan.name!r} ran ({then[:12]} then, {facts[name][:12]} "
                    "now): scores on them can't be compared. Restore the data, or start another study."
                )

    @cached_property
    def _facts_then(self) -> JSON:
        """What a trial of the study found; {} where none says."""
        results = (record.read_result() for record in iter_records(self._plan.runs_dir, self._plan.name))
        return next((result.facts for result in results if result and "data_fingerprint" in result.facts), {})

    def _train(self, specs: Sequence[TrialSpec]) -> bool:
        """Train what is not trained; False after a stop request."""
        progress = Progress(
            name=self._shelf.study,
            question="the best of the search and the default on fresh seeds",
            objective=self._plan.objective,
            budget_trials=sum(not is_settled(Record(spec.record_dir)) for spec in specs),
            num_slots=self._engine.num_slots,
        )
        if not progress.budget_trials:
            return True
        provenance = self._circumstances.sha256
        finisher = Finisher(
            self._mirror, pictures=self._plan.root["tracking"]["pictures"], on_problem=self._display.say
        )
        self._display.open(progress)
        progress.begin([])
        trainings = Trainings(
            self._engine,
            run_trial,
            listener=finisher,
            display=self._display,
            progress=progress,
            max_restarts=self._plan.max_restarts,
            stop_requested=self._switch.is_requested,
        )
        try:
            return trainings.run([spec.with_(provenance=provenance) for spec in specs])
        finally:
            finisher.close()
            self._display.close()

    def _look(self, promotion: Promotion, record: Record) -> None:
        look(
            promotion,
            self._plan.study_dir,
            record,
            self._engine,
            score_test,
            trusted=self._trusted,
            working_dir=self._working_dir,
            say=self._display.say,
        )

    def _reported(self, write_report: WriteReport) -> Path | None:
        try:
            return write_report(self._plan.study_dir)
        except Exception as error:  # noqa: BLE001 - a full disk or a strange record: what was found is kept
            self._display.say(f"no report: {error!r}. Once that is cured: idealfit report {self._plan.name}")
            return None

    def _model(self, export: Work, record: Record) -> Path | None:
        """The exported champion; None without tracking, or where it can't be."""
        tracking = self._plan.root["tracking"]
        if not (tracking["uri"] and tracking["model"]):
            return None
        return exported(
            record,
            self._folder / "champion",
            self._engine,
            export,
            trusted=self._trusted,
            working_dir=self._working_dir,
            what="champion",
            on_problem=self._display.say,
        )
