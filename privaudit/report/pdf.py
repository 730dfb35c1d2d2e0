"""The report as a tagged PDF, typeset by typst from the same ``report.json``."""

from __future__ import annotations

import json
from importlib.resources import files as resources
from typing import Any, Literal

from privaudit.errors import PrivauditError
from privaudit.report.content.wording import each_text
from privaudit.report.drawing.fonts import font_folder, legible
from privaudit.runtime.scratch import scratch_folder

#: Archival, and tagged for assistive technology.
STANDARDS: list[Literal["a-2a", "ua-1"]] = ["a-2a", "ua-1"]


class TypesettingError(PrivauditError):
    """The PDF could not be made; the HTML report is whole all the same."""


def without_drawn_data(report: dict[str, Any]) -> dict[str, Any]:
    """The report with the number of drawings in place of what they were drawn from."""

    def counted(figures: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [figure | {"data": {"panels": len(figure["data"].get("panels", [None]))}} for figure in figures]

    sections = [section | {"figures": counted(section["figures"])} for section in report["sections"]]
    changed = report | {"sections": sections}
    if (brief := report.get("brief")) is not None:
        changed["brief"] = brief | {name: counted(brief[name]) for name in ("pictures", "distribution")}
    return changed


def render_pdf(report: dict[str, Any], figures: list[list[list[str]]], brief: list[list[str]] | None = None) -> bytes:
    """Typeset ``report.json``; the same input gives the same bytes.

    Parameters
    ----------
    report
        The content.
    figures
        ``figures[s][f]`` are the SVG drawings of figure f of section s.
    brief
        The drawings of the brief's figures, where there is one.

    Raises
    ------
    TypesettingError
        Where typst is absent or fails, with the reason in a line.
    """
    try:
        import typst
    except ImportError as error:
        raise TypesettingError(f"no PDF: typst can't be loaded ({error})", hint="pip install typst") from error
    with scratch_folder() as folder:
        main = folder / "report.typ"
        main.write_bytes(resources("privaudit.report").joinpath("templates/report.typ").read_bytes())
        (folder / "report.json").write_text(json.dumps(each_text(without_drawn_data(report), legible)), "utf-8")
        for section, drawn in [("brief", brief or []), *enumerate(figures)]:
            for figure, drawings in enumerate(drawn):
                for panel, svg in enumerate(drawings):
                    (folder / f"{section}-{figure}-{panel}.svg").write_text(svg, "utf-8")
        try:
            compiled = typst.compile(
                str(main),
                root=str(folder),
                font_paths=[str(font_folder())],
                ignore_system_fonts=True,
                pdf_standards=list(STANDARDS),
                timestamp=0,
            )
        except (typst.TypstError, RuntimeError, ValueError) as error:
            raise TypesettingError(f"no PDF: typst failed ({str(error)[:300]})") from error
    if not isinstance(compiled, bytes):
        raise TypesettingError("no PDF: typst returned nothing")
    return compiled
