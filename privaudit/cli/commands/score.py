"""``privaudit score``."""

from __future__ import annotations

from collections.abc import Callable
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
from privaudit.runtime.progress import readable_time

EPILOG = """\b
Examples:
  privaudit score
  privaudit score --dataset mnist --data-dir data --shadows 16
  privaudit score --dataset cifar10 --dry-run
  privaudit score --dataset photos.npz --network resnet18 --epochs 30
  privaudit score --dataset customers.csv --label churned --id customer_id
  privaudit score --dataset visits.parquet --label outcome \
    --subject patient --group sex --leave-out notes --test 30%
  privaudit score --dataset digits --canaries 40 --shadows 64
  privaudit score --dataset mnist --invert 50 --gradient-noise 0.01
  privaudit score --invert 0 --dry-run
  privaudit score --signals logits.npz
  privaudit score --dataset own.py:data --network own.py:net --target own.pt
  privaudit score --dataset own.py:data --training own.py:fit
  privaudit score --dataset cifar10 --engine ray --address 10.0.0.1:6379


Datasets: digits (embedded), mnist, cifar10, cifar100, tiny-imagenet,
a FOLDER, or image-folder with --data-dir FOLDER: train/<class>/* with
test/<class>/* (or val, valid, validation), or without: some are held out,
FILE.npz (x_train, y_train, x_test, y_test), module:factory (returns the same),
FILE.csv, FILE.tsv or FILE.parquet with --label COLUMN: every other column is
a feature, unless it is the --id, the --subject, or to --leave-out.

Networks: airbench (made to be trained in ten epochs), airbench-narrow,
  airbench-wide, cnn, mlp, resnet18, resnet50, resnext50, module:factory.
Recipes: airbench (that network's), fast (one-cycle), paper (200 epochs,
  ÷10 at 100 and 150).
"""


def _several(flag: str, about: str) -> Callable[[Any], Any]:
    """An option that may be given again; None where it is not given at all."""
    return click.option(flag, multiple=True, callback=lambda context, option, value: value or None, help=about)


@click.command("score", epilog=EPILOG)
@click.option("--dataset", help="What to audit [digits]; see below.")
@click.option(
    "--signals", type=click.Path(path_type=Path), help="Attack models trained elsewhere: their logits in FILE.npz."
)
@click.option("--label", help="Of a table in a file: the column of classes.")
@click.option("--id", help="The column of ids: integers or words, one a row.")
@click.option("--subject", help="The column that says whose row it is; it goes into the score table.")
@_several("--group", "A column to tell exposure by; it is a feature too. May be given again.")
@_several("--leave-out", "A column that is no feature. May be given again.")
@_several("--category", "A column of numbers that are words: codes, say. May be given again.")
@click.option("--test", help="What to test with: another table, a column that says so, or a share [20%].")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Where datasets lie [$PRIVAUDIT_DATA, else data].")
@click.option("--image-size", type=int, help="Resize images read from files to this many pixels a side.")
@click.option("--network", help="Network to train.")
@click.option(
    "--target",
    type=click.Path(path_type=Path),
    help="Audit this trained model: weights in FILE.safetensors, or a state dict in FILE.pt.",
)
@click.option("--samples", type=int, help="Use a random class-stratified subset of this many training samples.")
@click.option("--shadows", type=int, help="Number of shadow models; they come in pairs.")
@click.option("--recipe", help="How to train: airbench, fast or paper [the network's].")
@click.option("--training", help="Train by a function of your own instead: FILE.py:function or module:function.")
@click.option("--epochs", type=int, help="Epochs, instead of the recipe's.")
@click.option("--batch-size", type=int, help="Batch size, instead of the recipe's.")
@click.option("--learning-rate", type=float, help="Highest learning rate, instead of the recipe's.")
@click.option("--weight-decay", type=float, help="Weight decay, instead of the recipe's.")
@click.option("--augment", help="none, flip, crop, crop-flip or shift-flip.")
@click.option("--seed", type=int, help="Seed of everything random [0].")
@click.option("--device", help="auto, cpu, cuda, or one card: cuda:1 [auto].")
@click.option("--precision", help="auto, fp32 or bf16 [auto: bf16 where the hardware has it].")
@engine_options
@click.option("--canaries", type=int, help="Add this many mislabelled samples as a positive control [0].")
@click.option("--queries", help="Views to query with, averaged: original, flip, shift [original].")
@click.option("--statistic", help="margin, logit-gap (the paper's) or scaled-logit (Carlini's) [margin].")
@click.option("--rmia-gamma", type=float, help="By how much RMIA asks a sample to outdo the population [1].")
@click.option("--metadata", type=click.Path(path_type=Path), help="CSV with sample_id and columns to tell exposure by.")
@click.option("--invert", help="groups, N, all or ids:FILE: whose gradients to invert; 0 for none [groups].")
@click.option("--invert-at", help="trained (shadow models) or init (fresh networks) [trained].")
@click.option("--invert-preset", help="default, inverting-gradients, idlg or dlg [default].")
@click.option("--invert-batch", help="Searches at once: auto (what fits into memory) or a number [auto].")
@click.option("--gradient-noise", type=float, help="Defence: noise of this deviation on every coordinate [0].")
@click.option("--gradient-clip", type=float, help="Defence: clip gradients to this norm [none].")
@redact_option
@show_samples_option
@click.option("--config", type=click.Path(path_type=Path), help="TOML file with any of these; flags beat it.")
@store_option
@out_option
@click.option("--csv", is_flag=True, help="Write the score table as CSV too.")
@click.option("--dry-run", is_flag=True, help="Say what would be done and what it would cost; train nothing.")
@json_option
def command(config: Path | None, signals: Path | None, csv: bool, dry_run: bool, as_json: bool, **flags: Any) -> None:
    """Score the membership risk of every training sample, and report it."""
    given = {"config": config, "signals": signals, "csv": csv, **flags}
    if dry_run:
        planned = api.score(dry_run=True, **given)
        if as_json:
            answer_json(dict(planned))
        else:
            answer(
                f"{planned['to_train']} models to train, about {readable_time(planned['seconds'])}, "
                f"{planned['memory_bytes'] / 1e9:,.1f} GB of memory, {planned['disk_bytes'] / 1e6:,.0f} MB of disk, "
                f"smallest FPR {planned['smallest_fpr']:.2g}"
            )
        return
    _print(dict(api.score(**given)), as_json)


def _print(results: dict[str, Any], as_json: bool) -> None:
    if as_json:
        answer_json(results)
        return
    lira = results["attacks"]["lira"]
    interval = "" if lira["auc_ci"] is None else f" (95% {lira['auc_ci'][0]:.3f}–{lira['auc_ci'][1]:.3f})"
    answer(f"LiRA  AUC {lira['auc']:.3f}{interval}")
    for rate, tpr in lira["tpr_at_fpr"].items():
        text = "too little evidence" if tpr is None else f"{100 * tpr:.2f}%"
        answer(f"      TPR at {100 * float(rate):g}% FPR: {text}")
    answer(f"      mean attack success rate {results['mean_risk']:.3f}")
    _print_told_right(results)
    negative = results["controls"]["negative"]
    positive = results["controls"]["positive"]
    if positive is not None:
        answer(f"{positive['count']} mislabelled samples: mean attack success rate {positive['mean_asr']:.3f}")
    if negative is not None:
        answer(f"control on never-trained samples: AUC {negative['auc']:.4f} ({_verdict(negative['holds'])})")
    _print_sides(results["controls"])
    if (bounds := results["epsilon"]) is not None:
        from privaudit.report.content.wording import bound_from_trials

        answer(f"ε from many trainings of one canary: {bound_from_trials(bounds)}")
        answer(f"ε from one training of many canaries: ε ≥ {bounds['one_run']['epsilon']:.2f}")
    if results["inversion"] is not None:
        _print_inversion(results["inversion"])
    answer(f"scores: {results['scores']}")
    for path in results["report"].values():
        if path is not None:
            answer(f"report: {path}")


def _print_sides(controls: dict[str, Any]) -> None:
    """Whether training and test samples are alike where no model saw either."""
    for name, what in (
        ("blind", "blind baseline, training against test samples without a model"),
        ("shift", "never-seen training samples against test samples"),
    ):
        if (found := controls[name]) is not None:
            bounds = "" if found["ci"] is None else f" (95% {found['ci'][0]:.3f}–{found['ci'][1]:.3f})"
            if "margin_auc" in found:
                bounds += f", by the bare margin {found['margin_auc']:.3f}"
            verdict = "holds" if found["holds"] else "FAILED: the target's figure is not of membership alone"
            answer(f"{what}: AUC {found['auc']:.3f}{bounds} ({verdict})")


def _print_told_right(results: dict[str, Any]) -> None:
    """How many samples are told right in most models, how many chance tells so, and whom other models confirm."""
    from privaudit.report.content import most_exposed, wording

    told, stability = results["told_right"], results["stability"]
    samples = results["samples"]
    answer(
        f"      {told['samples']:,} of {samples:,} samples are told right in ≥ {wording.rate(told['at_least'])} of "
        f"the models; {most_exposed.by_chance(results, samples)}"
    )
    if told["confirmed"] is not None:
        answer(
            f"      of those that one half of the models so tells, the other half confirms "
            f"{wording.percent(told['confirmed'])} (chance {wording.percent(told['chance_confirmed'])})"
        )
    if stability is not None:
        answer(f"      {wording.stability(stability, results['shadows'])}")
    if not told["named"]:
        answer(f"      {most_exposed.nobody(results)}")


def _verdict(holds: bool) -> str:
    return "holds" if holds else "FAILED: do not trust this audit"


def _print_inversion(found: dict[str, Any]) -> None:
    """Outcomes beside what guesses achieve, how far the ranking can be trusted, and what it goes with."""
    for key, name in (("features", "T1"), ("matching", "T2")):
        tier = found[key]
        if tier is None:
            continue
        outcomes = tier["outcomes"]
        answer(
            f"inversion ({name}, {tier.get('random', tier['samples']):,} random samples): recovered "
            f"{_share(outcomes['recovered'])}, identified among {found['reference']:,} {_share(outcomes['identified'])}"
        )
        relations = {
            "that under another model": tier["reliability"]["models"],
            "that from another start": tier["reliability"]["restarts"],
        }
        relations |= {name.replace("_", " "): tier["confounders"][name] for name in ("loss", "gradient_norm", "risk")}
        known = [
            f"{name} {one['spearman']:+.2f}"
            + ("" if one["ci"] is None else f" ({one['ci'][0]:+.2f} to {one['ci'][1]:+.2f})")
            for name, one in relations.items()
            if one["spearman"] is not None
        ]
        if known:
            answer(f"      Spearman of its PSNR with {'; '.join(known)}")
    for name, rates in found["null"].items():
        answer(
            f"      guess: {name.replace('_', ' ')}: recovered {_share(rates['recovered'])}, identified "
            f"{_share(rates['identified'])}, PSNR ≥ 20 dB {_share(rates['psnr_above_20'])}"
        )
    for warning in found["warnings"]:
        answer(f"      warning: {warning}")


def _share(found: dict[str, Any]) -> str:
    if found["rate"] is None:
        return "–"
    return f"{100 * found['rate']:.1f}% ({100 * found['ci'][0]:.1f}–{100 * found['ci'][1]:.1f}%)"
