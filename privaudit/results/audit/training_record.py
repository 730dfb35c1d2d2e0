"""A model's record: how it was trained, and on whom. Sealed last, it marks the model as finished."""

from __future__ import annotations

from pydantic import Field

from privaudit.results.audit.audit_description import GivenTargetDescription
from privaudit.results.base import SparseResult


class TrainedModel(SparseResult):
    """What is on record of every model.

    Parameters
    ----------
    seed_offset, diverged
        With how many seeds it was tried before, and why each failed.
    seconds
        That its training took; None of a model that was trained elsewhere.
    members
        How many samples it saw.
    """

    seed_offset: int = 0
    diverged: list[str] = Field(default_factory=list)
    seconds: float | None = None
    members: int


class ModelRecord(TrainedModel):
    """``target.json``, ``coin.json``, ``models/NNNN.json``.

    Parameters
    ----------
    epoch_losses
        Mean training loss of each epoch.
    test_accuracy
        On the never-trained samples, 0 … 1.
    queries
        Which it was asked, in order; None where an earlier version asked it the original alone.
    torch
        The version that trained it.
    given
        Of a target that the user brought: which file it was.
    """

    epoch_losses: list[float] = Field(default_factory=list)
    test_accuracy: float | None = None
    queries: list[str] | None = None
    torch: str | None = None
    given: GivenTargetDescription | None = None


class RetrainedRecord(TrainedModel):
    """``retrained/*.json``: beside it, what proves on whom which weights were trained.

    Parameters
    ----------
    members_sha256
        Of the rows that it was trained on, in their order; None where an earlier version did not say.
    sha256
        Of its file of weights; None likewise.
    """

    members_sha256: str | None = None
    sha256: str | None = None
