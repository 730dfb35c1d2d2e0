"""A claimed ε, held against what an attack found of canaries: refuted, not refuted, or more than could be refuted."""

from __future__ import annotations

from privaudit.results.audit.promise import Claimant, ClaimFound, ClaimVerdict, CountedTrainings, GuessedCoins, Promise
from privaudit.statistics.privacy.one_run import best_of_one_run, epsilon_of_replaced

CONFIDENCE = 0.95

#: The δ of a claim that names none.
DELTA = 1e-5


def judge_claim(promise: Promise, epsilon: float, delta: float, claimant: Claimant) -> ClaimFound:
    """Hold a claim against the counts of an audit.

    Parameters
    ----------
    promise
        The counts.
    epsilon, delta
        The claim: of datasets with a record more or less.
    claimant
        Whose it is.
    """
    one_run, trials = _bounds(promise.one_run, promise.trials, delta)
    perfect = GuessedCoins(
        correct=promise.one_run.canaries, guesses=promise.one_run.canaries, canaries=promise.one_run.canaries
    )
    counted = promise.trials and CountedTrainings(hits=promise.trials.trials, alarms=0, trials=promise.trials.trials)
    bound, refutable = _larger(one_run, trials), _larger(*_bounds(perfect, counted, delta))
    verdict: ClaimVerdict = "not refuted"
    if bound > epsilon:
        verdict = "refuted"
    elif refutable <= epsilon:
        verdict = "too little evidence"
    return ClaimFound(
        epsilon=epsilon,
        delta=delta,
        claimant=claimant,
        confidence=CONFIDENCE,
        one_run=one_run,
        trials=trials,
        bound=bound,
        refutable=refutable,
        verdict=verdict,
    )


def _bounds(coins: GuessedCoins, trainings: CountedTrainings | None, delta: float) -> tuple[float, float | None]:
    """Both bounds, each at its share of the error: that either is wrong has a chance of at most the whole of it."""
    confidence = 1 - (1 - CONFIDENCE) / (1 if trainings is None else 2)
    one_run = best_of_one_run(coins.correct, coins.guesses, coins.canaries, delta, confidence)
    if trainings is None:
        return one_run, None
    return one_run, epsilon_of_replaced(trainings.hits, trainings.alarms, trainings.trials, delta, confidence)


def _larger(one_run: float, trials: float | None) -> float:
    return one_run if trials is None else max(one_run, trials)
