"""Every signal of an audit, read back from the store."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from privaudit.shadow.store import TARGET, AuditStore, shadow_keys
from privaudit.training.views import ORIGINAL, columns_of


@dataclass(frozen=True)
class StoredSignals:
    """Every signal of an audit, read back from the store."""

    keep: npt.NDArray[np.bool_]
    shadow: npt.NDArray[np.float32]
    target: npt.NDArray[np.float32]
    shadow_test: npt.NDArray[np.float32]
    target_test: npt.NDArray[np.float32]
    untrained: npt.NDArray[np.float32]

    def of_models(self, left: npt.NDArray[np.bool_]) -> StoredSignals:
        """The same of some shadow models alone."""
        if left.all():
            return self
        return replace(
            self,
            keep=self.keep[left],
            shadow=self.shadow[left],
            shadow_test=self.shadow_test[left],
            untrained=self.untrained[left],
        )


def read_stored_signals(store: AuditStore, shadows: int, queries: tuple[str, ...] = ORIGINAL) -> StoredSignals:
    """Read the signals of the target and of the first ``shadows`` shadow models."""
    keys = shadow_keys(shadows)
    columns = columns_of(tuple(store.read_description().queries) or ORIGINAL, queries)
    return StoredSignals(
        keep=store.read_design()[:shadows],
        shadow=store.read_signals(keys)[:, :, columns],
        target=store.read_signals([TARGET])[0][:, columns],
        shadow_test=store.read_control("test", keys)[:, :, columns],
        target_test=store.read_control("test", [TARGET])[0][:, columns],
        untrained=store.read_control("untrained", keys),
    )
