"""What the shadow models that never saw a sample say of it: a model's answer without that sample, for free.

The shadow models that teach an unlearning must not judge it. So the complementary pairs are split in two beforehand.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from privaudit.errors import EvidenceError
from privaudit.runtime import files
from privaudit.runtime.seeds import generator
from privaudit.shadow.specification import ModelSpecification
from privaudit.shadow.store import REMEDY, AuditStore, shadow_key
from privaudit.shadow.trainer import load_model
from privaudit.training.loop import Samples, logits_of
from privaudit.unlearning.one_teacher import OneTeacher

#: LiRA needs four models to judge with, and one pair can teach.
FEWEST_PAIRS = 3


@dataclass(frozen=True)
class PairSplit:
    """Who teaches and who judges: bool masks ``[S]``, whole pairs each, no model in both."""

    teaching: npt.NDArray[np.bool_]
    judging: npt.NDArray[np.bool_]


def split_pairs(shadows: int, seed: int) -> PairSplit:
    """Give a random half of the complementary pairs to teaching, the other half (or one more) to judging.

    Raises
    ------
    EvidenceError
        Below 6 shadow models: what is left could not judge.
    """
    pairs = shadows // 2
    if pairs < FEWEST_PAIRS:
        raise EvidenceError(
            f"{shadows} shadow models are too few to teach and to judge: {2 * FEWEST_PAIRS} are needed",
            hint="Audit with more of them: privaudit score … --shadows 16 keeps those that are there.",
        )
    chosen = generator(seed, "teaching-pairs").permutation(pairs)[: max(1, min(pairs // 2, pairs - 2))]
    teaching = np.isin(np.arange(shadows) // 2, chosen)
    return PairSplit(teaching, ~teaching)


@dataclass(frozen=True)
class Teachers:
    """Softmax of models that never saw a sample, for each forget sample.

    Parameters
    ----------
    rows
        int64 ``[n]``, ascending rows of the pool.
    mean
        float32 ``[n, C]``: the teachers' mean softmax, on the device of the samples.
    divergence
        float32 ``[n]``: how far one teacher is from the mean of all, the mean of KL(teacher ‖ mean), in nats; 0 where
        there is only one. Since the entropy of a mean exceeds the mean entropy by just that, it is their generalised
        Jensen-Shannon divergence.
    count
        int64 ``[n]``: how many teachers each sample has.
    who
        int64 ``[n]``: the shadow model that ``one`` is of; None where no single one is.
    one
        float32 ``[n, C]``: the softmax of a single teacher, drawn for each sample; None: the mean in its place.
    trained_samples
        Retain samples (each as often as it was used) that training the teachers took; 0 for shadow models, which were
        paid for by the audit.
    """

    rows: npt.NDArray[np.int64]
    mean: torch.Tensor
    divergence: torch.Tensor
    count: npt.NDArray[np.int64]
    trained_samples: int = 0
    one: torch.Tensor | None = None
    who: npt.NDArray[np.int64] | None = None

    @property
    def answers(self) -> torch.Tensor:
        """Of one teacher a sample: a model that was retrained is one model.

        Models disagree: the mean of several is more often right, and less sure, than any of them.
        """
        return self.mean if self.one is None else self.one

    def position(self, batch: torch.Tensor) -> torch.Tensor:
        """Where these rows of the pool stand in `mean`, `divergence` and `count`."""
        # On the batch's own device: asking a card for the rows would let it wait.
        return torch.searchsorted(torch.from_numpy(self.rows).to(batch.device), batch).to(self.mean.device)


def teachers_of(
    store: AuditStore,
    specification: ModelSpecification,
    samples: Samples,
    forget_rows: npt.NDArray[np.int64],
    keep: npt.NDArray[np.bool_],
    pairs: PairSplit,
    neighbours: int = 0,
) -> Teachers:
    """Ask the stored shadow models of the teaching pairs, each of those forget samples that it never saw.

    Parameters
    ----------
    forget_rows
        int64 ``[n]`` rows of the pool.
    keep
        bool ``[S, N]``: who saw what.
    pairs
        The judging models are not touched.
    neighbours
        A sample's one teacher is of those that saw the fewest of its so many nearest neighbours, of those that are to
        be forgotten too; 0: any.
    """

    def asked() -> Iterable[tuple[nn.Module, npt.NDArray[np.bool_]]]:
        for index in np.flatnonzero(pairs.teaching):
            path = store.model(shadow_key(int(index)))
            files.demand_whole(path, REMEDY)
            yield load_model(specification, path), ~keep[index, rows]

    rows = np.sort(forget_rows)
    seen = seen_neighbours(samples, rows, keep[pairs.teaching], neighbours) if neighbours else None
    found = average(asked(), samples, rows, specification.classes, seen)
    return replace(found, who=None if found.who is None else np.flatnonzero(pairs.teaching)[found.who])


def seen_neighbours(
    samples: Samples, rows: npt.NDArray[np.int64], keep: npt.NDArray[np.bool_], neighbours: int
) -> npt.NDArray[np.int64]:
    """Count, for each model ``[T]`` and forget sample ``[n]``, which of its nearest neighbours in D_u the model saw.

    Nearest among all samples of its label, by the inputs as they are.
    """
    labels = samples.labels.cpu().numpy()
    forgotten = np.isin(np.arange(keep.shape[1]), rows)
    seen = np.zeros((len(keep), len(rows)), np.int64)
    for label in np.unique(labels[rows]):
        same = np.flatnonzero(labels[: keep.shape[1]] == label)
        of_label = np.flatnonzero(labels[rows] == label)
        device = samples.labels.device
        flat = samples.take(torch.from_numpy(same).to(device)).flatten(1).float()
        own = samples.take(torch.from_numpy(rows[of_label]).to(device)).flatten(1).float()
        # The nearest of all is the sample itself.
        nearest = torch.cdist(own, flat).topk(min(neighbours + 1, len(same)), largest=False).indices.cpu().numpy()
        found = same[nearest]
        near = forgotten[found] & (found != rows[of_label][:, None])
        seen[:, of_label] = (keep[:, found] & near).sum(axis=2)
    return seen


def average(
    asked: Iterable[tuple[nn.Module, npt.NDArray[np.bool_]]],
    samples: Samples,
    rows: npt.NDArray[np.int64],
    classes: int,
    seen: npt.NDArray[np.int64] | None = None,
) -> Teachers:
    """Mean softmax of models over the rows (bool ``[n]``) that each of them may speak for; in eval mode and fp32.

    The one teacher of a sample is drawn of those with the smallest ``seen``, ``[T, n]``; of all of them without it; and
    together, so that as many of them are right as teachers are on average (`privaudit.unlearning.one_teacher`).
    """
    device = samples.labels.device
    total = torch.zeros(len(rows), classes, dtype=torch.float64, device=device)
    negentropy = torch.zeros(len(rows), dtype=torch.float64, device=device)
    count = np.zeros(len(rows), np.int64)
    one = OneTeacher(samples.labels[torch.from_numpy(rows).to(device)], classes)
    for number, (model, speaks) in enumerate(asked):
        probability = torch.zeros(0, classes, dtype=torch.float64, device=device)
        if speaks.any():  # A model that saw all of a few samples is asked nothing: not every model takes no input.
            logits = torch.from_numpy(logits_of(model, samples, rows[speaks])).to(device).double()
            probability = logits.softmax(1)
        where = torch.from_numpy(np.flatnonzero(speaks)).to(device)
        total[where] += probability
        negentropy[where] += torch.special.entr(probability).sum(1).neg()
        count += speaks
        one.add(number, probability, speaks, None if seen is None else seen[number])
    if count.min(initial=1) < 1:
        raise EvidenceError("a forget sample has no teacher: every teaching model saw it")
    counts = torch.from_numpy(count).to(device)
    mean = total / counts[:, None]
    divergence = torch.special.entr(mean).sum(1) + negentropy / counts
    who, says = one.chosen()
    return Teachers(rows, mean.float(), divergence.clamp_min(0).float(), count, one=says, who=who)
