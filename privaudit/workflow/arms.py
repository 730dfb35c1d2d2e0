"""One seed of a comparison of orders: every arm on the same original model, forget set and budget."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from privaudit import files
from privaudit.engines.base import Report
from privaudit.evaluation.divergence import jensen_shannon
from privaudit.evaluation.membership import choose_members, mia_efficacy
from privaudit.evaluation.order_comparison import DO_NOTHING, ONE_SHOT, RANDOM_GROUPS, RETRAIN, REVERSE
from privaudit.evaluation.utility import tug_of_war
from privaudit.scoring.target import split_test
from privaudit.shadow.trainer import AuditArrays, load_model, one_thread
from privaudit.signals import signal
from privaudit.training.loop import Samples
from privaudit.unlearning.forget_set import ForgetSet
from privaudit.unlearning.stages import Sequencing
from privaudit.workflow.bench import Bench, Request, run_method
from privaudit.workflow.judging import Judged
from privaudit.workflow.measuring import judge_model

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SeedJob:
    """One seed: its models are trained already.

    Parameters
    ----------
    folder
        Where each arm's results go as soon as it is done.
    original, retrained
        The original model; and two models trained on D_r, the second of which is an arm of its own.
    own_target
        Whether the original model is this seed's own.
    """

    seed: int
    bench: Bench
    request: Request
    forget: ForgetSet
    folder: Path
    original: Path
    retrained: tuple[Path, Path]
    own_target: bool


def arms_of(sequencing: Sequencing) -> dict[str, Sequencing | None]:
    """Every arm and how it hands over the forget set; None where it unlearns nothing step by step."""
    static = replace(sequencing, rerank="static", descending=False)
    return {
        DO_NOTHING: None,
        ONE_SHOT: replace(static, order="none"),
        RANDOM_GROUPS: replace(static, order="random"),
        REVERSE: replace(sequencing, descending=not sequencing.descending),
        arm_name(sequencing): sequencing,
        RETRAIN: None,
    }


def arm_name(sequencing: Sequencing) -> str:
    """What the ordered arm is called."""
    return sequencing.order + ("-descending" if sequencing.descending else "")


def result_path(folder: Path, seed: int, arm: str) -> Path:
    """Where one arm's results on one seed are."""
    return folder / "runs" / f"{seed:03d}-{arm}.json"


def missing_arms(job: SeedJob) -> list[str]:
    """The arms of this seed that are not done yet."""
    names = arms_of(job.request.sequencing)
    return [name for name in names if not files.is_whole(result_path(job.folder, job.seed, name))]


def seed_job(job: SeedJob, arrays: AuditArrays, report: Report) -> None:
    """Run the arms of a seed that are missing, and write down each as soon as it is done."""
    specification = job.bench.specification
    device = specification.hardware.device
    pool = Samples.from_arrays(arrays.pool_inputs, arrays.pool_labels, device)
    test = Samples.from_arrays(arrays.test_inputs, arrays.test_labels, device)
    _, reported = split_test(len(test), job.bench.seed)
    retain = np.setdiff1d(np.arange(len(job.bench.table)), job.forget.rows)

    def load(path: Path) -> nn.Module:
        return load_model(specification, path)

    with one_thread(specification.hardware):
        judge = _Judge(pool, test, reported, job, retain, judge_of(load(job.retrained[0]), pool, test, reported, job))
        for done, name in enumerate(missing_arms(job), start=1):
            sequencing = arms_of(job.request.sequencing)[name]
            if sequencing is None:
                found = judge.of(load(job.retrained[1] if name == RETRAIN else job.original))
                facts: dict[str, Any] = {"forget_steps": 0, "forget_steps_run": 0, "retain_steps_run": 0}
                facts |= {"stopped": None, "seconds": 0.0}
            else:
                model, run = run_method(
                    job.bench,
                    replace(job.request, sequencing=sequencing, seed=job.seed),
                    lambda: load(job.original),
                    job.forget.rows,
                    retain,
                    (pool, test),
                    scattered=job.forget.scattered,
                    is_target=not job.own_target,
                )
                found = judge.of(model)
                ledger = run.ledger.to_json()
                facts = {
                    key: ledger[key] for key in ("forget_steps", "forget_steps_run", "retain_steps_run", "stopped")
                }
                facts["seconds"] = round(run.seconds, 3)
            path = result_path(job.folder, job.seed, name)
            files.write_json(path, {"arm": name, "seed": job.seed, "n": len(job.forget.rows)} | found | facts)
            files.seal(path)
            report(float(done))


def judge_of(model: nn.Module, pool: Samples, test: Samples, reported: Rows, job: SeedJob) -> Judged:
    """Ask a model about everything that arms are judged by."""
    return judge_model(model, pool, test, reported, job.forget.rows)


class _Judge:
    """Holds a model against the seed's retrained one."""

    def __init__(
        self, pool: Samples, test: Samples, reported: Rows, job: SeedJob, retain: Rows, against: Judged
    ) -> None:
        self._samples, self._reported, self._job, self._retain = (pool, test), reported, job, retain
        self._against = against
        self._members = choose_members(retain, pool.labels.cpu().numpy(), len(reported), job.seed)
        self._efficacy = self._mia(against)

    def _mia(self, judged: Judged) -> float:
        confidence, outsider = signal(judged.pool[:, 0], "confidence"), signal(judged.test[:, 0], "confidence")
        return mia_efficacy(confidence[self._members], outsider, confidence[self._job.forget.rows])[0]

    def of(self, model: nn.Module) -> dict[str, float]:
        """Every measure of one arm."""
        judged = judge_of(model, *self._samples, self._reported, self._job)
        accuracies = judged.accuracies(self._job.forget, self._retain)
        efficacy = self._mia(judged)
        return {
            **accuracies,
            "tow": tug_of_war(accuracies, self._against.accuracies(self._job.forget, self._retain)),
            "mia_efficacy": efficacy,
            "mia_gap": abs(efficacy - self._efficacy),
            "jensen_shannon": float(jensen_shannon(judged.forget_logits, self._against.forget_logits).mean()),
        }
