"""What is kept of an estimator: what it said of every row that it is ever asked about, and not the estimator.

A forest is its training set in another form, and only pickle would keep all that people bring. So a model's file holds
log-probabilities beside a digest of each row's features; the estimator itself comes out the same whenever it is fitted
again, by data, seed and index alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from privaudit.errors import DataError, PrivauditError
from privaudit.estimators.fitted import FittedEstimator, as_features, as_samples


class StoredAnswers(nn.Module):
    """A model that answers from a table: features of a known row in, its log-probabilities ``[B, C]`` out."""

    rows: torch.Tensor
    answers: torch.Tensor

    def __init__(self, rows: torch.Tensor, answers: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("rows", rows)
        self.register_buffer("answers", answers)

    @classmethod
    def empty(cls, classes: int) -> StoredAnswers:
        """A table of nothing: of a model that nobody asked yet."""
        return cls(torch.zeros(0, dtype=torch.int64), torch.zeros(0, classes))

    @classmethod
    def of(cls, model: FittedEstimator, parts: Sequence[npt.NDArray[Any]]) -> StoredAnswers:
        """Ask an estimator about every row of these arrays; equal rows have one answer."""
        features = np.concatenate([as_features(part) for part in parts])
        digests, first = np.unique(digests_of(features), return_index=True)
        return cls(torch.from_numpy(digests), torch.from_numpy(model.log_probabilities(features[first])))

    @classmethod
    def read(cls, tensors: Mapping[str, torch.Tensor]) -> StoredAnswers:
        """Take them from a file's tensors; `DataError` where they are none."""
        rows, answers = tensors.get("rows"), tensors.get("answers")
        if rows is None or answers is None or rows.ndim != 1 or answers.ndim != 2 or len(rows) != len(answers):
            raise DataError(
                "the file holds no answers of an estimator",
                hint="Run the command that made it again.",
            )
        return cls(rows, answers)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Look a batch up; `PrivauditError` where a row is not known."""
        wanted = torch.from_numpy(digests_of(as_features(as_samples(inputs))))
        places = torch.searchsorted(self.rows, wanted).clamp_(max=max(0, len(self.rows) - 1))
        if len(self.rows) == 0 or not bool((self.rows[places] == wanted).all()):
            raise PrivauditError(
                "this model is an estimator of which its answers alone are kept, and it was never asked about this row",
                hint="privaudit export AUDIT fits it again, and writes it as a file that scikit-learn can use.",
            )
        return self.answers[places]


def digests_of(features: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Return a 64-bit digest of each row."""
    rows = np.ascontiguousarray(features)
    digests = b"".join(hashlib.blake2b(row, digest_size=8).digest() for row in rows)
    return np.frombuffer(digests, np.int64).copy()


def as_stored(model: nn.Module, parts: Sequence[npt.NDArray[Any]]) -> nn.Module:
    """Return what a store keeps of a model: of an estimator its answers, of every other one itself."""
    return StoredAnswers.of(model, parts) if isinstance(model, FittedEstimator) else model


def says_the_same(one: nn.Module, other: nn.Module) -> bool:
    """Whether two are answers to the same questions, and the same but for rounding."""
    if not (isinstance(one, StoredAnswers) and isinstance(other, StoredAnswers)):
        return False
    return torch.equal(one.get_buffer("rows"), other.get_buffer("rows")) and torch.allclose(
        one.get_buffer("answers"), other.get_buffer("answers"), atol=1e-5
    )
