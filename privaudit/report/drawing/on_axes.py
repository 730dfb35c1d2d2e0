"""The report's drawings on matplotlib's own axes, for those who look at results in a notebook."""

from __future__ import annotations

from typing import Any

from privaudit.report.content import figure_data
from privaudit.report.drawing.figures import DRAWINGS, STYLE, WIDTH, height_of


def draw_on(kind: str, data: figure_data.FigureData, axes: Any | None = None) -> Any:
    """Draw one figure of a single panel, on ``axes`` or on those of a new figure; return the axes."""
    import matplotlib

    if axes is not None:
        borrowed: Any = _Borrowed(axes)
        DRAWINGS[kind].draw(borrowed, data)
        return axes
    from matplotlib import pyplot

    with matplotlib.rc_context(STYLE):
        figure = pyplot.figure(figsize=(WIDTH, height_of(kind, data)), layout="constrained")
        DRAWINGS[kind].draw(figure, data)
    return figure.axes[0]


class _Borrowed:
    """Somebody's axes, in the place of a figure that would have made its own."""

    def __init__(self, axes: Any) -> None:
        self.axes = [axes]

    def subplots(self) -> Any:
        """Return the axes that are there."""
        return self.axes[0]

    def legend(self, *, fontsize: float, **_: Any) -> None:
        """Put the legend into them: what lies beside them is not ours."""
        self.axes[0].legend(loc="best", fontsize=fontsize)
