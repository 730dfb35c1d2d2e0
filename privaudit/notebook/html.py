"""What a notebook shows of a result: the brief's sentence, its picture and the main figures, in one piece of HTML.

Whatever came from users' data is escaped, pictures are part of it, and nothing in it runs or loads anything. No sample
is named.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path

import pandas as pd

from privaudit.errors import PrivauditError
from privaudit.report.brief import pictures, plain
from privaudit.report.brief.brief import TOLD_PRIORS, checks_in_words
from privaudit.report.brief.declared import declared_in
from privaudit.report.brief.limit_checks import distrust, limits_of
from privaudit.report.brief.plain import percent
from privaudit.report.brief.verdict import judge
from privaudit.report.content import unlearning_wording, wording
from privaudit.report.content.elements import Figure
from privaudit.report.drawing.figures import drawings
from privaudit.results.audit.score_results import ScoreAnswer
from privaudit.results.statement.declaration import Declaration
from privaudit.results.unlearning.run import UnlearnAnswer

#: Sentence, title and figures take the notebook's own colours; pictures have a ground of their own.
BOX = "border-left:4px solid #1b6ca8;padding:.2em 1em;margin:.5em 0;max-width:60em"


def html_of_audit(answer: ScoreAnswer, table: pd.DataFrame | None, folder: Path) -> str:
    """Show an audit; ``table`` is its score table, None where it is not there any more."""
    declared = _declared(folder)
    judgement = judge(answer, declared)
    figures = [] if distrust(answer) else _naming(answer, declared)
    if table is not None:
        figures.append(pictures.of_risk(table[~table["canary"]]))
    return _page(
        f"Audit {answer.audit}: {judgement.word}",
        [judgement.answer, *judgement.basis, *(answer.warnings or [])],
        figures,
        _rows_of_audit(answer),
    )


def _naming(answer: ScoreAnswer, declared: Declaration | None) -> list[Figure]:
    """The brief's picture, of a thousand people."""
    limits, prior = ([], None) if declared is None else (limits_of(declared.limits), declared.people.prior)
    return pictures.of_naming(answer, limits, prior or TOLD_PRIORS[0])[:1]


def html_of_unlearning(answer: UnlearnAnswer) -> str:
    """Show an unlearning run."""
    before, after = answer.accuracy.get("original"), answer.accuracy.get("unlearned")
    again = answer.accuracy.get("retrained")
    rows = [("Method", f"{answer.method}: {answer.chosen.why}" if answer.chosen.by == "auto" else answer.method)]
    rows.append(("Forgotten", f"{answer.forget:,} samples"))
    for part, what in (("forget", "the forgotten"), ("retain", "the retained"), ("test", "new data")):
        told = [
            f"{percent(getattr(one, part))} {when}"
            for one, when in ((before, "before"), (after, "after"), (again, "retrained"))
            if one is not None
        ]
        rows.append((f"Right answers on {what}", ", ".join(told)))
    if answer.tow is not None and answer.tow_do_nothing is not None:
        rows.append(("ToW", f"{answer.tow:.3f} (doing nothing {answer.tow_do_nothing:.3f})"))
    rows += [("Results", answer.folder), ("Report", answer.report.html or "")]
    return _page(
        f"Unlearning {answer.run}: {pictures.OUTCOMES.get(answer.outcome, answer.outcome)}",
        [unlearning_wording.summary(answer)[-1], *answer.warnings],
        pictures.of_unlearning([answer]),
        rows,
    )


def _declared(folder: Path) -> Declaration | None:
    try:
        return declared_in(folder)
    except PrivauditError:  # A result is shown whatever became of what lies beside it.
        return None


def _rows_of_audit(answer: ScoreAnswer) -> list[tuple[str, str]]:
    attack, accuracy = plain.subject(answer), answer.accuracy
    rows = [("AUC of the attack", wording.area(attack))]
    for rate, name in (("0.01", "1%"), ("0.001", "0.1%")):
        if rate in attack.tpr_at_fpr:
            rows.append((f"Members found at {name} false alarms", wording.found_at(attack, rate)))
    rows.append(("Mean attack success rate", percent(answer.mean_risk)))
    if accuracy is not None and accuracy.target_train is not None and accuracy.target_test is not None:
        told = f"{percent(accuracy.target_train)} of training data, {percent(accuracy.target_test)} of new data"
        rows.append(("Right answers on", told))
    return [
        *rows,
        ("Samples, shadow models", f"{answer.samples:,}, {answer.shadows}"),
        ("Controls", checks_in_words(answer)),
        ("Report", answer.report.html or ""),
    ]


def _page(title: str, said: Sequence[str], figures: Sequence[Figure], rows: Sequence[tuple[str, str]]) -> str:
    first, *more = said
    sentences = "".join(f"<p>{escape(one)}</p>" for one in more)
    shown = "".join(_figure(figure) for figure in figures)
    cells = "".join(
        f'<tr><th scope="row" style="text-align:left">{escape(name)}</th>'
        f'<td style="text-align:left">{escape(value)}</td></tr>'
        for name, value in rows
    )
    return (
        f'<div style="{BOX}"><p><strong>{escape(title)}</strong></p><p style="font-size:1.1em">{escape(first)}</p>'
        f'{sentences}<div style="display:flex;flex-wrap:wrap;gap:1em">{shown}</div><table>{cells}</table></div>'
    )


def _figure(figure: Figure) -> str:
    images = "".join(
        f'<img alt="{escape(figure.alternative, quote=True)}" style="background:#fff;max-width:100%" '
        f'src="data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode("ascii")}">'
        for svg in drawings(figure)
    )
    return (
        f'<figure style="margin:.5em 0;flex:1 1 20em;max-width:30em">{images}'
        f'<figcaption style="font-size:.85em">{escape(figure.caption)}</figcaption></figure>'
    )
