"""What the model makes of each forget sample while it forgets."""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt
from torch import nn

from privaudit.signals import signal, signals_of
from privaudit.training.loop import Samples, logits_of

#: How often the model is looked at over a run, besides before its first step and after its last.
LOOKS = 20


class Trajectory:
    """Margins of the forget set at about `LOOKS` moments, counted in forget-sample gradients.

    Parameters
    ----------
    samples
        The pool.
    forget
        int64 rows of D_u.
    planned
        Forget-sample gradients of the whole run.
    """

    def __init__(self, samples: Samples, forget: npt.NDArray[np.int64], planned: int) -> None:
        self._samples = samples
        self._forget = forget
        self._labels = samples.labels.cpu().numpy()[forget]
        self._gap = max(1, planned // LOOKS)
        self._planned = planned
        self._steps: list[int] = []
        self._margins: list[npt.NDArray[np.float32]] = []
        #: Spent on looking.
        self.seconds = 0.0

    def look(self, spent: int, model: nn.Module, *, anew: bool = False) -> None:
        """Measure, unless it was done a moment ago; ``anew`` replaces what was measured at this very point."""
        if anew and self._steps and self._steps[-1] == spent:
            self._steps.pop()
            self._margins.pop()
        soon = self._steps and spent < min(self._planned, self._steps[-1] + self._gap)
        if soon or (self._steps and spent == self._steps[-1]):
            return
        start = time.perf_counter()
        # Being looked at must change nothing: neither the mode nor what layers draw (in eval mode they draw nothing).
        mode = model.training
        logits = logits_of(model, self._samples, self._forget)
        model.train(mode)
        self._steps.append(spent)
        self._margins.append(signal(signals_of(logits, self._labels), "margin"))
        self.seconds += time.perf_counter() - start

    @property
    def steps(self) -> npt.NDArray[np.int64]:
        """Forget-sample gradients spent at each look, ``[T]``."""
        return np.array(self._steps, np.int64)

    @property
    def margins(self) -> npt.NDArray[np.float32]:
        """float32 ``[T, n]``."""
        return np.array(self._margins, np.float32).reshape(len(self._steps), len(self._forget))

    def restore(self, steps: npt.NDArray[np.int64], margins: npt.NDArray[np.float32]) -> None:
        """Go on from what an earlier run had seen."""
        self._steps = [int(step) for step in steps]
        self._margins = list(margins)
