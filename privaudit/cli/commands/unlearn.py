"""``privaudit unlearn``."""

from __future__ import annotations

import math
from typing import Any

import click

from privaudit import api
from privaudit.cli.options import json_option, options_of
from privaudit.cli.output import answer, answer_json
from privaudit.config import UnlearnOptions
from privaudit.errors import UnlearningRejected
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
@options_of(UnlearnOptions)
@json_option
def command(as_json: bool, **options: Any) -> None:
    """Forget samples in order, compare with retraining, and audit again."""
    tell = _print_plan if options["dry_run"] else _print_comparison if options["compare_orders"] else _print
    if as_json:
        tell = answer_json
    try:
        results: Any = api.unlearn(**options)
    except UnlearningRejected as error:
        tell(error.results)
        raise
    tell(results)


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
    # Help needs neither them nor SciPy.
    from privaudit.report.content.outcome_wording import is_rejected
    from privaudit.report.content.unlearning_wording import of_guard

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
        answer(of_guard(results))
    answer(f"outcome: {results['outcome']}")
    if is_rejected(results):
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
