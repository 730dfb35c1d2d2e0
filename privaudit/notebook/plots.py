"""``result.plot``: the report's charts on matplotlib's axes, to be looked at or put into a figure of one's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from privaudit.errors import PrivauditError

if TYPE_CHECKING:
    import pandas as pd

    from privaudit.results.audit.score_results import ScoreResults
    from privaudit.results.unlearning.run import UnlearnResults

#: Of matplotlib, which brings no types.
Axes = Any

#: The models of an unlearning run, as a chart calls them.
MODELS = {"original": "before", "unlearned": "after", "retrained": "retrained"}


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
    exposure
        Reads its table of LiRA's ratio of every sample under every model.
    """

    results: UnlearnResults
    exposure: Callable[[], pd.DataFrame]

    def roc(self, ax: Axes | None = None) -> Axes:
        """Draw how well LiRA tells those who stayed from the forgotten: before, after, and where it was retrained.

        Before, both were trained on, and the curve is that of guessing. After, it should be where retraining is: what
        was forgotten looks as if it had never been there.

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
            Where comparison models can't tell: of whole classes, or where the samples were purged.
        """
        from privaudit.report.content.figure_data import Curves
        from privaudit.report.drawing.on_axes import draw_on
        from privaudit.results.measures import Curve
        from privaudit.statistics.roc import roc

        table = self.exposure()
        stayed = ~table["forgotten"].to_numpy(bool)
        ratios = {said: table[name].to_numpy() for name, said in MODELS.items() if name in table}
        if stayed.all() or not stayed.any() or any(np.isnan(one).any() for one in ratios.values()):
            raise PrivauditError(
                f"there is no ROC of {self.results.run}: no comparison model can tell the forgotten from the others",
                hint="Of whole classes .accuracy says how often each model is right.",
            )
        curves = {said: Curve.model_validate(roc(one, stayed).sketch()) for said, one in ratios.items()}
        axes = draw_on("roc", Curves(curves=curves), ax)
        axes.set(xlabel="forgotten that look trained on", ylabel="retained that look trained on")
        return axes

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
