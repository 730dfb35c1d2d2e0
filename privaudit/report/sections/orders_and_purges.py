"""The sections on comparisons of orders, and on what was purged."""

from __future__ import annotations

from privaudit.report.content import wording
from privaudit.report.content.elements import Section, Table
from privaudit.report.content.unlearning_wording import signed
from privaudit.report.content.wording import number, percent
from privaudit.results.audit.score_results import ScoreResults
from privaudit.results.unlearning.trials import OrderResults


def section_of_comparison(found: OrderResults, index: int) -> Section:
    """Arms at one budget over seeds, contrasts with intervals, and the verdict."""
    arms = [
        [
            name + (" (noise floor)" if name == "retrain" else ""),
            number(arm.tow) + ("" if arm.tow_sd is None else f" ± {arm.tow_sd:.3f}"),
            *(percent(getattr(arm, part)) for part in ("forget", "retain", "test")),
            number(arm.mia_gap),
            number(arm.jensen_shannon),
            f"{arm.forget_steps_run:,} of {arm.forget_steps:,}",
        ]
        for name, arm in found.arms.items()
    ]
    contrasts = [
        [
            f"{row.first} − {row.second}" + (" (primary)" if row.primary else ""),
            f"{row.mean:+.3f}",
            signed(row.ci),
            f"{row.wins} of {row.pairs}",
            wording.p_value(row.p),
            wording.p_value(row.p_holm),
        ]
        for row in found.contrasts
    ]
    whose = "each with its own original model" if found.own_target else "all from the audit's target model"
    whose += ", the same forget set" if found.same_forget_set else ", its own forget set"
    return Section(
        f"orders-{index}",
        f"Does the order matter? {found.method}, {found.order}",
        [
            found.verdict.sentence,
            f"{found.seeds} seeds, {whose} ({found.forget:,} samples, {found.forget_specification}) and its "
            "own two retrained models. "
            + (
                "All arms were allowed the same number of forget-sample gradients."
                if found.same_budget
                else "The arms were NOT allowed the same number of forget-sample gradients: do not compare them."
            ),
            *_early_stops(found),
            "The primary contrast, order less random groups in ToW, was fixed beforehand; p-values are of exact sign "
            "flips over seeds, and corrected over all contrasts (Holm). A gain counts beside how much was forgotten: "
            "an arm that does nothing keeps every accuracy.",
        ],
        [
            Table(
                "Arms, means over seeds (ToW ± standard deviation)",
                ["Arm", "ToW", "On the forgotten", "On the retained", "On test", "MIA gap to retrained",
                 "JS to retrained", "Gradients spent"],
                arms,
            ),
            Table(
                "Paired differences in ToW",
                ["Contrast", "Mean", "95% interval", "Seeds won", "p", "p (Holm)"],
                contrasts,
            ),
        ],
    )  # fmt: skip


def _early_stops(found: OrderResults) -> list[str]:
    """An equal budget is not always spent: where the method stops itself, orders differ in how soon it does."""
    stopped = [f"{name} on {arm.stopped} of {found.seeds}" for name, arm in found.arms.items() if arm.stopped]
    if not stopped:
        return []
    return [
        f"The method stopped itself before its budget was spent, by arm and seeds: {', '.join(stopped)}. So the arms "
        "were allowed as much, and did not spend as much."
    ]


def sections_on_purging(results: ScoreResults) -> list[Section]:
    """What was purged from the audit itself, if anything was."""
    return [
        Section(
            f"purged-{index}",
            "Purged",
            [
                f"On {purge.date} {purge.samples:,} samples were purged from this audit: their rows of the "
                f"score table and of every signal, and {purge.models:,} models that had seen one of them. Figures "
                "over all samples were computed before that, and are not taken back."
                + (f" {purge.skipped:,} requested ids were not in the audit." if purge.skipped else ""),
                "This audit can be read and verified; nothing can be trained or unlearned with it any more.",
            ],
        )
        for index, purge in enumerate(results.purges or (), start=1)
    ]
