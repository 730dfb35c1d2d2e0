"""The report on the paper's tables and figures: verdicts first, then each claim beside what the paper prints."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from privaudit import __version__
from privaudit.report import redaction
from privaudit.report.content import wording
from privaudit.report.content.elements import Fact, Figure, Report, Section, Table, tabulate
from privaudit.report.content.unlearning_wording import signed
from privaudit.report.drawing.figures import with_tables
from privaudit.report.glossary import GLOSSARY, REFERENCES
from privaudit.report.reproduction import reproduction_methods
from privaudit.report.reproduction import reproduction_tables as tables
from privaudit.report.reproduction.reproduction_figures import figures_of
from privaudit.report.reproduction.reproduction_tables import title_of
from privaudit.report.reproduction.reproduction_texts import METHOD, TEXTS
from privaudit.report.reproduction.verdict_forest import verdict_section
from privaudit.results.reproduction_results import (
    AuditAnswer,
    Decision,
    Effect,
    ExperimentResults,
    PairedContrast,
    StudyResults,
)

#: In the order of the paper; what is not of the paper comes last.
ORDER = (*TEXTS.claims, "methods")

#: Every verdict, as they are counted, in words that need no rule beside them.
WORDS = {
    "supported": "supported",
    "not supported": "not supported",
    "inconclusive": "open",
    "descriptive": "only described",
    "not run": "not run by the present rule",
}

TITLE, TITLE_OF_METHODS = "Does privacy risk order unlearning? A reproduction", "Unlearning, held against retraining"


def build_reproduction(studies: list[StudyResults], pictures: dict[str, list[Figure]] | None = None) -> Report:
    """Say what was reproduced.

    Parameters
    ----------
    studies
        One for each dataset, network and scale.
    pictures
        Figure 1's images by study, where they may be shown.
    """
    titles = {results.name: results.title for study in reversed(studies) for results in study.experiments}
    names = [name for name in ORDER if name in titles]
    paper, controlled = (_count(studies, protocol) for protocol in tables.PROTOCOLS)
    of_paper = [titles[name] for name in names if name != "methods"]
    sources = dict.fromkeys(study.about.source.split(":")[0] for study in studies)
    described = [
        (title_of(results.about), results.table)
        for study in studies
        if (results := study.experiment("methods")) is not None
    ]
    note = TEXTS.sentences["counted"]
    return Report(
        title=TITLE if controlled else TITLE_OF_METHODS,
        subtitle=(
            f"{', '.join(of_paper)} of Machine Unlearning in Forgetting Sequence"
            if of_paper
            else "Every method in every order"
        )
        + f" · {', '.join(sources)}",
        finding=(
            _finding(studies, controlled)
            if controlled
            else reproduction_methods.finding(described, studies[0].about.seeds)
        ),
        facts=[
            Fact(f"Claims {word}", f"{controlled[word]}", note.format(total=controlled.total(), paper=paper[word]))
            for word in ("supported", "not supported")
            if controlled
        ],
        overview=reproduction_methods.answers(described) if described else [],
        sections=with_tables(
            [
                *verdict_section(studies),
                _what_was_run(studies),
                *(_section(name, studies, (pictures or {})) for name in names),
                Section("deviations", "Where this departs from the paper", TEXTS.deviations),
            ]
        ),
        limits=TEXTS.limits,
        notices=[redaction.SHOWN] if pictures else [],
        glossary=GLOSSARY,
        references=REFERENCES,
        made_by=f"privaudit {__version__}",
    )


def _count(studies: list[StudyResults], protocol: str) -> Counter[str]:
    """How many verdicts of each kind, over all studies."""
    return Counter(one[protocol].verdict for study in studies for one in study.verdicts.by_experiment.values())


def _finding(studies: list[StudyResults], counted: Counter[str]) -> list[str]:
    """The two questions that the paper turns on, answered in a sentence each."""
    said = [_decided(counted)]
    for name in ("table2", "table6"):
        answers: dict[str, list[str]] = {}
        for study in studies:
            if (decided := study.verdicts.by_experiment.get(name)) is not None:
                answers.setdefault(WORDS[decided["controlled"].verdict], []).append(title_of(study.about))
        if answers:
            each = "; ".join(f"{word} on {', '.join(where)}" for word, where in answers.items())
            said.append(f"{TEXTS.questions[name]}: {each}.{_moved(name, studies)}")
    return said


def _decided(counted: Counter[str]) -> str:
    """How much is decided, before what: a verdict that only describes is no answer to the paper."""
    told = ", ".join(f"{counted[word]} {said}" for word, said in WORDS.items() if counted[word])
    of = "answers, each a claim on a data set with other explanations taken away"
    return f"Of {counted.total()} {of}, these runs decide {counted['supported'] + counted['not supported']}: {told}."


def _moved(name: str, studies: list[StudyResults]) -> str:
    """How much further a group came than its counterpart, against doing nothing on the same runs."""
    found = [
        f"{title_of(results.about)} {change.mean:+.3f} ({signed(change.ci)})"
        for study in studies
        if (results := study.experiment(name)) is not None and (change := results.further("gap_change")) is not None
    ]
    return " " + TEXTS.sentences["moved"].format(changes="; ".join(found)) if found else ""


_STUDIES: tables.Columns[StudyResults] = {
    "Data (network)": lambda study: title_of(study.about),
    "Samples": lambda study: f"{study.about.samples:,}",
    "Shadow models": lambda study: f"{study.about.shadows}",
    "Epochs": lambda study: f"{study.about.epochs}",
    "Seeds": lambda study: " or ".join(map(str, sorted({results.about.seeds for results in study.experiments}))),
    "Accuracy on test": lambda study: wording.share(study.about.accuracy.target_test),
    "LiRA's AUC": lambda study: f"{wording.number(study.about.lira.auc)} ({wording.interval(study.about.lira.auc_ci)})",
    "Run": lambda study: _when_and_where(study.experiments),
}


def _what_was_run(studies: list[StudyResults]) -> Section:
    paragraphs = [TEXTS.sentences["what_was_run"], studies[0].experiments[0].rule]
    if any(study.about.tuned for study in studies):
        paragraphs.append(TEXTS.sentences["tuned"])
    return Section("what-was-run", "What was run", paragraphs, [tabulate("Studies", studies, _STUDIES)])


def _when_and_where(experiments: list[ExperimentResults]) -> str:
    """When and on what most of a study was run, and which of its experiments elsewhere or on another day."""
    runs: dict[str, list[str]] = {}
    for results in experiments:
        runs.setdefault(f"{results.about.date}, {results.about.hardware}", []).append(results.title)
    most = max(runs, key=lambda run: len(runs[run]))
    return "; ".join([most, *(f"{', '.join(titles)}: {run}" for run, titles in runs.items() if run != most)])


def _section(name: str, studies: list[StudyResults], pictures: dict[str, list[Figure]]) -> Section:
    told = [(study, results) for study in studies if (results := study.experiment(name)) is not None]
    first = told[0][1]
    if first.claim:
        paragraphs = [
            f"The paper's claim: {first.claim}",
            f"As in the paper. {first.protocol['as_in_paper']}",
            f"Controlled. {first.protocol['controlled']}",
        ]
    else:
        paragraphs = [first.protocol["as_in_paper"]]
    if first.arms:
        paragraphs.append("Arms: " + "; ".join(f"{arm}: {means}" for arm, means in first.arms.items()) + ".")
    paragraphs += [
        f"{title_of(results.about)}, {left.set}: {left.why}." for _, results in told for left in results.not_applicable
    ]
    found = [*_contrasts(told), *(table for _, results in told for table in tables.tables_of(results))]
    drawn = [figure for _, results in told for figure in figures_of(results)]
    if name == "figure1":
        drawn += [figure for study, _ in told for figure in pictures.get(study.name, [])]
    return Section(name, first.title, paragraphs, found, drawn, lead=_lead(name, told))


def _lead(name: str, told: list[tuple[StudyResults, ExperimentResults]]) -> str:
    if name == "methods":
        return ""
    said = []
    for study, results in told:
        decided = {protocol: one.verdict for protocol, one in study.verdicts.by_experiment[name].items()}
        words = ", ".join(
            f"{title} {decided[protocol]}"
            for protocol, title in (tables.PROTOCOLS | tables.FURTHER).items()
            if protocol in decided
        )
        said.append(f"{title_of(results.about)}: {words}{tables.change_in_words(results)}.")
    return " ".join(said)


@dataclass(frozen=True)
class _Told:
    """A contrast of one data set; of a primary one its protocol, and what was decided."""

    data: str
    contrast: PairedContrast | AuditAnswer
    protocol: str = ""
    decision: Decision | None = None


_DATA: tables.Columns[_Told] = {"Data": lambda one: one.data}
_WHAT: tables.Columns[_Told] = {"What": lambda one: _what(one.contrast)}
_EFFECT: tables.Columns[_Told] = {
    "Mean": lambda one: f"{one.contrast.mean:+.3f}",
    "95% interval": lambda one: signed(one.contrast.ci),
}
_DRAWS: tables.Columns[_Told] = {"Draws with the claim's sign": lambda one: _draws(one.contrast)}
_PRIMARY: tables.Columns[_Told] = {
    **_DATA,
    "Protocol": lambda one: one.protocol,
    **(_WHAT | _EFFECT | _DRAWS),
    "p after Holm": lambda one: (
        "–" if one.decision is None or (p := one.decision.p_corrected) is None else wording.p_value(p)
    ),
    "Verdict": lambda one: "" if one.decision is None else one.decision.verdict,
}
_ALONE = _DATA | {"Method": lambda one: _method(one.contrast)} | _EFFECT | _DRAWS
_FURTHER = _DATA | _WHAT | _EFFECT | {"Draws with that sign": _DRAWS["Draws with the claim's sign"]}


def _contrasts(told: list[tuple[StudyResults, ExperimentResults]]) -> list[Table]:
    """The primary contrasts of every study, those of each method alone, and the further ones."""
    primary = [
        _Told(title_of(results.about), contrast, title, study.verdicts.by_experiment[results.name][protocol])
        for study, results in told
        for protocol, title in (tables.PROTOCOLS | tables.FURTHER).items()
        if (contrast := results.contrasts.get(protocol)) is not None
    ]
    alone = [_Told(title_of(results.about), one) for _, results in told for one in results.by_method]
    further = [_Told(title_of(results.about), one) for _, results in told for one in results.secondary]
    found = (
        ("Primary contrasts", _PRIMARY, primary),
        ("The controlled contrast of each method alone, which decides nothing", _ALONE, alone),
        ("Further contrasts, which decide nothing", _FURTHER, further),
    )
    return [tabulate(caption, rows, columns) for caption, columns, rows in found if rows]


def _what(contrast: Effect) -> str:
    return contrast.says + (f" ({contrast.first} − {contrast.second})" if contrast.second else "")


def _method(contrast: PairedContrast | AuditAnswer) -> str:
    name = "" if isinstance(contrast, AuditAnswer) else contrast.methods[0]
    return METHOD.get(name, name)


def _draws(contrast: PairedContrast | AuditAnswer) -> str:
    """In how many of its independent draws a contrast is positive."""
    if isinstance(contrast, AuditAnswer):
        return f"{contrast.n} samples"
    drawn = f"{contrast.wins} of {contrast.pairs}"
    if contrast.unit == "class":
        return f"{drawn} classes ({contrast.seeds} seeds)"
    kinds = {"part": "parts of the data", "overlapping": "seeds, whose groups overlap"}
    return f"{drawn} {kinds.get(contrast.unit or '', 'seeds')}"
