"""The report on the paper's tables and figures: verdicts first, then each claim beside what the paper prints."""

from __future__ import annotations

from typing import Any

from privaudit import __version__
from privaudit.report import redaction
from privaudit.report.content import wording
from privaudit.report.content.elements import Fact, Figure, Report, Section, Table
from privaudit.report.content.glossary import GLOSSARY, REFERENCES
from privaudit.report.content.unlearning_wording import signed
from privaudit.report.drawing.figures import with_tables
from privaudit.report.reproduction import reproduction_methods
from privaudit.report.reproduction import reproduction_tables as tables
from privaudit.report.reproduction.reproduction_figures import figures_of

#: The study's name, its experiments' results, its verdicts.
Study = tuple[str, list[dict[str, Any]], dict[str, Any]]

#: In the order of the paper; what is not of the paper comes last.
ORDER = (*tables.CLAIMS, "methods")

#: Verdicts, as they are counted.
WORDS = ("supported", "not supported", "inconclusive", "descriptive")

TITLE, TITLE_OF_METHODS = "Does privacy risk order unlearning? A reproduction", "Unlearning, held against retraining"

LIMITS = (
    "Verdicts hold for these data sets, networks and recipes. The data, the shadow models (and so everybody's risk) "
    "and the tuning of each arm are the same over seeds: intervals tell what other original models, forget sets and "
    "retrained models would give, not what other data would. Two seeds' groups share about half of their samples, "
    "since each takes the extremes of a random half of one ranking. Where seeds drew the same class it counts once."
)


def build_reproduction(studies: list[Study], pictures: dict[str, list[Figure]] | None = None) -> Report:
    """Say what was reproduced.

    Parameters
    ----------
    studies
        One for each dataset, network and scale.
    pictures
        Figure 1's images by study, where they may be shown.
    """
    names = [name for name in ORDER if any(answer["name"] == name for _, answers, _ in studies for answer in answers)]
    counted = _count(studies)
    return Report(
        title=TITLE if counted["controlled"] else TITLE_OF_METHODS,
        subtitle=_subtitle(names, studies)
        + " · "
        + ", ".join(dict.fromkeys(about["source"].split(":")[0] for about in map(_about, studies))),
        finding=_finding(studies, counted),
        facts=[
            Fact(f"Claims {word}", f"{counted['controlled'].get(word, 0)}", _fact_note(counted, word))
            for word in ("supported", "not supported")
            if counted["controlled"]
        ],
        glance=tables.verdicts([(title_of(_about(study)), *study[1:]) for study in studies]),
        overview=reproduction_methods.answers(described) if (described := _described(studies)) else [],
        sections=with_tables(
            [_what_was_run(studies), *(_section(name, studies, (pictures or {})) for name in names), _deviations()]
        ),
        limits=LIMITS,
        notices=[redaction.SHOWN] if pictures else [],
        glossary=GLOSSARY,
        references=REFERENCES,
        made_by=f"privaudit {__version__}",
    )


def _about(study: Study) -> dict[str, Any]:
    about: dict[str, Any] = study[1][0]["about"]
    return about


def _title(name: str, studies: list[Study]) -> str:
    return next(str(answer["title"]) for _, answers, _ in studies for answer in answers if answer["name"] == name)


def _subtitle(names: list[str], studies: list[Study]) -> str:
    of_paper = [_title(name, studies) for name in names if name != "methods"]
    if not of_paper:
        return "Every method in every order"
    return f"{', '.join(of_paper)} of Machine Unlearning in Forgetting Sequence"


def title_of(about: dict[str, Any]) -> str:
    """A study's short name: data and network, and the scale where it is not the usual one."""
    name = f"{about['dataset']} ({about['network']})"
    return name if about["scale"] == "small" else f"{name}, {about['scale']}"


def _count(studies: list[Study]) -> dict[str, dict[str, int]]:
    """How many verdicts of each kind, by protocol, over all studies."""
    counted: dict[str, dict[str, int]] = {protocol: {} for protocol in tables.PROTOCOLS}
    for _, _, verdicts in studies:
        for found in verdicts.values():
            for protocol in tables.PROTOCOLS:
                word = found[protocol]["verdict"]
                counted[protocol][word] = counted[protocol].get(word, 0) + 1
    return counted


def _fact_note(counted: dict[str, dict[str, int]], word: str) -> str:
    total = sum(counted["controlled"].values())
    return (
        f"of {total} answers under the controlled protocol; {counted['as_in_paper'].get(word, 0)} as in the paper. "
        "An answer is a claim on a data set"
    )


def _finding(studies: list[Study], counted: dict[str, dict[str, int]]) -> list[str]:
    """The two questions that the paper turns on, answered in a sentence each."""
    said = []
    for name, question in (
        ("table2", "High risk, forgotten more readily than the lowest risk of the same classes"),
        ("table6", "Hard-to-easy order, better than random groups at one budget"),
    ):
        answers = [
            f"{title_of(_about(study))}: {study[2][name]['controlled']['verdict']}"
            for study in studies
            if name in study[2]
        ]
        if answers:
            said.append(f"{question}: {'; '.join(answers)}.{_moved(name, studies)}")
    every = ", ".join(f"{counted['controlled'][word]} {word}" for word in WORDS if word in counted["controlled"])
    if every:
        return [f"Under the controlled protocol: {every}.", *said]
    return reproduction_methods.finding(_described(studies), _about(studies[0])["seeds"])


def _moved(name: str, studies: list[Study]) -> str:
    """How much further a group came than its counterpart, against doing nothing on the same runs."""
    found = [
        f"{title_of(answer['about'])} {change['mean']:+.3f} ({signed(change['ci'])})"
        for _, answers, _ in studies
        for answer in answers
        if answer["name"] == name and (change := tables.change_of(answer)) is not None
    ]
    if not found:
        return ""
    return (
        " That contrast leans against the claim, since doing nothing leaves the one group far from a retrained model "
        "and the other close to it. Against doing nothing on the same runs, high risk came closer, and by so much more "
        f"than the lowest: {'; '.join(found)}."
    )


def _described(studies: list[Study]) -> list[tuple[str, list[dict[str, Any]]]]:
    """The tables of every method, each with its study's title."""
    return [
        (title_of(answer["about"]), answer["table"])
        for _, answers, _ in studies
        for answer in answers
        if answer["name"] == "methods"
    ]


def _what_was_run(studies: list[Study]) -> Section:
    rows = []
    for study in studies:
        about = _about(study)
        seeds = sorted({answer["about"]["seeds"] for answer in study[1]})
        rows.append(
            [
                title_of(about),
                f"{about['samples']:,}",
                f"{about['shadows']}",
                f"{about['epochs']}",
                " or ".join(map(str, seeds)),
                wording.percent(about["accuracy"]["target_test"]),
                f"{wording.number(about['lira']['auc'])} ({wording.interval(about['lira']['auc_ci'])})",
                _when_and_where(study[1]),
            ]
        )
    return Section(
        "what-was-run",
        "What was run",
        [
            "Every seed draws forget sets, and has an original model and two retrained models of its own; shadow "
            "models are shared. Each claim has one primary contrast, fixed beforehand, under the paper's protocol and "
            "under a controlled one.",
            studies[0][1][0]["rule"],
            *(
                [
                    "Tuned arms had six trials each (one-shot, random groups, reverse and RSU alike), on a seed of "
                    "their own, scored by ToW with test accuracy on the validation half."
                ]
                if any(_about(study)["tuned"] for study in studies)
                else []
            ),
        ],
        [
            Table(
                "Studies",
                ["Data (network)", "Samples", "Shadow models", "Epochs", "Seeds", "Accuracy on test", "LiRA's AUC",
                 "Run"],
                rows,
            )
        ],
    )  # fmt: skip


def _when_and_where(answers: list[dict[str, Any]]) -> str:
    """When and on what most of a study was run, and which of its experiments elsewhere or on another day."""
    runs: dict[str, list[str]] = {}
    for answer in answers:
        about = answer["about"]
        runs.setdefault(f"{about['date']}, {about['hardware']}", []).append(answer["title"])
    most = max(runs, key=lambda run: len(runs[run]))
    return "; ".join([most, *(f"{', '.join(titles)}: {run}" for run, titles in runs.items() if run != most)])


def _section(name: str, studies: list[Study], pictures: dict[str, list[Figure]]) -> Section:
    answers = [(study, answer) for study in studies for answer in study[1] if answer["name"] == name]
    first = answers[0][1]
    paragraphs = []
    if first["claim"]:
        paragraphs = [
            f"The paper's claim: {first['claim']}",
            f"As in the paper. {first['protocol']['as_in_paper']}",
            f"Controlled. {first['protocol']['controlled']}",
        ]
    else:
        paragraphs = [first["protocol"]["as_in_paper"]]
    if first["arms"]:
        paragraphs.append("Arms: " + "; ".join(f"{arm}: {means}" for arm, means in first["arms"].items()) + ".")
    for _, answer in answers:
        paragraphs += [
            f"{title_of(answer['about'])}, {left['set']}: {left['why']}." for left in answer["not_applicable"]
        ]
    found = [*_contrasts(answers), *(table for _, answer in answers for table in tables.tables_of(answer))]
    drawn = [figure for study, answer in answers for figure in figures_of(answer)]
    if name == "figure1":
        drawn += [figure for study, _ in answers for figure in pictures.get(study[0], [])]
    return Section(name, first["title"], paragraphs, found, drawn, lead=_lead(name, answers))


def _lead(name: str, answers: list[tuple[Study, dict[str, Any]]]) -> str:
    if name == "methods":
        return ""
    return " ".join(
        f"{title_of(answer['about'])}: as in the paper {study[2][name]['as_in_paper']['verdict']}, controlled "
        f"{study[2][name]['controlled']['verdict']}{tables.change_in_words(answer)}."
        for study, answer in answers
    )


def _contrasts(answers: list[tuple[Study, dict[str, Any]]]) -> list[Table]:
    """The primary contrasts of every study, and the secondary ones."""
    primary, secondary = [], []
    for study, answer in answers:
        for protocol, title in tables.PROTOCOLS.items():
            contrast = answer["contrasts"].get(protocol)
            if contrast is not None:
                decided = study[2][answer["name"]][protocol]
                primary.append([title_of(answer["about"]), title, *_row(contrast), decided["verdict"]])
                p = decided["p_corrected"]
                primary[-1].insert(6, "–" if p is None else wording.p_value(p))
        secondary += [[title_of(answer["about"]), *_row(contrast)] for contrast in answer["secondary"]]
    found = []
    if primary:
        columns = ["Data", "Protocol", "What", "Mean", "95% interval", "Draws with the claim's sign", "p times ten"]
        found.append(Table("Primary contrasts", [*columns, "Verdict"], [[*row[:3], *row[3:]] for row in primary]))
    alone = [
        [title_of(answer["about"]), tables.METHOD.get(one["methods"][0], one["methods"][0]), *_row(one)[1:]]
        for _, answer in answers
        for one in answer.get("by_method", [])
    ]
    if alone:
        columns = ["Data", "Method", "Mean", "95% interval", "Draws with the claim's sign"]
        found.append(Table("The controlled contrast of each method alone, which decides nothing", columns, alone))
    if secondary:
        columns = ["Data", "What", "Mean", "95% interval", "Draws with that sign"]
        found.append(Table("Further contrasts, which decide nothing", columns, secondary))
    return found


def _row(contrast: dict[str, Any]) -> list[str]:
    """What, mean, interval, seeds."""
    what = contrast["says"]
    if contrast.get("second"):
        what += f" ({contrast['first']} − {contrast['second']})"
    return [what, f"{contrast['mean']:+.3f}", signed(contrast["ci"]), _draws(contrast)]


def _draws(contrast: dict[str, Any]) -> str:
    """In how many of its independent draws a contrast is positive."""
    if "wins" not in contrast:
        return f"{contrast['n']} samples"
    drawn = f"{contrast['wins']} of {contrast['pairs']}"
    return f"{drawn} classes ({contrast['seeds']} seeds)" if contrast.get("unit") == "class" else f"{drawn} seeds"


def _deviations() -> Section:
    return Section(
        "deviations",
        "Where this departs from the paper",
        [
            "Groups are drawn from a random half of the training set that every seed draws anew, and take at most a "
            "tenth of it; the paper takes 100 samples once.",
            "Who is easily inverted is told by feature matching under two shadow models (T1): the paper does not say "
            "how it ranked tens of thousands of images.",
            "Figure 5 does not say how its intervals were cut: here each holds as many samples. Table 3 compares "
            "shares in the tail as well as means.",
            "The paper leaves λ₀, pace, number of groups and epochs a stage open: here five nested groups of equal "
            "growth, with the method's passes at every stage where it says as written.",
            "Some of the paper's claims say two things at once (accuracy and MIA gap, ASR and entropy, better than one "
            "shot and than the reverse order). Here one of them decides; the other stands among the further contrasts.",
            "Accuracy on validation in the paper stands beside accuracy on the reported half of the test set here.",
            "The paper's Table 1 prints 720 for an accuracy (Tiny-ImageNet, Bad-T), and two rows of its Table 2 lack a "
            "value; the latter are left out.",
        ],
    )
