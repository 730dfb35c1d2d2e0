"""What a service lets out of a model's answer, and what an attacker makes of it who knows that.

A measure at the output trains nothing. It leaves the model as it is and shows less of what it says: softer
probabilities, rounded ones, the likeliest classes alone, a label. Whoever attacks it shows the shadow models' answers
in the same way and fits the attack to that (an adaptive attack; Song and Mittal 2021). The figure of an
attacker who does not is given beside it as what it is: the measure's obscurity.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp

from privaudit.attacks import lira
from privaudit.signals import signal, signals_of
from privaudit.statistics.gaussian import log_density, variance_floor
from privaudit.statistics.intervals import FloatArray
from privaudit.statistics.leave_pair_out import paired_moments, unpaired

#: The statistics that LiRA is fitted to, of logits as far as they can be told.
STATISTICS = ("margin", "scaled-logit")

#: A rounded share of nothing may be anything up to half a unit: it is read as this part of one.
BELOW_ROUNDING = 0.25


@dataclass(frozen=True)
class Release:
    """What is let out of a model's logits.

    Parameters
    ----------
    name, title
        For results, and in words.
    kind
        ``all``; ``temperature``: softmax(z / value); ``rounded``: probabilities to so many decimals; ``top``: the so
        many likeliest classes with their probabilities; ``label``: the likeliest class alone.
    value
        See ``kind``.
    """

    name: str
    title: str
    kind: Literal["all", "temperature", "rounded", "top", "label"]
    value: float = 0.0


#: Everything is let out: what the measures are held against.
ALL = Release("logits", "everything", "all")

#: As little as a classifier can say.
LABEL = Release("label", "the label alone", "label")

#: The measures, from what shows most to what shows least.
MEASURES = (
    Release("temperature-5", "probabilities softened by a temperature of 5", "temperature", 5),
    Release("rounded-2", "probabilities rounded to two decimals", "rounded", 2),
    Release("rounded-1", "probabilities rounded to one decimal", "rounded", 1),
    Release("top-3", "the three likeliest classes with their probabilities", "top", 3),
    Release("top-1", "the likeliest class with its probability", "top", 1),
    LABEL,
)


def measures_for(classes: int) -> tuple[Release, ...]:
    """Return the measures that let out less than everything of so many classes."""
    return tuple(one for one in MEASURES if one.kind != "top" or one.value < classes - 1)


def derivable_from(release: Release, others: Iterable[Release]) -> list[Release]:
    """Return those measures whose output anybody can make of this one's: attacks on theirs are attacks on it too."""
    found = [one for one in others if one.kind not in ("all", "temperature", "label") and one != release]
    if release.kind in ("all", "temperature"):
        return found
    return [one for one in found if one.kind == release.kind and one.value < release.value]


def shown_logits(logits: npt.NDArray[Any], release: Release) -> FloatArray:
    """Return the logits as what is let out shows them, up to a constant a sample.

    Parameters
    ----------
    logits
        ``[N, C]``.
    release
        What is let out; of a label alone no logits can be told.

    Returns
    -------
    numpy.ndarray
        float64 ``[N, C]``: logarithms of the probabilities that are let out. What is not is taken to share evenly what
        they leave, but no class more than the least likely that is named. A rounded probability of 0 is read as a
        quarter of a unit.
    """
    z = np.asarray(logits, np.float64)
    match release.kind:
        case "all":
            return z
        case "temperature":
            return z / release.value
        case "rounded":
            unit = 10.0**-release.value
            shares = np.round(np.exp(z - logsumexp(z, axis=1, keepdims=True)), int(release.value))
            told: FloatArray = np.log(np.maximum(shares, BELOW_ROUNDING * unit))
            return told
        case "top":
            return _of_the_likeliest(z - logsumexp(z, axis=1, keepdims=True), int(release.value))
        case "label":
            raise ValueError("a label says nothing of logits")


def _of_the_likeliest(log_p: FloatArray, named: int) -> FloatArray:
    order = np.argsort(-log_p, axis=1, kind="stable")
    rows, hidden = np.arange(len(log_p))[:, np.newaxis], order[:, named:]
    # In logarithms: of a sure model the rest is far below what 1 − p can say.
    left = logsumexp(log_p[rows, hidden], axis=1, keepdims=True) - np.log(hidden.shape[1])
    least_named = log_p[rows, order[:, named - 1 : named]]
    told = log_p.copy()
    told[rows, hidden] = np.minimum(left, least_named)
    return told


def readable_logits(logits: npt.NDArray[Any], release: Release) -> FloatArray:
    """Return the logits as far as they can be told by whoever knows the measure: a known temperature is undone."""
    return (release.value if release.kind == "temperature" else 1.0) * shown_logits(logits, release)


@dataclass(frozen=True)
class Answers:
    """What shadow models answer on the samples that they are attacked on.

    Parameters
    ----------
    logits
        ``[S, N, C]`` of the samples as they are.
    right
        bool ``[S, N, V]``: whether the label is right, of the sample as it is and then of altered copies: of a label
        alone, how often it holds tells how far the sample is from another class (Choquette-Choo et al. 2021).
    labels
        ``[N]``.
    keep
        bool ``[S, N]``, complementary pairs.
    """

    logits: npt.NDArray[Any]
    right: npt.NDArray[np.bool_]
    labels: npt.NDArray[np.int64]
    keep: npt.NDArray[np.bool_]

    def shown_margins(self, release: Release) -> FloatArray:
        """Return the margins as they are let out, ``[S, N]``, which an attacker takes who does not know of it."""
        told = [signals_of(shown_logits(one, release), self.labels) for one in self.logits]
        return signal(np.stack(told), "margin")

    def statistics(self, release: Release) -> dict[str, FloatArray]:
        """What an adaptive attacker fits LiRA to, ``[S, N]`` by name; the labels are let out by every measure."""
        found = {"labels of altered copies": self.right.mean(axis=2), "label": self.right[:, :, 0].astype(np.float64)}
        if release.kind == "label":
            return found
        told = np.stack([signals_of(readable_logits(one, release), self.labels) for one in self.logits])
        return {name: signal(told, name) for name in STATISTICS} | found


def adaptive(
    statistics: Mapping[str, FloatArray], keep: npt.NDArray[np.bool_], left: npt.NDArray[np.bool_] | None = None
) -> dict[str, FloatArray]:
    """Return online LiRA fitted to each statistic of what is let out, ``[S, N]``.

    ``left`` says which models are left, ``[S]``; None for all.
    """
    rows = np.ones(len(keep), np.bool_) if left is None else left
    return {name: lira.online(values[rows], keep[rows]) for name, values in statistics.items()}


def unadapted(fitted: FloatArray, seen: FloatArray, keep: npt.NDArray[np.bool_]) -> FloatArray:
    """Return online LiRA of an attacker who does not know of the measure.

    Parameters
    ----------
    fitted
        ``[S, N]``: the statistic of all that a model says, which the distributions are fitted to.
    seen
        ``[S, N]``: the same statistic of what is let out.
    keep
        bool ``[S, N]``, at least three complementary pairs.

    Returns
    -------
    numpy.ndarray
        float64 ``[S, N]``.
    """
    pairs, samples = len(keep) // 2, keep.shape[1]
    if pairs < 3:
        raise ValueError("without three pairs there is no variance to fit")
    squares = np.zeros((2, pairs))
    for _, _, *both in paired_moments(fitted, keep):
        squares += [side.squares.sum(axis=1) for side in both]
    pooled_in, pooled_out = squares[:, :, np.newaxis] / (samples * (pairs - 2))
    floor, scores = variance_floor(fitted), np.zeros(keep.shape)
    for block, _, inside, outside in paired_moments(fitted, keep):
        first, even, odd = keep[0::2, block], seen[0::2, block], seen[1::2, block]
        x = np.stack([np.where(first, even, odd), np.where(first, odd, even)])
        ratio = log_density(x, inside, pooled_in, floor[block]) - log_density(x, outside, pooled_out, floor[block])
        unpaired(ratio, keep[:, block], scores[:, block])
    return scores
