"""Figures as SVG, drawn once for both renderings."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from privaudit.report import figures_inversion

INK = "#1f2933"
ACCENT = "#1b6ca8"
COLOURS = (ACCENT, "#c2571a", "#5b7f2b", "#7a4d9e")
STYLES = ("-", "--", ":", "-.")
QUIET = "#8793a1"


def draw(kind: str, data: dict[str, Any]) -> str:
    """Draw one figure; the same data gives the same bytes."""
    import matplotlib
    from matplotlib.figure import Figure

    style: dict[Any, Any] = {
        "svg.fonttype": "path",
        "svg.hashsalt": "privaudit",
        "font.size": 9,
        "axes.edgecolor": QUIET,
        "axes.labelcolor": INK,
        "text.color": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "legend.frameon": False,
    }
    with matplotlib.rc_context(style):
        panels = len(data["panels"]) if kind == "scatter" else 1
        figure = Figure(figsize=(6.4 if panels == 1 else 3.0 * panels, 3.0), layout="constrained")
        ({"roc": _roc, "histogram": _histogram, "scatter": _scatter} | figures_inversion.DRAWINGS)[kind](figure, data)
        stream = io.StringIO()
        # Without metadata the drawing holds no date and no address.
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(stream, format="svg", metadata=nothing, transparent=True)
    svg = stream.getvalue()
    return svg[svg.index("<svg") :]


def _roc(figure: Any, data: dict[str, Any]) -> None:
    axes = figure.subplots()
    smallest = 1.0
    for (name, curve), colour, line in zip(data["curves"].items(), COLOURS, STYLES, strict=False):
        fpr, tpr = np.asarray(curve["fpr"]), np.asarray(curve["tpr"])
        shown = (fpr > 0) & (tpr > 0)
        if shown.any():
            axes.plot(fpr[shown], tpr[shown], color=colour, linestyle=line, label=name, linewidth=1.6)
            smallest = min(smallest, float(fpr[shown].min()))
    axes.plot([smallest, 1], [smallest, 1], color=QUIET, linestyle=(0, (4, 4)), linewidth=1)
    axes.set(xscale="log", yscale="log", xlabel="false alarms (FPR)", ylabel="members found (TPR)")
    axes.legend(loc="lower right")


def _histogram(figure: Any, data: dict[str, Any]) -> None:
    axes = figure.subplots()
    values, counts = np.asarray(data["values"]), np.asarray(data["counts"])
    gap = float(np.diff(values).min()) if len(values) > 1 else 0.05
    axes.bar(values, counts, width=min(0.05, gap) * 0.9, color=ACCENT)
    axes.axvline(0.5, color=QUIET, linestyle=(0, (4, 4)), linewidth=1)
    axes.set(xlim=(-0.03, 1.03), xlabel="risk (attack success rate)", ylabel="samples")


def _scatter(figure: Any, data: dict[str, Any]) -> None:
    panels = data["panels"]
    if not panels:
        return
    for axes, panel in zip(np.atleast_1d(figure.subplots(1, len(panels))), panels, strict=True):
        # Dots are many: as one rasterised layer the file stays small.
        axes.scatter(panel["x"], panel["y"], s=5, color=ACCENT, alpha=0.35, linewidths=0, rasterized=True)
        axes.axvline(0.5, color=QUIET, linestyle=(0, (4, 4)), linewidth=1)
        axes.set(xlabel="risk", title=panel["title"])
        axes.title.set_fontsize(9)
