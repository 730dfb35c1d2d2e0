"""``privaudit unlearn``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from privaudit.cli.main import print_results
from privaudit.cli.options import (
    json_option,
    out_option,
    redact_option,
    show_samples_option,
    store_option,
    workers_option,
)
from privaudit.config import read_settings

EPILOG = """\b
Examples:
  privaudit unlearn --order risk
  privaudit unlearn --method rl --order risk --descending --forget random:500
  privaudit unlearn --method retrain --forget class:3,7
  privaudit unlearn --forget ids:requests.csv --audit mnist-cnn-1a2b3c4d

\b
What to forget: random:10%, random:500, class:3,7, classes:10%, top-risk:100,
ids:FILE (one sample_id a line; a CSV's first column).
Orders: risk (lowest first, the paper's hard-to-easy), loss, tail, random, none.
Methods that take forget samples in order: ga (gradient ascent), rl (random labels),
bad-teacher, neggrad-plus, scrub, salun, shadow-teacher (the audit's own shadow models).
Methods that run once: retrain, ft (fine-tuning), l1-sparse, ssd.
"""


@click.command("unlearn", epilog=EPILOG)
@click.option("--audit", help="Which audit's target model [the latest of the store].")
@click.option("--method", help="ga, rl, shadow-teacher, retrain, … [ga]; see below.")
@click.option("--order", help="risk, loss, tail, random or none [risk].")
@click.option("--descending", is_flag=True, help="Reverse the order.")
@click.option("--forget", help="What to forget [random:10%]; see below.")
@click.option("--groups", type=click.IntRange(min=1), help="Cumulative groups, one budget [5].")
@click.option("--reference", help="What to compare with: auto, retrain or shadow [auto: retrain if under 10 minutes].")
@click.option("--passes", type=float, help="Budget: passes over the forget set [the method's].")
@click.option("--learning-rate", type=float, help="Learning rate [the method's].")
@click.option("--batch-size", type=click.IntRange(min=1), help="Batch size [128].")
@click.option(
    "--parameter", multiple=True, metavar="NAME=VALUE", help="One of the method's own parameters; repeatable."
)
@click.option("--tune", is_flag=True, help="First try a few parameters on a held-out forget set; take the best.")
@click.option("--seed", type=click.IntRange(min=0), help="Seed of the forget set and the method [0].")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Where the dataset lies, if it moved.")
@redact_option
@show_samples_option
@workers_option
@store_option
@out_option
@json_option
def command(
    as_json: bool,
    store: Path | None,
    out: Path | None,
    data_dir: Path | None,
    workers: int | None,
    redact: str | None,
    show_samples: bool | None,
    **flags: Any,
) -> None:
    """Forget samples in order, compare with retraining, and audit again."""
    given_base = {"store": store, "out": out, "data_dir": data_dir, "workers": workers}
    base = read_settings(given_base | {"redact": redact, "show_samples": show_samples}, None)
    from privaudit.workflow.unlearn import UnlearnSettings, run_unlearn

    given = {name: value for name, value in flags.items() if value is not None}
    results = run_unlearn(UnlearnSettings(base=base, **given))
    if as_json:
        print_results(results)
        return
    click.echo(f"{'accuracy':<14}{'forgotten':>10}{'retained':>10}{'test':>10}")
    for name, parts in results["accuracy"].items():
        if parts is not None:
            click.echo(f"{name:<14}" + "".join(f"{100 * parts[part]:>9.1f}%" for part in ("forget", "retain", "test")))
    if results["tow"] is not None:
        click.echo(f"ToW {results['tow']:.3f} (doing nothing: {results['tow_do_nothing']:.3f})")
    if results["stopped"]:
        click.echo(f"stopped early: {results['stopped']}")
    click.echo(f"model: {results['folder']}/model.safetensors")
    for path in results["report"].values():
        if path is not None:
            click.echo(f"report: {path}")
