"""What the terminal shows of a quick look: the answer, the other attacks, what speaks against it, what it is not."""

from __future__ import annotations

from privaudit.cli.output import answer
from privaudit.results.audit.quick_results import QuickAnswer
from privaudit.results.measures import Attack


def print_quick(results: QuickAnswer) -> None:
    """Answer with the figures, and with what they can't tell."""
    from privaudit.report.content.wording import rate, share
    from privaudit.scoring.few_models.attack_target import TITLES

    with_models = f"{results.shadows} shadow models" if results.shadows else "no shadow model"
    answer(
        f"one model, {with_models}: {results.members:,} members against {results.others:,} never-trained samples, "
        f"trained in {results.seconds.training:.0f} s, attacked in {results.seconds.attacking:.0f} s"
    )
    for name in [results.attack, *(one for one in results.attacks if one != results.attack)]:
        _print_attack(TITLES[name], results.attacks[name], is_answer=name == results.attack)
    right = results.accuracy
    answer(f"accuracy: {right.members:.1%} on its members, {right.others:.1%} on never-trained samples")
    for fpr, found in (results.forecast or {}).items():
        answer(f"forecast from its losses, of that size at best: many models would find {share(found)} at {rate(fpr)}")
    if results.blind is not None:
        verdict = "holds" if results.blind.holds else "FAILED: the figures are not of membership alone"
        answer(f"training against test samples without the model: AUC {results.blind.auc:.3f} ({verdict})")
    for warning in results.warnings:
        answer(f"warning: {warning}")
    if results.audit is None:  # Of logits alone: there is nothing to train shadow models on.
        answer("The low-cost answer, which bounds nothing. Far stronger attacks, and a report, take shadow models:")
        answer("privaudit score --signals has theirs, privaudit quick --dataset … --target … trains them.")
        return
    more = "" if results.shadows else " A far stronger attack: --shadows 2."
    answer(f"The low-cost answer, which bounds nothing.{more} Who is at risk, and a report: privaudit score.")


def _print_attack(title: str, attack: Attack, *, is_answer: bool) -> None:
    from privaudit.report.content.wording import found_at, number, rate

    bounds = "" if attack.auc_ci is None else f" (95% {attack.auc_ci[0]:.3f}–{attack.auc_ci[1]:.3f})"
    mark = "the answer: " if is_answer else "      "
    rates = ", ".join(f"{found_at(attack, fpr)} at {rate(fpr)}" for fpr in list(attack.tpr_at_fpr)[:2])
    answer(f"{mark}{title}: AUC {number(attack.auc)}{bounds}; finds {rates} false alarms")
