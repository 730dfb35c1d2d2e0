"""The measures of unlearning, of every model that is compared: MIA-efficacy and its gaps, relearn time, divergence."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from privaudit.evaluation.measures.mia_efficacy import choose_members, mia_efficacy
from privaudit.evaluation.measures.prediction_divergence import distance_of, jensen_shannon, probabilities
from privaudit.evaluation.measures.relearn import (
    RelearnSettings,
    RelearnTime,
    relearn_ratio,
    relearn_target,
    relearn_time,
)
from privaudit.evaluation.measures.utility import tug_of_war
from privaudit.evaluation.model_evaluation import Judged
from privaudit.runtime.seeds import derive_seed
from privaudit.shadow.trainer import signals_on
from privaudit.signals import signal
from privaudit.training.hardware import Hardware
from privaudit.training.loop import Samples, logits_of
from privaudit.unlearning.application.run_method import Bench
from privaudit.unlearning.requests.forget_set import ForgetSet
from privaudit.unlearning.teachers import PairSplit, teachers_of

Rows = npt.NDArray[np.int64]


def judge_model(model: nn.Module, pool: Samples, test: Samples, reported: Rows, forget: Rows) -> Judged:
    """Ask a model about everything that it is judged by."""
    return Judged(
        pool=signals_on(model, pool),
        test=signals_on(model, test, reported),
        forget_logits=logits_of(model, pool, forget),
        test_logits=logits_of(model, test, reported),
    )


def answers_in_numbers(judged: Judged) -> bool:
    """Whether everything that a model says is finite."""
    said = (judged.pool, judged.test, judged.forget_logits, judged.test_logits)
    return all(bool(np.isfinite(part).all()) for part in said)


def membership(models: dict[str, Judged], forget: ForgetSet, retain: Rows, labels: Rows, seed: int) -> dict[str, Any]:
    """MIA-efficacy of every model, and the two distances that the paper calls "MIA gap".

    Returns
    -------
    dict
        ``efficacy`` and ``attack_accuracy`` by model; ``gap_to_original`` (its Tables 1 and 2) and ``gap_to_retrained``
        (its Table 6; null without a retrained model), both of the unlearned model, absolute.
    """
    efficacy, attack_accuracy = {}, {}
    for name, judged in models.items():
        confidence = signal(judged.pool[:, 0], "confidence")
        outsider = signal(judged.test[:, 0], "confidence")
        members = choose_members(retain, labels, len(outsider), seed)
        efficacy[name], attack_accuracy[name] = mia_efficacy(confidence[members], outsider, confidence[forget.rows])
    unlearned, retrained = efficacy["unlearned"], efficacy.get("retrained")
    return {
        "efficacy": efficacy,
        "attack_accuracy": attack_accuracy,
        "gap_to_original": abs(unlearned - efficacy["original"]),
        "gap_to_retrained": None if retrained is None else abs(unlearned - retrained),
    }


def relearning(
    models: dict[str, nn.Module],
    judged: dict[str, Judged],
    pool: Samples,
    forget: Rows,
    seed: int,
    hardware: Hardware,
) -> dict[str, Any]:
    """Relearn time of every model, and the unlearned one's over the retrained one's."""
    settings = RelearnSettings()
    target = relearn_target(float(signal(judged["original"].pool[forget, 0], "loss").mean()))
    of_order = derive_seed(seed, "relearn")
    times: dict[str, RelearnTime] = {
        name: relearn_time(model, pool, forget, target, of_order, hardware, settings) for name, model in models.items()
    }
    ratios = {}
    if "retrained" in times:
        ratios = {
            name: relearn_ratio(times[name], times["retrained"])
            for name in ("unlearned", "second_retrained")
            if name in times
        }
    return {
        "target_loss": target,
        "limit": settings.limit,
        "learning_rate": settings.learning_rate,
        "steps": {name: time.steps for name, time in times.items()},
        "ratio": ratios.get("unlearned"),
        "ratio_of_second_retrained": ratios.get("second_retrained"),
    }


def divergence(models: dict[str, Judged]) -> dict[str, Any] | None:
    """Mean Jensen-Shannon distance of every model's predictions to the retrained model's; None without one."""
    if "retrained" not in models:
        return None
    reference = models["retrained"]
    others = {name: judged for name, judged in models.items() if name != "retrained"}
    return {
        "forget": {
            name: _mean_distance(judged.forget_logits, reference.forget_logits) for name, judged in others.items()
        },
        "test": {name: _mean_distance(judged.test_logits, reference.test_logits) for name, judged in others.items()},
    }


def from_shadow_models(
    models: dict[str, Judged], forget: Rows, bench: Bench, pool: Samples, judging: npt.NDArray[np.bool_]
) -> dict[str, float]:
    """Mean Jensen-Shannon distance of every model to what the judging shadow models say that never saw the sample.

    They trained on half of the data. How far the retrained model is from them is the bias of that.
    """
    taught_nothing = PairSplit(teaching=judging, judging=np.zeros_like(judging))
    asked = teachers_of(bench.store, bench.specification, pool, forget, bench.keep(), taught_nothing)
    reference = asked.mean.cpu().numpy()
    return {
        name: float(distance_of(probabilities(judged.forget_logits), reference).mean())
        for name, judged in models.items()
    }


def _mean_distance(logits: npt.NDArray[np.float32], others: npt.NDArray[np.float32]) -> float:
    return float(jensen_shannon(logits, others).mean())


def tugs(accuracies: dict[str, dict[str, float]]) -> dict[str, float | None]:
    """ToW of the unlearned and the original model against the retrained one, and of a second retraining."""
    against = accuracies.get("retrained")

    def tow(name: str) -> float | None:
        return None if against is None or name not in accuracies else tug_of_war(accuracies[name], against)

    return {"tow": tow("unlearned"), "tow_do_nothing": tow("original"), "noise_floor": tow("second_retrained")}
