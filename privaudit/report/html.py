"""The report as one self-contained HTML file: no request, every value escaped, no script but the explorer's own."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib.resources import files as resources
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from privaudit.report.drawing import figures as drawn
from privaudit.report.explorer import payload

#: The colours of a drawing, and what stands for them on a dark screen.
DARK = {drawn.INK: "#dfe6ec", drawn.QUIET: "#93a1af", drawn.ACCENT: "#7cb8e6", "#b5501a": "#f0a070"} | {
    "#4f7326": "#a8cf78",
    "#7a4d9e": "#c9a3ea",
}


def render_html(
    report: dict[str, Any],
    figures: list[list[list[str]]],
    samples: pd.DataFrame | None = None,
    brief: list[list[str]] | None = None,
) -> str:
    """Render ``report.json``.

    Parameters
    ----------
    report
        The content.
    figures
        ``figures[s][f]`` are the SVG drawings of figure f of section s.
    samples
        What the explorer shows, a row a sample; without it there is none.
    brief
        The drawings of the brief's figures, where there is one.
    """
    environment = Environment(
        loader=PackageLoader("privaudit.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["whole"] = _whole
    style, script, fold = _template("report.css"), _template("explorer.js"), _template("fold.js")
    explorer = report["explorer"]
    # The payload escapes every sign that could end its element, and is never run.
    packed = "" if explorer is None or samples is None else payload(explorer, samples)
    return environment.get_template("report.html").render(
        report=report,
        images=[[[_image(svg) for svg in figure] for figure in section] for section in figures],
        brief_images=[[_image(svg) for svg in figure] for figure in brief or ()],
        fold=Markup(fold),  # noqa: S704 - our own file, no value in it
        fold_hash=_hash(fold) if "brief" in report else None,
        style=Markup(style),  # noqa: S704 - our own file, no value in it
        style_hash=_hash(style),
        script=Markup(script),  # noqa: S704 - our own file, no value in it
        script_hash=_hash(script) if packed else None,
        samples=Markup(packed),  # noqa: S704
    )


#: An interval, which no line may break, and what may surround it in a number.
_INTERVAL = re.compile(r"(?<![\w.,])[+−-]?[\d.,]*\d%?–[+−-]?\d[\d.,]*%?")


def _whole(text: str) -> Markup:
    """A text, escaped, with its intervals each in one line."""
    return Markup(_INTERVAL.sub(lambda found: f'<span class="whole">{found[0]}</span>', str(escape(text))))  # noqa: S704


def _template(name: str) -> str:
    return resources("privaudit.report").joinpath(f"templates/{name}").read_text("utf-8")


def _hash(content: str) -> str:
    """What the content security policy lets run: this text and no other."""
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode("ascii")


def _image(svg: str) -> str:
    """A drawing as base64. As an image an SVG can run nothing and load nothing, whatever it holds."""
    return base64.b64encode(_for_dark_screens(svg).encode()).decode("ascii")


def _for_dark_screens(svg: str) -> str:
    names = {colour: f"--c{index}" for index, colour in enumerate(DARK)}
    # Matplotlib's black is what it draws glyphs in where nothing else is said.
    changed = re.sub(
        r"((?:fill|stroke): )(#[0-9a-f]{6})",
        lambda found: f"{found[1]}var({names[found[2]]})" if found[2] in names else found[0],
        svg,
    )
    light = ";".join(f"{name}:{colour}" for colour, name in names.items())
    dark = ";".join(f"{name}:{DARK[colour]}" for colour, name in names.items())
    rule = f"<style>:root{{{light}}}@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}</style>"
    end = changed.index(">", changed.index("<svg")) + 1
    return changed[:end] + rule + changed[end:]
