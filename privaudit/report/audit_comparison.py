"""The report that holds two audits of the same samples against each other."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from privaudit import __version__
from privaudit.report.content import wording
from privaudit.report.content.elements import Answer, Explorer, Fact, Figure, Report, Section, Table, tabulate
from privaudit.report.content.figure_data import Scatter
from privaudit.report.content.texts import terms, text
from privaudit.report.content.wording import clip, interval, number, percent, rate, warned
from privaudit.report.drawing import line_styles
from privaudit.report.drawing.figure_tables import dots
from privaudit.report.drawing.figures import with_tables
from privaudit.report.explorer import columns_of
from privaudit.report.glossary import GLOSSARY, REFERENCES
from privaudit.report.sections.attack_results import title_of
from privaudit.results.comparison_results import ComparedAudit, ComparedGroup, ComparisonResults, GroupRisk
from privaudit.results.measures import Difference, Interval

#: How many of the samples that changed most are named.
NAMED = 10

#: How many differences of settings the finding names.
FIRST = 3


def build_comparison(results: ComparisonResults, samples: pd.DataFrame, sha256: str, notices: list[str]) -> Report:
    """Say what ``comparison.json`` means, for any rendering."""
    a, b, lira = results.a, results.b, results.attacks["lira"]
    return Report(
        title="Two privacy audits compared",
        subtitle=f"A: {a.audit} · B: {b.audit} · {results.samples:,} samples in both",
        finding=_finding(results),
        facts=[
            *(
                _fact(f"Members found at {rate(fpr)} false alarms, B less A", lira.tpr_at_fpr[fpr])
                for fpr in ("0.001", "0.01")
            ),
            _fact("AUC, B less A", lira.auc, number),
            _fact("Mean risk, B less A", results.mean_risk),
            _fact("Right on samples not seen, B less A", results.accuracy, absent="not known"),
        ],
        glance=_differs(results),
        overview=_overview(results),
        sections=with_tables(
            [_compared(results), _attacks(results), _samples(results, samples), *_groups(results), _check(results)]
        ),
        limits=wording.IN_BRIEF,
        notices=notices,
        glossary=GLOSSARY,
        references=[*REFERENCES, text("comparison.reference")],
        explorer=Explorer(
            "samples.parquet", sha256, len(samples), columns_of(samples, "comparison"), "risk_a", "risk_b"
        ),
        made_by=f"privaudit {__version__}",
    )


def _points(value: float) -> str:
    points = 100 * value
    return f"{points:+.2f}" if abs(points) < 10 else f"{points:+.1f}"


def _moved(value: float, bounds: Interval | None, *, as_number: bool = False) -> str:
    """A difference and its interval, in percent points or as a number."""
    say = (lambda one: f"{one:+.3f}") if as_number else _points
    reach = "no interval" if bounds is None else f"{say(bounds[0])} to {say(bounds[1])}"
    return f"{say(value)} ({reach})" + ("" if as_number else " points")


def _change(found: Difference | None, *, as_number: bool = False) -> str:
    return "too little evidence" if found is None else _moved(found.difference, found.ci, as_number=as_number)


def _fact(
    label: str, found: Difference | None, say: Callable[[float], str] = percent, absent: str = "too little evidence"
) -> Fact:
    if found is None:
        why = (
            "one of the audits does not resolve this rate"
            if absent == "too little evidence"
            else "by one of the audits"
        )
        return Fact(label, absent, why)
    value, reach = _change(found, as_number=say is number).split(" (", 1)
    reach, unit = reach.split(")")[0], "" if say is number else " points"
    spread = reach if found.ci is None else f"95% interval {reach}{unit}"
    return Fact(label, value + unit, f"A {say(found.a)}, B {say(found.b)}; {spread}")


def _differs(results: ComparisonResults) -> Table:
    """In what the audits differ, on page 1."""
    rows = [[f"{one.what} ({one.of})", clip(one.a), clip(one.b)] for one in results.differs]
    nothing = ["nothing that is on record", "the same", "the same"]
    return Table("What differs between the audits", ["What", "A", "B"], rows or [nothing])


def _finding(results: ComparisonResults) -> list[str]:
    a, b = results.a, results.b
    if not (a.controls_hold and b.controls_hold):
        return [text("comparison.control-failed")]
    found = results.attacks["lira"].auc
    said = [
        f"{terms('comparison.verdicts')[results.verdict]}: LiRA's AUC is {number(found.a)} in A and {number(found.b)} "
        f"in B, a difference of {_change(found, as_number=True)}."
    ]
    if (cost := results.accuracy) is not None:
        said.append(
            f"What it cost: models are right on {percent(cost.a)} of the samples that they did not see in A and on "
            f"{percent(cost.b)} in B, {_change(cost)}."
        )
    on_test = [None if side.accuracy is None else side.accuracy.target_test for side in (a, b)]
    if on_test[0] is not None and on_test[1] is not None:
        said.append(
            f"The target model of A is right on {percent(on_test[0])} of the test samples, that of B on "
            f"{percent(on_test[1])}."
        )
    if results.differs:
        named = "; ".join(f"{one.what} {clip(one.a, 30)} → {clip(one.b, 30)}" for one in results.differs[:FIRST])
        more = len(results.differs) - FIRST
        said.append(f"What differs: {named}{f'; {more} more, below' if more > 0 else ''}.")
    if results.warnings:
        said.append(text("comparison.warning"))
    return said


def _overview(results: ComparisonResults) -> list[Answer]:
    changed, by_chance = results.changed, round(0.05 * results.samples)
    which = [
        f"Risk fell for {changed.fell:,} of {results.samples:,} samples and rose for {changed.rose:,}; beyond its own "
        f"interval for {changed.fell_beyond_interval:,} and {changed.rose_beyond_interval:,}, where chance alone would "
        f"give up to about {by_chance:,}.",
        f"{changed.high.a:,} samples are told right in at least nine of ten models of A, {changed.high.b:,} in B.",
    ]
    same = f"The two rankings agree with a Spearman of {wording.spearman(changed.spearman)}."
    how = [text("comparison.paired" if results.paired else "comparison.apart"), text("comparison.unit")]
    return [
        Answer("Which samples changed?", which, "samples"),
        Answer("Are the same samples exposed?", [same], "samples"),
        Answer("How were they compared?", how, "compared"),
        Answer("Are the samples the same?", [f"Yes: checked by {results.checked_by}."], "check"),
    ]


def _compared(results: ComparisonResults) -> Section:
    described: dict[str, Callable[[ComparedAudit], str]] = {
        "Audit": lambda side: side.audit,
        "Network": lambda side: side.network or "trained elsewhere",
        "Training": _training,
        "Seed": lambda side: "–" if side.seed is None else str(side.seed),
        "Shadow models": lambda side: str(side.shadows),
        "Statistic": lambda side: side.statistic,
        "Right on": _right_on,
        "Negative controls": lambda side: (
            "none" if not side.controls_run else "hold" if side.controls_hold else "FAILED"
        ),
    }
    rows = [[title, say(results.a), say(results.b)] for title, say in described.items()]
    said = [text("comparison.unit"), *warned(results.warnings)]
    return Section("compared", "What was compared", said, [Table("The two audits", ["What", "A", "B"], rows)])


def _training(side: ComparedAudit) -> str:
    if side.estimator is not None:
        return wording.estimator(side.estimator)
    if side.training_function is not None:
        return wording.training_function(side.training_function)
    if (found := side.recipe) is None:
        return "trained elsewhere"
    return (
        f"'{found.name}': {found.epochs} epochs, batch {found.batch_size}, learning rate {found.learning_rate:g}, "
        f"weight decay {found.weight_decay:g}, augmentation {found.augment}"
    )


def _right_on(side: ComparedAudit) -> str:
    if (found := side.accuracy) is None:
        return "not known"
    seen, other = found.shadow_members, found.shadow_others
    if found.target_train is not None and found.target_test is not None:
        seen, other = found.target_train, found.target_test
    return f"{percent(seen)} of what was trained on, {percent(other)} of the rest"


def _attacks(results: ComparisonResults) -> Section:
    table = tabulate(
        "Differences",
        results.attacks.items(),
        {
            "Attack": lambda row: title_of(row[0]),
            "AUC of A": lambda row: number(row[1].auc.a),
            "AUC of B": lambda row: number(row[1].auc.b),
            "B − A (95%)": lambda row: _change(row[1].auc, as_number=True),
            "Found at 1% false alarms, B − A": lambda row: _change(row[1].tpr_at_fpr["0.01"]),
            "At 0.1%, B − A": lambda row: _change(row[1].tpr_at_fpr["0.001"]),
        },
    )
    return Section("attacks", "Attack by attack", [text("comparison.attacks")], [table])


def _samples(results: ComparisonResults, samples: pd.DataFrame) -> Section:
    def listed(caption: str, found: pd.DataFrame) -> Table:
        return tabulate(
            caption,
            found.to_dict("records"),
            {
                "Sample": lambda row: str(row["sample_id"]),
                "Class": lambda row: clip(str(row["class_name"])),
                "Risk in A": lambda row: percent(row["risk_a"]),
                "Risk in B": lambda row: percent(row["risk_b"]),
                "B − A (95%)": lambda row: _moved(
                    row["change"], None if pd.isna(row["change_low"]) else (row["change_low"], row["change_high"])
                ),
            },
        )

    panel = dots("risk in B", samples, "risk_a", "risk_b").model_copy(
        update={"across": "risk in A", "diagonal": True, "guessing": None}
    )
    figure = Figure(
        "scatter",
        "Risk of each sample in A (across) and in B (up), at most 3,000 drawn. "
        f"{line_styles.at('scatter', 'no change')[:-1]}; below it risk fell.",
        "Scatter of every sample's risk in B against its risk in A; Spearman "
        f"{wording.spearman(results.changed.spearman)}.",
        Scatter(panels=[panel]),
    )
    tables = [
        listed("Where risk fell most", samples.nsmallest(NAMED, "change")),
        listed("Where risk rose most", samples.nlargest(NAMED, "change")),
    ]
    return Section("samples", "Sample by sample", [text("comparison.samples")], tables, [figure])


def _groups(results: ComparisonResults) -> list[Section]:
    tables = [_group_table(clip(name), groups[:20]) for name, groups in results.groups.items()]
    return [Section("groups", "Group by group", [], tables)] if tables else []


def _group_table(name: str, groups: list[ComparedGroup]) -> Table:
    def mean(found: GroupRisk) -> str:
        return f"{percent(found.mean)} ({interval(found.ci, percent)})"

    return tabulate(
        f"Mean risk by {name}",
        groups,
        {
            name.capitalize(): lambda group: clip(group.name),
            "Samples": lambda group: f"{group.samples:,}",
            "In A (95%)": lambda group: mean(group.a),
            "In B (95%)": lambda group: mean(group.b),
            "B − A": lambda group: f"{_points(group.b.mean - group.a.mean)} points",
        },
    )


def _check(results: ComparisonResults) -> Section:
    rows = [
        ["Command", f"privaudit compare {results.a.audit} {results.b.audit}"],
        *(
            [f"{key}: SHA-256 of {name}", digest]
            for key, side in (("A", results.a), ("B", results.b))
            for name, digest in side.sha256.items()
        ),
    ]
    return Section("check", "How to check this", [], [Table("Reproduction", ["What", "Which"], rows)])
