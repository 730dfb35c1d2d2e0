"""The report as a tagged PDF, typeset by typst from the same ``report.json``."""

from __future__ import annotations

import json
import tempfile
from importlib.resources import files as resources
from pathlib import Path
from typing import Any

from privaudit.errors import PrivauditError

#: Archival, and tagged for assistive technology.
STANDARDS = ["a-2a", "ua-1"]


class TypesettingError(PrivauditError):
    """The PDF could not be made; the HTML report is whole all the same."""


def render_pdf(report: dict[str, Any], figures: list[list[str]]) -> bytes:
    """Typeset ``report.json``; the same input gives the same bytes.

    Raises
    ------
    TypesettingError
        Where typst is absent or fails, with the reason in a line.
    """
    try:
        import typst
    except ImportError as error:
        raise TypesettingError(f"no PDF: typst can't be loaded ({error})", hint="pip install typst") from error
    with tempfile.TemporaryDirectory(prefix="privaudit-") as name:
        folder = Path(name)
        main = folder / "report.typ"
        main.write_bytes(resources("privaudit.report").joinpath("templates/report.typ").read_bytes())
        (folder / "report.json").write_text(json.dumps(report), "utf-8")
        for section, drawings in enumerate(figures):
            for figure, svg in enumerate(drawings):
                (folder / f"{section}-{figure}.svg").write_text(svg, "utf-8")
        try:
            compiled = typst.compile(str(main), root=str(folder), pdf_standards=STANDARDS, timestamp=0)
        except (typst.TypstError, RuntimeError, ValueError) as error:
            raise TypesettingError(f"no PDF: typst failed ({str(error)[:300]})") from error
    if not isinstance(compiled, bytes):
        raise TypesettingError("no PDF: typst returned nothing")
    return compiled
