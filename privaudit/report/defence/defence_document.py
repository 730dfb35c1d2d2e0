"""The report on variations of an audit and on measures at its output, built from ``defence.json`` alone."""

from __future__ import annotations

from collections.abc import Sequence

from privaudit import __version__
from privaudit.report.content import wording
from privaudit.report.content.elements import Answer, Fact, Figure, Report, Section, Table, tabulate
from privaudit.report.content.figure_data import Estimate, TradeOff, TradeOffPoint
from privaudit.report.content.texts import text
from privaudit.report.content.wording import percent, rate, warned
from privaudit.report.defence.defence_wording import found_at, halves, points, with_interval
from privaudit.report.drawing import line_styles
from privaudit.report.drawing.figures import with_tables
from privaudit.report.glossary import GLOSSARY, REFERENCES
from privaudit.results.defence_results import BoundaryMeasure, DefenceResults, OutputMeasure, OutputMeasures, Variant
from privaudit.results.measures import Attack, Interval


def build_defence(results: DefenceResults) -> Report:
    """Say what ``defence.json`` means, for any rendering."""
    baseline = results.variants[0]
    return Report(
        title="What lowers the risk, and what it costs",
        subtitle=f"{results.audit} · {len(results.variants) - 1} variations, {baseline.shadows} shadow models each",
        finding=[results.sentence],
        facts=_facts(results),
        overview=[
            Answer("By which rule?", [text("defence.rule")], "training"),
            Answer("What about showing less of what the model says?", _outputs_in_brief(results), "output"),
            Answer("What was not tried?", results.skipped or ["Nothing that was asked for was left out."], "training"),
        ],
        sections=with_tables([_training(results), *_output(results), _check(results)]),
        limits=text("defence.limits"),
        glossary=GLOSSARY,
        references=REFERENCES,
        made_by=f"privaudit {__version__}",
    )


def _facts(results: DefenceResults) -> list[Fact]:
    baseline, key = results.variants[0], f"{results.fpr:g}"
    label = f"Members found at {rate(results.fpr)} false alarms"
    facts = [
        _fact(f"{label}, as audited", baseline.tpr_at_fpr.get(key), baseline.tpr_ci.get(key)),
        _fact("Accuracy as audited", baseline.shadow_accuracy, baseline.shadow_accuracy_ci),
    ]
    row = next((one for one in results.variants if one.name == results.recommended), None)
    if row is not None:
        facts.insert(1, _fact(f"{label}, {row.title}", row.tpr_at_fpr.get(key), row.tpr_ci.get(key)))
        facts.append(_fact(f"Accuracy, {row.title}", row.shadow_accuracy, row.shadow_accuracy_ci))
    return facts


def _fact(label: str, value: float | None, bounds: Interval | None) -> Fact:
    if value is None:
        return Fact(label, "too little evidence", "the audit does not resolve this rate")
    spread = "no interval" if bounds is None else f"95% interval {wording.interval(bounds, percent)}"
    return Fact(label, percent(value), spread)


def _outputs_in_brief(results: DefenceResults) -> list[str]:
    if results.outputs is None:
        return ["It was not measured: why is said where it says what was not tried."]
    measures = results.outputs.measures
    halving = [one.title for one in measures if one.halving is not None and one.halving.halves == "yes"]
    if not halving:
        return ["None of it is shown to halve what an attacker who knows of it finds."]
    return [f"What an attacker who knows of it finds is shown to be halved by {'; '.join(halving)}."]


def _training(results: DefenceResults) -> Section:
    fpr, key = results.fpr, f"{results.fpr:g}"
    numbered = list(enumerate(results.variants))
    table = tabulate(
        "Variations of the training",
        numbered,
        {
            "Number": lambda row: str(row[0]),
            "Variation": lambda row: row[1].title,
            f"Found at {rate(fpr)} (95%)": lambda row: with_interval(
                row[1].tpr_at_fpr.get(key), row[1].tpr_ci.get(key)
            ),
            "More found": lambda row: "–" if row[0] == 0 else points(row[1].tpr_change),
            "Halved": lambda row: halves(row[1].halving),
            "Accuracy (95%)": lambda row: with_interval(row[1].shadow_accuracy, row[1].shadow_accuracy_ci),
            "More right answers": lambda row: "–" if row[0] == 0 else points(row[1].accuracy_change),
        },
    )
    more = tabulate(
        "The same by other figures",
        numbered,
        {
            "Variation": lambda row: row[1].title,
            "AUC (95%)": lambda row: with_interval(row[1].auc, row[1].auc_ci, as_share=False),
            "Found at 0.1% (95%)": lambda row: with_interval(
                row[1].tpr_at_fpr.get("0.001"), row[1].tpr_ci.get("0.001")
            ),
            "Risk of the most exposed": lambda row: (
                "–" if row[1].most_exposed is None else with_interval(row[1].most_exposed, row[1].most_exposed_ci)
            ),
            "Told right in 9 of 10 models": _told_right,
            "Accuracy of the target": lambda row: wording.share(row[1].accuracy),
            "Samples": lambda row: f"{row[1].samples:,}",
        },
    )
    said = [text("defence.training")]
    if any("without" in one.changes for one in results.variants):
        said.append(text("defence.left-out"))
    said += _warnings(results.variants)
    figures = [_figure(results)] if any(found_at(one, fpr) is not None for one in results.variants) else []
    return Section("training", "Other ways to train", said, [table, more], figures)


def _warnings(variants: Sequence[Variant]) -> list[str]:
    """What is warned of, once each: of whom, where it is not of all."""
    whose: dict[str, list[str]] = {}
    for one in variants:
        for warning in warned(one.warnings):
            whose.setdefault(warning, []).append(one.title)
    everybody = len(variants)
    return [f"{'; '.join(of) if len(of) < everybody else 'All of them'}: {warning}" for warning, of in whose.items()]


def _told_right(row: tuple[int, Variant]) -> str:
    told = row[1].told_right
    return "–" if told is None else f"{told.samples:,} (chance {told.chance:,.0f})"


def _figure(results: DefenceResults) -> Figure:
    key = f"{results.fpr:g}"
    up = f"members found at {rate(results.fpr)} false alarms"
    drawn = []
    for one in results.variants:
        found, bounds = one.tpr_at_fpr.get(key), one.tpr_ci.get(key)
        if found is not None:
            across = Estimate.of(one.shadow_accuracy, one.shadow_accuracy_ci)
            drawn.append(
                TradeOffPoint(name=one.title, across=across, up=Estimate.of(found, bounds), on_front=one.on_front)
            )
    return Figure(
        "trade-off",
        "Risk (up) against accuracy on new data (across), with 95% intervals. The square is what was audited; points "
        f"on the line are beaten by none in both. {line_styles.at('trade-off')}",
        f"Scatter of {len(drawn)} ways to train: {up} against accuracy; the table has their figures.",
        TradeOff(name_across="accuracy on new data", name_up=up, guessing=results.fpr, points=drawn),
    )


def _output(results: DefenceResults) -> list[Section]:
    if results.outputs is None:
        return []
    return [
        Section(
            "output",
            "Showing less of what the model says",
            [text("defence.output"), text("defence.output-floor")],
            [_output_table(results, results.outputs)],
        ),
        *_boundary(results.outputs.boundary, results.fpr),
    ]


def _boundary(walk: BoundaryMeasure | None, fpr: float) -> list[Section]:
    if walk is None:
        return []
    key = f"{fpr:g}"
    table = tabulate(
        f"Told of {walk.samples:,} samples, {walk.queries:,} questions about each",
        list(walk.attacks.items()),
        {
            "Attack": lambda row: row[0],
            f"Found at {rate(fpr)} (95%)": lambda row: with_interval(
                row[1].tpr_at_fpr.get(key), row[1].tpr_ci.get(key)
            ),
            "AUC (95%)": lambda row: with_interval(row[1].auc, row[1].auc_ci, as_share=False),
        },
    )
    return [
        Section("boundary", "The label alone, to who walks along the boundary", [text("defence.boundary")], [table])
    ]


def _output_table(results: DefenceResults, outputs: OutputMeasures) -> Table:
    key = f"{results.fpr:g}"

    def found(attack: Attack | None) -> str:
        return "–" if attack is None else with_interval(attack.tpr_at_fpr.get(key), attack.tpr_ci.get(key))

    def helps(row: OutputMeasure) -> str:
        return "–" if row.change is None else "yes" if row.helps else "not shown"

    return tabulate(
        f"Found at {rate(results.fpr)} false alarms, of {outputs.samples:,} samples, {outputs.copies} copies of each",
        outputs.measures,
        {
            "Shown": lambda row: row.title,
            "By whoever does not know of it": lambda row: found(row.unadapted),
            "By whoever adapts (95%)": lambda row: found(row.adaptive),
            "Best attack": lambda row: row.attack,
            "Change": lambda row: "–" if row.change is None else points(row.change),
            "Fewer (not corrected)": helps,
            "Halved": lambda row: halves(row.halving),
        },
    )


def _check(results: DefenceResults) -> Section:
    rows = [["Command", f"privaudit defend {results.audit}"]]
    for one in results.variants:
        options = ", ".join(f"{name} = {value}" for name, value in one.changes.items()) or "nothing changed"
        rows.append([one.title, f"{one.audit}: {options}"])
    return Section("check", "How to check this", [], [Table("Audits, each an ordinary one", ["What", "Which"], rows)])
