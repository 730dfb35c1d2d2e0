"""How far a ranking by risk can be trusted: how well two audits of as many models would agree on it.

Measured directly is what two halves of the models agree on. What all of them would agree on with as many others is a
forecast. That of Spearman and Brown, 2ρ/(1 + ρ), takes a score for the sum of parallel parts whose noise halves where
their number doubles, and a rank for such a score. Neither holds. Verdicts go together through the fits, so that the
noise of samples that hardly leak falls by less; and samples that leak nothing at all have no order that any number of
models could find. So the forecast is made from how much each sample seems to leak: the mixture of separations under
which simulated audits (`privaudit.scoring.reliability.simulated_audits`) read the shares of right verdicts that were
read. It gives the agreement of two audits of any size; the odds of what the halves agree on are moved by as much as the
mixture's move from half of the models to all of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from privaudit.attacks import lira
from privaudit.results.audit.score_results import Stability
from privaudit.runtime.seeds import generator
from privaudit.scoring.reliability.simulated_audits import SEPARATIONS, Redrawn, redrawn, steps_of
from privaudit.scoring.reliability.split_halves import halves_of, ranking
from privaudit.statistics.intervals import FloatArray, logit_interval

#: How often the pairs are split in two at random, and the most samples that are ranked each time.
SPLITS = 10
MOST_SAMPLES = 5_000

#: The reliability that a ranking is said to need, and the most models that a forecast is made for.
WANTED = 0.9
MOST_MODELS = 1_024

#: How many standard errors above 0 the halves' agreement must lie to be one: of 200 audits of noise one does.
SURELY = 2.58

#: How often the samples are drawn anew for the interval of the forecast.
RESAMPLES = 40

#: How far a forecast errs by itself, over the way from what halves agree on to what it says: a standard deviation. Over
#: simulated samples of six kinds, 8 to 32 models, it erred by a tenth of that way on average.
EXTRAPOLATION = 0.15

#: Steps of expectation and maximisation: the mixture's fit changes by less than the draws' own noise after a hundred.
ITERATIONS = 300


def ranking_stability(
    statistic: npt.NDArray[Any], keep: npt.NDArray[np.bool_], asr: FloatArray, correlation: float, seed: int
) -> Stability | None:
    """Split the complementary pairs in two, rank the samples by risk with either half, and compare.

    Parameters
    ----------
    statistic
        ``[S, N]`` or ``[S, N, Q]``.
    keep
        bool ``[S, N]``, complementary pairs.
    asr
        ``[N]`` by all models.
    correlation
        Of a pair's two models, given their membership.
    seed
        Chooses the splits and, of many samples, those that are ranked.

    Returns
    -------
    Stability or None
        None below 8 shadow models, or where a ranking is constant. ``split_half`` is the mean over splits, with its
        interval over samples. ``reliability`` forecasts ρ between this audit and another of as many models: None where
        the halves' agreement is not surely above 0, since there is no ranking to speak of. ``models_needed`` is what
        .9 takes, an even number; None where there is no ranking, or `MOST_MODELS` would not do.
    """
    models = len(keep)
    if halves_of(models) is None or np.ptp(asr) == 0:
        return None
    rows = np.sort(generator(seed, "stability").permutation(len(asr))[:MOST_SAMPLES])
    split, influence = _split_halves(statistic[:, rows], keep[:, rows], seed)
    if np.isnan(split).any():
        return None
    half = float(split.mean())
    error = float(influence.std(ddof=1)) / float(np.sqrt(len(rows)))
    reliability, ci, needed = None, None, None
    if half > SURELY * error:
        forecast = Forecast(asr, models, correlation)
        reliability, needed = forecast.agreement(half, models), forecast.models_for(half, WANTED)
        random = generator(seed, "stability", "resampled")
        again = []
        for _ in range(RESAMPLES):
            drawn = random.integers(len(rows), size=len(rows))
            value = min(max(half + float(influence[drawn].mean()), 1e-3), 1.0)
            again.append(Forecast(asr[rows[drawn]], models, correlation).agreement(value, models))
        of_forecast = float(np.hypot(np.std(again, ddof=1), EXTRAPOLATION * abs(reliability - half)))
        ci = logit_interval(reliability, of_forecast, RESAMPLES - 1)
    return Stability(
        split_half=half,
        spread=float(split.std(ddof=1)),
        split_half_ci=(max(-1.0, half - 1.96 * error), min(1.0, half + 1.96 * error)),
        reliability=reliability,
        ci=ci,
        models_needed=needed,
        most_models=MOST_MODELS,
    )


def _split_halves(statistic: npt.NDArray[Any], keep: npt.NDArray[np.bool_], seed: int) -> tuple[FloatArray, FloatArray]:
    """Spearman's ρ of every split, and what each sample contributes to their mean."""
    models, samples = keep.shape
    pairs = models // 2
    found, influence = np.empty(SPLITS), np.zeros(samples)
    for split in range(SPLITS):
        order = generator(seed, "stability", split).permutation(pairs)
        places = []
        for chosen in (order[: pairs // 2], order[pairs // 2 :]):
            members = (2 * np.sort(chosen)[:, np.newaxis] + [0, 1]).ravel()
            part, side = statistic[members], keep[members]
            places.append(ranking(lira.online(part, side), side))
        first, second = (stats.zscore(place) for place in places)
        found[split] = float(np.mean(first * second))
        # The influence function of a correlation (Devlin, Gnanadesikan and Kettenring 1975).
        influence += (first * second - found[split] * (first**2 + second**2) / 2) / SPLITS
    return found, influence


class Forecast:
    """How well two audits of any number of models would agree on the ranking.

    Parameters
    ----------
    asr
        ``[N]`` by all models.
    models
        How many: S.
    correlation
        Of a pair's two models, given their membership.
    """

    def __init__(self, asr: FloatArray, models: int, correlation: float) -> None:
        self.models, self.steps = models, steps_of(correlation)
        self.weights = mixture(asr, redrawn(models, self.steps), models)

    def agreement(self, half: float, models: int) -> float:
        """Return the forecast of Spearman's ρ between two audits of so many models each.

        ``half`` is what two halves of the audit agree on, in (0, 1].
        """
        if half >= 1:
            return 1.0
        below = self.models // 2 // 2 * 2
        # For the faintest leaks odds grow with the square of the number of models: what a verdict is right by and the
        # chance that the fits lie the right way round both do. Where the mixture leaks nothing the quotient is 0/0.
        of_half, of_all = self._odds(below), self._odds(models)
        growth = np.clip(of_all / max(of_half, 1e-9), 1.0, (models / below) ** 2)
        odds = half / (1 - half) * float(growth)
        return odds / (1 + odds)

    def models_for(self, half: float, wanted: float) -> int | None:
        """Return the models that an agreement of ``wanted`` takes, even; None where `MOST_MODELS` would not do."""
        below, count = self.models // 2 // 2 * 2, self.models
        reached = {below: half}
        while True:
            reached[count] = self.agreement(half, count)
            if reached[count] >= wanted:
                break
            if count >= MOST_MODELS:
                return None
            below, count = count, min(2 * count, MOST_MODELS)
        if reached[below] >= wanted:
            return below
        share = np.interp(wanted, [reached[below], reached[count]], [np.log(below), np.log(count)])
        return max(2, 2 * int(np.ceil(np.exp(share) / 2)))

    def _odds(self, models: int) -> float:
        """ρ/(1 − ρ) between two audits of the mixture: given a sample's separation they are independent."""
        place = redrawn(models, self.steps).place
        weight = np.repeat(self.weights / place.shape[1], place.shape[1])
        ordered = np.empty(place.size)
        ordered[place.ravel()] = weight
        level = (np.cumsum(ordered) - ordered / 2)[place]
        known = float(self.weights @ (level.mean(axis=1) - 0.5) ** 2)
        everything = float(self.weights @ ((level - 0.5) ** 2).mean(axis=1))
        return known / max(everything - known, 1e-12)


def mixture(asr: FloatArray, simulated: Redrawn, models: int) -> FloatArray:
    """Return the shares of `SEPARATIONS` under which these shares of right verdicts are likeliest, ``[D]``.

    Nonparametric maximum likelihood (Kiefer and Wolfowitz 1956) by expectation and maximisation.
    """
    draws = simulated.asr.shape[1]
    counts = np.rint(simulated.asr * models).astype(np.int64)
    likelihood = np.stack([np.bincount(row, minlength=models + 1) / draws for row in counts]) + 1e-6
    seen = np.bincount(np.rint(asr * models).astype(np.int64), minlength=models + 1) / len(asr)
    weights = np.full(len(SEPARATIONS), 1 / len(SEPARATIONS))
    for _ in range(ITERATIONS):
        posterior = weights[:, np.newaxis] * likelihood
        weights = (posterior / posterior.sum(axis=0)) @ seen
    return np.asarray(weights, np.float64)
