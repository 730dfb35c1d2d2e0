"""How often a claim's rule calls a world supported: where the paper is right, and where there is nothing to find."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import stats

from privaudit.reproduction.verdicts.one_audit import agree, some_but_not_all
from privaudit.reproduction.verdicts.verdict import OF_ONE_AUDIT, decide_alone
from privaudit.reproduction.worlds.draws import DRAWS, Asked
from privaudit.results.reproduction_results import PairedContrast
from privaudit.runtime.seeds import generator
from privaudit.statistics.intervals import spearman, wilson
from privaudit.trials.order_comparison import FEWEST_SEEDS

#: What a rule has to do: call the paper's world supported so often at least, and that of nothing at most.
LEAST_RIGHT, MOST_NOTHING = 0.8, 0.05

#: Samples that Figure 1 is answered by.
OF_FIGURE_1 = 100


@dataclass(frozen=True)
class Rates:
    """Shares of the simulated studies that are called supported; in the paper's world also not supported."""

    right: float
    nothing: float
    missed: float

    @property
    def does(self) -> bool:
        """Whether the rule can fall either way."""
        return self.right >= LEAST_RIGHT and self.nothing < MOST_NOTHING


def rates(experiment: str, protocol: str, dataset: str = "cifar10", runs: int = 400, *, ruined: float = 0.0) -> Rates:
    """Draw both worlds of a claim and judge every draw as its runs would be, as strictly as where nothing else was run.

    Parameters
    ----------
    experiment, protocol
        Which claim.
    dataset
        Whose printed figures: those of CIFAR-10 unless another is named.
    runs
        Simulated studies of nine seeds of either world.
    ruined
        The chance that a treatment leaves a model in ruins, of claims on orders.
    """
    random = generator(0, "worlds", experiment, protocol, dataset)
    asked = Asked(experiment, protocol, dataset, True, runs, random, ruined)
    right, nothing = (Counter(_verdicts(one)) for one in (asked, replace(asked, is_right=False)))
    return Rates(right["supported"] / runs, nothing["supported"] / runs, right["not supported"] / runs)


def _verdicts(asked: Asked) -> Iterable[str]:
    if asked.experiment == OF_ONE_AUDIT:
        return _of_one_audit(asked)
    found = contrasts_of(DRAWS[asked.world.draws](asked), asked.contrast.worth_having)
    return [decide_alone(one, asked.protocol, asked.experiment).verdict for one in found]


def contrasts_of(draws: npt.NDArray[np.float64], worth_having: float) -> list[PairedContrast]:
    """What `measure_contrast` would make of these differences, ``[runs, seeds]``, all of them at once."""
    runs, seeds = draws.shape
    signs = 1.0 - 2.0 * (np.arange(2**seeds)[:, np.newaxis] >> np.arange(seeds) & 1)
    sums, own = np.abs(draws @ signs.T), np.abs(draws.sum(axis=1, keepdims=True))
    p = (sums >= own - 1e-12 * np.abs(draws).sum(axis=1, keepdims=True)).mean(axis=1)
    mean, spread = draws.mean(axis=1), draws.std(axis=1, ddof=1)
    reach = float(stats.t.ppf(0.975, seeds - 1)) * spread / np.sqrt(seeds)
    return [
        PairedContrast(
            mean=float(mean[run]),
            ci=(float(mean[run] - reach[run]), float(mean[run] + reach[run])),
            p=float(p[run]),
            wins=int((draws[run] > 0).sum()),
            pairs=FEWEST_SEEDS,
            says="",
            first="",
            worth_having=worth_having,
        )
        for run in range(runs)
    ]


def _of_one_audit(asked: Asked) -> list[str]:
    if asked.world.draws == "recovered":
        hits = asked.random.binomial(OF_FIGURE_1, asked.number("share"), asked.runs)
        low, high = wilson(hits, OF_FIGURE_1)
        return [some_but_not_all((float(a), float(b))) for a, b in zip(low, high, strict=True)]
    r = 2 * np.sin(np.pi * asked.number("rho") / 6)
    first, own = asked.random.normal(size=(2, asked.runs, OF_FIGURE_1))
    second = r * first + np.sqrt(1 - r**2) * own
    return [agree(spearman(a, b).ci) for a, b in zip(first, second, strict=True)]
