"""Whether a store holds searches of the attack that was the default before: its audit goes on with that one."""

from __future__ import annotations

from dataclasses import replace

from privaudit.audit.inversion.inversion_plan import InversionPlan, calibration_path
from privaudit.audit.inversion.inversion_stage import InversionStage
from privaudit.audit.plan import AuditPlan
from privaudit.inversion.presets import DEFAULT_PRESET, FROM_NOISE, RefiningAttack, resolve_attack
from privaudit.results.audit.inversion_results import EngineChoice
from privaudit.results.base import read_result
from privaudit.runtime import files


def holds_searches_from_noise(plan: AuditPlan, inversion: InversionPlan) -> bool:
    """Whether gradient matching from noise was begun in the store, with this audit's settings otherwise.

    What an audit has told of its samples stays what it was; ``--store`` elsewhere, or a removed folder of searches,
    begins anew.
    """
    if plan.settings.invert_preset != DEFAULT_PRESET or not isinstance(inversion.attack, RefiningAttack):
        return False
    path = calibration_path(plan.store, plan.specification)
    if not files.is_whole(path):
        return False
    stored = read_result(path, EngineChoice)
    if (asked := str(plan.settings.invert_batch)).isdecimal():
        stored = stored.model_copy(update={"batch": int(asked)})
    before = replace(inversion, attack=resolve_attack(FROM_NOISE, plan.data.input_shape))
    return any(InversionStage(plan, before, stored).folder("matching").glob("matching-*.npz"))
