"""What the best attack would find, guessed from losses alone (Dodd et al. 2025): a forecast, no attack."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def missing_tail(member_loss: npt.NDArray[Any], other_loss: npt.NDArray[Any], rate: float) -> float:
    """Share of never-trained samples whose loss is above that of all but a share ``rate`` of members.

    Samples that are hard to learn lie in the tail of high losses, unless the model was trained on them. As many as the
    members lack there were taken out of it by memorising: about so many an attack with many models finds at false
    alarms of ``rate``.

    Parameters
    ----------
    member_loss, other_loss
        ``[N]``, ``[M]`` under the model.
    rate
        The false negative rate of "not a member", in place of the attack's false positive rate.

    Returns
    -------
    float
        In [0, 1]; ``rate`` where members' losses are as the others'.
    """
    ordered = np.sort(np.asarray(member_loss, np.float64))[::-1]
    threshold = ordered[min(int(rate * len(ordered)), len(ordered) - 1)]
    return float((np.asarray(other_loss, np.float64) > threshold).mean())
