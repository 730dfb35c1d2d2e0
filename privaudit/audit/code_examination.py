"""What users bring is examined before anything is trained by it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from privaudit.audit.plan import AuditPlan, load_data
from privaudit.data import Limits
from privaudit.data.formats.load import is_function
from privaudit.errors import DataError, PrivauditError, UsageError
from privaudit.networks import NETWORKS
from privaudit.networks.build import assemble, load_factory
from privaudit.networks.classifier import Classifier
from privaudit.networks.pretrained.build import build_pretrained
from privaudit.runtime.registry import without_folder
from privaudit.runtime.user_code import other_draws
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
    notes = [f"network {plan.network_name}: {said}" for said in (*found.facts, *found.doubts)]
    return replace(plan, notes=(*plan.notes, *notes))


def examine_training_code(plan: AuditPlan) -> AuditPlan:
    """Return the same of a training function, which is tried on a few samples; `PrivauditError` where it won't do."""
    specification = plan.specification
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


def demand_same_again(plan: AuditPlan) -> None:
    """Read what a user's function gives once more: `DataError` where it is something else each time.

    Every later command reads the data again and holds it against its fingerprint, so that what draws at random could
    be audited, and nothing else.
    """
    if not is_function(plan.settings.dataset):
        return
    with other_draws():
        again = load_data(plan.settings, Limits(len(plan.data), len(plan.data)))
    parts = ("x_train", "y_train", "x_test", "y_test", "sample_ids")
    changed = [name for name in parts if not np.array_equal(getattr(plan.data, name), getattr(again, name))]
    if changed:
        raise DataError(
            f"{plan.data.name}: two calls of the function return different {', '.join(changed)}",
            hint="Draw with a fixed seed, keep an order, and leave out transforms that draw at random.",
        )


def _refusal(what: str, problems: list[str]) -> str:
    return f"{what} can't be audited with: {'; '.join(problems)}"
