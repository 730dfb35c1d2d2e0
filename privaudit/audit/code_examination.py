"""What users bring is examined before anything is trained by it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from privaudit.audit.estimators.estimator_examination import examine_estimator
from privaudit.audit.estimators.estimator_plan import unseen_classes
from privaudit.audit.plan import AuditPlan
from privaudit.errors import PrivauditError, UsageError
from privaudit.networks import NETWORKS
from privaudit.networks.build import assemble, load_factory
from privaudit.networks.classifier import Classifier
from privaudit.networks.pretrained.build import build_pretrained
from privaudit.objects.held import is_held_name
from privaudit.objects.network import identity_of
from privaudit.runtime.registry import without_folder
from privaudit.shadow.trainer import one_thread
from privaudit.training.custom_training import load_training
from privaudit.training.function_check import examine_training
from privaudit.training.loop import Samples
from privaudit.training.network_check import examine_network

#: Samples that a training function is tried on, and the seconds after which it is not tried again.
FEW, PATIENCE = 32, 5.0

CURE = "Mend it; privaudit.testing.{} says the same in a test of yours."


def examine_code(plan: AuditPlan) -> AuditPlan:
    """Return the plan with what is to be known of a network that is not ours among its notes.

    Raises
    ------
    UsageError
        Where no audit can rely on it, with every reason.
    """
    specification = plan.specification
    if specification.estimator is not None:
        keep, labels = plan.design(plan.shadows), plan.arrays.pool_labels
        return replace(plan, notes=(*plan.notes, *unseen_classes(keep, labels, plan.data.class_names)))
    if NETWORKS.is_ours(specification.network):
        return plan
    if specification.is_head:
        return plan  # A linear layer of ours; the rest was asked once, and answered in numbers.
    pretrained = specification.pretrained
    factory = None if pretrained else load_factory(specification.network, specification.input_shape)

    def build(seed: int) -> Classifier:
        if pretrained is not None:
            return build_pretrained(pretrained, specification.classes, seed).to(specification.hardware.torch_device)
        built = assemble(
            factory, plan.network_name, specification.input_shape, specification.classes, specification.statistics, seed
        )
        return built.to(specification.hardware.torch_device)

    with one_thread(specification.hardware):
        found = examine_network(
            build, specification.input_shape, specification.classes, specification.hardware, factory
        )
    if found.problems:
        raise UsageError(_refusal(f"network {plan.network_name}", found.problems), hint=CURE.format("check_network"))
    known = identity_of(plan.network_name).sentences() if is_held_name(plan.network_name) else []
    notes = [f"network {plan.network_name}: {said}" for said in (*known, *found.facts, *found.doubts)]
    return replace(plan, notes=(*plan.notes, *notes))


def examine_training_code(plan: AuditPlan) -> AuditPlan:
    """Return the same of a training function, which is tried on a few samples; `PrivauditError` where it won't do."""
    specification = plan.specification
    if specification.estimator is not None:
        arrays = plan.arrays
        said = examine_estimator(specification.estimator, arrays.pool_inputs, arrays.pool_labels, specification.classes)
        return replace(plan, notes=(*plan.notes, *said))
    if specification.training is None:
        return plan
    size = len(plan.arrays.pool_labels)
    rows = np.arange(min(size, FEW)) * size // min(size, FEW)  # evenly spaced: the data may be sorted by class
    device = specification.hardware.device
    few = Samples.from_arrays(plan.arrays.pool_inputs[rows], plan.arrays.pool_labels[rows], device)
    name = without_folder(specification.training)
    with one_thread(specification.hardware):
        found = examine_training(
            load_training(specification.training),
            specification.training,
            lambda: specification.build("examined"),
            few,
            np.arange(len(rows)),
            specification.hardware,
            PATIENCE,
        )
    if found.problems:
        raise PrivauditError(_refusal(f"training function {name}", found.problems), hint=CURE.format("check_training"))
    return replace(
        plan, notes=(*plan.notes, *(f"training function {name}: {said}" for said in (*found.facts, *found.doubts)))
    )


def _refusal(what: str, problems: list[str]) -> str:
    return f"{what} can't be audited with: {'; '.join(problems)}"
