"""What became of a run: its figures gathered for `privaudit.evaluation.measures.outcome`, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from privaudit.evaluation.answers import Answers
from privaudit.evaluation.measures.outcome import Models, Reference, figures_of, name_of
from privaudit.evaluation.measures.utility import accuracy
from privaudit.evaluation.shadow_evidence import ShadowEvidence, mean_outside
from privaudit.report.content.outcome_wording import sentence
from privaudit.results.unlearning.outcome import OutcomeEvidence
from privaudit.signals import signal
from privaudit.unlearning.application.problem import UnlearningProblem


def decide(answers: Mapping[str, Answers], evidence: ShadowEvidence, method: str, *, exact: bool) -> OutcomeEvidence:
    """Decide what a run came to, and say so.

    Parameters
    ----------
    answers
        Of ``original`` and ``unlearned``, and of ``retrained`` and ``second_retrained`` where they were made.
    evidence
        The problem, and who judges where nothing was retrained.
    method
        Its name, for the sentence.
    exact
        Whether the model was retrained.
    """
    problem = evidence.problem
    reference, stay = None, problem.stay(problem.reported)
    kept = np.ones(len(problem.reported), np.bool_)
    if "retrained" not in answers:
        reference = expected_of(answers["original"], evidence)
        # Classes that are forgotten are not missed on the test set: no retrained model says what that costs.
        kept = stay if stay.any() else kept

    margins = {
        name: {
            "forget": signal(one.pool[problem.forget.rows, 0], "margin"),
            "retain": signal(one.pool[problem.retain, 0], "margin"),
            "test": signal(one.test[kept, 0], "margin"),
        }
        for name, one in answers.items()
    }
    models = Models(
        original=margins["original"],
        unlearned=margins["unlearned"],
        retrained=margins.get("retrained"),
        second=margins.get("second_retrained"),
        reference=reference,
        classes=problem.bench.specification.classes,
        stay=stay[kept],
    )
    figures = figures_of(models, finite=answers["unlearned"].finite, seed=problem.seed)
    name = name_of(figures, exact=exact)
    return OutcomeEvidence(**figures, name=name, sentence=sentence(name, figures, method))


def expected_of(original: Answers, evidence: ShadowEvidence) -> Reference | None:
    """Return what a model without D_u is expected to say of it, where none was retrained; None where nothing can say.

    Of scattered samples the shadow models that never saw each one. They trained on half of the data: what they lose by
    that on the test set, against the original model, is added. Of whole classes that they are never answered.
    """
    problem, stored = evidence.problem, evidence.stored
    forget = problem.forget
    if not forget.scattered:
        return _never_answered(problem)
    shadow, keep = stored.shadow[:, forget.rows, 0], stored.keep[:, forget.rows]
    if not (~keep).any(axis=0).all():
        return None
    right = np.where(keep, 0.0, signal(shadow, "margin") > 0).sum(axis=0) / (~keep).sum(axis=0)
    of_shadows = accuracy(signal(stored.shadow_test[:, problem.reported, 0], "margin"))
    lift = accuracy(signal(original.test[:, 0], "margin")) - of_shadows
    return Reference(
        "shadow models that never saw them, which trained on half of the data (no model was retrained)",
        right,
        mean_outside(stored.shadow[:, forget.rows], keep),
        lift,
    )


def _never_answered(problem: UnlearningProblem) -> Reference | None:
    """Of classes all of whose samples are forgotten: a model without them never answers with them."""
    labels, rows = problem.labels, problem.forget.rows
    left = np.isin(labels[problem.retain], labels[rows])
    if left.any() or not len(problem.lost_classes):
        return None
    basis = "that a model which never saw a class never answers with it (no model was retrained)"
    return Reference(basis, np.zeros(len(rows)), None)
