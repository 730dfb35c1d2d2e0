"""Handing over those who look seen, until nobody does, against handing over all of D_u: at the same outcome, for less?

    python benchmarks/risk_paced.py --work paced --data-dir data --seeds 9
    python benchmarks/risk_paced.py --work paced --cells digits-noisy/batchnorm --forget random --table

Arms of shadow-teacher: ``uniform`` (its defaults, one fixed budget over all of D_u), ``paced`` (three cycles at
most, by evidence), ``exposed-half`` (the same budget over that half of D_u which looks trained on most, by the pairs
that teach; the rest of D_u takes no part) and, to tell what the choice does, ``random-half``;
``ARM:parameter=value,…#2`` is the same again with other randomness. Beside them: the model as it
is (``nothing``) and a second retrained one (``retrain``). Each seed is an audit with data of its own. ``called`` is
the share of D_u that LiRA calls trained on, and ``shown`` its interval over samples, by the judging pairs, which
neither taught nor decided; ``js`` the mean Jensen-Shannon distance on D_u to the first retrained model. Audits,
models and results lie below ``--work``; a line of ``paced.jsonl`` that is there is not made again.

The claim, fixed beforehand: ToW within .01 of uniform's, the share called trained on within its interval, and at most
half of the forget-sample gradients; over nine seeds, with the mean of paired differences and its standard deviation.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import unlearning_grid as grid

from privaudit.attacks import lira
from privaudit.commands.unlearning.unlearn_inputs import OpenedAudit, with_scores
from privaudit.evaluation.measures.prediction_divergence import distance_of, probabilities
from privaudit.evaluation.measures.utility import accuracy, tug_of_war
from privaudit.results.unlearning.run import Accuracies
from privaudit.runtime.progress import talk
from privaudit.runtime.seeds import generator
from privaudit.shadow.store import shadow_keys
from privaudit.shadow.trainer import load_model, one_thread, signals_on
from privaudit.signals import signal
from privaudit.training.loop import logits_of
from privaudit.unlearning.application.problem import UnlearningProblem
from privaudit.unlearning.application.run_method import judges, run_method
from privaudit.unlearning.requests.forget_set import ForgetSet

RESULTS = "paced.jsonl"
CELLS = ("digits-noisy/batchnorm", "digits-noisy/groupnorm")
ARMS = ("nothing", "retrain", "uniform", "paced", "exposed-half", "random-half")
HALVES = ("exposed-half", "random-half")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("paced"), help="audits, retrained models and results")
    parser.add_argument("--data-dir", type=Path, default=None)
    parser.add_argument("--cells", nargs="+", default=list(CELLS), metavar="DATA/NETWORK")
    parser.add_argument("--forget", nargs="+", default=list(grid.FORGET), choices=list(grid.FORGET))
    parser.add_argument(
        "--arms", nargs="+", default=list(ARMS), help="of them the last four also as ARM:parameter=value,…"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[1], help="how many; or, if several, which")
    parser.add_argument("--shadows", type=int, default=16)
    parser.add_argument("--table", action="store_true", help="only print what is there")
    options = parser.parse_args()
    options.seeds = list(range(options.seeds[0])) if len(options.seeds) == 1 else options.seeds
    if not options.table:
        for seed in options.seeds:
            for cell in options.cells:
                run_cell(options, cell, seed)
    print_table(read_results(options.work), options)


def run_cell(options: argparse.Namespace, cell: str, seed: int) -> None:
    """Audit and unlearn what is missing."""
    done = {key_of(result) for result in read_results(options.work)}
    wanted = [(name, arm) for name in options.forget for arm in options.arms if (cell, name, arm, seed) not in done]
    if not wanted:
        return
    plan = grid.audit(options, cell, seed)
    opened = with_scores(plan, options.work / "out" / plan.name)
    for name in dict.fromkeys(name for name, _ in wanted):
        run_forget_set(options, opened, [arm for other, arm in wanted if other == name], (cell, name, seed))


def run_forget_set(
    options: argparse.Namespace, opened: OpenedAudit, arms: list[str], where: tuple[str, str, int]
) -> None:
    """Retrain twice where that was not done, then run the arms; a line of results each."""
    cell, name, seed = where
    plan, specification, bench = opened.plan, opened.plan.specification, opened.bench
    forget = grid.forget_set(grid.FORGET[name], plan, bench.table, seed)
    problem = UnlearningProblem.of(bench, plan.arrays, forget, seed)
    digest = hashlib.sha256(forget.rows.tobytes()).hexdigest()[:16]
    paths = [options.work / "retrained" / plan.name / f"{digest}-{number}.safetensors" for number in (0, 1)]
    # The first optimiser of a process makes torch import its compiler for seconds.
    torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.0)
    with one_thread(specification.hardware):
        seconds = [grid.retrained(specification, problem.pool, problem.retain, path) for path in paths]
        judge = Judge(problem, load_model(specification, paths[0]))
        for arm in arms:
            spent: dict[str, Any] = {"forget_steps": 0, "retain_steps": 0, "seconds": 0.0, "stopped": None, "looks": []}
            kind, _, changes = arm.partition(":")
            if kind == "nothing":
                model = problem.load()
            elif kind == "retrain":
                model = load_model(specification, paths[1])
            else:
                changes, _, repeat = changes.partition("#")
                if kind == "paced" and "cycles=" not in changes:
                    changes = ",".join(filter(None, ["cycles=3", changes]))
                again = seed + 1000 * int(repeat or 0)
                request = grid.request_of("shadow-teacher" + (f":{changes}" if changes else ""), "none", again)
                began = time.process_time()
                model, run = run_method(
                    handed_over(problem, kind), replace(request, by_evidence=kind == "paced", guard=True), watched=False
                )
                evidence, ledger = run.ledger.evidence, run.ledger
                spent = {
                    "forget_steps": ledger.forget_steps_run,
                    "retain_steps": ledger.retain_steps_run,
                    "seconds": round(time.process_time() - began, 2),
                    "stopped": ledger.stopped,
                    "looks": [] if evidence is None else [look.to_json() for look in evidence.looks],
                }
            result = {"cell": cell, "forget": name, "arm": arm, "seed": seed, "size": len(forget.rows)}
            result |= judge.of(model) | spent | {"retraining": round(statistics.mean(seconds), 2)}
            talk(f"{cell} {name} {arm}: ToW {result['tow']:.3f}, called {result['called']}")
            with (options.work / RESULTS).open("a") as file:
                file.write(json.dumps(result) + "\n")


def handed_over(problem: UnlearningProblem, kind: str) -> UnlearningProblem:
    """Return the problem of a half of D_u, where an arm is of one: D_r stays, and the other half takes no part."""
    if kind not in HALVES:
        return problem
    rows, bench = problem.forget.rows, problem.bench
    if kind == "random-half":
        order = generator(problem.seed, kind).permutation(len(rows))
    else:
        teaching = np.flatnonzero(~judges(bench, True))
        stored = bench.store.read_signals([shadow_keys(bench.shadows)[index] for index in teaching])
        keep = bench.keep()[teaching]
        margin = signal(stored[:, : keep.shape[1], 0], "margin")
        x = np.zeros(margin.shape[1])
        x[rows] = signal(signals_on(problem.load(), problem.pool, rows)[:, 0], "margin")
        order = np.argsort(-lira.of_other_model(x, margin, keep)[rows], kind="stable")
    half = ForgetSet(np.sort(rows[order[: (len(rows) + 1) // 2]]), problem.forget.scattered)
    return replace(problem, forget=half)


class Judge:
    """Measures a model against a retrained one, by the shadow models that neither taught nor decided."""

    def __init__(self, problem: UnlearningProblem, retrained: torch.nn.Module) -> None:
        self._problem, bench = problem, problem.bench
        judging = np.flatnonzero(judges(bench, True))
        stored = bench.store.read_signals([shadow_keys(bench.shadows)[index] for index in judging])
        self._keep = bench.keep()[judging]
        self._margin = signal(stored[:, : self._keep.shape[1], 0], "margin")
        self._reference = self._accuracies(retrained)
        self._answers = self._probabilities(retrained)

    def _accuracies(self, model: torch.nn.Module) -> Accuracies:
        problem = self._problem
        pool, test = problem.pool, problem.test
        parts = {
            "forget": (pool, problem.forget.rows),
            "retain": (pool, problem.retain),
            "test": (test, problem.reported),
        }
        return Accuracies(
            **{
                part: accuracy(signal(signals_on(model, samples, rows)[:, 0], "margin"))
                for part, (samples, rows) in parts.items()
            }
        )

    def _probabilities(self, model: torch.nn.Module) -> Any:
        return probabilities(logits_of(model, self._problem.pool, self._problem.forget.rows))

    def of(self, model: torch.nn.Module) -> dict[str, Any]:
        """Return accuracies, ToW, distance to the retrained model, and the share called trained on."""
        rows, found = self._problem.forget.rows, self._accuracies(model)
        x = np.zeros(self._margin.shape[1])
        x[rows] = signal(signals_on(model, self._problem.pool, rows)[:, 0], "margin")
        known = lira.of_other_model(x, self._margin, self._keep)[rows] > 0
        error = 1.96 * float(np.sqrt(known.mean() * (1 - known.mean()) / len(known)))
        scattered = self._problem.forget.scattered
        return {
            "tow": round(tug_of_war(found, self._reference), 4),
            "accuracy": {part: round(value, 4) for part, value in found.to_json().items()},
            "reference": {part: round(value, 4) for part, value in self._reference.to_json().items()},
            "js": round(float(distance_of(self._probabilities(model), self._answers).mean()), 4),
            "called": round(float(known.mean()), 4) if scattered else None,
            "shown": round(error, 4) if scattered else None,
        }


def key_of(result: dict[str, Any]) -> tuple[str, str, str, int]:
    return result["cell"], result["forget"], result["arm"], result["seed"]


def read_results(work: Path) -> list[dict[str, Any]]:
    """What is there; of a run that was killed in the middle of a line the line is left out."""
    path = work / RESULTS
    return list(grid.parsed(path.read_text().splitlines() if path.exists() else []))


def print_table(results: list[dict[str, Any]], options: argparse.Namespace) -> None:
    """A row a cell, forget set and arm: means and SDs over seeds; then paired differences to ``uniform``."""
    runs = {key_of(result): result for result in results}
    print("| data / network | forget | arm | seeds | ToW | JS | called | forget gradients | time |")
    print("|---" * 9 + "|")
    for cell in options.cells:
        for name in options.forget:
            for arm in dict.fromkeys(result["arm"] for result in results):
                of_arm = [run for seed in options.seeds if (run := runs.get((cell, name, arm, seed)))]
                if of_arm:
                    print(f"| {cell} | {name} | {arm} | {len(of_arm)} | " + " | ".join(_cells(of_arm)) + " |")
    compared = (result["arm"] for result in results if result["arm"].startswith(("paced", *HALVES)))
    for arm in dict.fromkeys(compared):
        _print_claim(runs, arm, options)


def _cells(of_arm: list[dict[str, Any]]) -> list[str]:
    shown = [_mean([run[name] for run in of_arm if run[name] is not None]) for name in ("tow", "js", "called")]
    shares = [run["seconds"] / run["retraining"] for run in of_arm]
    return [
        *shown,
        f"{statistics.mean(run['forget_steps'] for run in of_arm):.0f}",
        f"{100 * statistics.mean(shares):.0f}%",
    ]


def _mean(values: list[float]) -> str:
    if not values:
        return "–"
    spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3f}{spread}"


def _print_claim(runs: dict[tuple[str, str, str, int], dict[str, Any]], arm: str, options: argparse.Namespace) -> None:
    """By cell: mean paired differences in ToW and in the share called trained on, and the gradients' ratio."""
    for cell in options.cells:
        for name in options.forget:
            pairs = [
                (runs[cell, name, arm, seed], runs[cell, name, "uniform", seed])
                for seed in options.seeds
                if (cell, name, arm, seed) in runs and (cell, name, "uniform", seed) in runs
            ]
            if not pairs:
                continue
            tow = [paced["tow"] - uniform["tow"] for paced, uniform in pairs]
            called = [paced["called"] - uniform["called"] for paced, uniform in pairs if paced["called"] is not None]
            ratio = statistics.mean(paced["forget_steps"] / uniform["forget_steps"] for paced, uniform in pairs)
            interval = statistics.mean(uniform["shown"] or 0 for _, uniform in pairs)
            holds = statistics.mean(tow) >= -0.01 and ratio <= 0.5
            holds = holds and (not called or statistics.mean(called) <= interval)
            verdict = "holds" if holds else "does not hold"
            print(
                f"{arm} − uniform, {cell} {name}, {len(pairs)} seeds: ToW {_mean(tow)}, called {_mean(called)} "
                f"(interval ± {interval:.3f}), {ratio:.2f} of the forget gradients: {verdict}"
            )


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
