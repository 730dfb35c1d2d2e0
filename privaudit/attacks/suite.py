"""Every attack by name, over the same evidence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.attacks import lira
from privaudit.attacks.hierarchical import hierarchical
from privaudit.attacks.loss_threshold import label_only, loss_threshold
from privaudit.attacks.population_attack import population_rank
from privaudit.attacks.rmia import GAMMA, base, rmia
from privaudit.signals import signal
from privaudit.statistics.gaussian import Variance
from privaudit.statistics.intervals import FloatArray


@dataclass(frozen=True)
class Evidence:
    """What the attacks on the shadow models work with.

    Parameters
    ----------
    signals
        ``[S, N, Q, K]`` of the attacked samples, query 0 unaugmented; a signal that is not known is NaN.
    keep
        bool ``[S, N]``: which model saw which sample.
    partners
        ``[S]`` or ``[S, N]``: the model that is dropped with each target; None for complementary pairs.
    used
        bool ``[S, N]``: the cells that take part, equally many a side for each sample; None where all do.
    clusters
        ``[S]``: which models depend on each other, where ``partners`` are given; None where each stands for itself.
    left
        bool: which models of ``signals`` and ``population`` are those of ``keep``; None for all. Signals are looked up
        when they are read: a model that is left out costs no copy of the others'.
    population
        ``[S, Z, Q, K]`` of samples that no model saw, apart from those that are reported on; None where there are none.
    rmia_gamma
        γ of RMIA: see `privaudit.attacks.rmia.rmia`.
    """

    signals: npt.NDArray[Any]
    keep: npt.NDArray[np.bool_]
    partners: npt.NDArray[np.int64] | None = None
    used: npt.NDArray[np.bool_] | None = None
    population: npt.NDArray[Any] | None = None
    rmia_gamma: float = GAMMA
    clusters: npt.NDArray[np.int64] | None = None
    left: npt.NDArray[np.bool_] | None = None

    @property
    def cells(self) -> npt.NDArray[np.bool_]:
        """The cells that take part, ``[S, N]``."""
        return np.ones(self.keep.shape, np.bool_) if self.used is None else self.used

    @property
    def comes_in_pairs(self) -> bool:
        """Whether every cell takes part, and models 2p and 2p+1 complete each other."""
        return self.partners is None and self.used is None

    def of_samples(self, rows: npt.NDArray[np.bool_]) -> Evidence:
        """The same of some samples alone; in memory each signal lies by itself, as attacks read them."""
        partners = self.partners
        apart = [self.signals[..., place][:, rows] for place in range(self.signals.shape[-1])]
        return replace(
            self,
            signals=np.moveaxis(np.stack(apart), 0, -1),
            keep=self.keep[:, rows],
            partners=partners[:, rows] if partners is not None and partners.ndim == 2 else partners,
            used=None if self.used is None else self.used[:, rows],
        )

    def of_models(self, rows: npt.NDArray[np.bool_]) -> Evidence:
        """The same of some models alone, whole pairs of them; what goes by partners can't be cut."""
        if self.partners is not None or self.used is not None:
            raise ValueError("only complementary pairs can be left out")
        left = np.ones(len(self.signals), np.bool_) if self.left is None else self.left.copy()
        left[left] = rows
        return replace(self, keep=self.keep[rows], left=left)

    def every_query(self, name: str) -> npt.NDArray[Any]:
        """One signal under every query, ``[S, N, Q]``."""
        return self._of_left(signal(self.signals, name))

    def plain(self, name: str) -> npt.NDArray[Any]:
        """One signal of the unaugmented query, ``[S, N]``."""
        return self._of_left(signal(self.signals[:, :, 0], name))

    def plain_population(self, name: str) -> npt.NDArray[Any]:
        """The same of the population, ``[S, Z]``."""
        if self.population is None:
            raise ValueError("there is no population")
        return self._of_left(signal(self.population[:, :, 0], name))

    def _of_left(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return values if self.left is None else values[self.left]


@dataclass(frozen=True)
class ShadowAttack:
    """One attack.

    Parameters
    ----------
    title
        For people.
    reads
        The signal that it needs.
    score
        ``[S, N]`` scores of the evidence.
    needs_population, needs_pairs
        Whether it works with a population, with complementary pairs alone.
    compares_models
        Whether a model's scores depend on the other models: so that the interval must know it.
    joins_union
        Whether a union of attacks has it: not where another says the same, and both would but share the false alarms.
    """

    title: str
    reads: str
    score: Callable[[Evidence], FloatArray]
    needs_population: bool = False
    needs_pairs: bool = False
    compares_models: bool = True
    joins_union: bool = True

    def applies_to(self, evidence: Evidence) -> bool:
        """Whether the evidence holds what the attack needs."""
        if self.needs_population and evidence.population is None:
            return False
        if self.needs_pairs and evidence.partners is not None:
            return False
        return not bool(np.isnan(evidence.plain(self.reads)[0, 0]))


def _online(name: str, variance: Variance = "shrunk") -> Callable[[Evidence], FloatArray]:
    return lambda evidence: lira.online(
        evidence.every_query(name), evidence.keep, evidence.partners, variance, evidence.used
    )


def _offline(sides: lira.Sides) -> Callable[[Evidence], FloatArray]:
    return lambda evidence: lira.offline(
        evidence.every_query("margin"), evidence.keep, evidence.partners, sides, evidence.used
    )


#: ``lira`` is the reference: online, on the margin, with shrunk variance. The others differ from it in what they say.
ATTACKS = {
    "lira": ShadowAttack("LiRA, online, margin, shrunk variance", "margin", _online("margin")),
    "lira-bayes": ShadowAttack("LiRA, Bayesian variance (Student's t)", "margin", _online("margin", "bayes")),
    "lira-hierarchical": ShadowAttack(
        "LiRA, hierarchical (samples lend each other strength)",
        "margin",
        lambda evidence: hierarchical(evidence.every_query("margin"), evidence.keep),
        needs_pairs=True,
    ),
    "lira-per-sample": ShadowAttack("LiRA, variance per sample", "margin", _online("margin", "per-sample")),
    "lira-global": ShadowAttack("LiRA, global variance", "margin", _online("margin", "global")),
    "lira-logit-gap": ShadowAttack("LiRA on the paper's logit gap", "logit-gap", _online("logit-gap")),
    "lira-scaled-logit": ShadowAttack("LiRA on Carlini's scaled logit", "scaled-logit", _online("scaled-logit")),
    "lira-loss": ShadowAttack("LiRA on the loss", "loss", _online("loss")),
    "lira-offline": ShadowAttack("LiRA, offline, one-sided", "margin", _offline("one")),
    "lira-offline-two-sided": ShadowAttack("LiRA, offline, two-sided", "margin", _offline("two")),
    "rmia": ShadowAttack(
        "RMIA",
        "loss",
        lambda evidence: rmia(
            evidence.plain("loss"),
            evidence.keep,
            evidence.plain_population("loss"),
            evidence.partners,
            evidence.rmia_gamma,
            evidence.used,
        ),
        needs_population=True,
    ),
    "base": ShadowAttack(
        "BASE",
        "loss",
        lambda evidence: base(evidence.plain("loss"), evidence.keep, evidence.partners, evidence.used),
        joins_union=False,
    ),
    "population": ShadowAttack(
        "Population rank of the margin",
        "margin",
        lambda evidence: population_rank(evidence.plain("margin"), evidence.plain_population("margin")),
        needs_population=True,
        compares_models=False,
    ),
    "loss": ShadowAttack(
        "Loss threshold", "loss", lambda evidence: loss_threshold(evidence.plain("loss")), compares_models=False
    ),
    "label-only": ShadowAttack(
        "Label only (is the model right?)",
        "margin",
        lambda evidence: label_only(evidence.plain("margin")),
        compares_models=False,
    ),
}
