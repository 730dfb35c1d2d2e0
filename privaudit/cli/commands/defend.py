"""``privaudit defend``."""

from __future__ import annotations

from typing import Any

import click

from privaudit import api
from privaudit.cli.options import json_option, options_of
from privaudit.cli.output import answer, answer_json, answer_reports
from privaudit.config import DefendOptions
from privaudit.results.defence_results import BoundaryMeasure, DefenceAnswer, OutputMeasure, Variant
from privaudit.runtime.progress import readable_time

EPILOG = """\b
Examples:
  privaudit defend --dataset digits --dry-run
  privaudit defend
  privaudit defend --max-accuracy-loss 0.01
  privaudit defend --boundary 200 --boundary-queries 1000
  privaudit defend --dataset customers.csv --label churned --id customer_id
  privaudit defend --dataset cifar10 --samples 2000 --network cnn --json

\b
Without a dataset it defends the audit that is named, or the latest of the
store. Every variation is an ordinary audit of the same store: a run that was
stopped goes on, and what was audited before is not trained again.
A sweep is a TOML file, a table for each variation: [half], epochs = 10.
"""


@click.command("defend", epilog=EPILOG)
@options_of(DefendOptions)
@json_option
def command(as_json: bool, **options: Any) -> None:
    """Say what lowers an audit's risk and what it costs: other ways to train, and showing less of what it says."""
    if options.pop("dry_run"):
        planned = api.defend(dry_run=True, **options)
        if as_json:
            answer_json(planned)
        else:
            answer(
                f"{len(planned.variants) - 1} variations, {planned.to_train} models to train, about "
                f"{readable_time(planned.seconds)}, {planned.disk_bytes / 1e6:,.0f} MB of disk"
            )
        return
    results = api.defend(**options)
    if as_json:
        answer_json(results)
    else:
        _print(results)


def _print(results: DefenceAnswer) -> None:
    from privaudit.report.content.wording import rate

    answer(f"{'':<44}{'found at ' + rate(results.fpr):>15}{'accuracy':>10}  halved")
    for row in results.variants:
        _print_variant(row, f"{results.fpr:g}")
    if results.outputs is not None:
        answer("at the output, by an attacker who adapts to what is shown")
        for measure in results.outputs.measures:
            _print_output(measure, f"{results.fpr:g}")
        _print_boundary(results.outputs.boundary, f"{results.fpr:g}")
    answer(results.sentence)
    answer(f"table: {results.table}")
    answer_reports(results.report)


def _print_variant(row: Variant, rate: str) -> None:
    risk = _risk(row.tpr_at_fpr.get(rate), row.auc)
    halved = "" if row.halving is None else row.halving.halves
    answer(f"{row.title:<44}{risk:>15}{100 * row.shadow_accuracy:>9.2f}%  {halved}")


def _risk(found: float | None, auc: float) -> str:
    """What is found at the deciding rate; where the audit is too small to tell, the AUC, which decides nothing."""
    return f"AUC {auc:.3f}" if found is None else f"{100 * found:.2f}%"


def _print_boundary(walk: BoundaryMeasure | None, rate: str) -> None:
    if walk is None:
        return
    answer(f"by labels alone, from {walk.samples:,} samples to the boundary, {walk.queries:,} questions each")
    for name, attack in walk.attacks.items():
        found = attack.tpr_at_fpr.get(rate)
        risk = "–" if found is None else f"{100 * found:.2f}%"
        bounds = " (no interval)" if attack.auc_ci is None else " ({:.3f}–{:.3f})".format(*attack.auc_ci)
        answer(f"{name:<44}{risk:>15}  AUC {attack.auc:.3f}{bounds}")


def _print_output(measure: OutputMeasure, rate: str) -> None:
    risk = _risk(measure.adaptive.tpr_at_fpr.get(rate), measure.adaptive.auc)
    halved = "" if measure.halving is None else measure.halving.halves
    answer(f"{measure.title:<44}{risk:>15}{'':>10}  {halved}")
