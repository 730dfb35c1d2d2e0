"""Judges an unlearned model: every figure that is measured of it, for `unlearn` and all trials alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from torch import nn

from privaudit.evaluation.answers import Answers, Mute
from privaudit.evaluation.exposure_change import exposure_table, summarise
from privaudit.evaluation.measures.difficulty import forgotten_at, relate_to_risk
from privaudit.evaluation.measures.mia_efficacy import choose_members, mia_efficacy
from privaudit.evaluation.measures.prediction_divergence import jensen_shannon
from privaudit.evaluation.measures.relearn import (
    RelearnSettings,
    RelearnTime,
    relearn_ratio,
    relearn_target,
    relearn_time,
)
from privaudit.evaluation.measures.utility import tug_of_war
from privaudit.evaluation.outcome_of_run import decide
from privaudit.evaluation.shadow_evidence import Reference, ShadowEvidence, difficulty_of
from privaudit.results.measures import Correlation
from privaudit.results.unlearning.run import (
    Accuracies,
    Divergence,
    Forgotten,
    Membership,
    Relearn,
    RiskVsDifficulty,
    UnlearningFigures,
)
from privaudit.runtime.progress import talk
from privaudit.runtime.seeds import derive_seed
from privaudit.shadow.trainer import one_thread
from privaudit.signals import signal
from privaudit.statistics.intervals import spearman
from privaudit.unlearning.application.problem import UnlearningProblem
from privaudit.unlearning.application.run_method import ForgetRun, judges


@dataclass(frozen=True)
class Measured:
    """What is measured of one model alone.

    Parameters
    ----------
    answers, accuracy
        What it says, and how much of it is right.
    efficacy, attack_accuracy
        MIA-efficacy, and the accuracy of the attack behind it.
    relearned
        None where it was not asked for, or the model answers in no numbers.
    """

    answers: Answers
    accuracy: Accuracies
    efficacy: float
    attack_accuracy: float
    relearned: RelearnTime | None


@dataclass(frozen=True)
class UnlearningEvaluation:
    """The figures of an unlearned model, and the rows behind them.

    Parameters
    ----------
    figures
        As they stand in the results.
    measured
        Every model that was compared, by name.
    forgetting
        A row each sample of D_u: its risk, its difficulties, when it was forgotten, LiRA's ratio by model.
    exposure
        A row each training sample: LiRA's ratio by model.
    """

    figures: UnlearningFigures
    measured: dict[str, Measured]
    forgetting: pd.DataFrame
    exposure: pd.DataFrame

    @property
    def answers_but_second(self) -> dict[str, Answers]:
        """Answers of every model but the second retraining, which only says how alike two of them are."""
        return {name: one.answers for name, one in self.measured.items() if name != "second_retrained"}


class Evaluator:
    """Measures models of one problem; the original and whatever was retrained are measured once.

    Parameters
    ----------
    problem
        What was to be forgotten.
    references
        ``original``, and ``retrained`` and ``second_retrained`` where they were made.
    relearn
        Whether relearn time is measured: up to 400 training steps a model.
    """

    def __init__(
        self, problem: UnlearningProblem, references: Mapping[str, nn.Module], *, relearn: bool = True
    ) -> None:
        self.problem = problem
        self._members = choose_members(problem.retain, problem.labels, len(problem.reported), problem.seed)
        self.relearns = relearn
        answers = {name: Answers.of(problem, model) for name, model in references.items()}
        self.target_loss = relearn_target(
            float(signal(answers["original"].pool[problem.forget.rows, 0], "loss").mean())
        )
        self.references = {name: self._measure(model, answers[name]) for name, model in references.items()}

    def beside_references(self, unlearned: nn.Module) -> dict[str, Measured]:
        """Measure the unlearned model, and return it among the references."""
        original, *retrained = self.references.items()
        return dict(
            [original, ("unlearned", self._measure(unlearned, Answers.of(self.problem, unlearned))), *retrained]
        )

    def _measure(self, model: nn.Module, answers: Answers) -> Measured:
        problem, finite = self.problem, answers.are_numbers
        if not finite:
            # It can't be measured: it counts as if it said nothing of anything.
            answers = Answers.of(problem, Mute(problem.bench.specification.classes), finite=False)
        confidence, outsider = (signal(part[:, 0], "confidence") for part in (answers.pool, answers.test))
        efficacy, accuracy = mia_efficacy(confidence[self._members], outsider, confidence[problem.forget.rows])
        relearned = None
        if self.relearns and finite:
            seed, hardware = derive_seed(problem.seed, "relearn"), problem.bench.specification.hardware
            relearned = relearn_time(model, problem.pool, problem.forget.rows, self.target_loss, seed, hardware)
        return Measured(answers, answers.accuracies(problem), efficacy, accuracy, relearned)


def evaluate(
    problem: UnlearningProblem, models: dict[str, nn.Module], run: ForgetRun | None, method: str
) -> UnlearningEvaluation:
    """Measure everything of an unlearned model.

    Parameters
    ----------
    problem
        What was to be forgotten.
    models
        ``original``, ``unlearned``, and ``retrained`` and ``second_retrained`` where they were made.
    run
        What the method did; None of retraining itself.
    method
        Its name, for the sentences.
    """
    relearn = "" if problem.bench.specification.estimator is not None else "relearn time and "
    talk(f"  measuring {relearn}what attacks still tell")
    with one_thread(problem.bench.specification.hardware):
        references = {name: model for name, model in models.items() if name != "unlearned"}
        # To relearn takes gradient steps, and an estimator has none.
        evaluator = Evaluator(problem, references, relearn=problem.bench.specification.estimator is None)
        measured = evaluator.beside_references(models["unlearned"])
        evidence = ShadowEvidence(problem, judges(problem.bench, run is not None and run.taught))
        answers = {name: one.answers for name, one in measured.items()}
        from_shadow_models = evidence.divergence(answers) if problem.forget.scattered else None
    main = {name: one for name, one in answers.items() if name != "second_retrained"}
    reference = evidence.reference(answers)
    exposure = exposure_table(main, evidence)
    forgetting = forgetting_table(answers, evidence, reference, exposure, run)
    outcome = decide(answers, evidence, method, exact=run is None)
    tow, nothing, floor = (tow_of(measured, name) for name in ("unlearned", "original", "second_retrained"))
    figures = UnlearningFigures(
        outcome=outcome.name,
        outcome_evidence=outcome,
        accuracy={name: measured[name].accuracy if name in measured else None for name in NAMES},
        second_retrained=measured["second_retrained"].accuracy if "second_retrained" in measured else None,
        tow=tow,
        tow_do_nothing=nothing,
        # Retraining held against another retraining is the noise floor itself.
        noise_floor=tow if run is None else floor,
        mia=membership(measured),
        relearn=relearning(measured, evaluator.target_loss),
        jensen_shannon=divergence(measured),
        jensen_shannon_from_shadow_models=from_shadow_models,
        loss_as_proxy=loss_as_proxy(answers, evidence),
        reference=reference.kind,
        reaudit=evidence.audit_again(main),
        exposure=summarise(exposure, main),
        forgotten=_forgotten(forgetting, answers, evidence, run),
        risk_vs_difficulty=risk_vs_difficulty(forgetting, evidence, reference),
    )
    return UnlearningEvaluation(figures, measured, forgetting, exposure)


#: The models whose accuracies results list first.
NAMES = ("original", "unlearned", "retrained")


def tow_of(measured: Mapping[str, Measured], name: str) -> float | None:
    """Return a model's ToW against the retrained one; None where either is missing."""
    if name not in measured or "retrained" not in measured:
        return None
    return tug_of_war(measured[name].accuracy, measured["retrained"].accuracy)


def membership(measured: Mapping[str, Measured]) -> Membership:
    """Return MIA-efficacy of every model, and the two distances that the paper calls "MIA gap".

    ``gap_to_original`` is that of its Tables 1 and 2, ``gap_to_retrained`` that of its Table 6; both are absolute.
    """
    efficacy = {name: one.efficacy for name, one in measured.items()}
    unlearned, retrained = efficacy["unlearned"], efficacy.get("retrained")
    return Membership(
        efficacy=efficacy,
        attack_accuracy={name: one.attack_accuracy for name, one in measured.items()},
        gap_to_original=abs(unlearned - efficacy["original"]),
        gap_to_retrained=None if retrained is None else abs(unlearned - retrained),
    )


def relearning(measured: Mapping[str, Measured], target_loss: float) -> Relearn:
    """Return relearn time of every model, and the unlearned one's over the retrained one's."""
    settings = RelearnSettings()
    times = {name: one.relearned for name, one in measured.items() if one.relearned is not None}
    ratios = {name: relearn_ratio(time, times["retrained"]) for name, time in times.items() if "retrained" in times}
    return Relearn(
        target_loss=target_loss,
        limit=settings.limit,
        learning_rate=settings.learning_rate,
        steps={name: time.steps for name, time in times.items()},
        ratio=ratios.get("unlearned"),
        ratio_of_second_retrained=ratios.get("second_retrained"),
    )


def divergence(measured: Mapping[str, Measured]) -> Divergence | None:
    """Return how far every model is from the retrained one; None without one."""
    if "retrained" not in measured:
        return None
    others = [name for name in measured if name != "retrained"]
    return Divergence(
        forget={name: distance_to_retrained(measured, name, "forget") for name in others},
        test={name: distance_to_retrained(measured, name, "test") for name in others},
    )


def distance_to_retrained(measured: Mapping[str, Measured], name: str, part: Literal["forget", "test"]) -> float:
    """Return the mean Jensen-Shannon distance of a model's predictions to the retrained one's on D_u or on test."""
    own, reference = (
        one.forget_logits if part == "forget" else one.test_logits
        for one in (measured[name].answers, measured["retrained"].answers)
    )
    return float(jensen_shannon(own, reference).mean())


def loss_as_proxy(answers: Mapping[str, Answers], evidence: ShadowEvidence) -> Correlation:
    """Return how the loss before goes with risk in D_u: the paper ranks by the one in place of the other."""
    problem, rows = evidence.problem, evidence.problem.forget.rows
    if problem.is_of_target:
        return spearman(problem.bench.table["loss"].to_numpy()[rows], evidence.risk)
    return spearman(evidence.risk, signal(answers["original"].pool[rows, 0], "loss"))


def risk_vs_difficulty(difficulty: pd.DataFrame, evidence: ShadowEvidence, reference: Reference) -> RiskVsDifficulty:
    """Return how each sense of difficulty goes with risk; see `Reference` for why there are two risks."""
    return RiskVsDifficulty.model_validate(relate_to_risk(evidence.risk, reference.risk, difficulty))


def forgetting_table(
    answers: Mapping[str, Answers],
    evidence: ShadowEvidence,
    reference: Reference,
    exposure: pd.DataFrame,
    run: ForgetRun | None,
) -> pd.DataFrame:
    """Return the row of every sample of D_u: scores, difficulties, when it was forgotten, LiRA's ratio by model."""
    rows = evidence.problem.forget.rows
    scores = evidence.problem.bench.table.iloc[rows].reset_index(drop=True)
    difficulty = difficulty_of(answers, rows, reference.margin)
    difficulty["forgotten_at"] = np.nan
    if run is not None and len(run.trajectory.steps):
        at = forgotten_at(run.trajectory.steps, evidence.verdicts_over_time(run.trajectory.margins))
        difficulty["forgotten_at"] = at
    ratios = exposure.iloc[rows].reset_index(drop=True)
    for name in exposure.columns.intersection(list(answers)):
        difficulty[f"lira_{name}"] = ratios[name]
    columns = ["sample_id", "label", "class_name", "risk", "rank", "loss"]
    return pd.concat([scores[columns].assign(risk=evidence.risk), difficulty], axis=1)


def _forgotten(
    forgetting: pd.DataFrame, answers: Mapping[str, Answers], evidence: ShadowEvidence, run: ForgetRun | None
) -> Forgotten:
    """Return what counts as forgotten, and how many are; retraining forgets at no step, but between two models."""
    forget = evidence.problem.forget
    means = "LiRA says it was never seen" if forget.scattered else "its class is not the first choice any more"
    if run is not None:
        at = forgetting["forgotten_at"]
        return Forgotten(means=means, share=float(at.notna().mean()), before=float((at == 0).mean()))
    margins = [signal(answers[name].pool[forget.rows, 0], "margin") for name in ("original", "unlearned")]
    before, after = evidence.verdicts_over_time(np.stack(margins))
    return Forgotten(means=means, share=float(after.mean()), before=float(before.mean()))
