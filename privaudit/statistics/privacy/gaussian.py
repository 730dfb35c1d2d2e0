"""Gaussian differential privacy (Dong et al. 2022): what hits and alarms say of μ, and μ in terms of ε and δ."""

from __future__ import annotations

import math

from scipy import optimize
from scipy.special import log_ndtr, ndtri

from privaudit.statistics.epsilon_bounds import LARGEST
from privaudit.statistics.intervals import clopper_pearson


def mu_of_trials(hits: int, trials_in: int, alarms: int, trials_out: int, confidence: float = 0.95) -> float:
    """Return μ that Gaussian differential privacy must at least have, ≥ 0, from independent trials of a fixed test.

    Under μ-GDP a test of membership has Φ⁻¹(TPR) − Φ⁻¹(FPR) ≤ μ. TPR is bounded from below and FPR from above by
    Clopper and Pearson, each at half of the error.
    """
    if not (trials_in and trials_out):
        return 0.0
    tpr, _ = clopper_pearson(hits, trials_in, confidence)
    _, fpr = clopper_pearson(alarms, trials_out, confidence)
    return max(0.0, float(ndtri(tpr) - ndtri(fpr)))


def epsilon_of_mu(mu: float, delta: float) -> float:
    """Return the least ε for which μ-GDP is (ε, δ)-DP: δ(ε) = Φ(μ/2 − ε/μ) − e^ε Φ(−μ/2 − ε/μ); infinite at δ = 0."""
    if mu <= 0:
        return 0.0
    if delta <= 0:
        return LARGEST

    def excess(epsilon: float) -> float:
        above, below = log_ndtr(mu / 2 - epsilon / mu), epsilon + log_ndtr(-mu / 2 - epsilon / mu)
        return float(math.exp(above) - math.exp(min(below, 0.0))) - delta

    if excess(0.0) <= 0:
        return 0.0
    return LARGEST if excess(LARGEST) > 0 else float(optimize.brentq(excess, 0.0, LARGEST, xtol=1e-9))
