"""How candidates did on one held-out forget set, against a model retrained without it, resampled together."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from torch import nn

from privaudit.evaluation.measures.outcome import Models, fall_of
from privaudit.evaluation.measures.resampling import Drawn, Resampled
from privaudit.shadow.trainer import signals_on
from privaudit.signals import signal
from privaudit.trials.calibration.candidates import Candidate
from privaudit.unlearning.application.problem import UnlearningProblem

Margins = dict[str, npt.NDArray[np.float64]]

#: ToW that counts as nothing, however many samples there are; and the most that is given away for a cheaper choice.
LEAST_NOISE, MOST_NOISE = 0.01, 0.01


def margins_of(problem: UnlearningProblem, model: nn.Module) -> Margins:
    """Return margins on D_u, on D_r and on the validation half of the test set, which alone may choose."""
    pool = np.asarray(signal(signals_on(model, problem.pool)[:, 0], "margin"), np.float64)
    test = signal(signals_on(model, problem.test, problem.validation)[:, 0], "margin")
    return {
        "forget": pool[problem.forget.rows],
        "retain": pool[problem.retain],
        "test": np.asarray(test, np.float64),
    }


@dataclass
class JudgedSet:
    """One forget set, by its number: the retrained and the original model's margins, and those of what was tried."""

    problem: UnlearningProblem
    retrained: Margins
    original: Margins
    tried: dict[Candidate, Margins] = field(default_factory=dict)
    number: int = 1

    def add(self, candidate: Candidate, model: nn.Module) -> str | None:
        """Take a candidate's model; return why it is ruined, if it is."""
        found = margins_of(self.problem, model)
        if not all(bool(np.isfinite(one).all()) for one in found.values()):
            return "it answers in no numbers"
        classes = self.problem.bench.specification.classes
        stay = self.problem.stay(self.problem.validation)
        models = Models(self.original, found, self.retrained, None, None, classes, stay)
        for part, name in (("retain", "retained"), ("test", "validation")):
            fall = fall_of(models, part)
            if fall.ruined and fall.of_accuracy:
                return f"accuracy on {name} samples fell to {fall.accuracy:.3f}, where {fall.kept:.3f} is kept"
            if fall.ruined:
                return (
                    f"the mean margin of {name} samples fell to {fall.margin:.3g}, where {fall.margin_kept:.3g} is kept"
                )
        self.tried[candidate] = found
        return None

    def tows(self) -> tuple[Drawn, dict[Candidate, Drawn]]:
        """Return ToW of doing nothing and of every candidate, in the same draws of samples."""
        every = [self.retrained, self.original, *self.tried.values()]
        right = {part: [one[part] > 0 for one in every] for part in ("forget", "retain", "test")}
        found = Resampled.of(right, seed=self.problem.seed)
        return found.tow(1), {candidate: found.tow(2 + place) for place, candidate in enumerate(self.tried)}

    def words_on(self, candidate: Candidate) -> str:
        """Say what came of a candidate on this forget set, which is named."""
        nothing, tows = self.tows()
        where = f"held-out forget set {self.number}"
        if candidate not in tows:
            return f"ruined the model on {where}"
        return f"ToW {tows[candidate].value:.3f} on {where} (doing nothing: {nothing.value:.3f})"


@dataclass(frozen=True)
class Standing:
    """Mean ToW over forget sets of candidates, and of doing nothing, with their draws."""

    nothing: tuple[Drawn, ...]
    tows: dict[Candidate, tuple[Drawn, ...]]

    @classmethod
    def of(cls, sets: list[JudgedSet]) -> Standing:
        """Put sets together; a candidate has the first of them, or all."""
        found = [one.tows() for one in sets]
        tows: dict[Candidate, tuple[Drawn, ...]] = {}
        for _, by_candidate in found:
            for candidate, drawn in by_candidate.items():
                tows[candidate] = (*tows.get(candidate, ()), drawn)
        return cls(tuple(nothing for nothing, _ in found), tows)

    def without(self, candidate: Candidate) -> Standing:
        """Return the same without one of them."""
        return Standing(self.nothing, {one: tows for one, tows in self.tows.items() if one != candidate})

    def tow(self, candidate: Candidate) -> float:
        """Return the mean ToW over the sets that it was tried on."""
        return float(np.mean([one.value for one in self.tows[candidate]]))

    @property
    def of_nothing(self) -> float:
        """That of doing nothing."""
        return float(np.mean([one.value for one in self.nothing]))

    def lead(self, candidate: Candidate, other: Candidate | None) -> tuple[float, float]:
        """Return how far a candidate is ahead of another (None: of doing nothing) where both were tried, and the noise.

        The noise is one standard error over samples, and at least `LEAST_NOISE`.
        """
        pairs = list(zip(self.tows[candidate], self.nothing if other is None else self.tows[other], strict=False))
        lead = float(np.mean([one.value - two.value for one, two in pairs]))
        draws = np.mean([one.draws - two.draws for one, two in pairs], axis=0)
        return lead, max(LEAST_NOISE, float(np.std(draws)))

    def is_ahead(self, candidate: Candidate, other: Candidate | None, times: float = 1.0) -> bool:
        """Tell whether it is ahead by more than noise, or so many times noise."""
        lead, noise = self.lead(candidate, other)
        return lead > times * noise
