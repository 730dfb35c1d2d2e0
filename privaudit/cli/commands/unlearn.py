"""``privaudit unlearn``."""

from __future__ import annotations

import math
from typing import Any

import click

from privaudit import api
from privaudit.cli.options import json_option, options_of
from privaudit.cli.output import answer, answer_json, answer_reports
from privaudit.config import UnlearnOptions
from privaudit.errors import UnlearningRejected
from privaudit.results.base import Result
from privaudit.results.unlearning.plan import OrdersPlan, UnlearnPlan
from privaudit.results.unlearning.run import Chosen, UnlearnAnswer
from privaudit.results.unlearning.trials import OrderAnswer
from privaudit.runtime.progress import readable_time

EPILOG = """\b
Examples:
  privaudit unlearn --forget ids:requests.csv
  privaudit unlearn --from latest --forget top-risk:20
  privaudit unlearn --order risk
  privaudit unlearn --method rl --order risk --descending --forget random:500
  privaudit unlearn --method retrain --forget class:3,7
  privaudit unlearn --forget ids:requests.csv --audit mnist-cnn-1a2b3c4d
  privaudit unlearn --order loss --pace self-paced --groups 10
  privaudit unlearn --method ga --u-lira 8
  privaudit unlearn --method ft --dry-run
  privaudit unlearn --compare-orders --seeds 9 --method ga

\b
What to forget: random:10%, random:500, class:3,7, classes:10%, top-risk:100,
ids:FILE (one sample_id a line, or a CSV with sample_id or, of images, path
and, if you like, request_id and date).
Orders, lowest first (risk: the paper's hard-to-easy): risk, loss, inversion,
entropy, tail, memorisation, random, none; --descending turns them round.
Methods: auto retrains where that takes less than --retrain-below and no order is
asked for, since retraining is exact; else it takes what a calibration finds best
for this kind of forget set in this audit (shadow-teacher or rl), once per kind.
Methods that take forget samples in order: ga (gradient ascent), rl (random
labels), bad-teacher, neggrad-plus, scrub, salun, shadow-teacher (the audit's own
shadow models). Methods that run once: retrain, ft (fine-tuning), l1-sparse, ssd.
"""


@click.command("unlearn", epilog=EPILOG)
@options_of(UnlearnOptions)
@json_option
def command(as_json: bool, **options: Any) -> None:
    """Forget samples in order, compare with retraining, and audit again."""
    try:
        told = api.unlearn(**options)
    except UnlearningRejected as error:
        _tell(error.results, as_json)
        raise
    _tell(told, as_json)


def _tell(told: Result, as_json: bool) -> None:
    if as_json:
        answer_json(told)
    elif isinstance(told, UnlearnAnswer):
        _print(told)
    elif isinstance(told, OrderAnswer):
        _print_comparison(told)
    elif isinstance(told, UnlearnPlan):
        _print_chosen(told.chosen)
        _print_plan(told.run, told)
    elif isinstance(told, OrdersPlan):
        _print_plan(told.comparison, told)


def _print_chosen(chosen: Chosen) -> None:
    if chosen.by == "auto":
        answer(f"method: {chosen.method}, {chosen.why}")


def _print_plan(name: str, planned: UnlearnPlan | OrdersPlan) -> None:
    if planned.is_there:
        answer(f"{name} is there already: nothing would be trained")
        return
    if isinstance(planned, UnlearnPlan) and (calibration := planned.calibration) is not None:
        took = readable_time(math.ceil(calibration.seconds))
        memory = "" if calibration.memory_bytes is None else f", {calibration.memory_bytes / 1e9:.1f} GB of memory"
        answer(
            f"first a calibration for forget sets of this kind ({calibration.kind.words}): {calibration.candidates} "
            f"candidates and {calibration.models} models to train, in about {took}{memory}; paid once, and what it "
            "chooses names the run"
        )
    answer(
        f"{name}: {planned.method} would forget {planned.forget:,} samples of {planned.audit}, with "
        f"{planned.to_train} models to train, in about {readable_time(math.ceil(planned.seconds))}"
    )
    if planned.alternative is not None:
        alternative = readable_time(math.ceil(planned.alternative.seconds))
        answer(f"the exact alternative, --method retrain, trains one model in about {alternative}")


def _print(results: UnlearnAnswer) -> None:
    answer(results.outcome_evidence.sentence)
    _print_chosen(results.chosen)
    if results.chosen.by == "auto" and results.method != "retrain":
        exact = readable_time(math.ceil(results.chosen.exact_seconds))
        answer(f"the exact alternative: --method retrain, about {exact}")
    if (calibrated := results.chosen.calibration) is not None and calibrated.candidates:
        cost = calibrated.cost
        paid = "an earlier request paid for it" if cost.reused else "paid once"
        answer(
            f"calibration: {cost.trials} trials of {len(calibrated.candidates)} candidates, {cost.models} retrained "
            f"models, {readable_time(cost.seconds)}, {cost.gradients:,} gradients ({paid})"
        )
    answer(f"{'accuracy':<14}{'forgotten':>10}{'retained':>10}{'test':>10}")
    for name, parts in results.accuracy.items():
        if parts is not None:
            shares = (parts.forget, parts.retain, parts.test)
            answer(f"{name:<14}" + "".join(f"{100 * share:>9.1f}%" for share in shares))
    if results.tow is not None:
        floor = "" if results.noise_floor is None else f"; two retrained models: {results.noise_floor:.3f}"
        answer(f"ToW {results.tow:.3f} (doing nothing: {results.tow_do_nothing:.3f}{floor})")
    if (attacked := results.u_lira) is not None:
        bounds = attacked.attack.auc_ci
        interval = "" if bounds is None else f" (95% {bounds[0]:.3f}–{bounds[1]:.3f})"
        answer(
            f"U-LiRA AUC {attacked.attack.auc:.3f}{interval} over {attacked.models} shadow models; ½ is nothing left"
        )
    if results.stopped:
        answer(f"stopped early: {results.stopped}")
    if (guard := results.guard) is not None and (guard.undone or guard.stopped):
        from privaudit.report.content.unlearning_wording import of_guard

        answer(of_guard(results))
    if (link := results.predecessor) is not None:
        answer(f"went on from {link.run}: {link.asked:,} asked for now, {results.forget:,} forgotten so far")
    answer(f"outcome: {results.outcome}")
    if results.is_rejected:
        answer(f"rejected model, not to be deployed: {results.folder}/rejected.safetensors")
    else:
        answer(f"model: {results.folder}/model.safetensors")
    answer(f"record: {results.folder}/record.json")
    answer_reports(results.report)


def _print_comparison(results: OrderAnswer) -> None:
    answer(f"{'arm':<16}{'ToW':>8}{'forgotten':>11}{'retained':>10}{'test':>8}")
    for name, arm in results.arms.items():
        shares = f"{100 * arm.forget:>10.1f}%{100 * arm.retain:>9.1f}%{100 * arm.test:>7.1f}%"
        answer(f"{name:<16}{arm.tow:>8.3f}{shares}")
    answer(results.verdict.sentence)
    answer(f"results: {results.folder}/results.json")
    answer_reports(results.report)
