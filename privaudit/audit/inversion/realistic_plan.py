"""Which threat models `score` tries with ``--invert-settings realistic``, at what size, and what that takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from privaudit.audit.inversion.inversion_plan import REFERENCE, example_of, seconds_of_step
from privaudit.audit.plan import AuditPlan
from privaudit.errors import UsageError
from privaudit.inversion.image_scale import PixelScale
from privaudit.inversion.network_structure import check_invertible
from privaudit.inversion.presets import DEFAULT_PRESET, FROM_NOISE, MatchingAttack, resolve_attack
from privaudit.inversion.threat_models.ladder import LADDER, applies
from privaudit.results.audit.realistic_inversion import ThreatModel
from privaudit.runtime.seeds import generator

REALISTIC = "realistic"

#: What all threat models together may cost, in seconds of one core as `seconds_of_step` counts them.
AFFORDED = {"cpu": 1_500.0, "cuda": 60_000.0}

#: Records that each threat model is tried on at the least: as many as are afforded.
SIZES = (32, 16)

#: Groups at the least: fewer have no interval to speak of.
FEWEST_GROUPS = 4

#: Groups of one record that are searched for at once, where a step of one takes less than this many seconds as
#: `seconds_of_step` counts them: a larger network is kept busy by one.
TOGETHER, SMALL = 16, 5e-3

NO_BATCH_NORM = "the network has no BatchNorm"


@dataclass(frozen=True)
class RealisticPlan:
    """The threat models to try.

    Parameters
    ----------
    groups
        How many groups each is tried on.
    order
        Rows of the pool in the order in which groups take them.
    reference
        Rows that reconstructions are held against, sorted.
    left_out
        By threat model, why it is not tried.
    at_once
        Groups of a single record that are searched for at once.
    """

    groups: dict[ThreatModel, int]
    order: npt.NDArray[np.int64]
    reference: npt.NDArray[np.int64]
    attack: MatchingAttack
    pixels: PixelScale
    left_out: dict[str, str]
    at_once: int

    def rows(self, setting: ThreatModel) -> npt.NDArray[np.int64]:
        """Rows of the pool, ``[G, n]``: the first of the seeded order, whom ``--invert N`` takes too."""
        return self.order[: self.groups[setting] * setting.together].reshape(-1, setting.together)


def plan_realistic(plan: AuditPlan) -> RealisticPlan | None:
    """Resolve ``--invert-settings``: None for the best case alone, `UsageError` where there is no image."""
    if plan.settings.invert_settings != REALISTIC:
        return None
    _refuse(plan)
    pixels = PixelScale.of(plan.data.x_train)
    model = plan.specification.build("calibrate").eval()
    check_invertible(model, example_of(plan, pixels))
    order = generator(plan.settings.seed, "inversion-pool").permutation(len(plan.data))
    attack = resolve_attack(FROM_NOISE, plan.data.input_shape)
    left_out = {setting.name: NO_BATCH_NORM for setting in LADDER if not applies(setting, model)}
    some = [setting for setting in LADDER if setting.name not in left_out]
    step = seconds_of_step(plan)
    budget = AFFORDED[plan.specification.hardware.device] / (step * attack.steps)
    groups, dear = affordable(some, budget, len(plan.data))
    at_once = TOGETHER if step < SMALL else 1
    return RealisticPlan(groups, order, np.sort(order[:REFERENCE]), attack, pixels, left_out | dear, at_once)


def affordable(
    settings: list[ThreatModel], budget: float, samples: int
) -> tuple[dict[ThreatModel, int], dict[str, str]]:
    """Choose how many groups each threat model is tried on; those that are too dear are left out, the dearest first.

    ``budget`` is in gradients of single records a step.
    """
    groups: dict[ThreatModel, int] = {}
    for records in SIZES:
        groups = {one: _groups(one, records, samples) for one in settings}
        if _cost(groups) <= budget:
            break
    left_out = {
        one.name: f"the data has fewer than {FEWEST_GROUPS * one.together} records"
        for one in settings
        if groups[one] < FEWEST_GROUPS
    }
    groups = {one: count for one, count in groups.items() if one.name not in left_out}
    while len(groups) > 1 and _cost(groups) > budget:
        dearest = max(groups, key=lambda one: (groups[one] * one.evaluations, one.together))
        left_out[dearest.name] = "it would take too long on this network and device"
        del groups[dearest]
    return groups, left_out


def _groups(setting: ThreatModel, records: int, samples: int) -> int:
    return min(max(FEWEST_GROUPS, records // setting.together), samples // setting.together)


def _cost(groups: dict[ThreatModel, int]) -> float:
    return float(sum(one.evaluations * count for one, count in groups.items()))


def _refuse(plan: AuditPlan) -> None:
    """`UsageError` where there is no image, or no gradient, to rebuild."""
    asked, reason = "--invert-settings realistic", None
    if plan.specification.estimator is not None:
        reason = f"with --estimator: inversion reads the gradients of a network, and {plan.network_name} has none"
    elif plan.specification.is_head:
        reason = "with --train head: the gradient of a head holds an embedding, not the image"
    elif not plan.data.is_image:
        shape = list(plan.data.input_shape)
        reason = f"an input of {plan.data.name} has shape {shape}; only images are rebuilt"
    elif plan.settings.invert_preset not in (DEFAULT_PRESET, FROM_NOISE):
        reason = f"with --invert-preset {plan.settings.invert_preset}: threat models are compared by '{FROM_NOISE}'"
    elif plan.shadows < 4:
        reason = f"with {plan.shadows} shadow models: the attacked pair is the second, so it needs 4"
    if reason is not None:
        joint = " " if reason.startswith("with") else ": "
        raise UsageError(f"{asked}{joint}{reason}", hint="Leave --invert-settings out.")
