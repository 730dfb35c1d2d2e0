"""The report as a tagged PDF, typeset by typst from the same ``report.json``."""

from __future__ import annotations

import json
import tempfile
from functools import cache
from importlib.resources import files as resources
from pathlib import Path
from typing import Any, Literal

from privaudit.errors import PrivauditError

#: Archival, and tagged for assistive technology.
STANDARDS: list[Literal["a-2a", "ua-1"]] = ["a-2a", "ua-1"]


class TypesettingError(PrivauditError):
    """The PDF could not be made; the HTML report is whole all the same."""


def _fonts() -> Path:
    """Matplotlib's own fonts: the same on every machine, so the same input gives the same bytes."""
    import matplotlib

    return Path(matplotlib.get_data_path()) / "fonts" / "ttf"


@cache
def _drawable() -> frozenset[int]:
    """Code points that the fallback font can draw; PDF/A refuses any other."""
    from fontTools.ttLib import TTFont

    return frozenset(TTFont(_fonts() / "DejaVuSans.ttf").getBestCmap())


def legible(value: Any) -> Any:
    """Every text in ``value`` with characters that can't be drawn (an emoji, say) as ``[U+1F986]``."""
    if isinstance(value, dict):
        return {key: legible(item) for key, item in value.items()}
    if isinstance(value, list):
        return [legible(item) for item in value]
    if isinstance(value, str):
        return "".join(
            sign if ord(sign) in _drawable() or sign in "\n\u200b" else f"[U+{ord(sign):04X}]" for sign in value
        )
    return value


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
        (folder / "report.json").write_text(json.dumps(legible(report)), "utf-8")
        for section, drawings in enumerate(figures):
            for figure, svg in enumerate(drawings):
                (folder / f"{section}-{figure}.svg").write_text(svg, "utf-8")
        try:
            compiled = typst.compile(
                str(main),
                root=str(folder),
                font_paths=[str(_fonts())],
                ignore_system_fonts=True,
                pdf_standards=list(STANDARDS),
                timestamp=0,
            )
        except (typst.TypstError, RuntimeError, ValueError) as error:
            raise TypesettingError(f"no PDF: typst failed ({str(error)[:300]})") from error
    if not isinstance(compiled, bytes):
        raise TypesettingError("no PDF: typst returned nothing")
    return compiled
