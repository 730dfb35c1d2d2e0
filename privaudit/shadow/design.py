"""Which shadow model sees which sample: complementary pairs of random halves."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from privaudit.runtime.seeds import generator


def paired_design(samples: int, models: int, seed: int, purpose: str = "design") -> npt.NDArray[np.bool_]:
    """Split the pool in two random halves per pair; models 2p and 2p+1 get one each.

    Pair p depends on the seed and p alone, so a longer design begins with the shorter one.

    Parameters
    ----------
    samples
        Size N of the pool.
    models
        Even number S of shadow models.
    seed
        The audit's seed.
    purpose
        Names the stream of randomness.

    Returns
    -------
    numpy.ndarray
        bool ``[S, N]``: every sample is IN for exactly half of the models.
    """
    if models % 2:
        raise ValueError(f"complementary pairs need an even number of models, not {models}")
    keep = np.zeros((models, samples), np.bool_)
    for pair in range(models // 2):
        chosen = generator(seed, purpose, pair).permutation(samples)[: samples // 2]
        keep[2 * pair, chosen] = True
        keep[2 * pair + 1] = ~keep[2 * pair]
    return keep
