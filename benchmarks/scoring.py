"""LiRA over all targets of the rotation, against slower forms of the same, in one run.

    python benchmarks/scoring.py
    python benchmarks/scoring.py --models 256 --samples 1000000 --ours-only

The per-sample form is what tutorials do: for each target and sample, scipy fits and evaluates two Gaussians. It is
timed on a few samples and scaled. The per-target form is vectorised over samples, and fits anew for each target. Both
drop the target and its complement, and all must give the same scores.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from privaudit.attacks import lira
from privaudit.shadow.design import paired_design

FEW = 40


def per_sample(values: npt.NDArray[Any], keep: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    models, samples = values.shape
    scores = np.empty((models, samples))
    for model in range(models):
        left = np.setdiff1d(np.arange(models), [model, model ^ 1])
        for i in range(samples):
            x, member = values[left, i], keep[left, i]
            inside, outside = x[member], x[~member]
            scores[model, i] = stats.norm.logpdf(
                values[model, i], inside.mean(), inside.std(ddof=1)
            ) - stats.norm.logpdf(values[model, i], outside.mean(), outside.std(ddof=1))
    return scores


def per_target(values: npt.NDArray[Any], keep: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    models = len(values)
    scores = np.empty(values.shape)
    for model in range(models):
        left = np.setdiff1d(np.arange(models), [model, model ^ 1])
        x, member = values[left].astype(np.float64), keep[left]
        density = []
        for side in (member, ~member):
            part = np.where(side, x, np.nan)
            density.append(stats.norm.logpdf(values[model], np.nanmean(part, 0), np.nanstd(part, 0, ddof=1)))
        scores[model] = density[0] - density[1]
    return scores


def timed(function: Callable[[], Any], rounds: int) -> float:
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=64)
    parser.add_argument("--samples", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ours-only", action="store_true")
    options = parser.parse_args()
    random = np.random.default_rng(0)
    keep = paired_design(options.samples, options.models, 0)
    values = random.standard_normal(keep.shape, np.float32)
    for model in range(options.models):
        values[model] += 0.5 * keep[model]
    scores = np.empty(keep.shape, np.float32)
    ours = timed(lambda: lira.online(values, keep, variance="per-sample", out=scores), options.rounds)
    print(f"{options.samples:,} samples × {options.models} models, all {options.models} targets")
    print(f"  ours         {ours:>9.2f} s (median of {options.rounds})")
    if not options.ours_only:
        vectorised = timed(lambda: per_target(values, keep), 1)
        few = (values[:, :FEW], keep[:, :FEW])
        looped = timed(lambda: per_sample(*few), 1) * options.samples / FEW
        np.testing.assert_allclose(lira.online(*few, variance="per-sample"), per_sample(*few), rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(scores, per_target(values, keep), rtol=1e-3, atol=1e-3)
        print(f"  per target   {vectorised:>9.2f} s: {vectorised / ours:,.0f} times ours")
        print(f"  per sample   {looped:>9.0f} s (scaled from {FEW} samples): {looped / ours:,.0f} times ours")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"  peak memory of the process {peak:.2f} GB")


if __name__ == "__main__":
    main()
