"""Nine seeds of a world, many times over: the difference that a claim's contrast would find on each of them.

Effects are those that the paper prints, wherever it prints any. Groups have 100 samples, of which the same ones are got
wrong by all methods, as far as these allow: more noise than that sampling can't make. To it comes what differs from one
training to the next.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from privaudit.reproduction.claims.catalogue import BY_NAME
from privaudit.reproduction.claims.experiment import RANDOM, Contrast
from privaudit.reproduction.claims.printed_figures import printed
from privaudit.reproduction.claims.sample_groups import GROUP
from privaudit.reproduction.worlds.world import WORLDS, World
from privaudit.trials.order_comparison import FEWEST_SEEDS

Array = npt.NDArray[np.float64]

#: Standard deviation of a group's accuracy from one training to the next, beside that of sampling.
OF_TRAINING = 0.02

#: The spread of ToW from run to run, as a multiple of what sampling alone makes.
TIMES_SAMPLING = 1.5

#: Samples of a seed's part (of 10,000), of a random tenth (of 20,000), of what is retained, of the reported test.
OF_PART, OF_TENTH, RETAINED, REPORTED = 1_111, 2_000, 18_000, 5_000

#: How surely the reliability of a ranking is known: one standard error.
OF_RELIABILITY = 0.02


@dataclass(frozen=True)
class Asked:
    """What is drawn: so many times nine seeds of one claim, in the world where it is right or in that of nothing.

    Parameters
    ----------
    experiment, protocol, dataset
        Which claim, and whose printed figures.
    is_right
        In which world.
    runs
        How many times.
    random
        Of numbers.
    ruined
        The chance that a treatment leaves a model in ruins, for whatever reason but its order.
    """

    experiment: str
    protocol: str
    dataset: str
    is_right: bool
    runs: int
    random: np.random.Generator
    ruined: float = 0.0

    @property
    def world(self) -> World:
        """What was written down of it."""
        return WORLDS[self.experiment][self.protocol]

    @property
    def contrast(self) -> Contrast:
        """What decides it."""
        return BY_NAME[self.experiment].contrasts()[self.protocol]

    @property
    def shape(self) -> tuple[int, int]:
        """Runs and seeds."""
        return self.runs, FEWEST_SEEDS

    def number(self, name: str, usual: float = 0.0) -> float:
        """A number of this world: in that of nothing ``nothing_…`` where it is there."""
        numbers = self.world.numbers
        if self.is_right:
            return numbers.get(name, usual)
        return numbers.get(f"nothing_{name}", usual if name in ("effect",) else numbers.get(name, usual))

    def cells(self, measure: str, group: str, methods: tuple[str, ...], arm: str = "one-shot") -> Array:
        """What the paper prints for a group, by method."""
        name = "table5" if self.experiment == "figure7" else self.experiment
        found = {one.method: one.value for one in printed(name, self.dataset)
                 if (one.measure, one.set, one.arm) == (measure, group, arm)}  # fmt: skip
        return np.array([found[method] for method in methods])


def accuracy(asked: Asked) -> Array:
    """How much lower accuracy on D_u is than for random ones, as Tables 1 and 2 have it."""
    methods, high = asked.contrast.methods, _high(asked)
    of_random = asked.cells("forget", RANDOM, methods)
    of_high = asked.cells("forget", high, methods) if asked.is_right else of_random
    mean: Array = (_measured(asked, of_random) - _measured(asked, of_high)).mean(axis=2)
    return mean


def fall(asked: Asked) -> Array:
    """How much further accuracy fell from where nothing is done; the lowest fall like the paper's random ones."""
    return accuracy(asked)


def share(asked: Asked) -> Array:
    """The lesser of that, and of how far it fell beyond half of what retraining makes it fall."""
    methods, high = asked.contrast.methods, _high(asked)
    of_random = asked.cells("forget", RANDOM, methods)
    of_high = asked.cells("forget", high, methods) if asked.is_right else of_random
    retrained = asked.cells("forget", high, ("retrain",))
    if not asked.is_right:
        retrained = np.atleast_1d(1 - 2 * (1 - of_high.mean()))
    found = _measured(asked, np.concatenate([of_high, retrained]))
    fallen, way = 1 - found[:, :, :-1].mean(axis=2), 1 - found[:, :, -1]
    of_others = 1 - _measured(asked, of_random).mean(axis=2)
    lesser: Array = np.minimum(fallen - of_others, fallen - way / 2)
    return lesser


def normal(asked: Asked) -> Array:
    """An effect with a spread over seeds."""
    return asked.random.normal(asked.number("effect"), asked.number("spread"), asked.shape)


def lesser(asked: Asked) -> Array:
    """The lesser of two effects."""
    beyond = asked.random.normal(asked.number("past_half"), asked.number("spread_past_half"), asked.shape)
    found: Array = np.minimum(normal(asked), beyond)
    return found


def tail(asked: Asked) -> Array:
    """How much larger the share in the tail is, among as many samples of either group."""
    usual = asked.number("usual")
    counted = asked.random.binomial(GROUP, asked.number("share") if asked.is_right else usual, asked.shape)
    return (counted - asked.random.binomial(GROUP, usual, asked.shape)) / GROUP


def tow(asked: Asked) -> Array:
    """How much higher ToW is, mean over methods, each cut off as the contrast says."""
    contrast, arms = asked.contrast, ("one-shot", "RSU as written")
    forgotten, methods = contrast.first.set, contrast.methods
    before, after = (asked.cells("tow", forgotten, methods, arm) for arm in arms)
    sizes = {"forget": OF_TENTH, "retain": RETAINED, "test": REPORTED}
    share = {measure: asked.cells(measure, forgotten, methods) for measure in sizes}
    variance = sum(2 * share[measure] * (1 - share[measure]) / size for measure, size in sizes.items())
    spread = TIMES_SAMPLING * np.sqrt(variance)
    effect = after - before if asked.is_right else 0 * before
    found = asked.random.normal(effect, spread, (*asked.shape, len(methods)))
    ruins = (asked.random.random((2, *found.shape)) < asked.ruined).astype(float)
    found += 0.5 * (ruins[0] - ruins[1])
    cap = np.inf if contrast.cap is None else contrast.cap
    mean: Array = np.clip(found, -cap, cap).mean(axis=2)
    return mean


def loss_and_risk(asked: Asked) -> Array:
    """Spearman's ρ of loss and measured risk within a part of the data, as Figure 5 has it."""
    reliability, intervals = asked.number("reliability"), int(asked.number("intervals"))
    known = reliability + asked.random.normal(0, OF_RELIABILITY, (asked.runs, 1))
    found = np.empty(asked.shape)
    # Of two normal variables, Pearson's r for this ρ.
    r = 2 * np.sin(np.pi * asked.number("rho") / 6)
    for place in range(FEWEST_SEEDS):
        loss, own = asked.random.normal(size=(2, asked.runs, OF_PART))
        risk = r * loss + np.sqrt(1 - r**2) * own
        noise = asked.random.normal(size=risk.shape)
        measured = np.sqrt(reliability) * risk + np.sqrt(1 - reliability) * noise
        if intervals:
            size = OF_PART // intervals
            order = np.argsort(loss, axis=1)[:, : size * intervals]
            sorted_risk = np.take_along_axis(measured, order, axis=1)
            loss = np.broadcast_to(np.arange(float(intervals)), (asked.runs, intervals))
            measured = sorted_risk.reshape(asked.runs, intervals, size).mean(axis=2)
        found[:, place] = _rank_correlation(loss, measured)
    if intervals:
        return found
    # As `from_scores.of_part` has it: over the root of the most that the reliability can be, less ½.
    return found / np.sqrt(known + 1.96 * OF_RELIABILITY) - 0.5


DRAWS: dict[str, Callable[[Asked], Array]] = {
    "accuracy": accuracy,
    "fall": fall,
    "share": share,
    "normal": normal,
    "lesser": lesser,
    "tail": tail,
    "tow": tow,
    "loss_and_risk": loss_and_risk,
}


def _high(asked: Asked) -> str:
    """The group that the claim is about."""
    return BY_NAME[asked.experiment].sets[0]


def _measured(asked: Asked, accuracies: Array) -> Array:
    """What groups of 100 come to where models have these accuracies on everybody, ``[runs, seeds, methods]``."""
    luck = asked.random.random((*asked.shape, 1, GROUP))
    truth = accuracies + asked.random.normal(0, OF_TRAINING, (*asked.shape, len(accuracies)))
    # None is sure of more than all.
    mean: Array = (luck < np.where(accuracies >= 1, 1.0, truth)[..., np.newaxis]).mean(axis=3)
    return mean


def _rank_correlation(first: Array, second: Array) -> Array:
    ranks = [np.argsort(np.argsort(one, axis=1), axis=1).astype(float) for one in (first, second)]
    a, b = (one - one.mean(axis=1, keepdims=True) for one in ranks)
    found: Array = (a * b).sum(axis=1) / np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    return found
