"""``privaudit reproduce``."""

from __future__ import annotations

from typing import Any

import click

from privaudit import api
from privaudit.cli.options import json_option, options_of
from privaudit.cli.output import answer, answer_json, answer_reports
from privaudit.config import ReproduceOptions
from privaudit.results.reproduction_results import Decision, ReproductionEstimate, ReproductionSummary

EPILOG = """\b
Examples:
  privaudit reproduce --list
  privaudit reproduce table6 --dataset digits
  privaudit reproduce table2 figure4 --dataset mnist --seeds 9
  privaudit reproduce all --dataset cifar10 --data-dir data --dry-run
  privaudit reproduce all --dataset cifar10 --data-dir data
  privaudit reproduce table6 --dataset cifar10 --scale paper --device cuda
  privaudit reproduce --decide

\b
Experiments: table1, table2, table3, table5, table6, figure1, figure2, figure3,
figure4, figure5, figure7 of the paper; all for all of them; methods for a table
of every unlearning method in every order.
Scales: smoke (seconds: a test), small (minutes for digits, days for CIFAR-10 on
two cores: --dry-run tells), paper (its networks, 200 epochs, whole datasets: for
a GPU).
A verdict needs 9 seeds; with fewer the results describe. All experiments share
one audit and its models; a run that was stopped goes on where it was.
"""


@click.command("reproduce", epilog=EPILOG)
@click.option("--list", "as_list", is_flag=True, help="Say what each experiment claims, runs and decides, and stop.")
@options_of(ReproduceOptions)
@json_option
def command(as_list: bool, as_json: bool, **options: Any) -> None:
    """Run the paper's tables and figures, and say of each claim whether it holds."""
    if as_list:
        from privaudit.reproduction.reproduce import list_experiments

        experiments = list_experiments()
        if as_json:
            answer_json({"experiments": [one.to_json() for one in experiments]})
            return
        for one in experiments:
            answer(f"{one.name}: {one.claim or one.as_in_paper}")
            if one.claim:
                answer(f"  as in the paper: {one.as_in_paper}")
                answer(f"  controlled: {one.controlled}")
                for protocol, contrast in one.contrasts.items():
                    answer(f"  decided by ({protocol.replace('_', ' ')}): {contrast.says}")
        return
    results = api.reproduce(**options)
    if as_json:
        answer_json(results)
        return
    if isinstance(results, ReproductionEstimate):
        from privaudit.reproduction.reproduce_estimate import sentences

        for sentence in sentences(results):
            answer(sentence)
        return
    if isinstance(results, ReproductionSummary):
        for name, done in results.experiments.items():
            if done.verdicts is not None:
                answer(f"{_verdicts(name, done.verdicts)} {done.claim}")
            answer(f"{'':<9}{done.results}")
    else:
        for study, verdicts in results.studies.items():
            answer(study)
            for name, decided in verdicts.by_experiment.items():
                answer(_verdicts(name, decided))
    answer_reports(results.report)


def _verdicts(name: str, decided: dict[str, Decision]) -> str:
    as_in_paper, controlled = (decided[protocol].verdict for protocol in ("as_in_paper", "controlled"))
    further = "".join(f" {protocol}: {one.verdict};" for protocol, one in list(decided.items())[2:])
    return f"{name:<9}as in the paper: {as_in_paper:<14} controlled: {controlled:<14}{further}"
