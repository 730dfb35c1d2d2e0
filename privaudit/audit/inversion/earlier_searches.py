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
    begins anew. Where searches of ``inversion`` lie there as well, those of noise were asked for by name.
    """
    if plan.settings.invert_preset != DEFAULT_PRESET or not isinstance(inversion.attack, RefiningAttack):
        return False
    before = replace(inversion, attack=resolve_attack(FROM_NOISE, plan.data.input_shape))
    engines = _engines(plan)
    return _has_searches(plan, before, engines) and not _has_searches(plan, inversion, engines)


def _engines(plan: AuditPlan) -> list[EngineChoice]:
    """What gradients may have been computed with: the calibration says so, unless a batch was asked for."""
    path, asked = calibration_path(plan.store, plan.specification), str(plan.settings.invert_batch)
    if asked.isdecimal():
        return [EngineChoice(engine=engine, batch=int(asked)) for engine in ("looped", "vmapped", "layerwise")]
    return [read_result(path, EngineChoice)] if files.is_whole(path) else []


def _has_searches(plan: AuditPlan, inversion: InversionPlan, engines: list[EngineChoice]) -> bool:
    folders = (InversionStage(plan, inversion, engine).folder("matching") for engine in engines)
    return any(path for folder in folders for path in folder.glob("matching-*.npz"))
