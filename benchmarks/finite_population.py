"""Does halving one finite pool overstate risk? Simulated models with a known truth.

Shadow models are trained on halves of one pool. Two halves share samples, and complements share none but sum up to the
pool: models differ less from each other than models would that were trained on fresh draws of the population, so that
the same effect of one sample stands out more. The simulation has the mean of its training set as model (plus noise of
training), so the truth of either world is a closed form.

    python benchmarks/finite_population.py
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from privaudit.attacks import lira
from privaudit.attacks.gaussian_separation import bayes_accuracy
from privaudit.attacks.risk import attack_success
from privaudit.scoring.reliability.simulated_audits import pair_correlation
from privaudit.shadow.design import paired_design


@dataclass(frozen=True)
class Found:
    """Mean over samples of an attack's success: by rotation, and of an attacker who knows all moments.

    ``pool`` knows the pool and asks which half was trained on; ``fresh`` knows but the population.
    """

    rotation: float
    fresh_rotation: float
    pool: float
    fresh: float
    correlation: float
    corrected: float


def simulate(samples: int, models: int, noise: float, seed: int) -> Found:
    """Audit ``models`` means of halves of a pool of ``samples`` standard Gaussian points.

    Points have as many dimensions as a half has points, so that one point's effect is about one spread of a model that
    was trained on fresh points. ``noise`` is the variance that training adds, in units of what fresh points bring.
    """
    rng = np.random.default_rng(seed)
    half = samples // 2
    pool = rng.normal(size=(samples, half))
    keep = paired_design(samples, models, seed, "finite-population")
    weights = keep @ pool / half + rng.normal(scale=np.sqrt(noise / half), size=(models, half))
    statistic = weights @ pool.T
    own = (pool**2).sum(axis=1)
    # Of the pool without the sample itself: what the other members' parts have as mean and variance.
    products = pool @ pool.T
    np.fill_diagonal(products, 0.0)
    centre = products.sum(axis=1) / (samples - 1)
    spread = ((products**2).sum(axis=1) - (samples - 1) * centre**2) / (samples - 2)
    trained = noise * own / half
    moments = {
        "pool": (
            (own + (half - 1) * centre) / half,
            (half - 1) / half**2 * (1 - (half - 1) / (samples - 1)) * spread + trained,
            centre,
            (1 - half / (samples - 1)) * spread / half + trained,
        ),
        "fresh": (own / half, (half - 1) / half**2 * own + trained, np.zeros(samples), own / half + trained),
    }
    mean_in, var_in, mean_out, var_out = moments["fresh"]
    drawn = rng.normal(size=keep.shape)
    fresh = np.where(keep, mean_in + np.sqrt(var_in) * drawn, mean_out + np.sqrt(var_out) * drawn)
    truth = {name: float(bayes_accuracy(*of_world).mean()) for name, of_world in moments.items()}
    correlation = pair_correlation(statistic, keep, None)
    # Complements' common part is what halving takes away: fresh variance = variance · (1 − correlation).
    mean_in, var_in, mean_out, var_out = moments["pool"]
    corrected = bayes_accuracy(mean_in, var_in * (1 - correlation), mean_out, var_out * (1 - correlation))
    return Found(
        rotation=float(attack_success(lira.online(statistic, keep), keep).mean()),
        fresh_rotation=float(attack_success(lira.online(fresh, keep), keep).mean()),
        pool=truth["pool"],
        fresh=truth["fresh"],
        correlation=float(correlation),
        corrected=float(corrected.mean()),
    )


def main() -> None:
    """Print the table of docs/methods.md."""
    print("samples models noise | pool: truth rotation | fresh: truth rotation | correlation, corrected truth")
    for noise in (0.0, 1.0):
        for samples in (40, 200, 2_000):
            for models in (8, 16, 64):
                draws = max(3, 8_000 // samples // 4)
                found = [simulate(samples, models, noise, seed) for seed in range(draws)]
                means = {name: float(np.mean([getattr(one, name) for one in found])) for name in vars(found[0])}
                print(
                    f"{samples:7} {models:6} {noise:5g} | {means['pool']:.3f} {means['rotation']:.3f} | "
                    f"{means['fresh']:.3f} {means['fresh_rotation']:.3f} | {means['correlation']:+.2f} "
                    f"{means['corrected']:.3f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
