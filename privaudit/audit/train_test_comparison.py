"""Whether test samples may stand for never-trained ones: they must be like training samples, and none of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from privaudit.data.duplicates import Duplicates, find_duplicates
from privaudit.scoring.blind_baseline import BlindBaseline, blind_baseline
from privaudit.scoring.unseen_control import UnseenControl, never_seen
from privaudit.shadow.trainer import AuditArrays


@dataclass(frozen=True)
class Sides:
    """What was found of training against test samples; a control is None where there are too few samples."""

    blind: BlindBaseline | None
    unseen: UnseenControl | None
    duplicates: Duplicates

    def controls_to_json(self) -> dict[str, Any]:
        """As they stand among the controls in JSON results."""
        return {
            "blind": None if self.blind is None else self.blind.to_json(),
            "shift": None if self.unseen is None else self.unseen.to_json(),
        }


def compare_sides(arrays: AuditArrays, samples: int, stored: Any, seed: int) -> Sides:
    """Hold the training samples against the test samples.

    Parameters
    ----------
    arrays
        The pool, whose first ``samples`` rows are the training samples, and the test samples.
    samples
        N, canaries left out.
    stored
        `privaudit.audit.stored_signals.StoredSignals` of the same rows.
    seed
        The audit's seed.
    """
    train = (arrays.pool_inputs[:samples], arrays.pool_labels[:samples])
    test = (arrays.test_inputs, arrays.test_labels)
    return Sides(
        blind=blind_baseline(train, test, seed),
        unseen=never_seen(stored.shadow[:, :samples], stored.keep[:, :samples], stored.shadow_test, seed),
        duplicates=find_duplicates(train, test, seed),
    )
