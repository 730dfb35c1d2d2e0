"""``privaudit unlearn``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click

from privaudit import api
from privaudit.cli.options import (
    engine_options,
    json_option,
    out_option,
    redact_option,
    show_samples_option,
    store_option,
)
from privaudit.cli.output import answer, answer_json
from privaudit.errors import UnlearningRejected
from privaudit.report.content.unlearning_wording import of_guard
from privaudit.results.unlearning.outcome import REJECTED
from privaudit.results.unlearning.run import UnlearnResults
from privaudit.runtime.progress import readable_time

EPILOG = """\b
Examples:
  privaudit unlearn --forget ids:requests.csv
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
asked for, since retraining is exact; else it takes shadow-teacher.
Methods that take forget samples in order: ga (gradient ascent), rl (random
labels), bad-teacher, neggrad-plus, scrub, salun, shadow-teacher (the audit's own
shadow models). Methods that run once: retrain, ft (fine-tuning), l1-sparse, ssd.
"""


@click.command("unlearn", epilog=EPILOG)
@click.option("--audit", help="Which audit's target model [the latest of the store].")
@click.option("--method", help="auto, retrain, shadow-teacher, ga, rl, ft, … [auto]; see below.")
@click.option("--retrain-below", type=float, metavar="MINUTES", help="auto retrains if that takes less [10; 0: never].")
@click.option("--order", help="What to rank by: risk, loss, …, random or none [risk]; see below.")
@click.option("--descending", is_flag=True, help="Reverse the order.")
@click.option("--forget", help="What to forget [random:10%]; see below.")
@click.option("--skip-unknown", is_flag=True, help="Pass over ids of ids:FILE that the audit lacks.")
@click.option("--groups", type=click.IntRange(min=1), help="How many groups [5].")
@click.option("--rank-by", help="Rank by sample, or whole classes: sample or class [sample].")
@click.option("--grouping", help="cumulative (the paper's nested groups) or disjoint [cumulative].")
@click.option("--pace", help="linear, geometric, quantile, or self-paced: Algorithm 1's λ [linear].")
@click.option("--rerank", help="static: ranked once; dynamic: again at every stage [static].")
@click.option("--stage-retain", help="Retain set at each stage: fixed, or complement of the stage's group [fixed].")
@click.option("--optimizer-state", help="Between stages: carry or reset [carry].")
@click.option("--budget", help="matched (as the one-shot run) or per-stage (the method's passes each) [matched].")
@click.option("--reference", help="What to compare with: auto, retrain or shadow [auto: retrain if under 10 minutes].")
@click.option("--guard", help="on: take back steps that cost the retained; off: as the method would have it [on].")
@click.option("--passes", type=float, help="Budget: passes over the forget set [the method's].")
@click.option("--learning-rate", type=float, help="Learning rate [the method's].")
@click.option("--batch-size", type=click.IntRange(min=1), help="Batch size [128].")
@click.option("--parameter", multiple=True, metavar="NAME=VALUE", help="A parameter that only this method has.")
@click.option("--tune", is_flag=True, help="First try a few parameters on a held-out forget set; take the best.")
@click.option("--u-lira", type=int, help="Also run the unlearner on this many shadow models and attack with them.")
@click.option("--compare-orders", is_flag=True, help="Run every order at one budget, over --seeds, and compare.")
@click.option("--seeds", type=click.IntRange(min=2), help="With --compare-orders: how many seeds [3; 9 for a verdict].")
@click.option("--dry-run", is_flag=True, help="Say what would be done and what it would cost; change nothing.")
@click.option("--seed", type=click.IntRange(min=0), help="Seed of the forget set and the method [0].")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Where the dataset lies, if it moved.")
@redact_option
@show_samples_option
@engine_options
@store_option
@out_option
@json_option
def command(as_json: bool, compare_orders: bool, seeds: int | None, dry_run: bool, **flags: Any) -> None:
    """Forget samples in order, compare with retraining, and audit again."""
    if dry_run:
        planned = api.unlearn(compare_orders=compare_orders, seeds=seeds, dry_run=True, **flags)
        if as_json:
            answer_json(planned)
        else:
            _print_plan(planned)
        return
    if compare_orders:
        compared = api.unlearn(compare_orders=True, seeds=seeds, **flags)
        if as_json:
            answer_json(compared)
        else:
            _print_comparison(compared)
        return
    try:
        results: Any = api.unlearn(seeds=seeds, **flags)
    except UnlearningRejected as error:
        _tell(error.results, as_json)
        raise
    _tell(results, as_json)


def _tell(results: Any, as_json: bool) -> None:
    if as_json:
        answer_json(results)
    else:
        _print(results)


def _print_chosen(chosen: dict[str, Any]) -> None:
    if chosen["by"] == "auto":
        answer(f"method: {chosen['method']}, {chosen['why']}")
        if chosen["method"] != "retrain":
            exact = readable_time(math.ceil(chosen["exact_seconds"]))
            answer(f"the exact alternative: --method retrain, about {exact}")


def _print_plan(planned: dict[str, Any]) -> None:
    if "chosen" in planned:
        _print_chosen(planned["chosen"])
    what = planned.get("run", planned.get("comparison"))
    if planned.get("is_there"):
        answer(f"{what} is there already: nothing would be trained")
        return
    answer(
        f"{what}: {planned['method']} would forget {planned['forget']:,} samples of {planned['audit']}, with "
        f"{planned['to_train']} models to train, in about {readable_time(math.ceil(planned['seconds']))}"
    )
    alternative = readable_time(math.ceil(planned["alternative"]["seconds"]))
    answer(f"the exact alternative, --method retrain, trains one model in about {alternative}")


def _print(results: dict[str, Any]) -> None:
    answer(results["outcome_evidence"]["sentence"])
    _print_chosen(results["chosen"])
    answer(f"{'accuracy':<14}{'forgotten':>10}{'retained':>10}{'test':>10}")
    for name, parts in results["accuracy"].items():
        if parts is not None:
            answer(f"{name:<14}" + "".join(f"{100 * parts[part]:>9.1f}%" for part in ("forget", "retain", "test")))
    if results["tow"] is not None:
        floor = "" if results["noise_floor"] is None else f"; two retrained models: {results['noise_floor']:.3f}"
        answer(f"ToW {results['tow']:.3f} (doing nothing: {results['tow_do_nothing']:.3f}{floor})")
    if (attacked := results["u_lira"]) is not None:
        auc, bounds = attacked["attack"]["auc"], attacked["attack"]["auc_ci"]
        interval = "" if bounds is None else f" (95% {bounds[0]:.3f}–{bounds[1]:.3f})"
        answer(f"U-LiRA AUC {auc:.3f}{interval} over {attacked['models']} shadow models; ½ is nothing left")
    if results["stopped"]:
        answer(f"stopped early: {results['stopped']}")
    if (guard := results["guard"]) is not None and (guard["undone"] or guard["stopped"]):
        answer(of_guard(UnlearnResults.model_validate(results)))
    answer(f"outcome: {results['outcome']}")
    if results["outcome"] in REJECTED:
        answer(f"rejected model, not to be deployed: {results['folder']}/rejected.safetensors")
    else:
        answer(f"model: {results['folder']}/model.safetensors")
    answer(f"record: {results['folder']}/record.json")
    _print_reports(results)


def _print_comparison(results: dict[str, Any]) -> None:
    answer(f"{'arm':<16}{'ToW':>8}{'forgotten':>11}{'retained':>10}{'test':>8}")
    for name, arm in results["arms"].items():
        means = (arm["tow"], arm["forget"], arm["retain"], arm["test"])
        answer(f"{name:<16}{means[0]:>8.3f}{100 * means[1]:>10.1f}%{100 * means[2]:>9.1f}%{100 * means[3]:>7.1f}%")
    answer(results["verdict"]["sentence"])
    answer(f"results: {results['folder']}/results.json")
    _print_reports(results)


def _print_reports(results: dict[str, Any]) -> None:
    for path in results["report"].values():
        if path is not None:
            answer(f"report: {path}")
