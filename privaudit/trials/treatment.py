"""Trials: several treatments of one original model and one forget set, each named by what decides its result.

Comparisons of orders and the paper's experiments are made of trials, and share them: whoever asks for the same one
later finds its results. `privaudit.trials.run_trials` runs them, `privaudit.trials.trial_evaluation` judges each.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.results.base import read_result
from privaudit.results.unlearning.trials import TrialResult
from privaudit.runtime import files
from privaudit.runtime.identity import Identity
from privaudit.unlearning.application.problem import Bench
from privaudit.unlearning.application.run_method import Request
from privaudit.unlearning.base import UNLEARNERS
from privaudit.unlearning.requests.forget_set import ForgetSet

Rows = npt.NDArray[np.int64]

FOLDER = "trials"


@dataclass(frozen=True)
class Treatment:
    """What is done to the original model.

    Parameters
    ----------
    request
        A method and its sequence, its seed that of the scene; or ``do-nothing`` (the original model as it is) or
        ``retrain`` (a second model that was trained without the forget set: how alike two of them are).
    """

    request: Request | str

    def identity(self) -> Any:
        """Everything about it that decides a result."""
        if isinstance(self.request, str):
            return self.request
        request = self.request
        sequencing = request.sequencing.to_json()
        if request.sequencing.order == "none":
            sequencing = {"order": "none", "state": request.sequencing.optimizer_state}
        identity: dict[str, Any] = {
            "method": request.method,
            "parameters": asdict(request.parameters),
            "sequencing": sequencing,
        }
        if request.by_evidence:
            identity["by_evidence"] = True
        identity |= request.revision
        # A method that another package brings may be edited under the same name.
        source = UNLEARNERS.source(request.method)
        return identity if source is None else identity | {"source": source}


@dataclass(frozen=True)
class Scene:
    """A seed's original model, forget set and two retrained models, all trained already; and what is to be tried.

    Parameters
    ----------
    seed
        Decides the methods' randomness and the draw of members for MIA-efficacy.
    bench
        The audit.
    forget
        D_u.
    folder
        Where results go.
    original, retrained
        The original model, and two models trained on D_r: the first is the reference, the second a treatment.
    own_target
        Whether the original model is this seed's own rather than the audit's target.
    treatments
        Asked of this scene.
    relearn
        Whether relearn time is wanted too: up to 400 training steps a model.
    """

    seed: int
    bench: Bench
    forget: ForgetSet
    folder: Path
    original: Path
    retrained: tuple[Path, Path]
    own_target: bool
    treatments: tuple[Treatment, ...]
    relearn: bool = False

    def path(self, treatment: Treatment) -> Path:
        """Where a treatment's results are: named by what decides them."""
        scores = self.bench.table.loc[self.forget.rows, ["risk", "lira", "loss"]].to_numpy(np.float64)
        scene = Identity.of(
            shadows=self.bench.shadows,
            scores=scores,
            forget=self.forget.rows,
            seed=self.seed,
            own_target=self.own_target,
        )
        return self.folder / scene.digest() / f"{Identity(treatment.identity()).digest()}.json"

    def is_done(self, treatment: Treatment) -> bool:
        """Whether its results are there, whole, with everything that is wanted."""
        if not files.is_whole(self.path(treatment)):
            return False
        return not self.relearn or self.results(treatment).relearn_limit is not None

    def missing(self) -> list[Treatment]:
        """The treatments that are not done yet."""
        return [treatment for treatment in self.treatments if not self.is_done(treatment)]

    def results(self, treatment: Treatment) -> TrialResult:
        """Read what was found."""
        return read_result(self.path(treatment), TrialResult)
