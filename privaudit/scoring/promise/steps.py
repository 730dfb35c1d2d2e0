"""From what an attacker reads of every step to guesses of who is in: canaries that are gradients (Nasr et al. 2023)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from privaudit.results.audit.promise import CountedSteps, GuessedCoins, Promise
from privaudit.runtime.seeds import generator
from privaudit.scoring.promise.counts import FEWEST_GUESSES, SHARES
from privaudit.scoring.promise.judgement import CONFIDENCE, DELTA
from privaudit.statistics.epsilon_bounds import epsilon_of_one_run
from privaudit.statistics.intervals import FloatArray
from privaudit.training.private.mechanism import PrivateTraining

#: Deviation of a Gaussian over the median of its absolute deviations, of many steps.
OF_MEDIAN = 1.4826

#: Up to so many steps the share is told by drawing, canaries so many: the median of a few falls short.
FEW, DRAWN = 100, 20_000

#: Numbers that are drawn to find out how many coins to guess.
MOST_DRAWN = 8_000_000


def counts_of_steps(
    read: npt.NDArray[np.float32], coins: npt.NDArray[np.bool_], privacy: PrivateTraining, seed: int
) -> Promise:
    """Guess the coins from every step's noisy gradient, and count.

    Parameters
    ----------
    read
        ``[T, C]``: what each step did to each canary's number, less the samples' part, as a part of the sum.
    coins
        bool ``[C]``.
    privacy
        What the training says of itself. The attack goes by it, and where it is untrue the attack is a worse one; what
        is counted holds for any attack.
    seed
        Of the audit; decides what is drawn to find out how many coins to guess.
    """
    noise = measured_noise(read) / privacy.max_grad_norm
    # In clipping norms, at the noise that should be there: what was divided by something else is put right.
    scale = privacy.noise_multiplier / (noise * privacy.max_grad_norm) if noise > 0 else 1 / privacy.max_grad_norm
    odds = log_odds(read * scale, privacy)
    guesses = guesses_to_make(privacy, len(read), len(coins), seed)
    surest = np.argsort(-np.abs(odds), kind="stable")[:guesses]
    told = odds > 0
    return Promise(
        one_run=GuessedCoins(correct=int((told == coins)[surest].sum()), guesses=len(surest), canaries=len(coins)),
        steps=CountedSteps(
            steps=len(read),
            noise=float(noise),
            hits=int((told & coins).sum()),
            inside=int(coins.sum()),
            alarms=int((told & ~coins).sum()),
            outside=int((~coins).sum()),
        ),
    )


def measured_noise(read: npt.NDArray[np.float32]) -> float:
    """Return the deviation of the noise, as most canaries have it in most steps: who is in stands out, if at all.

    One step alone does not tell it: 0.
    """
    steps = len(read)
    if steps < 2:
        return 0.0
    of_few = np.random.default_rng(0).standard_normal((steps, DRAWN)) if steps <= FEW else None
    share = OF_MEDIAN if of_few is None else 1 / _spread(of_few)
    return share * _spread(read)


def _spread(read: npt.NDArray[np.floating]) -> float:
    """Return the median over canaries of the median absolute deviation over steps."""
    return float(np.median(np.median(np.abs(read - np.median(read, axis=0)), axis=0)))


def log_odds(values: npt.NDArray[np.floating], privacy: PrivateTraining) -> FloatArray:
    """Return ``[C]``: the log-likelihood ratio of being in, of values ``[T, C]`` in clipping norms.

    Whoever is in adds 1 to the noise in a step with the chance of the sampling rate.
    """
    rate, variance = privacy.sample_rate, privacy.noise_multiplier**2
    found = np.zeros(values.shape[1])
    for step in values:
        drawn = (2 * step.astype(np.float64) - 1) / (2 * variance)
        if rate < 1:
            drawn = np.logaddexp(np.log1p(-rate), np.log(rate) + drawn)
        found += drawn
    return found


def guesses_to_make(privacy: PrivateTraining, steps: int, canaries: int, seed: int) -> int:
    """Return the number of guesses that would bound ε best if the training were what it says: no coin decides it."""
    random = generator(seed, "canary-steps")
    size = max(200, min(10 * canaries, MOST_DRAWN // steps))
    inside = random.random(size) < 0.5
    values = (
        privacy.noise_multiplier * random.standard_normal(size) + (inside & (random.random(size) < privacy.sample_rate))
        for _ in range(steps)
    )
    odds = np.zeros(size)
    for value in values:
        odds += log_odds(value[np.newaxis], privacy)
    order = np.argsort(-np.abs(odds), kind="stable")
    # Of how many the odds themselves say are right: smoother than to count.
    right = np.cumsum(expit(np.abs(odds[order]))) / np.arange(1, size + 1)
    numbers = sorted(
        {max(min(FEWEST_GUESSES, canaries), round(share * canaries)) for share in (*SHARES, 0.05, 0.02)}, reverse=True
    )
    bounds = [
        epsilon_of_one_run(
            int(number * right[max(0, number * size // canaries - 1)]), number, canaries, DELTA, CONFIDENCE
        )
        for number in numbers
    ]
    best: int = numbers[int(np.argmax(bounds))]
    return best
