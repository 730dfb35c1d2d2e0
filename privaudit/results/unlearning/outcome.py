"""What an unlearning run came to, in one word, and the figures that it rests on (docs/unlearning.md, "Outcomes")."""

from __future__ import annotations

from typing import Literal

from privaudit.results.base import Result
from privaudit.results.measures import Interval

OutcomeName = Literal["exact", "close", "partial", "unchanged", "ruined", "unclear"]

#: Of these the model is rejected: it is no result of unlearning.
REJECTED: tuple[OutcomeName, ...] = ("unchanged", "ruined")


class Fall(Result):
    """How far retained or test samples fell below what a model without D_u keeps.

    Parameters
    ----------
    accuracy, before, kept
        On D_r, or on test samples of classes that stay: of the unlearned model, of the original, and the least of the
        original's and the retrained models'.
    allowed
        So far below ``kept`` it may lie.
    margin, margin_kept, margin_allowed
        The same of mean margins.
    ruined
        Whether either fell further.
    """

    accuracy: float
    before: float
    kept: float
    allowed: float
    margin: float | None
    margin_kept: float
    margin_allowed: float
    ruined: bool

    @property
    def of_accuracy(self) -> bool:
        """Whether accuracy fell further than it may; else only the margin can have."""
        return self.kept - self.accuracy > self.allowed + 1e-9


class Figures(Result):
    """What an outcome rests on.

    Parameters
    ----------
    basis
        What the model was held against, in words.
    forget
        Samples of D_u.
    tow, tow_do_nothing, noise_floor
        Of the model, of the original and of a second retraining (or, without one, of a model that differs from the
        reference by chance alone), against the reference; None where nothing says what to expect.
    floor_measured
        Whether a second retraining was made.
    gain, gain_ci
        ``tow`` − ``tow_do_nothing``, with its 95% interval.
    behind_ci, nothing_behind_ci
        95% intervals of ``tow`` − ``noise_floor`` and ``tow_do_nothing`` − ``noise_floor``.
    way
        Share of the way from doing nothing to the noise floor.
    margin_way, margin_z
        How much closer to the reference the margins of D_u came, as a share of the way there, and that in standard
        errors.
    falls
        By part (``retain``, ``test``).
    finite, identical
        Whether the model answers in numbers, and whether it says of D_u exactly what the original says.
    """

    basis: str | None = None
    forget: int | None = None
    tow: float | None = None
    tow_do_nothing: float | None = None
    noise_floor: float | None = None
    floor_measured: bool = False
    gain: float | None = None
    gain_ci: Interval | None = None
    behind_ci: Interval | None = None
    nothing_behind_ci: Interval | None = None
    way: float | None = None
    margin_way: float | None = None
    margin_z: float | None = None
    falls: dict[str, Fall] | None = None
    finite: bool = True
    identical: bool = False


class OutcomeEvidence(Figures):
    """The figures, with what they come to and the sentence that says so everywhere."""

    name: OutcomeName
    sentence: str
