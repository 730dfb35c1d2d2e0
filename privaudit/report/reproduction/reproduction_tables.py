"""Tables of the reproduction report, in the paper's layout, beside what the paper prints."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from privaudit.report.content import wording
from privaudit.report.content.elements import Table, tabulate
from privaudit.report.content.unlearning_wording import signed
from privaudit.report.reproduction.reproduction_texts import METHOD, TEXTS
from privaudit.results.measures import Share
from privaudit.results.reproduction_results import (
    AboutExperiment,
    CellParameters,
    ClassConfidences,
    Decision,
    Effect,
    ExperimentResults,
    StudyResults,
    TableRow,
)

T = TypeVar("T")

Say = Callable[[float], str]

#: A column's title, and what it says of a row.
Columns = dict[str, Callable[[T], str]]

PROTOCOLS = {"as_in_paper": "as in the paper", "controlled": "controlled"}

#: Of some claims there are more, each with a verdict of its own.
FURTHER = TEXTS.protocols


def decimals(count: int) -> Say:
    """Say a number with so many decimals."""
    return lambda value: f"{value:.{count}f}"


def measured(measure: str, say: Say = wording.percent) -> Callable[[TableRow], str]:
    """Say of a row the mean ± standard deviation of a measure over seeds."""

    def shown(row: TableRow) -> str:
        found = row.measure(measure)
        if found is None:
            return "–"
        return say(found.mean) + ("" if found.sd is None else f" ± {say(found.sd)}")

    return shown


def _method(row: TableRow | CellParameters) -> str:
    return "do nothing" if row.arm == "do-nothing" else METHOD.get(row.method, row.method)


_ACCURACIES: Columns[TableRow] = {
    "On D_r": measured("retain"), "On test": measured("test"), "On D_u": measured("forget"),
}  # fmt: skip
_METHOD_AND_ORDER: Columns[TableRow] = {
    "Method": lambda row: "a second retraining" if row.method == "retrain" else _method(row),
    "Order": lambda row: "–" if row.arm == "do-nothing" or row.method == "retrain" else row.arm,
}


def tables_of(results: ExperimentResults) -> list[Table]:
    """The tables of one experiment on one dataset."""
    name = results.name
    if name in ("table1", "table2"):
        return [_forgetting(results)]
    if name in ("figure3", "figure4"):
        return [_relearning(results)]
    if name in ("table5", "table6", "figure7"):
        return [_sequences(results), _parameters_of_arms(results)]
    if name == "table3":
        return [_classes(results)]
    if name == "figure1":
        return [_inversions(results)]
    if name == "methods":
        return [*_methods(results), _parameters(results)]
    return []


def title_of(about: AboutExperiment) -> str:
    """A study's short name: data and network, and the scale where it is not the usual one."""
    return data_of(about) + ("" if about.scale == "small" else f", {about.scale}")


def data_of(about: AboutExperiment) -> str:
    """Data and network."""
    return f"{about.dataset} ({about.network})"


def verdicts(studies: list[StudyResults]) -> Table | None:
    """Every claim beside its verdict and effect on every data set, for page 1; None where nothing is claimed."""
    asked = [study for study in studies if study.verdicts.by_experiment]
    rows = []
    for name, claim in TEXTS.claims.items():
        found = [(study.experiment(name), study.verdicts.by_experiment.get(name, {})) for study in asked]
        title = next((results.title for results, _ in found if results is not None), None)
        if title is not None:
            cells = [_cell(results, decisions, protocol) for results, decisions in found for protocol in PROTOCOLS]
            rows.append([f"{title}: {claim}", *cells])
            for protocol in further_protocols(results for results, _ in found):
                pairs = (("", _cell(results, decisions, protocol)) for results, decisions in found)
                rows.append([f"{title}, {FURTHER[protocol]}", *(cell for pair in pairs for cell in pair)])
    if not rows:
        return None
    columns = [f"{title_of(study.about)}, {protocol}" for study in asked for protocol in PROTOCOLS.values()]
    return Table(TEXTS.captions["glance"], ["Claim", *columns], rows)


def further_protocols(experiments: Iterable[ExperimentResults | None]) -> list[str]:
    """Under which further protocols a claim was asked, in the order of `FURTHER`."""
    asked = {protocol for results in experiments if results is not None for protocol in results.contrasts}
    return [protocol for protocol in FURTHER if protocol in asked]


def _cell(results: ExperimentResults | None, decisions: Mapping[str, Decision], protocol: str) -> str:
    if results is None or protocol not in decisions:
        return "not run"
    return _decided(results.contrasts[protocol], decisions[protocol])


def _decided(contrast: Effect | None, decision: Decision) -> str:
    if contrast is None:
        return decision.verdict
    return f"{decision.verdict}: {contrast.mean:+.3f} ({signed(contrast.ci)})"


def change_in_words(results: ExperimentResults) -> str:
    """What was closed of a group's distance to retraining against doing nothing, for a sentence; empty without it."""
    change, closed = results.further("gap_change"), results.further("gap_closed")
    if change is None:
        return ""
    # Where a group has hardly any way to go on some seeds, the others alone say little.
    told = closed is not None and closed.seeds == change.seeds
    share = f", {wording.percent(closed.mean)} of their way" if closed is not None and told else ""
    return f" (against doing nothing, closer by {change.mean:+.3f} more for the {change.first}{share})"


def drawn(results: ExperimentResults) -> str:
    """How many seeds an experiment has."""
    return f"{results.about.seeds} seeds"


def most_classes(results: ExperimentResults) -> int | None:
    """Of how many classes the means are at most where whole ones are forgotten; None where none are."""
    return max((row.classes for row in results.table if row.classes is not None), default=None)


def _table(
    results: ExperimentResults, caption: str, columns: Columns[T], rows: Iterable[T], **words: str | int | None
) -> Table:
    """Lay out a table of an experiment below a caption of `texts.toml`."""
    classes = most_classes(results)
    of_classes = "" if classes is None else f", {classes} classes where whole ones are forgotten"
    of = f"{data_of(results.about)}, {drawn(results)}{of_classes}"
    return tabulate(TEXTS.captions[caption].format(of=of, **words), rows, columns)


def _printed(results: ExperimentResults, measure: str, say: Say) -> Callable[[TableRow], str]:
    """Say of a row what the paper prints for it."""
    paper = {(one.set, one.method, one.arm): say(one.value) for one in results.paper if one.measure == measure}
    return lambda row: paper.get((row.set, row.method, row.arm), "–")


def _forgetting(results: ExperimentResults) -> Table:
    columns: Columns[TableRow] = {
        "Method": _method,
        "Group": lambda row: row.set,
        **_ACCURACIES,
        "Retrained": measured("retrained_forget"),
        "MIA gap": measured("mia_gap_to_original", wording.number),
        "ToW": measured("tow", wording.number),
        "Paper: D_u": _printed(results, "forget", wording.percent),
        "Paper: MIA gap": _printed(results, "mia_gap_to_original", wording.number),
    }
    return _table(results, "forgetting", columns, results.table)


def _relearning(results: ExperimentResults) -> Table:
    columns: Columns[TableRow] = {
        "Method": _method,
        "Group": lambda row: row.set,
        "Steps": measured("relearn", decimals(0)),
        "Logarithm of the ratio": measured("log_relearn_ratio", decimals(2)),
    }
    return _table(results, "relearning", columns, results.table)


def _sequences(results: ExperimentResults) -> Table:
    columns: Columns[TableRow] = {
        "Method": lambda row: METHOD.get(row.method, row.method),
        "Arm": lambda row: "noise floor" if row.method == "retrain" else row.arm,
        **_ACCURACIES,
        "ToW": measured("tow", wording.number),
        "MIA gap to retrained": measured("mia_gap", wording.number),
        "Gradients on D_u": measured("forget_steps_run", lambda value: f"{value:,.0f}"),
        "Stopped": lambda row: f"{row.stopped}",
        "Paper: ToW": _printed(results, "tow", wording.number),
    }
    return _table(results, "sequences", columns, results.table)


def _classes(results: ExperimentResults) -> Table:
    of_classes = results.figures.classes or []

    def mean_of(group: str) -> Callable[[ClassConfidences], str]:
        return lambda one: "–" if (mean := one.groups[group]) is None else f"{mean:.4f}"

    columns: Columns[ClassConfidences] = {
        "Class": lambda one: one.name,
        "Top 80%": lambda one: f"{one.highest:.4f}–{one.edge:.4f}",
        "Bottom 20%": lambda one: f"{one.edge:.4f}–{one.lowest:.4f}",
        **{group: mean_of(group) for one in of_classes[:1] for group in one.groups},
    }
    return _table(results, "classes", columns, of_classes)


def _inversions(results: ExperimentResults) -> Table:
    matching = results.figures.matching
    columns: Columns[tuple[str, Share]] = {
        "Outcome": lambda one: TEXTS.outcomes.get(one[0], one[0]),
        "Share": lambda one: wording.share(one[1].rate),
        "95% interval": lambda one: wording.interval(one[1].ci, wording.percent),
    }
    sizes = {} if matching is None else matching.model_dump(include={"random", "models", "restarts"})
    return _table(results, "inversions", columns, () if matching is None else matching.outcomes.items(), **sizes)


def _methods(results: ExperimentResults) -> list[Table]:
    """What was measured of every method, and how risk goes with difficulty: two tables a forget set."""
    measures: Columns[TableRow] = {
        **_METHOD_AND_ORDER,
        "On D_u": measured("forget"),
        "On D_r": measured("retain"),
        "On test": measured("test"),
        "ToW": measured("tow", wording.number),
        "MIA-efficacy": measured("mia_efficacy", wording.number),
        "JS to retrained": measured("jensen_shannon", wording.number),
        "Called known": measured("called_members"),
        "Relearn steps": measured("relearn", decimals(0)),
        "Gradients on D_u, on D_r": _gradients,
        "CPU seconds": measured("processor_seconds", decimals(1)),
    }
    difficulties = _METHOD_AND_ORDER | {
        name.capitalize(): measured(f"risk_and_{name}", decimals(2)) for name in ("forgettability", "fidelity", "shift")
    }
    found = []
    for name in dict.fromkeys(row.set for row in results.table):
        rows = [row for row in results.table if row.set == name]
        apart = [row for row in rows if row.arm != "do-nothing"]
        found.append(_table(results, "methods", measures, rows, set=name, n=rows[0].n))
        found.append(_table(results, "difficulties", difficulties, apart, set=name))
    return found


def _gradients(row: TableRow) -> str:
    forget, retain = row.mean("forget_steps_run"), row.mean("retain_steps_run")
    return f"{forget:,.0f}, {retain:,.0f}" if forget or retain else "–"


def _parameters(results: ExperimentResults) -> Table:
    """What each method was run with; its four orders share it."""
    columns: Columns[CellParameters] = {
        "Forget set": lambda cell: cell.set, "Method": _method, "Parameters": lambda cell: cell.values,
    }  # fmt: skip
    once = {(cell.set, cell.method): cell for cell in results.parameters}
    return _table(results, "parameters", columns, once.values())


def _parameters_of_arms(results: ExperimentResults) -> Table:
    """What each arm was run with: arms differ in this besides their order."""
    columns: Columns[CellParameters] = {
        "Method": _method, "Arm": lambda cell: cell.arm, "Parameters": lambda cell: cell.values,
    }  # fmt: skip
    return _table(results, "parameters_of_arms", columns, results.parameters)
