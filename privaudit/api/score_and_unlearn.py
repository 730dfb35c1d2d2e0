"""`score` and `unlearn`: the functions that train and change models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from privaudit.api.objects import named_data
from privaudit.api.signature import either_way
from privaudit.config import AuditSettings, ScoreOptions, UnlearnOptions, UnlearnSettings, read_settings
from privaudit.config.options import flag_name
from privaudit.errors import UnlearningRejected, UsageError
from privaudit.notebook.views import ScoredAudit, UnlearnedModel
from privaudit.results.audit.score_results import ScoreEstimate
from privaudit.results.base import Result

#: Options that mean something with ``signals``.
WITH_SIGNALS = ("statistic", "rmia_gamma", "metadata", "seed", "redact", "declare", "store", "out")


class _Score(ScoreOptions):
    if TYPE_CHECKING:
        dry_run: Literal[False] = False


class _DryRun(ScoreOptions):
    if TYPE_CHECKING:
        dry_run: Literal[True]


class _Unlearn(UnlearnOptions):
    if TYPE_CHECKING:
        compare_orders: Literal[False] = False
        dry_run: Literal[False] = False


@either_way(_Score, ScoredAudit, _DryRun, ScoreEstimate)
def score(options: ScoreOptions) -> ScoredAudit | ScoreEstimate:
    """Train what is missing, attack, score every training sample, and report: ``privaudit score``.

    A dataset and a training may be functions, if they live in a file of their own; a network may be a function or a
    class wherever it is defined. ``data`` is at hand as an object, and is then called ``dataset`` [its type]. With
    ``signals`` nothing is trained.

    Returns
    -------
    ScoredAudit or ScoreEstimate
        What ``--json`` prints, by ``to_json()``: attacks, controls and risk, and the paths of score table and report.
        ``scores`` is the table itself, ``plot.roc()`` and ``plot.risk()`` draw it, and a notebook shows all of it.

    Raises
    ------
    PrivauditError
        Where the command would say so and exit.
    """
    given = AuditSettings.of(options).given()
    settings = read_settings(given, None if options.config is None else Path(options.config))
    if options.data is not None:
        settings = settings.changed(dataset=named_data(options))
    if options.signals is not None:
        _check_signals_options(given, options.dry_run)
        from privaudit.commands.score_signals import run_signals

        return ScoredAudit.around(run_signals(settings, Path(options.signals), csv=options.csv))
    from privaudit.commands import score as workflow

    if options.dry_run:
        return workflow.dry_run(settings)
    return ScoredAudit.around(workflow.run_score(settings, csv=options.csv))


def _check_signals_options(given: dict[str, object], dry_run: bool) -> None:
    """With ``--signals`` nothing is trained: an option that says how to train is a mistake."""
    senseless = [name for name in [*given, *(["dry_run"] if dry_run else [])] if name not in WITH_SIGNALS]
    if senseless:
        known = ", ".join(map(flag_name, WITH_SIGNALS))
        raise UsageError(
            f"{flag_name(senseless[0])} means nothing with --signals: those models are trained already",
            hint=f"With --signals go {known}, --csv, --json and --config.",
        )


@either_way(_Unlearn, UnlearnedModel, UnlearnOptions, Result)
def unlearn(options: UnlearnOptions) -> UnlearnedModel | Result:
    """Forget samples in order, compare with retraining, and audit again: ``privaudit unlearn``.

    ``parameter`` may be a mapping of names to values.

    Returns
    -------
    UnlearnedModel
        What ``--json`` prints, by ``to_json()``: accuracies, tug of war, how risk goes with difficulty, and where the
        report is. ``scores`` is the table of the forgotten, ``plot.roc()`` and ``plot.risk()`` draw it. With
        ``compare_orders`` an `OrderAnswer`: the arms and their paired differences. With ``dry_run`` the
        cost: an `UnlearnPlan` or `OrdersPlan`.

    Raises
    ------
    UnlearningRejected
        Where the model came out ``unchanged`` or ``ruined``; its ``results`` are what would have been returned.
    PrivauditError
        Where the command would say so and exit.
    """
    settings = UnlearnSettings.of(options)
    if not options.compare_orders:
        if options.seeds is not None:
            raise UsageError("--seeds goes with --compare-orders", hint="For one run, --seed K sets its seed.")
        from privaudit.commands.unlearning.unlearn import plan_unlearn, run_unlearn

        if options.dry_run:
            return plan_unlearn(settings)
        try:
            return UnlearnedModel.around(run_unlearn(settings))
        except UnlearningRejected as error:
            error.results = UnlearnedModel.around(error.results)
            raise
    from privaudit.commands.unlearning.compare_orders import DEFAULT_SEEDS, plan_compare_orders, run_compare_orders

    seeds = options.seeds or DEFAULT_SEEDS
    return plan_compare_orders(settings, seeds) if options.dry_run else run_compare_orders(settings, seeds)
