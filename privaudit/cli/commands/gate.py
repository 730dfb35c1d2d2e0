"""``privaudit gate``."""

from __future__ import annotations

from pathlib import Path

import click

from privaudit import api
from privaudit.cli.options import json_option, out_option, store_option
from privaudit.cli.output import answer, answer_json
from privaudit.errors import PrivauditError
from privaudit.results.gate_results import GateAnswer

EPILOG = """\b
Examples:
  privaudit gate --max-tpr 0.01@0.001
  privaudit gate mnist-cnn-1a2b3c4d --max-tpr 0.05@0.01 --max-auc 0.6 --junit gate.xml
  privaudit gate --max-asr 0.9 --attack lira-hierarchical
  privaudit gate --unlearned latest

\b
A limit holds where the whole 95% interval lies at or below it. An unlearning run
holds where its outcome is exact or close; of an unclear one nothing can be told.
Exit codes: 0 every limit holds, 3 one is breached, 4 too little evidence to tell.
"""


@click.command("gate", epilog=EPILOG)
@click.argument("audit", required=False)
@click.option("--max-tpr", multiple=True, metavar="TPR@FPR", help="Most members found at a false positive rate.")
@click.option("--max-auc", type=click.FloatRange(0, 1), help="Highest AUC.")
@click.option("--max-asr", type=click.FloatRange(0, 1), help="Highest mean risk of the most exposed samples.")
@click.option("--attack", default="lira", show_default=True, help="Whose figures count; chosen beforehand.")
@click.option("--target", "of_target", is_flag=True, help="Hold the target model to them, not the shadow models.")
@click.option("--unlearned", metavar="RUN|latest", help="An unlearning run that has to be exact or close.")
@click.option("--junit", "junit_file", type=click.Path(path_type=Path), help="Write JUnit XML here.")
@store_option
@out_option
@json_option
def command(
    audit: str | None,
    max_tpr: tuple[str, ...],
    max_auc: float | None,
    max_asr: float | None,
    attack: str,
    of_target: bool,
    unlearned: str | None,
    junit_file: Path | None,
    store: Path | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Hold AUDIT [the latest] against limits, for a pipeline to stop at."""
    try:
        results = api.gate(
            audit,
            max_tpr=max_tpr,
            max_auc=max_auc,
            max_asr=max_asr,
            attack=attack,
            target=of_target,
            unlearned=unlearned,
            junit=junit_file,
            store=store,
            out=out,
        )
    except PrivauditError as error:
        if error.results is not None:
            _print(error.results, as_json)
        raise
    _print(results, as_json)


def _print(results: GateAnswer, as_json: bool) -> None:
    if as_json:
        answer_json(results.to_json())
        return
    for check in (*results.checks, results.unlearned):
        if check is not None:
            answer(check.sentence)
