"""What a trial is judged by: one model held against the scene's retrained one."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from privaudit.attacks import lira
from privaudit.attacks.risk import attack_success
from privaudit.evaluation.measures.difficulty import per_sample_difficulty, relate_to_risk
from privaudit.evaluation.measures.mia_efficacy import choose_members, mia_efficacy
from privaudit.evaluation.measures.prediction_divergence import jensen_shannon
from privaudit.evaluation.measures.relearn import RelearnSettings, relearn_target, relearn_time
from privaudit.evaluation.measures.utility import accuracy, tug_of_war
from privaudit.evaluation.model_evaluation import Judged
from privaudit.evaluation.unlearning_metrics import judge_model
from privaudit.runtime.seeds import derive_seed
from privaudit.scoring.target_audit import split_test
from privaudit.shadow.store import shadow_keys
from privaudit.shadow.trainer import load_model, signals_on
from privaudit.signals import signal
from privaudit.statistics.intervals import spearman
from privaudit.training.loop import Samples
from privaudit.trials.treatment import Scene, Treatment
from privaudit.unlearning.application.run_method import judges, will_teach


class TrialJudge:
    """Holds models against the scene's retrained one."""

    def __init__(self, scene: Scene, pool: Samples, test: Samples) -> None:
        self._scene, self._pool, self._test = scene, pool, test
        self._validation, self._reported = split_test(len(test), scene.bench.seed)
        self._retain = np.setdiff1d(np.arange(len(scene.bench.table)), scene.forget.rows)
        self._members = choose_members(self._retain, pool.labels.cpu().numpy(), len(self._reported), scene.seed)
        original, reference = (self._load(path) for path in (scene.original, scene.retrained[0]))
        self._original, self._reference = self._ask(original), self._ask(reference)
        self._efficacy = {"original": self._mia(self._original), "reference": self._mia(self._reference)}
        self._accuracies = self._accuracy(self._reference, reference)
        self._margins = self._evidence()
        rows = scene.forget.rows
        self._relearn_target = relearn_target(float(signal(self._original.pool[rows, 0], "loss").mean()))
        self._relearn_reference = self._relearn(reference) if scene.relearn else None

    def _load(self, path: Path) -> nn.Module:
        return load_model(self._scene.bench.specification, path)

    def _ask(self, model: nn.Module) -> Judged:
        return judge_model(model, self._pool, self._test, self._reported, self._scene.forget.rows)

    def _accuracy(self, judged: Judged, model: nn.Module) -> dict[str, float]:
        of_validation = signals_on(model, self._test, self._validation)[:, 0]
        return judged.accuracies(self._scene.forget, self._retain) | {
            "validation": accuracy(signal(of_validation, "margin"))
        }

    def _mia(self, judged: Judged) -> float:
        confidence, outsider = signal(judged.pool[:, 0], "confidence"), signal(judged.test[:, 0], "confidence")
        return mia_efficacy(confidence[self._members], outsider, confidence[self._scene.forget.rows])[0]

    def _relearn(self, model: nn.Module) -> int | None:
        scene = self._scene
        return relearn_time(
            model,
            self._pool,
            scene.forget.rows,
            self._relearn_target,
            derive_seed(scene.seed, "relearn"),
            scene.bench.specification.hardware,
        ).steps

    def _evidence(self) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]] | None:
        """Margins and membership under every shadow model, where these can say anything of the forget set."""
        bench = self._scene.bench
        if not self._scene.forget.scattered or bench.shadows < lira.FEWEST_MODELS:
            return None
        keep = bench.keep()
        stored = bench.store.read_signals(shadow_keys(bench.shadows))[:, : keep.shape[1], 0]
        return signal(stored, "margin"), keep

    def of(self, model: nn.Module, treatment: Treatment) -> dict[str, Any]:
        """Every measure of one model."""
        scene = self._scene
        judged = self._ask(model)
        accuracies = self._accuracy(judged, model)
        parts, reference = ("forget", "retain", "test"), self._accuracies
        tuning = {"forget": "forget", "retain": "retain", "test": "validation"}
        efficacy = self._mia(judged)
        found: dict[str, Any] = {
            **accuracies,
            **{f"retrained_{part}": reference[part] for part in parts},
            "tow": tug_of_war({part: accuracies[part] for part in parts}, {part: reference[part] for part in parts}),
            "tow_validation": tug_of_war(
                {part: accuracies[name] for part, name in tuning.items()},
                {part: reference[name] for part, name in tuning.items()},
            ),
            "mia_efficacy": efficacy,
            "mia_gap": abs(efficacy - self._efficacy["reference"]),
            "mia_gap_to_original": abs(efficacy - self._efficacy["original"]),
            "jensen_shannon": float(jensen_shannon(judged.forget_logits, self._reference.forget_logits).mean()),
            **self._by_sample(judged, treatment),
        }
        if scene.relearn:
            found["relearn_steps"] = self._relearn(model)
            found["retrained_relearn_steps"] = self._relearn_reference
            found["relearn_limit"] = RelearnSettings().limit
        return found

    def _by_sample(self, judged: Judged, treatment: Treatment) -> dict[str, float | None]:
        """How much of D_u LiRA calls trained-on, and how the three difficulties rise with risk."""
        rows, bench = self._scene.forget.rows, self._scene.bench
        request = treatment.request
        # Who taught does not judge.
        judging = judges(bench, not isinstance(request, str) and will_teach(request))
        risk, called = bench.table["risk"].to_numpy()[rows], None
        if self._margins is not None:
            margin, keep = (part[judging] for part in self._margins)
            if not judging.all():
                risk = attack_success(lira.online(margin, keep), keep)[rows]
            of_model = signal(judged.pool[: len(bench.table), 0], "margin")
            called = float((lira.of_other_model(of_model, margin, keep)[rows] > 0).mean())
        margins = [
            signal(one.pool[rows, 0], "margin").astype(np.float64) for one in (self._original, judged, self._reference)
        ]
        related = relate_to_risk(risk, risk, per_sample_difficulty(*margins))
        loss = spearman(risk, signal(self._original.pool[rows, 0], "loss"))
        return {
            "called_members": called,
            **{f"risk_and_{name}": correlation.spearman for name, correlation in related.items()},
            "risk_and_loss": loss.spearman,
        }


def as_row(found: dict[str, Any]) -> dict[str, Any]:
    """A trial's results with what follows from them: distances to the retrained model and logarithms of steps.

    A model that did not relearn within the limit counts with the limit, and one that had nothing to relearn with half
    of the smallest step that is looked at: the first is a lower bound, the second an upper one.
    """
    row = found | {"forget_gap": abs(found["forget"] - found["retrained_forget"])}
    if "relearn_steps" in found:
        least = RelearnSettings().look_every / 2

        def logarithm(steps: int | None) -> float:
            return math.log(max(found["relearn_limit"] if steps is None else steps, least))

        row["log_relearn"] = logarithm(found["relearn_steps"])
        row["log_relearn_ratio"] = row["log_relearn"] - logarithm(found["retrained_relearn_steps"])
        row["relearn"] = found["relearn_limit"] if found["relearn_steps"] is None else found["relearn_steps"]
    return row
