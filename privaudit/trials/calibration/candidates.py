"""What a calibration tries: methods with parameters, how much each costs, and what lies beyond the edge of a grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from privaudit.results.unlearning.calibration import ForgetSetKind
from privaudit.trials.calibration.kind import RISK
from privaudit.unlearning.base import UNLEARNERS
from privaudit.unlearning.parameters import Parameters, with_changes

TEACHER, RANDOM_LABELS = "shadow-teacher", "rl"

#: Numeric grids, by method and parameter: a best at an end of one is no best yet.
GRIDS: dict[str, dict[str, tuple[float, ...]]] = {
    TEACHER: {"peak": (0.3, 0.6, 1.0), "oversampling": (2.0, 4.0, 8.0)},
    RANDOM_LABELS: {"learning_rate": (0.01, 0.03, 0.1)},
}

#: Beyond its end a grid goes on by this factor.
BEYOND = 2.0

#: Half of the default effort of `shadow-teacher`; and where shadow models saw the rest of the set, so many fresh
#: teachers, each on this share of D_r: a tenth of a retraining in all.
LITTLE, FRESH = 0.5, ((1, 0.1), (2, 0.05))

#: Of a set that lies close together shadow models say what its own samples taught them: they saw half of it. So there
#: the usual method has a fresh teacher, on samples at random and on those that lie nearest to the set.
NEAR = {"fresh_teachers": 1, "fresh_share": 0.05, "fresh_near": 0.05}

#: Passes of random labels over all, as a share of a training's epochs.
PASSES = 0.25


@dataclass(frozen=True)
class Candidate:
    """A method, and the parameters that differ from its defaults."""

    method: str
    changes: tuple[tuple[str, float], ...] = ()

    @classmethod
    def of(cls, method: str, **changes: float) -> Candidate:
        """Make one of parameters by name."""
        return cls(method, tuple(sorted(changes.items())))

    @property
    def parameters(self) -> Parameters:
        """All of them."""
        return with_changes(UNLEARNERS.load(self.method).defaults, dict(self.changes))

    @property
    def values(self) -> dict[str, int | float]:
        """Those that differ."""
        parameters = self.parameters
        return {name: getattr(parameters, name) for name, _ in self.changes}

    def changed(self, name: str, value: float) -> Candidate:
        """Return the same with one parameter at another value."""
        return Candidate.of(self.method, **(dict(self.changes) | {name: value}))

    def get(self, name: str) -> float:
        """Return a parameter."""
        return float(getattr(self.parameters, name))

    @property
    def words(self) -> str:
        """For people."""
        return " ".join([self.method, *(f"{name}={value:g}" for name, value in self.changes)])

    def cost(self, epochs: int) -> float:
        """Return about what it takes, as a share of a retraining."""
        parameters: Any = self.parameters
        if self.method == TEACHER:
            fresh = parameters.fresh_share + parameters.fresh_near
            return float(parameters.effort + parameters.fresh_teachers * fresh)
        return float(parameters.passes / epochs)


def usual_for(kind: ForgetSetKind) -> Candidate:
    """Return what is taken for a kind where trials can't tell: it goes on training as the model was trained."""
    close = kind.name == "concentrated" and kind.by != RISK
    return Candidate.of(TEACHER, **NEAR) if close else Candidate(TEACHER)


def candidates_for(kind: ForgetSetKind, epochs: int) -> list[Candidate]:
    """Return what is tried for a kind of forget set: the defaults, one parameter changed at a time, and random labels.

    Parameters
    ----------
    epochs
        Of the training that is gone on with.
    """
    default = Candidate(TEACHER)
    found = [default]
    for name, values in GRIDS[TEACHER].items():
        found += [default.changed(name, value) for value in values if value != default.get(name)]
    found.append(default.changed("effort", LITTLE * default.get("effort")))
    if (usual := usual_for(kind)) != default:
        found.append(usual)
    if kind.name in ("class", "concentrated"):
        found += [
            same_as_default(Candidate.of(TEACHER, fresh_teachers=number, fresh_share=share)) for number, share in FRESH
        ]
    passes = float(max(1, round(PASSES * epochs)))
    found += [
        Candidate.of(RANDOM_LABELS, learning_rate=rate, passes=passes) for rate in GRIDS[RANDOM_LABELS]["learning_rate"]
    ]
    return found


def edges(candidate: Candidate) -> list[tuple[Candidate, Candidate]]:
    """For each grid at whose end a candidate stands: the candidate further within, and the one beyond the end."""
    found = []
    for name, values in GRIDS[candidate.method].items():
        value = candidate.get(name)
        if value == values[0]:
            found.append((candidate.changed(name, values[1]), candidate.changed(name, value / BEYOND)))
        elif value == values[-1]:
            found.append((candidate.changed(name, values[-2]), candidate.changed(name, value * BEYOND)))
    return [(same_as_default(inner), beyond) for inner, beyond in found]


def same_as_default(candidate: Candidate) -> Candidate:
    """Drop changes that are none: the same candidate is then always equal to itself."""
    defaults = UNLEARNERS.load(candidate.method).defaults
    return Candidate(candidate.method, tuple(one for one in candidate.changes if getattr(defaults, one[0]) != one[1]))
