"""Whether a target that was trained elsewhere looks as if it had been trained on the samples that are audited."""

from __future__ import annotations

import math

#: Standard normal quantile of a one-sided 95% bound.
ONE_SIDED = 1.645


def doubts_about(
    train: float, test: float, samples: int, held_out: int, commonest: float, told_apart: bool
) -> list[str]:
    """Sentences that say why a given target may not be what it is taken for; none where nothing speaks against it.

    Parameters
    ----------
    train, test
        Its accuracy on the training samples and on never-trained ones, 0 … 1.
    samples, held_out
        How many of each there are.
    commonest
        The share of the commonest class among the training samples.
    told_apart
        Whether the attack on the target tells its members from never-trained samples beyond chance: that speaks for
        membership even where the test samples are the easier ones.
    """
    by_chance = ONE_SIDED * math.sqrt(commonest * (1 - commonest) / samples)
    if train <= commonest + by_chance:
        return [
            f"the target is right on {train:.1%} of the training samples, which naming the commonest class "
            f"({commonest:.1%}) does as well: it seems to take inputs on another scale, to number the classes "
            "otherwise, or to have been trained on something else. No figure about the target can be trusted"
        ]
    deviation = math.sqrt(train * (1 - train) / samples + test * (1 - test) / held_out)
    if train - test <= ONE_SIDED * deviation and not told_apart:
        return [
            f"the target is right on {train:.1%} of the samples that it is taken to have been trained on and on "
            f"{test:.1%} of the test samples, which is no better beyond chance, and the attack on it does not tell "
            "them apart: either it learned nothing by heart, or it was not trained on these samples, and then no "
            "figure about the target means anything"
        ]
    return []
