"""The section on one unlearning run: beside doing nothing and retraining, its ledger, what is left, who is exposed."""

from __future__ import annotations

import pandas as pd

from privaudit.report.content import comparability, wording
from privaudit.report.content.elements import Figure, Section, Table
from privaudit.report.content.figure_data import Scatter
from privaudit.report.content.outcome_wording import sentence_of_run
from privaudit.report.content.unlearning_wording import of_promise, order, summary
from privaudit.report.content.wording import number, percent
from privaudit.report.drawing import line_styles
from privaudit.report.drawing.figure_tables import dots
from privaudit.results.audit.score_results import ScoreResults
from privaudit.results.unlearning.run import Divergence, RelearnRatio, UnlearnResults

NAMES = {"original": "Do nothing (original)", "retrained": "Retrained", "second_retrained": "Retrained again"}


def section_of_run(results: ScoreResults, run: UnlearnResults, forgetting: pd.DataFrame, index: int) -> Section:
    """One unlearning run."""
    said, outcome = summary(run), sentence_of_run(run)
    # An outcome leads the section, and is not said twice.
    said = said if outcome is None else said[:-1]
    if (run.shadows, run.statistic) != (results.shadows, results.statistic):
        said.insert(
            0,
            f"This run was ranked and audited with {run.shadows} shadow models and the statistic "
            f"{run.statistic}, the audit above with {results.shadows} and {results.statistic}: run it again "
            "to compare them.",
        )
    place = len(said) - (outcome is None)
    about = results.about
    warnings = comparability.of_unlearning(results)
    warnings += of_promise(about.identity, run, is_given=about.target is not None)
    said[place:place] = wording.warned(warnings)
    tables = [
        _accuracy(run),
        *_what_is_left(run),
        *_ledger(run),
        *_most_exposed(run),
        Table(
            "Risk against each difficulty",
            ["Difficulty", "Meaning", "Spearman with risk (95%)"],
            [
                [*wording.DIFFICULTIES[name], wording.spearman(run.risk_vs_difficulty.by_sense[name])]
                for name in wording.DIFFICULTIES
            ],
        ),
    ]
    return Section(
        f"unlearning-{index}",
        f"Unlearning: {run.method}" + ("" if run.groups is None and run.order != "none" else f", {order(run)}"),
        said,
        tables,
        _difficulties(run, forgetting),
        lead=outcome or "",
    )


def _accuracy(run: UnlearnResults) -> Table:
    names = NAMES | {"unlearned": f"Unlearned ({run.method})"}
    tows = {"original": run.tow_do_nothing, "unlearned": run.tow, "second_retrained": run.noise_floor}
    if run.is_exact:
        names |= {"unlearned": "Retrained (the method: exact)", "retrained": "Retrained again (to compare with)"}
    accuracies = {**run.accuracy, "second_retrained": run.second_retrained}
    rows = []
    for name, parts in accuracies.items():
        if parts is None:
            continue
        again = run.reaudit.get(name)
        areas = ["–", "–"] if again is None else [wording.area(again.forget), wording.area(again.retain)]
        tow = "reference" if name == "retrained" else number(tows[name])
        if name == "unlearned" and run.is_exact and tows[name] is not None:
            tow += " (the noise floor)"
        rows.append([names[name], percent(parts.forget), percent(parts.retain), percent(parts.test), tow, *areas])
    columns = ["Model", "On the forgotten", "On the retained", "On test", "ToW"]
    return Table("Accuracy and re-audit", [*columns, "LiRA AUC, forgotten", "LiRA AUC, retained"], rows)


def _what_is_left(run: UnlearnResults) -> list[Table]:
    """What attacks still tell of the forgotten, a column a model."""
    mia, relearn = run.mia, run.relearn
    if mia is None or relearn is None:
        return []
    shown = [name for name in ("original", "unlearned", "retrained", "second_retrained") if name in mia.efficacy]
    names = NAMES | {"unlearned": "Unlearned"}
    if run.is_exact:
        names |= {"unlearned": "Retrained (exact)", "retrained": "Retrained again"}
    called = {} if run.exposure is None else run.exposure.called_members
    divergence = run.jensen_shannon or Divergence(forget={}, test={})

    def steps(name: str) -> str:
        if name not in relearn.steps:
            return "–"
        found = relearn.steps[name]
        return f"over {relearn.limit}" if found is None else str(found)

    def called_member(name: str) -> str:
        share = called[name].forget if name in called else None
        return "–" if share is None else percent(share)

    def distance(found: dict[str, float], name: str) -> str:
        return number(found[name]) if name in found else "–"

    rows = [
        ["Called never-seen by an SVM (MIA-efficacy)", *(percent(mia.efficacy[name]) for name in shown)],
        ["Called trained-on by LiRA", *(called_member(name) for name in shown)],
        [f"Steps to relearn (loss ≤ {relearn.target_loss:.3g})", *(steps(name) for name in shown)],
        ["Jensen-Shannon distance to retrained, forgotten", *(distance(divergence.forget, name) for name in shown)],
        ["The same on test samples", *(distance(divergence.test, name) for name in shown)],
    ]
    if (from_shadow := run.jensen_shannon_from_shadow_models) is not None:
        rows.append(
            ["The same to shadow models that never saw them", *(number(from_shadow.get(name)) for name in shown)]
        )
    nothing = [""] * (len(shown) - 2)
    at_retrained = "no retrained model" if mia.gap_to_retrained is None else number(mia.gap_to_retrained)
    rows += [
        ["MIA gap to the original model", "–", number(mia.gap_to_original), *nothing],
        ["MIA gap to the retrained model", "–", at_retrained, *nothing],
        ["Relearn time over the retrained model's", "–", ratio(relearn.ratio) if relearn.steps else "–", *nothing],
    ]
    if (attacked := run.u_lira) is not None:
        rows.append([f"U-LiRA, AUC over {attacked.models} shadow models", "–", wording.area(attacked.attack), *nothing])
    return [Table("What is left of the forgotten", ["Measure", *(names[name] for name in shown)], rows)]


def ratio(found: RelearnRatio | None) -> str:
    """A relearn ratio, shown as a bound where it is one."""
    if found is None:
        return "no retrained model"
    if found.bound == "unknown":
        return "can't be told"
    return ("" if found.bound is None else f"{found.bound} ") + number(found.value)


def _ledger(run: UnlearnResults) -> list[Table]:
    if not run.stages:
        return []
    rows = [
        [
            str(index),
            f"{stage.samples:,}" + ("" if stage.samples == stage.planned else f" of {stage.planned:,}"),
            f"{stage.allowed:,}",
            f"{stage.forget_steps:,}",
            f"{stage.retain_steps:,}",
            f"{stage.seconds:.2f} s",
        ]
        for index, stage in enumerate(run.stages, start=1)
    ]
    columns = ["Stage", "Samples", "Allowed", "Forget-sample gradients", "Retain-sample gradients", "Time"]
    return [Table("The ledger: what every stage spent", columns, rows)]


def _most_exposed(run: UnlearnResults) -> list[Table]:
    named = () if run.exposure is None else run.exposure.most_exposed
    if not named:
        return []
    rows = [
        [str(row.sample_id), wording.clip(row.class_name), f"{row.original:+.2f}", f"{row.unlearned:+.2f}"]
        + ([] if row.retrained is None else [f"{row.retrained:+.2f}"])
        for row in named
    ]
    titles = ["Before", "After"]
    if named[0].retrained is not None:
        titles.append("After another retraining" if run.is_exact else "After retraining")
    return [
        Table(
            "Retained samples that became most exposed (LiRA's ratio; above 0 is called trained-on)",
            ["Sample", "Class", *titles],
            rows,
        )
    ]


def _difficulties(run: UnlearnResults, forgetting: pd.DataFrame) -> list[Figure]:
    panels = [
        dots(title, forgetting, "risk", name, most=2000)
        for name, (title, _) in wording.DIFFICULTIES.items()
        if forgetting[name].notna().any()
    ]
    figure = Figure(
        "scatter",
        f"Risk of each forgotten sample against each difficulty (margins, in logits). {line_styles.at('scatter')}",
        "; ".join(
            f"{wording.DIFFICULTIES[name][0]}: {wording.spearman(run.risk_vs_difficulty.by_sense[name])}"
            for name in wording.DIFFICULTIES
        ),
        Scatter(panels=panels),
    )
    # Nothing is left to draw where the samples were purged.
    return [figure] if panels else []
