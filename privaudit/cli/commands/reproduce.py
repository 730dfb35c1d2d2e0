"""``privaudit reproduce``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from privaudit.cli.options import engine_options, json_option, out_option, show_samples_option, store_option
from privaudit.cli.output import answer, answer_json
from privaudit.config import AuditSettings, read_settings
from privaudit.errors import UsageError
from privaudit.results.reproduction_results import Decision

EPILOG = """\b
Examples:
  privaudit reproduce --list
  privaudit reproduce table6 --dataset digits
  privaudit reproduce table2 figure4 --dataset mnist --seeds 9
  privaudit reproduce all --dataset cifar10 --data-dir data
  privaudit reproduce table6 --dataset cifar10 --scale paper --device cuda
  privaudit reproduce --decide

\b
Experiments: table1, table2, table3, table5, table6, figure1, figure2, figure3,
figure4, figure5, figure7 of the paper; all for all of them; methods for a table
of every unlearning method in every order.
Scales: smoke (seconds: a test), small (minutes to hours on two cores), paper
(its networks, 200 epochs, whole datasets: for a GPU).
A verdict needs 9 seeds; with fewer the results describe. All experiments share
one audit and its models; a run that was stopped goes on where it was.
"""


@click.command("reproduce", epilog=EPILOG)
@click.argument("names", nargs=-1)
@click.option("--list", "as_list", is_flag=True, help="Say what each experiment claims, runs and decides, and stop.")
@click.option("--decide", "again", is_flag=True, help="Decide again what is stored below --out; nothing is run.")
@click.option("--scale", help="smoke, small or paper [small].")
@click.option("--dataset", help="As privaudit score takes it [digits].")
@click.option("--network", help="As privaudit score takes it [the scale's].")
@click.option("--seeds", type=click.IntRange(min=1), help="Original models, each with its own forget sets [9].")
@click.option("--samples", type=int, help="Training samples [the scale's].")
@click.option("--shadows", type=int, help="Shadow models [the scale's].")
@click.option("--epochs", type=int, help="Epochs of every model [the scale's].")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Where the dataset lies.")
@click.option("--device", help="auto, cpu, cuda, or one card: cuda:1 [auto].")
@show_samples_option
@engine_options
@store_option
@out_option
@json_option
def command(
    names: tuple[str, ...],
    as_list: bool,
    scale: str | None,
    seeds: int | None,
    again: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Run the paper's tables and figures, and say of each claim whether it holds."""
    from privaudit.reproduction.reproduce import ReproduceSettings, list_experiments, run_reproduce

    if as_list:
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
    if again:
        _decide(read_settings(flags, None), names, as_json)
        return
    settings = ReproduceSettings(names, scale or "small", seeds, read_settings(flags, None))
    results = run_reproduce(settings)
    if as_json:
        answer_json(results.to_json())
        return
    for name, done in results.experiments.items():
        if done.verdicts is not None:
            answer(f"{_verdicts(name, done.verdicts)} {done.claim}")
        answer(f"{'':<9}{done.results}")
    _reports(results.report)


def _decide(settings: AuditSettings, names: tuple[str, ...], as_json: bool) -> None:
    from privaudit.reproduction.verdicts.decide import run_decide

    if names:
        raise UsageError(
            f"--decide with {' '.join(names)}: it decides everything that is stored", hint="Leave the names out."
        )
    results = run_decide(settings.out, show_samples=settings.show_samples)
    if as_json:
        answer_json(results.to_json())
        return
    for study, verdicts in results.studies.items():
        answer(study)
        for name, decided in verdicts.by_experiment.items():
            answer(_verdicts(name, decided))
    _reports(results.report)


def _verdicts(name: str, decided: dict[str, Decision]) -> str:
    as_in_paper, controlled = (decided[protocol].verdict for protocol in ("as_in_paper", "controlled"))
    return f"{name:<9}as in the paper: {as_in_paper:<14} controlled: {controlled:<14}"


def _reports(paths: dict[str, str | None]) -> None:
    for path in paths.values():
        if path is not None:
            answer(f"report: {path}")
