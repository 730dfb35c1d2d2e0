"""How much ε a DP-SGD spends, and how much noise an ε takes: Opacus's accountant of Rényi differential privacy."""

from __future__ import annotations

import math
import warnings
from types import ModuleType

from privaudit.errors import UsageError

#: Whose arithmetic it is. Its version is no part of the name: an audit's name must not change with it.
ACCOUNTANT = "RDP (Opacus)"

#: Orders of Rényi divergence that are tried: more of them than Opacus does by itself, for small ε.
ORDERS = [1 + tenth / 10 for tenth in range(1, 100)] + [
    float(order) for order in (*range(11, 64), *range(64, 1025, 16))
]

#: Noise multipliers beyond this leave nothing to learn; it is also where the search ends.
MOST_NOISE = 10_000.0

#: Significant digits of a noise multiplier that was searched for, rounded up: less noise is never added than is needed.
DIGITS = 4


def epsilon_of(noise_multiplier: float, sample_rate: float, steps: int, delta: float) -> float:
    """Return the ε that so many steps of the subsampled Gaussian mechanism spend, at most, rounded up.

    Parameters
    ----------
    noise_multiplier, sample_rate, steps
        Of every step: Poisson sampling at this rate, noise of so many times the clipping norm.
    delta
        0 < δ < 1.

    Raises
    ------
    UsageError
        Where Opacus is not installed, or where the noise is too little to bound ε by.
    """
    accountant = _rdp()
    with warnings.catch_warnings():
        # It warns where the best order is the first or the last one: then the bound holds, and may be loose.
        warnings.simplefilter("ignore")
        try:
            spent = accountant.compute_rdp(q=sample_rate, noise_multiplier=noise_multiplier, steps=steps, orders=ORDERS)
            epsilon, _ = accountant.get_privacy_spent(orders=ORDERS, rdp=spent, delta=delta)
        except (ValueError, OverflowError, FloatingPointError) as error:
            raise UsageError(f"--noise-multiplier {noise_multiplier:g}: no ε can be told of it ({error})") from error
    if not math.isfinite(epsilon):
        raise UsageError(f"--noise-multiplier {noise_multiplier:g} is too little to promise any ε by")
    return _up(max(float(epsilon), 1e-6))


def noise_for(epsilon: float, sample_rate: float, steps: int, delta: float) -> float:
    """Return the least noise multiplier that keeps to ε, rounded up to four digits.

    Raises
    ------
    UsageError
        Where Opacus is not installed, or where no noise does.
    """

    def keeps(noise: float) -> bool:
        return epsilon_of(noise, sample_rate, steps, delta) <= epsilon

    high = 1.0
    while not keeps(high):
        high *= 2
        if high > MOST_NOISE:
            raise UsageError(
                f"--epsilon {epsilon:g} at --delta {delta:g}: no noise keeps to it over {steps:,} steps",
                hint="Promise a larger ε, or train for fewer epochs.",
            )
    low = high / 2
    while high <= 1 and low > 0.05 and keeps(low):
        low, high = low / 2, low
    while high / low > 1 + 10.0**-DIGITS:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if keeps(middle) else (middle, high)
    return _up(high)


def _up(value: float) -> float:
    """Round up to `DIGITS` significant digits."""
    place = 10.0 ** (DIGITS - 1 - math.floor(math.log10(value)))
    return float(f"{math.ceil(value * place - 1e-9) / place:.{DIGITS}g}")


def _rdp() -> ModuleType:
    """Opacus's arithmetic; it is imported where it is needed, since few audits do."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from opacus.accountants.analysis import rdp
    except ImportError as error:
        raise UsageError(
            "the recipe dp-sgd needs Opacus, whose accountant says how much noise a promise takes",
            hint="Install it: pip install 'privaudit[dp]'.",
        ) from error
    module: ModuleType = rdp
    return module
