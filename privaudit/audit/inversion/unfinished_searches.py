"""Which searches of an inversion stage the store has not finished yet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from privaudit.audit.inversion.inversion_stage import InversionStage
from privaudit.inversion.inversion_jobs import Tier


@dataclass(frozen=True)
class Searches:
    """Searches of one kind that the store has not finished.

    Parameters
    ----------
    jobs
        How many each job runs.
    steps
        That each takes at most.
    """

    tier: Tier
    jobs: tuple[int, ...]
    steps: int

    @property
    def count(self) -> int:
        """All of them."""
        return sum(self.jobs)


def unfinished(stage: InversionStage) -> list[Searches]:
    """What the stage has yet to search."""
    inversion, features, curvature = stage.inversion, stage.features(), stage.curvature()
    rounds = [curvature, stage.norms()] + ([] if features is None else [features])
    left = {searches.title: stage.unfinished(searches) for searches in rounds}
    if inversion.matched:
        rows = inversion.chosen
        # Whom to match is known once the rounds before are finished; until then any as many cost the same.
        if rows is None and any(left.values()):
            rows = inversion.pool[: inversion.matched]
        elif rows is None:
            found = None if features is None else stage.read(features)
            rows = np.sort(np.concatenate(stage.pick_groups(found, stage.read(curvature))))
        rounds.append(matching := stage.matching(rows))
        left[matching.title] = stage.unfinished(matching)
    pending = [Searches(one.tier, tuple(len(job.rows) for job in left[one.title]), one.steps) for one in rounds]
    return [searches for searches in pending if searches.jobs]
