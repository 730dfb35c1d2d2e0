"""``privaudit score``."""

from __future__ import annotations

from typing import Any

import click

from privaudit import api
from privaudit.cli.options import json_option, options_of
from privaudit.cli.output import answer, answer_json, answer_reports
from privaudit.cli.risk_summary import print_accuracy, print_risks
from privaudit.config import ScoreOptions
from privaudit.results.audit.controls import Controls, UnseenControl
from privaudit.results.audit.inversion_results import InversionResults
from privaudit.results.audit.score_results import ScoreAnswer
from privaudit.results.measures import Attack, Correlation, Share
from privaudit.runtime.progress import readable_time

EPILOG = """\b
Examples:
  privaudit score
  privaudit score --dataset mnist --data-dir data --shadows 16
  privaudit score --dataset cifar10 --dry-run
  privaudit score --dataset photos.npz --network resnet18 --epochs 30
  privaudit score --dataset customers.csv --label churned --id customer_id
  privaudit score --dataset customers.csv --label churned --group region \
      --leave-out notes --test 30%
  privaudit score --dataset customers.csv --label churned --sensitive region
  privaudit score --dataset digits --canaries 40 --shadows 64
  privaudit score --recipe dp-sgd --epsilon 8 --canaries 150
  privaudit score --dataset digits --canaries 150 --claim-epsilon 3
  privaudit score --recipe dp-sgd --canaries 2000 --canary-kind gradient
  privaudit score --dataset mnist --invert 50 --gradient-noise 0.01
  privaudit score --dataset mnist --invert-settings realistic
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
Networks: airbench (made to be trained in ten epochs), airbench-groupnorm,
  airbench-narrow, airbench-wide, cnn, mlp, either -narrow or -dropout,
  resnet18, resnet18-groupnorm, resnet50, resnext50, module:factory.
Recipes: airbench (that network's), fast (one-cycle), paper (200 epochs,
  ÷10 at 100 and 150), dp-sgd (differential privacy: pip install privaudit[dp];
  its noise follows from the seed: for an audit, not for deployment).
"""


@click.command("score", epilog=EPILOG)
@options_of(ScoreOptions)
@json_option
def command(as_json: bool, **options: Any) -> None:
    """Score the membership risk of every training sample, and report it."""
    if options.pop("dry_run"):
        planned = api.score(dry_run=True, **options)
        if as_json:
            answer_json(planned)
        else:
            answer(
                f"{planned.to_train} models to train, about {readable_time(planned.seconds)}, "
                f"{planned.memory_bytes / 1e9:,.1f} GB of memory, {planned.disk_bytes / 1e6:,.0f} MB of disk, "
                f"smallest FPR {planned.smallest_fpr:.2g}"
            )
        return
    results = api.score(**options)
    if as_json:
        answer_json(results)
    else:
        _print(results)


def _print(results: ScoreAnswer) -> None:
    from privaudit.report.content.pretrained_wording import headline

    if (said := headline(results)) is not None:
        answer(said)
    if results.about.target is not None and results.target is not None:
        _print_attack("the given target", results.target)
    _print_attack("LiRA", results.attacks["lira"])
    answer(f"      mean attack success rate {results.mean_risk:.3f}")
    _print_told_right(results)
    print_risks(results)
    print_accuracy(results.accuracy, is_given=results.about.target is not None)
    negative, positive = results.controls.negative, results.controls.positive
    if positive is not None:
        answer(f"{positive.count} planted samples: mean attack success rate {positive.mean_asr:.3f}")
    if negative is not None:
        verdict = "holds" if negative.holds else "FAILED: do not trust this audit"
        answer(f"control on never-trained samples: AUC {negative.auc:.4f} ({verdict})")
    _print_sides(results.controls)
    if (bounds := results.epsilon) is not None:
        from privaudit.report.content.wording import bound_from_trials

        at = f"at δ {bounds.one_run.delta:g}, whatever is claimed"
        answer(f"lower bound on ε, many trainings of one canary ({at}): {bound_from_trials(bounds)}")
        answer(f"lower bound on ε, one training of many canaries ({at}): ε ≥ {bounds.one_run.epsilon:.2f}")
    if (promise := results.promise) is not None and promise.claim is not None:
        from privaudit.report.content.claim_wording import of_steps, sentence

        answer(f"the claim, by the surest guesses: {sentence(promise.claim)}")
        if promise.steps is not None:
            answer(f"      {of_steps(promise.steps)}")
    if results.inversion is not None:
        _print_inversion(results.inversion)
    if results.realistic_inversion is not None:
        from privaudit.report.sections.threat_models import settings_wording

        for line in settings_wording.lines(results.realistic_inversion):
            answer(line)
    _print_inferred(results)
    answer(f"scores: {results.scores_file}")
    answer_reports(results.report)


def _print_attack(name: str, attack: Attack) -> None:
    """AUC and TPR of an attack."""
    interval = "" if attack.auc_ci is None else f" (95% {attack.auc_ci[0]:.3f}–{attack.auc_ci[1]:.3f})"
    answer(f"{name}  AUC {attack.auc:.3f}{interval}")
    for rate, tpr in attack.tpr_at_fpr.items():
        text = "too little evidence" if tpr is None else f"{100 * tpr:.2f}%"
        answer(f"      TPR at {100 * float(rate):g}% FPR: {text}")


def _print_sides(controls: Controls) -> None:
    """Whether training and test samples are alike where no model saw either."""
    for found, what in (
        (controls.blind, "blind baseline, training against test samples without a model"),
        (controls.shift, "never-seen training samples against test samples"),
    ):
        if found is not None:
            bounds = "" if found.ci is None else f" (95% {found.ci[0]:.3f}–{found.ci[1]:.3f})"
            if isinstance(found, UnseenControl):
                bounds += f", by the bare margin {found.margin_auc:.3f}"
            verdict = "holds" if found.holds else "FAILED: the target's figure is not of membership alone"
            answer(f"{what}: AUC {found.auc:.3f}{bounds} ({verdict})")


def _print_told_right(results: ScoreAnswer) -> None:
    """How many samples are told right in most models, how many chance tells so, and whom other models confirm."""
    from privaudit.report.content import wording
    from privaudit.report.exposure import most_exposed

    told, samples = results.told_right, results.samples
    if told is None:
        return
    by_chance = most_exposed.by_chance(results, samples)
    answer(
        f"      {told.samples:,} of {samples:,} samples are told right in ≥ {wording.rate(told.at_least)} of "
        f"the models; {by_chance}"
    )
    if told.confirmed is not None and told.chance_confirmed is not None:
        answer(
            f"      of those that one half of the models so tells, the other half confirms "
            f"{wording.percent(told.confirmed)} (chance {wording.percent(told.chance_confirmed)})"
        )
    if results.stability is not None:
        answer(f"      {wording.stability(results.stability, results.shadows)}")
    if not told.named:
        answer(f"      {most_exposed.nobody(results)}")


def _print_inferred(results: ScoreAnswer) -> None:
    """What was inferred besides membership: columns of a table, and what classes look like."""
    from privaudit.report.content.inferred import attribute_wording, class_wording

    for column in [] if results.attributes is None else results.attributes.columns:
        answer(attribute_wording.line(column))
    if results.classes is not None:
        answer(class_wording.line(results.classes))


def _print_inversion(found: InversionResults) -> None:
    """Outcomes beside what guesses achieve, how far the ranking can be trusted, and what it goes with."""
    for name, tier in (("T1", found.features), ("T2", found.matching)):
        if tier is None:
            continue
        drawn = tier.samples if tier.random is None else tier.random
        answer(
            f"inversion, an upper bound ({name}, {drawn:,} random samples): recovered "
            f"{_share(tier.outcomes['recovered'])}, identified among {found.reference:,} "
            f"{_share(tier.outcomes['identified'])}"
        )
        relations: dict[str, Correlation] = {
            "that under another model": tier.reliability["models"],
            "that from another start": tier.reliability["restarts"],
        }
        relations |= {name.replace("_", " "): tier.confounders[name] for name in ("loss", "gradient_norm", "risk")}
        known = [
            f"{name} {one.spearman:+.2f}" + ("" if one.ci is None else f" ({one.ci[0]:+.2f} to {one.ci[1]:+.2f})")
            for name, one in relations.items()
            if one.spearman is not None
        ]
        if known:
            answer(f"      Spearman of its PSNR with {'; '.join(known)}")
    for name, rates in found.null.items():
        answer(
            f"      guess: {name.replace('_', ' ')}: recovered {_share(rates['recovered'])}, identified "
            f"{_share(rates['identified'])}, PSNR ≥ 20 dB {_share(rates['psnr_above_20'])}"
        )
    for warning in found.warnings:
        answer(f"      warning: {warning}")


def _share(found: Share) -> str:
    if found.rate is None or found.ci is None:
        return "–"
    return f"{100 * found.rate:.1f}% ({100 * found.ci[0]:.1f}–{100 * found.ci[1]:.1f}%)"
