"""One problem of unlearning: a model of an audit, what it is to forget and to keep, and whom it is asked about."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from torch import nn

from privaudit.audit.plan import AuditPlan
from privaudit.scoring.target_audit import split_test
from privaudit.shadow.specification import ModelSpecification
from privaudit.shadow.store import TARGET, AuditStore
from privaudit.shadow.trainer import AuditArrays, load_model
from privaudit.training.loop import Samples
from privaudit.unlearning.requests.forget_set import ForgetSet

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Bench:
    """What of an audit every problem needs; small enough to send to a worker.

    Parameters
    ----------
    store, specification
        Of the audit.
    shadows, seed
        Number of shadow models in use, and the audit's seed.
    table
        One score row a training sample, canaries taken out: row = position in the pool.
    statistic, queries
        What LiRA attacks with, and the views that the models were asked about.
    """

    store: AuditStore
    specification: ModelSpecification
    shadows: int
    seed: int
    table: pd.DataFrame
    statistic: str
    queries: tuple[str, ...]

    @classmethod
    def of(cls, plan: AuditPlan, table: pd.DataFrame) -> Bench:
        """Return the bench of an audit, given its score rows without canaries."""
        settings = plan.settings
        return cls(plan.store, plan.specification, plan.shadows, settings.seed, table, settings.statistic, plan.queries)

    @property
    def target(self) -> Path:
        """The target model's file."""
        return self.store.model(TARGET)

    def keep(self) -> npt.NDArray[np.bool_]:
        """Return who saw what, ``[S, N]``, canaries taken out."""
        return self.store.read_design()[: self.shadows, : len(self.table)]

    def without(self, rows: Rows) -> Rows:
        """Return the rows of the training samples but these."""
        return np.setdiff1d(np.arange(len(self.table)), rows)


@dataclass(frozen=True)
class UnlearningProblem:
    """A model that is to forget some of the samples that it was trained on.

    Parameters
    ----------
    bench
        The audit.
    forget, retain
        D_u, and int64 rows of D_r in the pool: together what the model was trained on.
    pool, test
        All samples that models trained on, and those that none did, on the device.
    seed
        Of what is drawn when the model is judged: members for the MIA, batches of relearning, the bootstrap.
    original
        The model's file.
    earlier
        Rows that the model has forgotten before, of which D_u and D_r hold none.
    """

    bench: Bench
    forget: ForgetSet
    retain: Rows
    pool: Samples
    test: Samples
    seed: int
    original: Path
    earlier: Rows = field(default_factory=lambda: np.zeros(0, np.int64))

    @classmethod
    def of(
        cls,
        bench: Bench,
        arrays: AuditArrays,
        forget: ForgetSet,
        seed: int,
        original: Path | None = None,
        retain: Rows | None = None,
    ) -> UnlearningProblem:
        """Put a problem together: of the target model, and of all training samples, unless others are given."""
        device = bench.specification.hardware.device
        return cls(
            bench=bench,
            forget=forget,
            retain=bench.without(forget.rows) if retain is None else retain,
            pool=Samples.from_arrays(arrays.pool_inputs, arrays.pool_labels, device),
            test=Samples.from_arrays(arrays.test_inputs, arrays.test_labels, device),
            seed=seed,
            original=original or bench.target,
        )

    def going_on(self, forget: ForgetSet, original: Path) -> UnlearningProblem:
        """Return the part of this problem that is left to a model which has forgotten all of D_u but ``forget``."""
        earlier = np.setdiff1d(self.forget.rows, forget.rows)
        return replace(self, forget=forget, original=original, earlier=earlier)

    @property
    def watched(self) -> Rows:
        """Rows of D_u; with what was forgotten before, where something was, ascending."""
        return np.union1d(self.forget.rows, self.earlier) if len(self.earlier) else self.forget.rows

    @property
    def is_of_target(self) -> bool:
        """Whether the model is the target, whose losses and margins are in the score table."""
        return self.original == self.bench.target

    @cached_property
    def labels(self) -> Rows:
        """Labels of the pool."""
        return self.pool.labels.cpu().numpy()

    @cached_property
    def validation(self) -> Rows:
        """Rows of the test samples that tuning and guards may look at."""
        return split_test(len(self.test), self.bench.seed)[0]

    @cached_property
    def reported(self) -> Rows:
        """Rows of the test samples that results are reported on."""
        return split_test(len(self.test), self.bench.seed)[1]

    @cached_property
    def lost_classes(self) -> Rows:
        """Classes more than half of whose samples are forgotten, before or now."""
        most = int(self.labels.max()) + 1
        gone, left = (np.bincount(self.labels[rows], minlength=most) for rows in (self.watched, self.retain))
        return np.flatnonzero(gone > left).astype(np.int64)

    def stay(self, test_rows: Rows) -> npt.NDArray[np.bool_]:
        """Which of these rows of the test samples are of classes that stay."""
        return ~np.isin(self.test.labels.cpu().numpy()[test_rows], self.lost_classes)

    def load(self, path: Path | None = None) -> nn.Module:
        """Load a model like the original [the original itself], on the device, in eval mode."""
        return load_model(self.bench.specification, path or self.original)
