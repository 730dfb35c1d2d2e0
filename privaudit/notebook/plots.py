"""``result.plot``: the report's charts on matplotlib's axes, to be looked at or put into a figure of one's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from privaudit.errors import PrivauditError

if TYPE_CHECKING:
    import pandas as pd

    from privaudit.results.audit.score_results import ScoreResults
    from privaudit.results.unlearning.run import UnlearnResults

#: Of matplotlib, which brings no types.
Axes = Any


@dataclass(frozen=True)
class AuditPlots:
    """Charts of an audit.

    Parameters
    ----------
    results
        Of the audit.
    table
        Reads its score table.
    """

    results: ScoreResults
    table: Callable[[], pd.DataFrame]

    def roc(self, ax: Axes | None = None) -> Axes:
        """Draw the attacks' ROC curves, both axes logarithmic.

        Parameters
        ----------
        ax
            Axes to draw on [those of a new figure].

        Returns
        -------
        matplotlib.axes.Axes
            What was drawn on.
        """
        from privaudit.report.drawing.on_axes import draw_on
        from privaudit.report.sections.attack_results import curves_of

        return draw_on("roc", curves_of(self.results), ax)

    def risk(self, ax: Axes | None = None) -> Axes:
        """Draw how many samples have which risk; the line at one half is guessing. See `roc`."""
        from privaudit.report.drawing.on_axes import draw_on
        from privaudit.report.sections.exposure import histogram_of

        table = self.table()
        return draw_on("histogram", histogram_of(table[~table["canary"]]), ax)


@dataclass(frozen=True)
class UnlearningPlots:
    """Charts of an unlearning run.

    Parameters
    ----------
    results
        Of the run.
    """

    results: UnlearnResults

    def roc(self, ax: Axes | None = None) -> Axes:
        """Draw how well the forgotten are told from others, by LiRA on the model before, after, and retrained.

        Parameters
        ----------
        ax
            Axes to draw on [those of a new figure].

        Returns
        -------
        matplotlib.axes.Axes
            What was drawn on.

        Raises
        ------
        PrivauditError
            Where no shadow model was left to judge by.
        """
        from privaudit.report.content.figure_data import Curves
        from privaudit.report.drawing.on_axes import draw_on

        found = {name.replace("_", " "): again.forget for name, again in self.results.reaudit.items()}
        curves = {name: attack.curve for name, attack in found.items() if attack is not None}
        drawn = {name: curve for name, curve in curves.items() if curve is not None}
        if not drawn:
            raise PrivauditError(
                f"there is no ROC of {self.results.run}: no comparison model could tell the forgotten from others",
                hint="plot.risk() shows how many still look trained on.",
            )
        return draw_on("roc", Curves(curves=drawn), ax)

    def risk(self, ax: Axes | None = None) -> Axes:
        """Draw how many of the forgotten look trained on: before, after, and where they never were. See `roc`."""
        from privaudit.report.brief.pictures import of_unlearning
        from privaudit.report.drawing.on_axes import draw_on

        if not (pictures := of_unlearning([self.results])):
            raise PrivauditError(
                f"there is no picture of {self.results.run}: how many of the forgotten look trained on can't be told",
                hint="Whole classes and clusters have no such figure; .accuracy says how often each model is right.",
            )
        return draw_on("shares", pictures[0].data, ax)
