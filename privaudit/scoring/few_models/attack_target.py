"""Every attack that few models allow, on one target: its members against never-trained samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.attacks.few_models.conditional_margin import conditional_margin
from privaudit.attacks.few_models.cross_fitting import folds_of
from privaudit.attacks.few_models.offline_rmia import offline_rmia
from privaudit.attacks.few_models.tail_forecast import missing_tail
from privaudit.attacks.few_models.transferred import transferred
from privaudit.attacks.loss_threshold import loss_threshold
from privaudit.results.measures import Attack
from privaudit.runtime.seeds import generator
from privaudit.shadow.design import paired_design
from privaudit.signals import signal
from privaudit.statistics.intervals import FloatArray
from privaudit.statistics.performance import performance

#: By name, for people.
TITLES = {
    "loss": "Loss threshold",
    "conditional": "Margin against what is usual for such a sample",
    "rmia-offline": "RMIA, offline",
    "transferred": "Learned on the shadow models",
}

#: What the transferred attack reads of each model.
READ = ("margin", "scaled-logit", "entropy")

#: Where the forecast is made, and the fewest members that allow it there.
FORECAST_RATE, FEWEST_MEMBERS = 0.01, 1_000


@dataclass(frozen=True)
class TargetEvidence:
    """What is known of one model; of samples its members stand first, then never-trained ones.

    Parameters
    ----------
    signals
        ``[n, K]`` of the target.
    members
        How many of the samples it was trained on.
    features
        ``[n, d]``: what the samples look like, and what the target says of them elsewhere.
    shadows
        ``[S, n, K]`` of the shadow models, complementary pairs; S may be 0.
    keep
        bool ``[S, members]``: which of them saw which member.
    """

    signals: npt.NDArray[Any]
    members: int
    features: npt.NDArray[Any]
    shadows: npt.NDArray[Any]
    keep: npt.NDArray[np.bool_]

    @property
    def member(self) -> npt.NDArray[np.bool_]:
        """Who is a member, ``[n]``."""
        return np.arange(len(self.signals)) < self.members


def scores_of(evidence: TargetEvidence, seed: int) -> dict[str, FloatArray]:
    """Return the scores of every attack that the evidence allows, ``[n]`` by name, the strongest last."""
    member = evidence.member
    fold = folds_of(member, generator(seed, "few-models-folds"))
    margin, loss = signal(evidence.signals, "margin"), signal(evidence.signals, "loss")
    found = {
        "loss": loss_threshold(loss),
        "conditional": conditional_margin(margin, evidence.features, member, fold),
    }
    if len(evidence.shadows):
        # Never-trained samples are said to be members of some: so as many models speak for everybody.
        made_up = paired_design(int((~member).sum()), len(evidence.shadows), seed, "target-audit")
        seen = np.concatenate([evidence.keep, made_up], axis=1)
        read = np.stack([signal(evidence.signals, name) for name in READ], axis=-1)
        of_shadows = np.stack([signal(evidence.shadows, name) for name in READ], axis=-1)
        found["rmia-offline"] = offline_rmia(loss, signal(evidence.shadows, "loss"), ~seen)
        found["transferred"] = transferred(read, of_shadows, seen, member, fold)
    return found


def attack_target(evidence: TargetEvidence, seed: int) -> dict[str, Attack]:
    """Return how well each attack tells members from the others; the last is the answer."""
    return {name: performance(scores, evidence.member) for name, scores in scores_of(evidence, seed).items()}


def tells_apart(attack: Attack) -> bool:
    """Whether an attack tells members from the others beyond chance: its interval lies above ½."""
    return attack.auc_ci is not None and attack.auc_ci[0] > 0.5


def all_clear_refuted(attacks: dict[str, Attack]) -> list[str]:
    """Say that another attack tells members apart where the answer, the last, does not; else nothing."""
    *others, answer = attacks
    found = [name for name in others if tells_apart(attacks[name])]
    if tells_apart(attacks[answer]) or not found:
        return []
    named = "; ".join(
        "{}: AUC {:.3f} ({:.3f}–{:.3f})".format(TITLES[name], attacks[name].auc, *(attacks[name].auc_ci or ()))
        for name in found
    )
    which = f"{len(found)} of the {len(others)} other attacks can" if len(others) > 1 else "the other attack can"
    return [
        f"the answer was fixed beforehand, and can't be told from chance; {which} (by 95% each): {named}. It is no "
        "all-clear"
    ]


def forecast(evidence: TargetEvidence) -> dict[str, float] | None:
    """Return what an attack with many models is guessed to find, by FPR; None of few members."""
    if evidence.members < FEWEST_MEMBERS:
        return None
    loss, member = signal(evidence.signals, "loss"), evidence.member
    return {f"{FORECAST_RATE:g}": missing_tail(loss[member], loss[~member], FORECAST_RATE)}
