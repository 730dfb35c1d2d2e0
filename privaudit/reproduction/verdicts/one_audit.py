"""What one audit answers, by intervals over samples: Figure 1."""

from __future__ import annotations

from privaudit.results.measures import Interval

#: Some samples come back and others do not: the interval of the share lies within these.
FEW, MANY = 0.05, 0.95

#: Two models that agree by no more than this do not agree.
HARDLY = 0.1


def some_but_not_all(ci: Interval) -> str:
    """Judge the share of samples that are recovered by its interval."""
    low, high = ci
    return _word(low > FEW and high < MANY, high < FEW or low > MANY)


def agree(ci: Interval | None) -> str:
    """Judge by the interval of Spearman's ρ whether two models agree on who is recovered; without one, not."""
    low, high = ci or (0.0, 1.0)
    return _word(low > 0, high < HARDLY)


def _word(supported: bool, refuted: bool) -> str:
    return "supported" if supported else "not supported" if refuted else "inconclusive"
