"""Trials: several treatments of one original model and one forget set, each judged and written down when it is done.

Comparisons of orders and the paper's experiments are made of trials. A trial is named by what decides its result, so
whoever asks for the same one later finds it there.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from privaudit import files
from privaudit.attacks import lira
from privaudit.engines.local import Report
from privaudit.evaluation.difficulty import per_sample_difficulty, relate_to_risk
from privaudit.evaluation.divergence import jensen_shannon
from privaudit.evaluation.membership import choose_members, mia_efficacy
from privaudit.evaluation.order_comparison import DO_NOTHING, RETRAIN
from privaudit.evaluation.relearn import RelearnSettings, relearn_target, relearn_time
from privaudit.evaluation.utility import accuracy, tug_of_war
from privaudit.scoring.risk import attack_success
from privaudit.scoring.target import split_test
from privaudit.seeds import derive_seed
from privaudit.shadow.store import shadow_keys
from privaudit.shadow.trainer import AuditArrays, load_model, one_thread, signals_on
from privaudit.signals import signal
from privaudit.statistics.intervals import spearman
from privaudit.training.loop import Samples
from privaudit.unlearning.forget_set import ForgetSet
from privaudit.workflow.bench import Bench, Request, judges, run_method, will_teach
from privaudit.workflow.judging import Judged
from privaudit.workflow.measuring import judge_model

Rows = npt.NDArray[np.int64]

FOLDER = "trials"


@dataclass(frozen=True)
class Treatment:
    """What is done to the original model.

    Parameters
    ----------
    request
        A method and its sequence, its seed that of the scene; or ``do-nothing`` (the original model as it is) or
        ``retrain`` (a second model that was trained without the forget set: how alike two of them are).
    """

    request: Request | str

    def identity(self) -> Any:
        """Everything about it that decides a result."""
        if isinstance(self.request, str):
            return self.request
        request = self.request
        sequencing = asdict(request.sequencing)
        if request.sequencing.order == "none":
            sequencing = {"order": "none", "state": request.sequencing.state}
        return {"method": request.method, "parameters": asdict(request.parameters), "sequencing": sequencing}


@dataclass(frozen=True)
class Scene:
    """A seed's original model, forget set and two retrained models, all trained already; and what is to be tried.

    Parameters
    ----------
    seed
        Decides the methods' randomness and the draw of members for MIA-efficacy.
    bench
        The audit.
    forget
        D_u.
    folder
        Where results go.
    original, retrained
        The original model, and two models trained on D_r: the first is the reference, the second a treatment.
    own_target
        Whether the original model is this seed's own rather than the audit's target.
    treatments
        Asked of this scene.
    relearn
        Whether relearn time is wanted too: up to 400 training steps a model.
    """

    seed: int
    bench: Bench
    forget: ForgetSet
    folder: Path
    original: Path
    retrained: tuple[Path, Path]
    own_target: bool
    treatments: tuple[Treatment, ...]
    relearn: bool = False

    def path(self, treatment: Treatment) -> Path:
        """Where a treatment's results are: named by what decides them."""
        scores = self.bench.table.loc[self.forget.rows, ["risk", "lira", "loss"]].to_numpy(np.float64)
        scene = {
            "shadows": self.bench.shadows,
            "scores": hashlib.sha256(np.ascontiguousarray(scores).tobytes()).hexdigest(),
            "forget": hashlib.sha256(self.forget.rows.tobytes()).hexdigest(),
            "seed": self.seed,
            "own_target": self.own_target,
        }
        return self.folder / _digest(scene) / f"{_digest(treatment.identity())}.json"

    def is_done(self, treatment: Treatment) -> bool:
        """Whether its results are there, whole, with everything that is wanted."""
        path = self.path(treatment)
        return files.is_whole(path) and (not self.relearn or "relearn_steps" in files.read_json(path))

    def missing(self) -> list[Treatment]:
        """The treatments that are not done yet."""
        return [treatment for treatment in self.treatments if not self.is_done(treatment)]

    def results(self, treatment: Treatment) -> dict[str, Any]:
        """What was found."""
        found: dict[str, Any] = files.read_json(self.path(treatment))
        return found


def _digest(what: Any) -> str:
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]


def run_scene(scene: Scene, arrays: AuditArrays, report: Report) -> None:
    """Run the treatments of a scene that are missing, and write down each as soon as it is done."""
    specification = scene.bench.specification
    device = specification.hardware.device
    pool = Samples.from_arrays(arrays.pool_inputs, arrays.pool_labels, device)
    test = Samples.from_arrays(arrays.test_inputs, arrays.test_labels, device)
    with one_thread(specification.hardware):
        judge = _Judge(scene, pool, test)
        for done, treatment in enumerate(scene.missing(), start=1):
            model, facts = _treat(scene, treatment, pool, test)
            path = scene.path(treatment)
            files.write_json(path, judge.of(model, treatment) | facts)
            files.seal(path)
            report(float(done))


def _treat(scene: Scene, treatment: Treatment, pool: Samples, test: Samples) -> tuple[nn.Module, dict[str, Any]]:
    specification, request = scene.bench.specification, treatment.request
    facts: dict[str, Any] = {"seed": scene.seed, "n": len(scene.forget.rows)}
    if isinstance(request, str):
        path = {DO_NOTHING: scene.original, RETRAIN: scene.retrained[1]}[request]
        spent = {"forget_steps": 0, "forget_steps_run": 0, "retain_steps_run": 0, "stopped": None}
        return load_model(specification, path), facts | spent | {"seconds": 0.0, "processor_seconds": 0.0}
    retain = np.setdiff1d(np.arange(len(scene.bench.table)), scene.forget.rows)
    began = time.process_time()
    model, run = run_method(
        scene.bench,
        replace(request, seed=scene.seed),
        lambda: load_model(specification, scene.original),
        scene.forget.rows,
        retain,
        (pool, test),
        scattered=scene.forget.scattered,
        is_target=not scene.own_target,
        watched=False,
    )
    ledger = run.ledger.to_json()
    facts |= {key: ledger[key] for key in ("forget_steps", "forget_steps_run", "retain_steps_run", "stopped")}
    return model, facts | {
        "seconds": round(run.seconds, 3),
        "processor_seconds": round(time.process_time() - began, 3),
    }


class _Judge:
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
