"""What became of a run: its figures gathered for `privaudit.evaluation.measures.outcome`, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from privaudit.audit.stored_signals import StoredSignals
from privaudit.evaluation.measures.outcome import Figures, Models, Name, Reference, figures_of, name_of
from privaudit.evaluation.measures.utility import accuracy
from privaudit.evaluation.model_evaluation import Judged, mean_outside
from privaudit.report.content.outcome_wording import sentence
from privaudit.signals import signal
from privaudit.unlearning.requests.forget_set import ForgetSet

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Outcome:
    """A run's outcome: its name, in words, and the figures that it rests on."""

    name: Name
    sentence: str
    figures: Figures

    def to_json(self) -> dict[str, Any]:
        """As it stands in results: ``outcome``, its name, and ``outcome_evidence``."""
        evidence = {"name": self.name, "sentence": self.sentence, **self.figures.to_json()}
        return {"outcome": self.name, "outcome_evidence": evidence}


@dataclass(frozen=True)
class Situation:
    """What a run is decided on besides its models.

    Parameters
    ----------
    forget, retain
        D_u, and int64 rows of D_r.
    labels, test_labels
        Of the pool and of the test samples that are reported on.
    reported
        Which these are, int64 rows of the test set.
    classes
        How many there are.
    stored
        Signals of the shadow models that may judge.
    """

    forget: ForgetSet
    retain: Rows
    labels: Rows
    test_labels: Rows
    reported: Rows
    classes: int
    stored: StoredSignals


class Mute(nn.Module):
    """Says nothing: stands for a model that answers in no numbers wherever it has to be measured."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self._classes = classes

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Every class alike."""
        return torch.zeros(len(inputs), self._classes, device=inputs.device)


def decide(
    judged: dict[str, Judged], situation: Situation, method: str, *, exact: bool, finite: bool, seed: int
) -> Outcome:
    """What a run came to.

    Parameters
    ----------
    judged
        What ``original`` and ``unlearned`` say, and ``retrained`` and ``second_retrained`` where they were made.
    situation
        The forget set and who judges.
    method
        Its name, for the sentence.
    exact
        Whether the model was retrained.
    finite
        Whether it answers in numbers.
    seed
        Of the bootstrap.
    """
    forget, kept = situation.forget, np.ones(len(situation.test_labels), np.bool_)
    reference = None
    if "retrained" not in judged:
        reference = expected_of(judged["original"], situation)
        # Classes that are forgotten are not missed on the test set: no retrained model says what that costs.
        lost = _lost_classes(forget, situation.retain, situation.labels)
        kept = ~np.isin(situation.test_labels, lost)
        kept = kept if kept.any() else np.ones_like(kept)

    margins = {
        name: {
            "forget": signal(one.pool[forget.rows, 0], "margin"),
            "retain": signal(one.pool[situation.retain, 0], "margin"),
            "test": signal(one.test[kept, 0], "margin"),
        }
        for name, one in judged.items()
    }
    retrained, second = margins.get("retrained"), margins.get("second_retrained")
    models = Models(margins["original"], margins["unlearned"], retrained, second, reference, classes=situation.classes)
    figures = figures_of(models, finite=finite, seed=seed)
    name = name_of(figures, exact=exact)
    return Outcome(name, sentence(name, figures, method), figures)


def expected_of(original: Judged, situation: Situation) -> Reference | None:
    """What a model without D_u is expected to say of it, where none was retrained; None where nothing can say.

    Of scattered samples the shadow models that never saw each one. They trained on half of the data: what they lose by
    that on the test set, against the original model, is added. Of whole classes that they are never answered.
    """
    forget, stored = situation.forget, situation.stored
    if not forget.scattered:
        return _never_answered(situation)
    shadow, keep = stored.shadow[:, forget.rows, 0], stored.keep[:, forget.rows]
    if not (~keep).any(axis=0).all():
        return None
    right = np.where(keep, 0.0, signal(shadow, "margin") > 0).sum(axis=0) / (~keep).sum(axis=0)
    of_shadows = accuracy(signal(stored.shadow_test[:, situation.reported, 0], "margin"))
    lift = accuracy(signal(original.test[:, 0], "margin")) - of_shadows
    return Reference(
        "shadow models that never saw them, which trained on half of the data (no model was retrained)",
        right,
        mean_outside(stored.shadow[:, forget.rows], keep),
        lift,
    )


def _never_answered(situation: Situation) -> Reference | None:
    """Of classes all of whose samples are forgotten: a model without them never answers with them."""
    lost = _lost_classes(situation.forget, situation.retain, situation.labels)
    left = np.isin(situation.labels[situation.retain], situation.labels[situation.forget.rows])
    if left.any() or not len(lost):
        return None
    basis = "that a model which never saw a class never answers with it (no model was retrained)"
    return Reference(basis, np.zeros(len(situation.forget.rows)), None)


def _lost_classes(forget: ForgetSet, retain: Rows, labels: Rows) -> Rows:
    """Classes more than half of whose samples are forgotten."""
    most = int(labels.max()) + 1
    gone, there = (np.bincount(labels[rows], minlength=most) for rows in (forget.rows, retain))
    return np.flatnonzero(gone > there)
