"""A user's estimator, tried on a few samples before hours of fitting: it fits, answers, and comes out the same."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from privaudit.errors import PrivauditError
from privaudit.estimators.build import shown_name
from privaudit.estimators.fitted import LEAST, MOST, fit_estimator

Rows = npt.NDArray[np.generic]

#: Samples that it is tried on, and the seconds after which it is not tried again.
FEW, PATIENCE = 200, 5.0


def examine_estimator(name: str, inputs: Rows, labels: npt.NDArray[np.int64], classes: int) -> list[str]:
    """Fit it three times, twice with one seed; return what is to be known of it.

    Raises
    ------
    PrivauditError
        Where it can't be fitted or asked, or equal seeds come to other answers.
    """
    called = shown_name(name)
    rows = np.arange(min(len(labels), FEW)) * len(labels) // min(len(labels), FEW)
    few, of_few = inputs[rows], labels[rows]
    answers = []
    # Another seed in between: what it remembers from fit to fit would show.
    for seed in (1, 2, 1):
        model, seconds = fit_estimator(name, few, of_few, classes, seed)
        answers.append(model.log_probabilities(few))
        if seconds > PATIENCE:
            return []
    if not np.array_equal(answers[0], answers[2]):
        raise PrivauditError(
            f"estimator {called}: two fits with equal seeds, to the same samples, answer otherwise",
            hint="What is random in it must come from its random_state, or from global generators.",
        )
    return [
        f"estimator {called}: a probability of 0 counts as half of the smallest one above 0 that a model gives, within "
        f"{LEAST:g} and {MOST:g}; every random_state is set by the audit's seed and the model's number"
    ]
