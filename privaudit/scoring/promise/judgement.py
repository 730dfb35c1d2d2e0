"""A claimed ε, held against what an attack found of canaries: refuted, not refuted, or more than could be refuted."""

from __future__ import annotations

from privaudit.results.audit.promise import Claimant, ClaimFound, ClaimVerdict, CountedTrainings, Promise
from privaudit.statistics.privacy.gaussian import epsilon_of_mu, mu_of_trials
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
    coins = promise.one_run
    perfect = Promise(
        one_run=coins.model_copy(update={"correct": coins.canaries, "guesses": coins.canaries}),
        trials=promise.trials and CountedTrainings(hits=promise.trials.trials, alarms=0, trials=promise.trials.trials),
        steps=promise.steps and promise.steps.model_copy(update={"hits": promise.steps.inside, "alarms": 0}),
    )
    found = _bounds(promise, delta)
    bound, refutable = max(found.values()), max(_bounds(perfect, delta).values())
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
        one_run=found["one_run"],
        trials=found.get("trials"),
        steps=found.get("steps"),
        bound=bound,
        refutable=refutable,
        verdict=verdict,
    )


def _bounds(promise: Promise, delta: float) -> dict[str, float]:
    """Every bound at its share of the error: that any of them is wrong has a chance of at most the whole of it."""
    coins, trainings, steps = promise.one_run, promise.trials, promise.steps
    tests = 1 + (trainings is not None) + (steps is not None)
    confidence = 1 - (1 - CONFIDENCE) / tests
    found = {"one_run": best_of_one_run(coins.correct, coins.guesses, coins.canaries, delta, confidence)}
    if trainings is not None:
        counts = (trainings.hits, trainings.alarms, trainings.trials)
        found["trials"] = epsilon_of_replaced(*counts, delta, confidence)
    if steps is not None:
        mu = mu_of_trials(steps.hits, steps.inside, steps.alarms, steps.outside, confidence)
        found["steps"] = epsilon_of_mu(mu, delta)
    return found
