"""The report that holds two audits of the same samples against each other."""

from __future__ import annotations

from typing import Any

import pandas as pd

from privaudit import __version__
from privaudit.report.content import wording
from privaudit.report.content.elements import Answer, Column, Explorer, Fact, Figure, Report, Section, Table
from privaudit.report.content.glossary import GLOSSARY, REFERENCES
from privaudit.report.content.wording import interval, number, percent, rate
from privaudit.report.drawing import line_styles
from privaudit.report.drawing.figures import with_tables
from privaudit.report.sections.attack_results import title_of

COLUMNS = [
    Column("sample_id", "Sample", "id", "What the outside world calls the training sample."),
    Column("class_name", "Class", "category", "Its label."),
    Column("risk_a", "Risk in A", "share", "Share of A's shadow models in which LiRA tells rightly whether it was in."),
    Column("risk_b", "Risk in B", "share", "The same in B."),
    Column("change", "Change", "share", "Risk in B less risk in A."),
    Column("change_low", "Change from", "share", "Lower end of its 95% interval (Newcombe)."),
    Column("change_high", "Change to", "share", "Upper end of its 95% interval (Newcombe)."),
]

#: How many of the samples that changed most are named.
NAMED = 10

VERDICTS = {
    "b leaks less": "B leaks less than A who it was trained on",
    "b leaks more": "B leaks more than A who it was trained on",
    "no difference shown": "No difference in what A and B leak is shown",
    "too few models": "A and B have too few shadow models for a verdict",
}

UNIT = (
    "What is independent here is a pair of shadow models, not a sample: all samples are judged by the same few models, "
    "so their errors move together. Intervals are 95%, t over pairs."
)


def build_comparison(results: dict[str, Any], samples: pd.DataFrame, sha256: str, notices: list[str]) -> Report:
    """What ``comparison.json`` means, for any rendering."""
    a, b = results["a"], results["b"]
    lira = results["attacks"]["lira"]
    columns = [column for column in COLUMNS if bool(samples[column.key].notna().any())]
    return Report(
        title="Two privacy audits compared",
        subtitle=f"A: {a['audit']} · B: {b['audit']} · {results['samples']:,} samples in both",
        finding=_finding(results),
        facts=[
            *(
                _fact(f"Members found at {rate(fpr)} false alarms, B less A", lira["tpr_at_fpr"][fpr])
                for fpr in ("0.001", "0.01")
            ),
            _fact("AUC, B less A", lira["auc"], number),
            _fact("Mean risk, B less A", results["mean_risk"]),
        ],
        overview=_overview(results),
        sections=with_tables(
            [_compared(results), _attacks(results), _samples(results, samples), *_groups(results), _check(results)]
        ),
        limits=wording.IN_BRIEF,
        notices=notices,
        glossary=GLOSSARY,
        references=[*REFERENCES, NEWCOMBE],
        explorer=Explorer("samples.parquet", sha256, len(samples), columns, "risk_a", "risk_b"),
        made_by=f"privaudit {__version__}",
    )


NEWCOMBE = (
    "Newcombe: Interval estimation for the difference between independent proportions. Statistics in Medicine 17 "
    "(1998). Intervals of a sample's change."
)


def _points(value: float) -> str:
    points = 100 * value
    return f"{points:+.2f}" if abs(points) < 10 else f"{points:+.1f}"


def _change(found: dict[str, Any] | None, as_number: bool = False) -> str:
    if found is None:
        return "too little evidence"
    say = (lambda value: f"{value:+.3f}") if as_number else _points
    bounds = "no interval" if found["ci"] is None else f"{say(found['ci'][0])} to {say(found['ci'][1])}"
    return f"{say(found['difference'])} ({bounds})" + ("" if as_number else " points")


def _fact(label: str, found: dict[str, Any] | None, say: Any = percent) -> Fact:
    if found is None:
        return Fact(label, "too little evidence", "one of the audits does not resolve this rate")
    value, bounds = _change(found, as_number=say is number).split(" (", 1)
    unit = "" if say is number else " points"
    reach = bounds.split(")")[0] if found["ci"] is None else f"95% interval {bounds.split(')')[0]}{unit}"
    return Fact(label, value + unit, f"A {say(found['a'])}, B {say(found['b'])}; {reach}")


def _finding(results: dict[str, Any]) -> list[str]:
    a, b = results["a"], results["b"]
    if not (a["controls_hold"] and b["controls_hold"]):
        return ["A negative control failed in one of the audits: this comparison must not be relied on."]
    found = results["attacks"]["lira"]["auc"]
    said = [
        f"{VERDICTS[results['verdict']]}: LiRA's AUC is {number(found['a'])} in A and {number(found['b'])} in B, a "
        f"difference of {_change(found, as_number=True)}."
    ]
    if None not in [(side["accuracy"] or {}).get("target_test") for side in (a, b)]:
        said.append(
            f"The target model of A is right on {percent(a['accuracy']['target_test'])} of the test samples, that of B "
            f"on {percent(b['accuracy']['target_test'])}."
        )
        if results.get("warnings"):
            said.append("Warning: what compares training with test samples is not to be relied on; see below.")
    return said


def _overview(results: dict[str, Any]) -> list[Answer]:
    changed = results["changed"]
    by_chance = round(0.05 * results["samples"])
    paired = (
        "Pair by pair: both audits split the samples in the same halves."
        if results["paired"]
        else "Apart: seeds or numbers of shadow models differ, so both sides' errors add up. The same --seed and "
        "--shadows tell smaller differences."
    )
    return [
        Answer(
            "Which samples changed?",
            [
                f"Risk fell for {changed['fell']:,} of {results['samples']:,} samples and rose for "
                f"{changed['rose']:,}; beyond its own interval for {changed['fell_beyond_interval']:,} and "
                f"{changed['rose_beyond_interval']:,}, where chance alone would give up to about {by_chance:,}.",
                f"{changed['high']['a']:,} samples are told right in at least nine of ten models of A, "
                f"{changed['high']['b']:,} in B.",
            ],
            "samples",
        ),
        Answer(
            "Are the same samples exposed?",
            [f"The two rankings agree with a Spearman of {wording.spearman(changed['spearman'])}."],
            "samples",
        ),
        Answer("How were they compared?", [paired, UNIT], "compared"),
        Answer(
            "Are the samples the same?",
            [f"Yes: checked by {results['checked_by']}."],
            "check",
        ),
    ]


def _compared(results: dict[str, Any]) -> Section:
    def row(title: str, say: Any) -> list[str]:
        return [title, *(say(results[key]) for key in ("a", "b"))]

    def recipe(side: dict[str, Any]) -> str:
        found = side["recipe"]
        if side.get("training_function") is not None:
            return wording.training_function(side["training_function"])
        if found is None:
            return "trained elsewhere"
        return (
            f"'{found['name']}': {found['epochs']} epochs, batch {found['batch_size']}, learning rate "
            f"{found['learning_rate']:g}, weight decay {found['weight_decay']:g}, augmentation {found['augment']}"
        )

    def accuracy(side: dict[str, Any]) -> str:
        found = side["accuracy"]
        if found is None:
            return "not known"
        seen, other = (
            ("target_train", "target_test") if found["target_test"] is not None else ("shadow_members", "shadow_others")
        )
        return f"{percent(found[seen])} of what was trained on, {percent(found[other])} of the rest"

    def controls(side: dict[str, Any]) -> str:
        return "none" if not side["controls_run"] else "hold" if side["controls_hold"] else "FAILED"

    rows = [
        row("Audit", lambda side: side["audit"]),
        row("Network", lambda side: side["network"] or "trained elsewhere"),
        row("Training", recipe),
        row("Seed", lambda side: "–" if side["seed"] is None else str(side["seed"])),
        row("Shadow models", lambda side: str(side["shadows"])),
        row("Statistic", lambda side: side["statistic"]),
        row("Right on", accuracy),
        row("Negative controls", controls),
    ]
    warned = [f"Warning: {one}." for one in results.get("warnings", [])]
    return Section(
        "compared", "What was compared", [UNIT, *warned], [Table("The two audits", ["What", "A", "B"], rows)]
    )


def _attacks(results: dict[str, Any]) -> Section:
    rows = [
        [
            title_of(name),
            number(found["auc"]["a"]),
            number(found["auc"]["b"]),
            _change(found["auc"], as_number=True),
            *(_change(found["tpr_at_fpr"][fpr]) for fpr in ("0.01", "0.001")),
        ]
        for name, found in results["attacks"].items()
    ]
    columns = ["Attack", "AUC of A", "AUC of B", "B − A (95%)", "Found at 1% false alarms, B − A", "At 0.1%, B − A"]
    said = "The first row was chosen beforehand and gives the verdict; the others are there to be looked at."
    return Section("attacks", "Attack by attack", [said], [Table("Differences", columns, rows)])


def _samples(results: dict[str, Any], samples: pd.DataFrame) -> Section:
    def rows(found: pd.DataFrame) -> list[list[str]]:
        return [
            [
                str(row["sample_id"]),
                wording.clip(str(row["class_name"])),
                percent(row["risk_a"]),
                percent(row["risk_b"]),
                _change({"difference": row["change"], "ci": bounds_of(row)}),
            ]
            for row in found.to_dict("records")
        ]

    def bounds_of(row: dict[Any, Any]) -> list[float] | None:
        return None if pd.isna(row["change_low"]) else [row["change_low"], row["change_high"]]

    columns = ["Sample", "Class", "Risk in A", "Risk in B", "B − A (95%)"]
    sketch = samples.sample(min(len(samples), 3000), random_state=0).sort_index()
    panel = {
        "title": "risk in B",
        "across": "risk in A",
        "diagonal": True,
        "guessing": None,
        "x": [round(float(value), 4) for value in sketch["risk_a"]],
        "y": [round(float(value), 4) for value in sketch["risk_b"]],
    }
    relation = wording.spearman(results["changed"]["spearman"])
    return Section(
        "samples",
        "Sample by sample",
        [
            "A sample's interval is Newcombe's, from the models of A and B that judged it. The samples named here were "
            "picked for having changed most, so their changes are exaggerated: some of that is chance.",
        ],
        [
            Table("Where risk fell most", columns, rows(samples.nsmallest(NAMED, "change"))),
            Table("Where risk rose most", columns, rows(samples.nlargest(NAMED, "change"))),
        ],
        [
            Figure(
                "scatter",
                "Risk of each sample in A (across) and in B (up), at most 3,000 drawn. "
                f"{line_styles.at('scatter', 'no change')[:-1]}; below it risk fell.",
                f"Scatter of every sample's risk in B against its risk in A; Spearman {relation}.",
                {"panels": [panel]},
            )
        ],
    )


def _groups(results: dict[str, Any]) -> list[Section]:
    tables = [
        Table(
            f"Mean risk by {wording.clip(name)}",
            [wording.clip(name).capitalize(), "Samples", "In A (95%)", "In B (95%)", "B − A"],
            [
                [
                    wording.clip(group["name"]),
                    f"{group['samples']:,}",
                    *(f"{percent(group[k]['mean'])} ({interval(group[k]['ci'], percent)})" for k in ("a", "b")),
                    f"{_points(group['b']['mean'] - group['a']['mean'])} points",
                ]
                for group in groups[:20]
            ],
        )
        for name, groups in results["groups"].items()
    ]
    return [Section("groups", "Group by group", [], tables)] if tables else []


def _check(results: dict[str, Any]) -> Section:
    rows = [
        ["Command", f"privaudit compare {results['a']['audit']} {results['b']['audit']}"],
        *[
            [f"{key.upper()}: SHA-256 of {name}", digest]
            for key in ("a", "b")
            for name, digest in results[key]["sha256"].items()
        ],
    ]
    return Section("check", "How to check this", [], [Table("Reproduction", ["What", "Which"], rows)])
