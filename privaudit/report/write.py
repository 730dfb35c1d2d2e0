"""Write an audit's ``report.json``, ``report.html`` and ``report.pdf`` from its stored results."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from privaudit.config import AuditSettings
from privaudit.report.content.elements import Report
from privaudit.report.document import build_content
from privaudit.report.drawing.figures import drawings
from privaudit.report.export.attestation import ATTESTATION, attest
from privaudit.report.export.model_card import MODEL_CARD, write_model_card
from privaudit.report.html import render_html
from privaudit.report.pdf import TypesettingError, render_pdf
from privaudit.report.redaction import Privacy
from privaudit.results.report_paths import AttestedPaths, ReportPaths
from privaudit.runtime import files
from privaudit.runtime.progress import talk
from privaudit.shadow.store import open_audit


def results_folder(settings: AuditSettings, audit: str | None) -> Path:
    """Where the results of an audit [the latest of the store] are; a name alone is enough where the store is not."""
    named = audit is not None and audit != "" and (settings.out / audit).is_dir()
    return settings.out / (str(audit) if named else open_audit(settings.store, audit).audit)


def render_report(folder: Path, shown: Privacy | None = None) -> ReportPaths:
    """Render both reports of ``<out>/<audit>``; the PDF's path is None where it can't be made, and a line says why."""
    content = build_content(folder, shown)
    files.claim(folder)
    files.demand_writable(folder)
    for stale in (ATTESTATION, MODEL_CARD):
        # It would name the report that was.
        files.remove(folder / stale)
    return write_report(content.report, folder, content.samples)


def render_attested(folder: Path, target: Path, shown: Privacy | None = None) -> AttestedPaths:
    """Render both reports, and write an attestation on them and on the target, and a model card's section."""
    content = build_content(folder, shown)
    files.claim(folder)
    paths = write_report(content.report, folder, content.samples)
    card = write_model_card(folder, content.report)
    return AttestedPaths(**dict(paths), attestation=str(attest(folder, target)), model_card=str(card))


def write_report(report: Report, folder: Path, samples: pd.DataFrame | None = None) -> ReportPaths:
    """Write a report's content and its two renderings into ``folder``."""
    files.demand_writable(folder)
    content = report.to_json()
    figures = [[drawings(figure) for figure in section.figures] for section in report.sections]
    brief = None if report.brief is None else [*report.brief.pictures, *report.brief.distribution]
    of_brief = [drawings(figure) for figure in brief or ()]
    files.write_json(folder / "report.json", content)
    files.seal(folder / "report.json")
    # An older PDF beside the new HTML would be taken for the same report.
    files.remove(folder / "report.pdf")
    files.write_text(folder / "report.html", render_html(content, figures, samples, of_brief))
    files.seal(folder / "report.html")
    pdf: Path | None = folder / "report.pdf"
    try:
        files.write_bytes(folder / "report.pdf", render_pdf(content, figures, of_brief))
        files.seal(folder / "report.pdf")
    except TypesettingError as error:
        pdf = None
        talk(f"  {error}")
    return ReportPaths(html=str(folder / "report.html"), pdf=None if pdf is None else str(pdf))
