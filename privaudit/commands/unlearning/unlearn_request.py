"""A request to unlearn, checked, and resolved against an audit: who, by which method and in which order, named."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from privaudit.commands.unlearning.earlier_run import (
    Beginning,
    EarlierRun,
    begin_anew,
    beginning,
    check_going_on,
    earlier_run,
    link_to,
    together,
)
from privaudit.commands.unlearning.run_naming import run_name
from privaudit.commands.unlearning.unlearn_auto import only_by_steps, settled
from privaudit.commands.unlearning.unlearn_inputs import OpenedAudit
from privaudit.config import Sequencing, UnlearnSettings
from privaudit.errors import UsageError
from privaudit.results.unlearning.calibration import CalibrationPlan
from privaudit.results.unlearning.ledger import SequencingRecord
from privaudit.results.unlearning.predecessor import Predecessor
from privaudit.results.unlearning.run import Chosen, UnlearnRequested
from privaudit.runtime.progress import talk
from privaudit.unlearning.application.estimator_methods import demand_retraining, why_not_on_estimators
from privaudit.unlearning.application.method_choice import (
    APPROXIMATE,
    AUTO,
    RETRAIN_BELOW,
    choose_method,
)
from privaudit.unlearning.application.problem import UnlearningProblem
from privaudit.unlearning.application.retrained_models import expected_seconds
from privaudit.unlearning.application.run_method import Request
from privaudit.unlearning.application.teacher_models import check_applicable, why_no_teachers
from privaudit.unlearning.base import RETRAIN, UNLEARNERS, Unlearner, check_method, takes_order
from privaudit.unlearning.parameters import parse_changes, with_changes
from privaudit.unlearning.requests.forget_set import ForgetSet, check_left, choose_forget_set
from privaudit.unlearning.requests.request_cells import KnownSamples
from privaudit.unlearning.schedule.ordering import check_order, score_of
from privaudit.unlearning.schedule.stages import check_sequencing, sequencing_of


@dataclass(frozen=True)
class ResolvedRequest:
    """What is to be done to an audit's target model.

    Parameters
    ----------
    audit
        The audit, opened.
    settings
        As they were asked for, with the method that it comes to.
    forget, asked
        D_u: everybody who is to be forgotten; and those of them whom ``earlier`` has not forgotten.
    chosen
        Who chose the method, and why.
    request
        The method and its sequence; None where the method is retraining itself.
    name
        Of the run; where a calibration is yet to be made, that of what it is expected to choose.
    began
        The model that the method begins with, and whom it is handed.
    earlier
        The run to go on from; None: the audit's target.
    calibration
        In a dry run, what a calibration would take that is yet to be made.
    """

    audit: OpenedAudit
    settings: UnlearnSettings
    forget: ForgetSet
    asked: ForgetSet
    chosen: Chosen
    request: Request | None
    name: str
    began: Beginning
    earlier: EarlierRun | None = None
    calibration: CalibrationPlan | None = None

    @property
    def method(self) -> str:
        """The method's name."""
        return self.chosen.method

    @property
    def order(self) -> str:
        """The order, or ``none``."""
        return "none" if self.request is None else self.request.sequencing.order

    @cached_property
    def problem(self) -> UnlearningProblem:
        """What the result is judged by: the target model, and everybody who is to be forgotten."""
        return UnlearningProblem.of(self.audit.bench, self.audit.plan.arrays, self.forget, self.settings.seed)

    @cached_property
    def handed(self) -> UnlearningProblem:
        """What of it the method is to solve."""
        return self.problem.going_on(self.began.forget, self.began.model or self.problem.original)

    @property
    def link(self) -> Predecessor | None:
        """The link to the run that this one goes on from."""
        if self.earlier is None:
            return None
        return link_to(self.earlier, len(self.asked.rows), self.method, self.began)

    @property
    def given(self) -> frozenset[str]:
        """Names of the method's parameters that were asked for by value."""
        return frozenset(given_parameters(self.settings))

    def as_result(self, request: Request | None) -> UnlearnRequested:
        """Return what was asked as it stands in results; ``request`` with the parameters that it was run with."""
        plan, settings, forget = self.audit.plan, self.settings, self.forget
        parameters, sequencing, groups = None, None, None
        if request is not None:
            parameters = {name: getattr(request.parameters, name) for name in request.parameters.names()}
            if takes_order(request.method):
                sequencing = SequencingRecord.model_validate(request.sequencing.to_json())
                groups = min(sequencing.groups, len(forget.rows)) if sequencing.order != "none" else None
        return UnlearnRequested(
            audit=plan.name,
            method=self.method,
            chosen=self.chosen,
            order=self.order,
            descending=request is not None and request.sequencing.descending,
            parameters=parameters,
            groups=groups,
            sequencing=sequencing,
            forget=len(forget.rows),
            forget_specification=shown_forget(settings.forget),
            requests=len(forget.requests),
            skipped=len(forget.skipped),
            notes=forget.notes,
            scattered=forget.scattered,
            seed=settings.seed,
            reference_asked=settings.reference,
            predecessor=self.link,
            shadows=plan.shadows,
            statistic=plan.settings.statistic,
        )


def resolve(settings: UnlearnSettings, audit: OpenedAudit, *, dry_run: bool = False) -> ResolvedRequest:
    """Say who is to be forgotten and by which method; whatever can't be done is told before anything is trained.

    Where `--method auto` needs a calibration that is not stored yet it is made here, unless in a dry run.
    """
    plan, bench = audit.plan, audit.bench
    earlier = earlier_run(settings.from_, audit.out)
    demand_retraining(bench, settings.method)
    forget, asked = together(chosen_samples(settings, audit), earlier, audit, settings.forget)
    if forget.said:
        talk(f"to forget: {forget.said}")
    chosen = choose_method(
        settings.method,
        wanted=only_by_steps(settings) if settings.method == AUTO else None,
        # By a training that was timed before: the same request is then always answered alike.
        exact_seconds=expected_seconds(plan, len(plan.data) - len(forget.rows)),
        below=RETRAIN_BELOW if settings.retrain_below is None else settings.retrain_below,
        not_applicable=why_not_on_estimators(bench, "it")
        or why_no_teachers(forget, plan.shadows, UNLEARNERS.load(APPROXIMATE).defaults),
    )
    planned = None
    if chosen.by == AUTO:
        chosen = begin_anew(chosen, earlier, settings.retrain_below)
        settings, chosen, planned = settled(settings, chosen, audit, forget, dry_run=dry_run)
    request = request_of(settings)
    began = beginning(earlier, forget, asked, settings.method)
    if request is not None:
        check_applicable(request.method, began.forget, plan.shadows, request.parameters)
        # A score that was never measured.
        score_of(bench.table.iloc[began.forget.rows], request.sequencing.order)
    name = run_name(settings, bench, forget, request, earlier)
    return ResolvedRequest(audit, settings, forget, asked, chosen, request, name, began, earlier, planned)


def chosen_samples(settings: UnlearnSettings, audit: OpenedAudit, seed: int | None = None) -> ForgetSet:
    """Choose what is to be forgotten; ``seed`` is that of a random choice [the settings' own]."""
    facts = audit.plan.data.table
    known = KnownSamples.of(audit.bench.table, audit.plan.settings.id, None if facts is None else facts.tested)
    chosen = choose_forget_set(
        settings.forget,
        audit.bench.table,
        audit.plan.data.class_names,
        settings.seed if seed is None else seed,
        skip_unknown=settings.skip_unknown,
        known=known,
    )
    check_left(len(audit.bench.table) - len(chosen.rows), f"--forget {settings.forget}")
    return chosen


def request_of(settings: UnlearnSettings) -> Request | None:
    """Return what is asked for, checked; None where the method is retraining itself.

    Of ``auto`` it is what it may come to. A method that can may choose whom it hands over, and when to stop, by
    evidence: not where an order is asked for, or an exact budget (without a guard, as the paper's methods are
    reproduced, and where parameters are tuned).
    """
    check_going_on(settings)
    if settings.method == AUTO:
        _check_auto(settings)
        settings = settings.changed(method=APPROXIMATE)
    elif settings.retrain_below is not None:
        raise UsageError(f"--retrain-below with --method {settings.method}: it is for --method auto to choose by")
    check_method(settings.method)
    check_order(settings.order)
    sequencing, changes = sequencing_of(settings), given_parameters(settings)
    if settings.method == RETRAIN:
        if settings.u_lira is not None:
            raise UsageError(
                "--u-lira with --method retrain: retraining never sees a forgotten sample, so there is nothing to tell",
                hint="Use it with an approximate method.",
            )
        if settings.tune or changes:
            raise UsageError("retrain has no parameters: it follows the recipe of the target")
        check_sequencing(sequencing.changed(order="none", descending=False))
        return None
    method: type[Unlearner] = UNLEARNERS.load(settings.method)
    parameters = with_changes(method.defaults, changes)
    free = settings.order == "none" or "order" not in settings.model_fields_set
    exact = sequencing != Sequencing(order=settings.order) or settings.guard == "off" or settings.tune
    by_evidence = getattr(parameters, "cycles", 0) > 0 and free and not exact
    if by_evidence or not method.takes_forget_steps:
        # No order means anything to it.
        sequencing = sequencing.changed(order="none", descending=False)
        check_sequencing(sequencing)
    return Request(
        settings.method,
        parameters,
        sequencing,
        settings.seed,
        guard=settings.guard == "on",
        by_evidence=by_evidence,
    )


def _check_auto(settings: UnlearnSettings) -> None:
    if settings.tune or (given := given_parameters(settings)):
        flag = "tune" if settings.tune else next(iter(given)).replace("_", "-")
        raise UsageError(
            f"--{flag} without --method: which parameters there are depends on the method",
            hint="Name it, for example --method shadow-teacher or --method ga.",
        )


def given_parameters(settings: UnlearnSettings) -> dict[str, str | float]:
    """Return the method's parameters that were asked for by value."""
    common = {name: getattr(settings, name) for name in ("passes", "learning_rate", "batch_size")}
    return {name: value for name, value in common.items() if value is not None} | parse_changes(settings.parameter)


def shown_forget(specification: str) -> str:
    """Return ``--forget`` as results repeat it: not where a list lies, nor what it is called."""
    return "ids:FILE" if specification.startswith("ids:") else specification
