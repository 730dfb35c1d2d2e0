"""``--reconstruct-classes``: whether classes are reconstructed, and from how many models."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from privaudit import artifacts
from privaudit.audit.inversion.classes.class_jobs import ClassJob, ClassSetting, SampleScale
from privaudit.audit.inversion.inversion_plan import multiplications
from privaudit.audit.plan import AuditPlan
from privaudit.errors import UsageError
from privaudit.inversion.classes import class_ascent
from privaudit.inversion.classes.class_prior import ClassPrior
from privaudit.runtime.identity import Identity
from privaudit.shadow.store import TARGET, shadow_keys

#: Part of the name of what is kept. Raise it whenever the same configuration would come to other reconstructions.
CLASS_FORMAT = 1

#: Models that are reconstructed from at most, the fewest that give an interval, and classes at most.
MOST_MODELS, FEWEST_MODELS, MOST_CLASSES = 32, 8, 200

#: What it may cost unasked, in seconds of one core. A step takes a millisecond and, for each class, a sixth of one for
#: every million multiplications of the network: no stopwatch decides.
AFFORDED, STEP_SECONDS, SECONDS_PER_MILLION = 10.0, 1e-3, 1.6e-4

#: Never-trained samples that a prior takes at least.
FEWEST_HELD_OUT = 20


@dataclass(frozen=True)
class ClassPlan:
    """What is reconstructed: the setting, and a job for the target and each shadow model."""

    setting: ClassSetting
    models: int
    jobs: list[ClassJob]
    seconds: float


def choose_classes(plan: AuditPlan, *, is_inverted: bool) -> ClassPlan | None:
    """Resolve ``--reconstruct-classes``; None where nothing is reconstructed.

    Parameters
    ----------
    plan
        The audit's.
    is_inverted
        Whether gradients are inverted in the same run: then ``auto`` means yes, where it takes seconds.

    Raises
    ------
    UsageError
        Where it was asked for and can't be done.
    """
    asked = plan.settings.reconstruct_classes
    if asked == "no" or (asked == "auto" and not is_inverted):
        return None
    if why := _unfit(plan):
        if asked == "auto":
            return None
        raise UsageError(f"--reconstruct-classes yes: {why}", hint="Leave it out.")
    models = min(plan.shadows, MOST_MODELS)
    each = _seconds_a_model(plan)
    if asked == "auto":
        models = min(models, 2 * int(AFFORDED / each / 2))
        if models < min(FEWEST_MODELS, plan.shadows):
            return None
    return _resolve(plan, models, each)


def _unfit(plan: AuditPlan) -> str:
    """Why it can't be done; empty where it can."""
    specification = plan.specification
    if specification.estimator is not None:
        return f"it climbs the gradient of a network, and {plan.network_name} has none"
    if specification.is_head:
        return "a head takes embeddings, which are no images"
    if plan.shadows < 4:
        return f"{plan.shadows} shadow models are too few: it needs at least 4"
    if plan.data.classes > MOST_CLASSES:
        return f"{plan.data.classes:,} classes are more than {MOST_CLASSES}"
    if len(plan.test_rows) < FEWEST_HELD_OUT:
        return f"{len(plan.test_rows)} never-trained samples are too few for a prior: it needs {FEWEST_HELD_OUT}"
    return ""


def _scale(plan: AuditPlan) -> SampleScale:
    return SampleScale.of(plan.data.x_train, plan.data.x_test[plan.test_rows])


def _seconds_a_model(plan: AuditPlan) -> float:
    """What a model's reconstructions are taken to last on one core."""
    scale = _scale(plan)
    flat = torch.from_numpy(scale.flat(plan.data.x_train[:1])).to(plan.specification.hardware.torch_device)
    millions = multiplications(plan.specification.build("calibrate").eval(), scale.to_input(flat)) / 1e6
    return class_ascent.STEPS * (STEP_SECONDS + SECONDS_PER_MILLION * millions * plan.data.classes)


def _resolve(plan: AuditPlan, models: int, each: float) -> ClassPlan:
    scale = _scale(plan)
    held_out = plan.data.x_test[plan.test_rows]
    prior = ClassPrior.of(scale.flat(held_out))
    name = Identity.of(
        format=CLASS_FORMAT,
        steps=class_ascent.STEPS,
        rate=class_ascent.RATE,
        weight=class_ascent.WEIGHT,
        components=len(prior.axes),
        mean=np.round(prior.mean, 4),
    ).digest()
    store = plan.store
    jobs = [
        ClassJob(key, artifacts.CLASS_SEARCHES.at(store.folder, name=name, key=key))
        for key in (TARGET, *shadow_keys(models))
    ]
    return ClassPlan(ClassSetting(store, plan.specification, prior, scale), models, jobs, each * len(jobs))
