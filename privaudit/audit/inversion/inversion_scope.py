"""What `score` inverts where ``--invert`` is not given: what the brief needs, in about a minute.

The brief tells one figure of inversion: the share of records, drawn at random, that come back from their gradients. So
where the whole comparison of easy and random samples (``--invert groups``) takes longer than a minute, some records
drawn at random are inverted alone: the first of the audit's seeded order, whom ``--invert N`` takes too. Never the
easiest: they would overstate the share. Where the store holds all searches of the comparison already, it costs nothing,
and is taken.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from privaudit.audit.inversion.earlier_searches import holds_searches_from_noise
from privaudit.audit.inversion.inversion_plan import (
    AFFORDED,
    CURVATURE_STEPS,
    FEATURE_STEP,
    GROUP,
    SMALLEST_GROUP,
    InversionPlan,
    calibration_path,
    plan_inversion,
    seconds_of_step,
)
from privaudit.audit.inversion.inversion_stage import InversionStage
from privaudit.audit.inversion.unfinished_searches import unfinished
from privaudit.audit.plan import AuditPlan
from privaudit.inversion.presets import FROM_NOISE
from privaudit.results.audit.inversion_results import EngineChoice
from privaudit.results.base import read_result
from privaudit.runtime import files
from privaudit.runtime.progress import talk
from privaudit.runtime.seeds import generator

#: What inverting by default may cost: so much of what the whole comparison may. No stopwatch decides.
BRIEFLY = 0.06

#: Gradient matching's share of that; feature matching has the rest.
MATCHING_SHARE = 0.75


def choose_inversion(plan: AuditPlan) -> InversionPlan | None:
    """Resolve ``--invert`` or, where it is not given, what the brief needs; None where nothing is to be inverted."""
    whole = plan_inversion(plan)
    if whole is not None and holds_searches_from_noise(plan, whole):
        whole = plan_inversion(plan, FROM_NOISE)
    if whole is None or plan.settings.invert is not None:
        return whole
    budget = BRIEFLY * AFFORDED[plan.specification.hardware.device]
    step = seconds_of_step(plan)
    if seconds_of(whole, step) <= budget or is_finished(plan, whole):
        return whole
    return _briefly(plan, whole, budget, step)


def seconds_of(inversion: InversionPlan, step: float) -> float:
    """What a stage takes on one core, a sample-step of gradient matching taking ``step`` seconds."""
    attack, features = inversion.attack, inversion.features
    matching = inversion.matched * 2 * attack.restarts * attack.effort
    reading = len(inversion.pool) * 2 * features.steps * FEATURE_STEP if inversion.has_features else 0.0
    return step * (matching + reading + CURVATURE_STEPS * len(inversion.curved) + len(inversion.normed))


def is_finished(plan: AuditPlan, inversion: InversionPlan) -> bool:
    """Whether the store holds every search of a stage."""
    path = calibration_path(plan.store, plan.specification)
    if not files.is_whole(path):
        return False
    return not unfinished(InversionStage(plan, inversion, read_result(path, EngineChoice)))


def _briefly(plan: AuditPlan, whole: InversionPlan, budget: float, step: float) -> InversionPlan | None:
    """Records drawn at random, as many as the budget pays for."""
    order = generator(plan.settings.seed, "inversion-pool").permutation(len(plan.data))
    attack, features = whole.attack, whole.features
    of_matching = 2 * attack.restarts * attack.effort * step
    matched = min(GROUP, len(plan.data), int(MATCHING_SHARE * budget / of_matching))
    # Without gradient matching all of it pays for features.
    read = int(budget / ((2 * features.steps * FEATURE_STEP + CURVATURE_STEPS + 1) * step))
    more = f"--invert groups inverts {len(whole.pool):,} by features and {whole.matched:,} by gradient matching, which "
    more += f"takes about {seconds_of(whole, step) / budget:,.0f} times as long"
    if matched >= SMALLEST_GROUP:
        rows, chosen = np.sort(order[:matched]), True
    elif whole.has_features and read >= SMALLEST_GROUP:
        rows, chosen = np.sort(order[: min(read, len(whole.pool))]), False
        more = f"gradient matching (T2) is left out: on this network it takes longer than a minute; {more}"
    else:
        talk(f"  no inversions: on this network they take longer than a minute; {more}")
        return None
    note = f"{len(rows):,} records drawn at random are inverted, for the share that comes back; {more}"
    kept = [one for one in whole.notes if not one.startswith(("groups of", "gradient matching", "so the most"))]
    return replace(
        whole,
        pool=rows,
        chosen=rows if chosen else None,
        group=0,
        curved=rows,
        normed=rows,
        notes=(*kept, note),
    )
