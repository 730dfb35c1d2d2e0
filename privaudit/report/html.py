"""The report as one self-contained HTML file: no script, no request, every value escaped."""

from __future__ import annotations

import base64
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def render_html(report: dict[str, Any], figures: list[list[str]]) -> str:
    """Render ``report.json``; ``figures[s][f]`` is the SVG of figure f of section s."""
    environment = Environment(
        loader=PackageLoader("privaudit.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    # As an image an SVG can run nothing and load nothing, whatever it holds.
    images = [[base64.b64encode(svg.encode()).decode() for svg in section] for section in figures]
    return environment.get_template("report.html").render(report=report, images=images)
