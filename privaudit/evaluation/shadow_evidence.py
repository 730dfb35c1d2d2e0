"""What the shadow models that may judge say of a problem: risk, a reference, LiRA of every model, a second audit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from privaudit.attacks import lira
from privaudit.attacks.risk import attack_success
from privaudit.audit.stored_signals import StoredSignals, read_stored_signals
from privaudit.evaluation.answers import Answers
from privaudit.evaluation.measures.difficulty import per_sample_difficulty
from privaudit.evaluation.measures.prediction_divergence import distance_of, probabilities
from privaudit.results.measures import Attack
from privaudit.results.unlearning.run import Reaudit
from privaudit.scoring.reliability.split_halves import halves_of
from privaudit.scoring.target_audit import audit_target
from privaudit.signals import signal
from privaudit.unlearning.application.problem import UnlearningProblem
from privaudit.unlearning.teachers import PairSplit, teachers_of

Rows = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Reference:
    """What a model without the sample says of it, and the risk that may be held against it.

    Parameters
    ----------
    kind
        In words, for the report.
    margin
        ``[n]`` margins of the forget samples; None where nothing can say.
    risk
        ``[n]``: measured by other models than those of the reference where there are enough of them.
    """

    kind: str | None
    margin: FloatArray | None
    risk: FloatArray


@dataclass(frozen=True)
class ShadowEvidence:
    """The shadow models that may judge.

    Parameters
    ----------
    problem
        What they judge.
    judging
        Which of the audit's they are, a mask ``[S]`` of whole pairs: who taught does not judge.
    everything
        Signals of all of them; None: they are read from the store when they are asked for.
    """

    problem: UnlearningProblem
    judging: npt.NDArray[np.bool_]
    everything: StoredSignals | None = None

    @cached_property
    def stored(self) -> StoredSignals:
        """The signals of those that may judge; the pool may have canaries at its end."""
        bench = self.problem.bench
        everything = self.everything or read_stored_signals(bench.store, bench.shadows, bench.queries)
        return everything.of_models(self.judging)

    @cached_property
    def risk(self) -> FloatArray:
        """ASR of the forget samples ``[n]`` by these models."""
        if not self.judging.all():
            return _risk(self.stored.shadow, self.stored.keep, self.problem)
        risk: FloatArray = self.problem.bench.table["risk"].to_numpy()[self.problem.forget.rows]
        return risk

    def reference(self, answers: Mapping[str, Answers]) -> Reference:
        """Return the retrained model where there is one, else the mean of the models that never saw the sample.

        Risk comes from those shadow models too. So each takes its own half of the pairs, or the relation of risk to
        fidelity and shift would be built in.
        """
        forget = self.problem.forget
        if "retrained" in answers:
            margin = signal(answers["retrained"].pool[forget.rows, 0], "margin")
            return Reference("retrained model", margin.astype(np.float64), self.risk)
        if not forget.scattered:
            return Reference(None, None, self.risk)
        stored = self.stored
        shadow, keep = stored.shadow[:, forget.rows], stored.keep[:, forget.rows]
        halves = halves_of(len(keep))
        if halves is None:
            kind = "shadow models that never saw a sample (too few to measure risk on others: the relation is built in)"
            return Reference(kind, mean_outside(shadow, keep), self.risk)
        of_risk, of_reference = halves
        return Reference(
            "half of the shadow models, those that never saw a sample; risk from the other half",
            mean_outside(shadow[of_reference], keep[of_reference]),
            _risk(stored.shadow[of_risk], stored.keep[of_risk], self.problem),
        )

    def ratio(self, answers: Answers) -> FloatArray:
        """Return LiRA's ratio of every training sample under a model ``[N]``: above 0 it looks trained on."""
        samples = len(self.problem.bench.table)
        statistic = signal(self.stored.shadow[:, :samples, 0], "margin")
        margin = signal(answers.pool[:samples, 0], "margin")
        return lira.of_other_model(margin, statistic, self.stored.keep[:, :samples])

    def verdicts_over_time(self, margins: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
        """Return whether each forget sample counts as forgotten, bool ``[T, n]``, given its margin at each look.

        LiRA's verdict against the shadow models, where they can say; else that the true class is not on top any more.
        """
        if not self.problem.forget.scattered:
            return margins <= 0
        rows, statistic = self.problem.forget.rows, signal(self.stored.shadow[:, :, 0], "margin")
        x = np.zeros(statistic.shape[1])
        forgotten = np.empty(margins.shape, np.bool_)
        for look, margin in enumerate(margins):
            x[rows] = margin
            forgotten[look] = lira.of_other_model(x, statistic, self.stored.keep)[rows] < 0
        return forgotten

    def divergence(self, answers: Mapping[str, Answers]) -> dict[str, float]:
        """Return the mean Jensen-Shannon distance of every model to what those say of D_u that never saw the sample.

        They trained on half of the data. How far the retrained model is from them is the bias of that.
        """
        bench, pool, rows = self.problem.bench, self.problem.pool, self.problem.forget.rows
        as_teachers = PairSplit(teaching=self.judging, judging=np.zeros_like(self.judging))
        asked = teachers_of(bench.store, bench.specification, pool, rows, bench.keep(), as_teachers)
        reference = asked.mean.cpu().numpy()
        return {
            name: float(distance_of(probabilities(one.forget_logits), reference).mean())
            for name, one in answers.items()
        }

    def audit_again(self, answers: Mapping[str, Answers]) -> dict[str, Reaudit]:
        """Attack every model with offline LiRA: its forget and its retain samples against never-trained ones."""
        problem, stored = self.problem, self.stored

        def attack(one: Answers, rows: Rows) -> Attack:
            never_trained = stored.shadow_test[:, problem.reported]
            shadow, keep = stored.shadow[:, rows], stored.keep[:, rows]
            seed = problem.bench.seed
            return without_curve(audit_target(shadow, keep, one.pool[rows], never_trained, one.test, seed))

        # Shadow models saw half of any class: they can't say how a model without a whole class behaves.
        scattered = problem.forget.scattered
        return {
            name: Reaudit(
                forget=attack(one, problem.forget.rows) if scattered else None, retain=attack(one, problem.retain)
            )
            for name, one in answers.items()
        }


def _risk(shadow: npt.NDArray[np.float32], keep: npt.NDArray[np.bool_], problem: UnlearningProblem) -> FloatArray:
    # The forget set alone would make a poor pooled variance: the fit is over every sample.
    statistic = signal(shadow, problem.bench.statistic)
    risk: FloatArray = attack_success(lira.online(statistic, keep), keep)[problem.forget.rows]
    return risk


def mean_outside(shadow: npt.NDArray[np.float32], keep: npt.NDArray[np.bool_]) -> FloatArray:
    """Return the mean margin ``[n]`` of samples ``[S, n, Q, K]`` under those who did not see them (``keep`` False)."""
    margin = signal(shadow[:, :, 0], "margin").astype(np.float64)
    mean: FloatArray = np.where(keep, 0.0, margin).sum(axis=0) / (~keep).sum(axis=0)
    return mean


def difficulty_of(answers: Mapping[str, Answers], rows: Rows, reference: FloatArray | None) -> pd.DataFrame:
    """Return the per-sample difficulty of the forgotten, in margins."""
    before, after = (
        signal(answers[name].pool[rows, 0], "margin").astype(np.float64) for name in ("original", "unlearned")
    )
    return per_sample_difficulty(before, after, reference)


def without_curve(found: Attack) -> Attack:
    """Return an attack's results as unlearning runs keep them."""
    return found.model_copy(update={"curve": None})
