"""Results as a notebook has them: the fields of ``--json``, and with them tables, plots and a view of their own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from privaudit.errors import StoreError
from privaudit.notebook.plots import AuditPlots, UnlearningPlots
from privaudit.results.audit.score_results import ScoreAnswer
from privaudit.results.unlearning.run import UnlearnAnswer

if TYPE_CHECKING:
    import pandas as pd

AGAIN = "The same call makes it anew: what was trained is kept."


class ScoredAudit(ScoreAnswer):
    """What `privaudit.score` returns.

    Its fields and keys are those of ``score --json``: ``audit.attacks["lira"].auc``, ``audit["scores"]``. In a notebook
    it shows itself.
    """

    @property
    def scores(self) -> pd.DataFrame:
        """The score table, one row a sample, read from its file; ``result["scores"]`` is the file's path."""
        return _read(self.scores_file)

    @property
    def plot(self) -> AuditPlots:
        """Its pictures: ``plot.roc()``, ``plot.risk()``."""
        return AuditPlots(self, lambda: self.scores)

    @classmethod
    def around(cls, answer: ScoreAnswer) -> ScoredAudit:
        """Wrap what a command answered."""
        return cls.model_validate(dict(answer))

    def __repr__(self) -> str:
        """Name the audit and its headline, on one line."""
        lira = self.attacks["lira"]
        return f"ScoredAudit({self.audit!r}, samples={self.samples}, shadows={self.shadows}, lira_auc={lira.auc:.3f})"

    def _repr_html_(self) -> str:
        from privaudit.notebook.html import html_of_audit

        table = self.scores if Path(self.scores_file).is_file() else None
        return html_of_audit(self, table, Path(self.scores_file).parent)


class UnlearnedModel(UnlearnAnswer):
    """What `privaudit.unlearn` returns.

    Its fields and keys are those of ``unlearn --json``. In a notebook it shows itself.
    """

    @property
    def scores(self) -> pd.DataFrame:
        """The table of those that were forgotten, one row a sample: risk, difficulties, LiRA's ratio by model."""
        return _read(Path(self.folder) / "forgetting.parquet")

    @property
    def plot(self) -> UnlearningPlots:
        """Its pictures: ``plot.roc()``, ``plot.risk()``."""
        return UnlearningPlots(self, lambda: _read(Path(self.folder) / "exposure.parquet"))

    @classmethod
    def around(cls, answer: UnlearnAnswer) -> UnlearnedModel:
        """Wrap what a command answered."""
        return cls.model_validate(dict(answer))

    def __repr__(self) -> str:
        """Name the run and its outcome, on one line."""
        return f"UnlearnedModel({self.run!r}, method={self.method!r}, forget={self.forget}, outcome={self.outcome!r})"

    def _repr_html_(self) -> str:
        from privaudit.notebook.html import html_of_unlearning

        return html_of_unlearning(self)


def _read(path: str | Path) -> pd.DataFrame:
    if not Path(path).is_file():
        raise StoreError(f"the table {path} is not there any more", hint=AGAIN)
    import pandas as pd

    return pd.read_parquet(path)
