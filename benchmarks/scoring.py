"""LiRA over all targets of the rotation, against slower forms of the same, in one run.

    python benchmarks/scoring.py
    python benchmarks/scoring.py --models 256 --samples 1000000 --ours-only
    python benchmarks/scoring.py --whole --models 40

The per-sample form is what tutorials do: for each target and sample, scipy fits and evaluates two Gaussians. It is
timed on a few samples and scaled. The per-target form is vectorised over samples, and fits anew for each target. Both
drop the target and its complement, and all must give the same scores.

``--whole`` times everything from signals to the report: outliers, every attack with its interval (each again without
each pair of models), the union, exposure by class, reliability, the target, the controls, table and report. Seconds of
processor time, in one thread; ``--side-by-side`` lets attacks run at once, as an audit does, and gives wall time too.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from scipy import stats

from privaudit.attacks import lira
from privaudit.attacks.suite import Evidence
from privaudit.audit.external_signals.signals_design import find_design
from privaudit.audit.external_signals.signals_file import signals_of_models
from privaudit.audit.outlying_models import find_outlying
from privaudit.audit.result_files import RESULTS, SCORES, write_table
from privaudit.report.write import render_report
from privaudit.results.audit.controls import Controls
from privaudit.results.audit.score_results import About, GivenSignals, ScoreResults, TargetAttack
from privaudit.results.base import write_result
from privaudit.runtime import files
from privaudit.scoring import controls, parallel_attacks
from privaudit.scoring.inversion_scores import join
from privaudit.scoring.reliability.outliers import drawn_in
from privaudit.scoring.sample_scores import Scores, score
from privaudit.scoring.score_table import SampleFacts
from privaudit.scoring.target_audit import audit_target
from privaudit.scoring.unseen_control import never_seen
from privaudit.shadow.design import paired_design
from privaudit.signals import SIGNALS, signal

T = TypeVar("T")

FEW = 40

#: Samples that no model saw, as many as CIFAR-10's test images.
UNSEEN = 10_000


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


def simulated(models: int, samples: int, keep: npt.NDArray[np.bool_] | None, seed: int) -> npt.NDArray[np.float32]:
    """Logits ``[S, N, 10]`` of class 0: easy and hard samples, members a little surer; ``keep`` None for the unseen."""
    random = np.random.default_rng(seed)
    ease, gain = random.normal(3, 2, samples), random.exponential(0.5, samples)
    logits = random.normal(-3, 1, (models, samples, 10)).astype(np.float32)
    logits[:, :, 1] = 0
    logits[:, :, 0] = ease + random.normal(0, 1, (models, samples)) + (0 if keep is None else gain * keep)
    return logits


def whole(samples: int, models: int, side_by_side: bool) -> None:
    if not side_by_side:
        parallel_attacks.FEWEST_CELLS = samples * models + 1
    keep = paired_design(samples, models, 0)
    labels, classes = np.zeros(samples, np.int64), np.arange(samples) % 10
    unseen = simulated(models + 1, UNSEEN, None, 1)
    of_unseen = signals_of_models(unseen[..., np.newaxis, :], np.zeros(UNSEEN, np.int64))
    seen = simulated(models + 1, samples, np.vstack([keep, np.ones(samples, np.bool_)]), 0)
    signals = signals_of_models(seen[..., np.newaxis, :], labels)
    del seen, unseen
    facts = SampleFacts(np.arange(samples), classes, tuple("abcdefghij"), np.zeros(samples, np.bool_))
    shadow, target, shadow_test, target_test = signals[:-1], signals[-1], of_unseen[:-1], of_unseen[-1]
    half = UNSEEN // 2

    def scored() -> Scores:
        find_outlying(signal(shadow, "margin"), facts.sample_ids, lira.complements(models))
        evidence = Evidence(drawn_in(shadow), keep, population=shadow_test[:, :half])
        return score(evidence, facts, target)

    def controlled() -> tuple[Any, ...]:
        attacked = audit_target(shadow, keep, target, shadow_test[:, half:], target_test[half:], 0)
        untrained = np.random.default_rng(2).standard_normal((models, half, 1, len(SIGNALS)), np.float32)
        kept = keep[:, :half]
        return (
            *(
                attacked,
                controls.never_trained(shadow_test, 0),
                controls.untrained(untrained[:, : kept.shape[1]], kept),
            ),
            never_seen(shadow, keep, shadow_test, 0),
        )

    def told() -> None:
        with TemporaryDirectory() as folder:
            out = Path(folder) / "simulated"
            out.mkdir()
            write_table(join(scores.table, {}), out / SCORES)
            write_result(out / RESULTS, results_of(scores, known, files.sha256_of(out / SCORES), models))
            render_report(out)

    threads = "attacks side by side" if side_by_side else "one thread"
    print(f"{samples:,} samples × {models} models, from signals to the report, {threads}")
    scores = told_seconds("attacks, union, exposure, reliability", scored)
    known = told_seconds("target and controls", controlled)
    told_seconds("table and report", told)
    print_peak()


def results_of(scores: Scores, known: tuple[Any, ...], sha256: str, models: int) -> ScoreResults:
    target, negative, untrained, shift = known
    given = GivenSignals(
        file="simulated.npz",
        sha256=sha256,
        queries=1,
        classes=10,
        paired=True,
        design=find_design(paired_design(len(scores.table), models, 0)).result(),
        population=UNSEEN // 2,
        seed=0,
        attack="lira",
        fewest_in=models // 2,
    )
    return ScoreResults(
        audit="simulated",
        samples=len(scores.table),
        shadows=models,
        statistic="margin",
        queries=(),
        rmia_gamma=1.0,
        **scores.parts(),
        target=TargetAttack(**dict(target)),
        controls=Controls(negative=negative, untrained=untrained, positive=None, shift=shift),
        epsilon=None,
        mean_risk=float(scores.table["risk"].mean()),
        accuracy=None,
        training=None,
        about=About(audit="simulated", given=given, notes=()),
        outliers=None,
        trained=0,
        table_sha256=sha256,
    )


def told_seconds(what: str, function: Callable[[], T]) -> T:
    busy, wall = time.process_time(), time.perf_counter()
    found = function()
    busy, wall = time.process_time() - busy, time.perf_counter() - wall
    print(f"  {what:<38} {busy:>7.1f} s of processor time, {wall:>7.1f} s by the clock", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=64)
    parser.add_argument("--samples", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ours-only", action="store_true")
    parser.add_argument("--whole", action="store_true")
    parser.add_argument("--side-by-side", action="store_true")
    options = parser.parse_args()
    if options.whole:
        whole(options.samples, options.models, options.side_by_side)
        return
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
    print_peak()


def print_peak() -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"  peak memory of the process {peak:.2f} GB")


if __name__ == "__main__":
    main()
