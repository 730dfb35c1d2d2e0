"""Write an audit's ``report.json``, ``report.html`` and ``report.pdf`` from its stored results."""

from __future__ import annotations

from pathlib import Path

from privaudit import files
from privaudit.progress import talk
from privaudit.report.figures import draw
from privaudit.report.html import render_html
from privaudit.report.model import build_report
from privaudit.report.pdf import TypesettingError, render_pdf


def render_report(folder: Path) -> dict[str, str | None]:
    """Render both reports of ``<out>/<audit>``; the PDF's path is None where it can't be made, and a line says why."""
    report = build_report(folder)
    content = report.to_json()
    figures = [[draw(figure.kind, figure.data) for figure in section.figures] for section in report.sections]
    files.write_json(folder / "report.json", content)
    files.seal(folder / "report.json")
    files.write_text(folder / "report.html", render_html(content, figures))
    files.seal(folder / "report.html")
    paths: dict[str, str | None] = {"html": str(folder / "report.html"), "pdf": None}
    try:
        files.write_bytes(folder / "report.pdf", render_pdf(content, figures))
        files.seal(folder / "report.pdf")
        paths["pdf"] = str(folder / "report.pdf")
    except TypesettingError as error:
        talk(f"  {error}")
        # An older PDF beside the new HTML would be taken for the same report.
        files.remove(folder / "report.pdf")
    return paths
