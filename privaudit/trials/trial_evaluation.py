"""What a trial is judged by: one model held against the scene's retrained one."""

from __future__ import annotations

import math

from torch import nn

from privaudit.attacks.lira import FEWEST_MODELS
from privaudit.audit.stored_signals import StoredSignals, read_stored_signals
from privaudit.evaluation.answers import validation_accuracies
from privaudit.evaluation.evaluate import (
    Evaluator,
    distance_to_retrained,
    loss_as_proxy,
    membership,
    relearning,
    risk_vs_difficulty,
)
from privaudit.evaluation.exposure_change import called
from privaudit.evaluation.measures.relearn import RelearnSettings
from privaudit.evaluation.measures.utility import tug_of_war
from privaudit.evaluation.shadow_evidence import ShadowEvidence, difficulty_of
from privaudit.results.unlearning.ledger import Spent
from privaudit.results.unlearning.trials import TrialResult
from privaudit.trials.treatment import Scene
from privaudit.unlearning.application.problem import UnlearningProblem
from privaudit.unlearning.application.run_method import judges


class TrialJudge:
    """Holds models against the scene's retrained one, by the figures that `privaudit.evaluation.evaluate` measures."""

    def __init__(self, scene: Scene, problem: UnlearningProblem) -> None:
        self._problem, bench = problem, problem.bench
        references = {"original": problem.load(), "retrained": problem.load(scene.retrained[0])}
        self._evaluator = Evaluator(problem, references, relearn=scene.relearn)
        answers = self._evaluator.references["retrained"].answers
        self._validation = validation_accuracies(problem, references["retrained"], answers)
        self._stored: StoredSignals | None = None
        if problem.forget.scattered and bench.shadows >= FEWEST_MODELS:
            self._stored = read_stored_signals(bench.store, bench.shadows, bench.queries)

    def of(self, model: nn.Module, spent: Spent, seconds: tuple[float, float], *, taught: bool) -> TrialResult:
        """Measure one model.

        Parameters
        ----------
        model
            After its treatment.
        spent
            By the treatment.
        seconds
            That it took, by the clock and of a processor.
        taught
            Whether shadow models taught it, so that these must not judge.
        """
        problem, measured = self._problem, self._evaluator.beside_references(model)
        unlearned, retrained = measured["unlearned"], measured["retrained"].accuracy
        validation = validation_accuracies(problem, model, unlearned.answers)
        answers = {name: one.answers for name, one in measured.items()}
        evidence = ShadowEvidence(problem, judges(problem.bench, taught), self._stored)
        reference = evidence.reference(answers)
        difficulty = difficulty_of(answers, problem.forget.rows, reference.margin)
        risk = risk_vs_difficulty(difficulty, evidence, reference)
        mia, relearn = membership(measured), relearning(measured, self._evaluator.target_loss)
        ratio = None if self._stored is None else evidence.ratio(unlearned.answers)[problem.forget.rows]
        result = TrialResult(
            **spent,
            **unlearned.accuracy,
            seed=problem.seed,
            n=len(problem.forget.rows),
            seconds=seconds[0],
            processor_seconds=seconds[1],
            validation=validation.test,
            retrained_forget=retrained.forget,
            retrained_retain=retrained.retain,
            retrained_test=retrained.test,
            tow=tug_of_war(unlearned.accuracy, retrained),
            tow_validation=tug_of_war(validation, self._validation),
            mia_efficacy=mia.efficacy["unlearned"],
            mia_gap=mia.gap_to_retrained,
            mia_gap_to_original=mia.gap_to_original,
            jensen_shannon=distance_to_retrained(measured, "unlearned", "forget"),
            called_members=None if ratio is None else called(ratio),
            risk_and_forgettability=risk.forgettability.spearman,
            risk_and_fidelity=risk.fidelity.spearman,
            risk_and_shift=risk.shift.spearman,
            risk_and_loss=loss_as_proxy(answers, evidence).spearman,
        )
        if not self._evaluator.relearns:
            return result
        steps = {"relearn_steps": "unlearned", "retrained_relearn_steps": "retrained"}
        relearned = {field: relearn.steps.get(name) for field, name in steps.items()}
        return result.model_copy(update={**relearned, "relearn_limit": relearn.limit})


def as_row(found: TrialResult) -> dict[str, str | float | None]:
    """Return a trial as a row of a table, with distances to the retrained model and logarithms of steps.

    A model that did not relearn within the limit counts with the limit, and one that had nothing to relearn with half
    of the smallest step that is looked at: the first is a lower bound, the second an upper one.
    """
    row = found.row() | {"forget_gap": abs(found.forget - found.retrained_forget)}
    if (limit := found.relearn_limit) is None:
        return row

    def logarithm(steps: int | None) -> float:
        return math.log(max(limit if steps is None else steps, RelearnSettings().look_every / 2))

    own = logarithm(found.relearn_steps)
    return row | {
        "log_relearn": own,
        "log_relearn_ratio": own - logarithm(found.retrained_relearn_steps),
        "relearn": limit if found.relearn_steps is None else found.relearn_steps,
    }
