"""Which of somebody else's models complete each other, and what is dropped with each target: read off who saw what.

Two models that split the samples between them owe each other something: what one has seen the other has not, and given
a sample's membership their statistics are correlated, negatively as a rule. Judged by each other they read a leak in
noise. So they are found wherever they stand, and dropped together; so are the models of a cross-validation.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.audit.external_signals.signals_folds import Sets, drawn_of_folds, find_folds
from privaudit.results.audit.score_results import SignalsDesign
from privaudit.runtime.seeds import generator

Mask = npt.NDArray[np.bool_]
Pairs = tuple[tuple[int, int], ...]

#: Rows of ``keep`` with a correlation of at most this are taken for complements that leave some samples out.
NEARLY = -0.6

#: And it must be so many standard errors below 0: rows of few samples correlate by chance.
ERRORS = 6.0

#: Samples handled at once where rows are correlated.
BLOCK = 65_536


@dataclass(frozen=True)
class Design:
    """How the models of a file stand to each other, by their place in the file.

    Parameters
    ----------
    models
        How many there are.
    pairs
        Complements: each sample was seen by exactly one of both.
    nearly
        Complements but for some samples, which both saw or neither.
    single
        Models without a complement.
    repeats
        Models trained on the same samples as one that is listed above. They take no part: a model that saw just what
        the target saw would tell of the target itself.
    outliers
        Models unlike all others, with their complements: they take no part.
    folds
        Sets of models each of which left out (or alone saw) another part of the samples, as in a cross-validation.
    """

    models: int
    pairs: Pairs
    nearly: Pairs
    single: tuple[int, ...]
    repeats: tuple[int, ...]
    outliers: tuple[int, ...] = ()
    folds: Sets = ()

    @property
    def is_paired(self) -> bool:
        """Whether complementary pairs are all that takes part."""
        return not self.nearly and not self.folds and len(self.single) < 2 and len(self.pairs) > 1

    @property
    def order(self) -> npt.NDArray[np.int64]:
        """The models that take part, ``[S′]``: partners next to each other, then sets of folds, then single models."""
        paired = [model for group in (*self.pairs, *self.nearly, *self.folds) for model in group]
        return np.array(paired if self.is_paired else [*paired, *self.single], np.int64)

    @property
    def mates(self) -> npt.NDArray[np.int64]:
        """The complement of each model, itself where it has none, ``[S]``."""
        mates = np.arange(self.models)
        for a, b in (*self.pairs, *self.nearly):
            mates[a], mates[b] = b, a
        return mates

    @property
    def left_out(self) -> tuple[int, ...]:
        """The models that take no part."""
        return tuple(sorted({*range(self.models)} - {*self.order.tolist()}))

    def sentence(self) -> str:
        """What was found, for people; models are counted from 0, as in the file."""
        kinds = [
            _count(len(self.pairs), "complementary pair"),
            _count(len(self.nearly), "nearly complementary pair"),
            _count(len(self.folds), "set", f" of folds ({sum(map(len, self.folds))} models)"),
            "" if self.is_paired else _count(len(self.single), "model", " without complement"),
        ]
        said = f"{self.models} models: {' and '.join(kind for kind in kinds if kind)}, found by content"
        if self.is_paired and self.single:
            said += f"; model {self.single[0]} has no complement and is left out"
        if self.repeats:
            many = len(self.repeats) > 1
            listed = ", ".join(map(str, self.repeats[:8])) + (", …" if len(self.repeats) > 8 else "")
            said += (
                f"; model{'s' if many else ''} {listed} {'were' if many else 'was'} trained on the same samples as "
                f"{'others' if many else 'another'} and {'are' if many else 'is'} left out"
            )
        if self.outliers:
            said += f"; left out because they stand out: {', '.join(map(str, self.outliers))}"
        return said

    def result(self) -> SignalsDesign:
        """Return it as it stands in JSON results."""
        return SignalsDesign(
            models=self.models,
            pairs=list(self.pairs),
            nearly=list(self.nearly),
            folds=tuple(map(list, self.folds)),
            single=list(self.single),
            left_out=list(self.left_out),
            sentence=self.sentence(),
        )


def _count(number: int, what: str, rest: str = "") -> str:
    return "" if not number else f"{number} {what}{'' if number == 1 else 's'}{rest}"


def find_design(keep: Mask, left: Mask | None = None) -> Design:
    """Tell pairs, single models and repeats apart, whatever the order of the models.

    Where several models could be a model's complement, they are repeats of each other: neighbours 2p, 2p + 1 are taken
    first, else the first that come.

    Parameters
    ----------
    keep
        bool ``[S, N]``: whether model s was trained on sample i.
    left
        bool ``[S]``: the models that take part; None for all.
    """
    outliers = () if left is None else tuple(np.flatnonzero(~left).tolist())
    families: dict[bytes, tuple[list[int], list[int]]] = {}
    pairs, single, repeats = [], [], []
    for model, row in enumerate(keep):
        if model in outliers:
            continue
        if row.all() or not row.any():
            # Trained on everything, or on none of these: that splits nothing.
            single.append(model)
            continue
        code, opposite = np.packbits(row).tobytes(), np.packbits(~row).tobytes()
        families.setdefault(min(code, opposite), ([], []))[code > opposite].append(model)
    for one, other in families.values():
        if one and other:
            neighbours = [model for model in one if model ^ 1 in other]
            first = neighbours[0] if neighbours else one[0]
            partner = first ^ 1 if neighbours else other[0]
            pairs.append((min(first, partner), max(first, partner)))
        else:
            first = partner = (one or other)[0]
            single.append(first)
        repeats += [model for model in (*one, *other) if model not in (first, partner)]
    nearly = _nearly_complements(keep, sorted(single))
    if not _leaves_two_a_side(keep, pairs, nearly, single):
        nearly = []
    of_pairs = {model for pair in nearly for model in pair}
    alone = tuple(model for model in sorted(single) if model not in of_pairs)
    folds = find_folds(keep, alone)
    if not _leaves_two_a_side(keep, pairs, nearly, single, folds):
        folds = ()
    of_folds = {model for models in folds for model in models}
    alone = tuple(model for model in alone if model not in of_folds)
    twos = (tuple(sorted(pairs)), tuple(sorted(nearly)))
    return Design(len(keep), *twos, alone, tuple(sorted(repeats)), outliers, folds)


def _nearly_complements(keep: Mask, models: list[int]) -> list[tuple[int, int]]:
    samples = keep.shape[1]
    if len(models) < 2:
        return []
    rows = keep[models]
    share = rows.mean(axis=1)
    both = np.zeros((len(models), len(models)))
    for start in range(0, samples, BLOCK):
        block = rows[:, start : start + BLOCK].astype(np.float32)
        both += block @ block.T
    spread = np.sqrt(share * (1 - share))
    scale = np.outer(spread, spread)
    correlation = (both / samples - np.outer(share, share)) / np.where(scale > 0, scale, np.inf)
    found: list[tuple[int, int]] = []
    most = min(NEARLY, -ERRORS / np.sqrt(samples))
    first, second = np.nonzero(np.triu(correlation <= most, 1))
    taken: set[int] = set()
    for place in np.argsort(correlation[first, second], kind="stable"):
        a, b = int(first[place]), int(second[place])
        if not taken & {a, b}:
            taken |= {a, b}
            found.append((models[a], models[b]))
    return found


def _leaves_two_a_side(
    keep: Mask, pairs: Iterable[Any], nearly: Pairs | list[Any], single: list[int], folds: Sets = ()
) -> bool:
    """Whether pairs drawn from groups leave every sample two models a side; one is dropped with each target."""
    groups = [list(group) for group in (*nearly, *folds)]
    in_groups = {model for group in groups for model in group}
    others = keep[[model for model in single if model not in in_groups]]
    whole = len(list(pairs)) + np.zeros(keep.shape[1], np.int64)
    inside, outside = others.sum(axis=0), (~others).sum(axis=0)
    for group in groups:
        seen, missed = keep[group].any(axis=0), ~keep[group].all(axis=0)
        whole += seen & missed
        inside, outside = inside + ~missed, outside + ~seen
    return bool(np.all(whole + np.minimum(inside, outside) >= 2))


@dataclass(frozen=True)
class Rotation:
    """What is dropped with each target where pairs are not all there is; models in the order of `Design.order`.

    Parameters
    ----------
    used
        bool ``[S, N]``: the cells that take part, equally many a side for each sample.
    partners
        ``[S, N]``: the model of the other side that is dropped with each target: its complement where it has one that
        is on the other side of this sample, one of its set of folds, else a random model that has none.
    clusters
        ``[S]``: which models depend on each other: those of a pair, or of a set of folds.
    """

    used: Mask
    partners: npt.NDArray[np.int64]
    clusters: npt.NDArray[np.int64]


def rotation_of(design: Design, keep: Mask, seed: int) -> Rotation:
    """Balance the sides of every sample and choose what is dropped with each target.

    Parameters
    ----------
    design
        Of the file.
    keep
        bool ``[S, N]``, already in the order of ``design``.
    seed
        Of the random choices.
    """
    models = len(keep)
    in_pairs = 2 * (len(design.pairs) + len(design.nearly))
    mate = np.arange(models)
    mate[:in_pairs] ^= 1
    clusters = np.minimum(mate, np.arange(models))
    whole = keep != keep[mate]
    alone = ~whole
    # Of complements that are on one side of a sample, one at random takes no part: they depend on each other.
    coin = generator(seed, "nearly").random((in_pairs // 2, keep.shape[1])) < 0.5
    alone[0:in_pairs:2] &= coin
    alone[1:in_pairs:2] &= ~coin
    sizes = [len(group) for group in design.folds]
    ends = (in_pairs + np.cumsum([0, *sizes])).tolist()
    sets = tuple(tuple(range(start, stop)) for start, stop in pairwise(ends))
    drawn, alone_in_set, of_sets = drawn_of_folds(keep, sets, seed)
    for group in sets:
        rows = list(group)
        whole[rows], alone[rows], clusters[rows] = drawn[rows], alone_in_set[rows], rows[0]
    balanced = balanced_cells(keep, seed, alone)
    mates = np.where(drawn, of_sets, mate[:, np.newaxis])
    partners = np.where(whole, mates, random_partners(keep, balanced, seed))
    return Rotation(whole | balanced, partners, clusters)


def balanced_cells(keep: Mask, seed: int, among: Mask | None = None) -> Mask:
    """Equally many IN and OUT models for every sample, drawn at random where there are more of one, ``[S, N]``."""
    random = generator(seed, "balanced")
    sides = (keep, ~keep) if among is None else (keep & among, ~keep & among)
    fewest = np.minimum(*(side.sum(axis=0) for side in sides))
    used = np.zeros(keep.shape, np.bool_)
    for side in sides:
        # The models of this side come first, in random order; each one's place says whether it is among the chosen.
        place = np.argsort(np.argsort(random.random(keep.shape) + ~side, axis=0), axis=0)
        used |= side & (place < fewest)
    return used


def random_partners(keep: Mask, used: Mask, seed: int) -> npt.NDArray[np.int64]:
    """For every model and sample, a random model of the other side that takes part, ``[S, N]``.

    It is dropped together with the target, so that how many are left tells nothing of the target's membership.
    """
    random = generator(seed, "partners")
    sides = []
    for side in (~keep, keep):
        chosen = side & used
        first = np.argsort(~chosen, axis=0, kind="stable")
        draw = (random.random(keep.shape) * chosen.sum(axis=0)).astype(np.int64)
        sides.append(np.take_along_axis(first, draw, axis=0))
    partners: npt.NDArray[np.int64] = np.where(keep, sides[0], sides[1]).astype(np.int64)
    return partners
