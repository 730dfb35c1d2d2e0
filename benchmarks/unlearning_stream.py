"""A stream of requests: how far a model drifts that goes on forgetting, from one that is retrained without everybody.

    python benchmarks/unlearning_stream.py --work stream --data-dir data
    python benchmarks/unlearning_stream.py --cells digits-noisy/cnn --requests 20 --people 5 --looks 1 5 10 20
    python benchmarks/unlearning_stream.py --work stream --table

As ``privaudit unlearn --from latest`` would, each request begins with the model that the last one left, is handed its
own people alone, and keeps everybody whom it forgets out of D_r. After some of the requests everybody so far is judged,
against two models retrained without all of them: beside the chain stand the target as it is (``nothing``), everybody
unlearned in one request (``at once``) and the second retraining. Everything is kept below ``--work``, a line of
``stream.jsonl`` a look; what is there is not made again. Seconds are processor time of one core, of the last request
alone.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from unlearning_grid import OWN_NETWORKS, SOURCES, audit, read_lines, request_of, retrained

from privaudit.commands.unlearning.unlearn_inputs import OpenedAudit, with_scores
from privaudit.evaluation.answers import Answers
from privaudit.evaluation.exposure_change import called
from privaudit.evaluation.measures.utility import tug_of_war
from privaudit.evaluation.outcome_of_run import decide
from privaudit.evaluation.shadow_evidence import ShadowEvidence
from privaudit.results.unlearning.run import Accuracies
from privaudit.runtime.progress import talk
from privaudit.runtime.seeds import generator
from privaudit.shadow.trainer import one_thread, save_model
from privaudit.unlearning.application.problem import UnlearningProblem
from privaudit.unlearning.application.run_method import Request, judges, run_method, will_teach
from privaudit.unlearning.requests.forget_set import ForgetSet

CELLS = ("digits-noisy/batchnorm", "digits-noisy/cnn", "cifar10-3000/cnn")
CHAIN, AT_ONCE = "one after another", "at once"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("stream"), help="audits, models and results")
    parser.add_argument("--data-dir", type=Path, default=None)
    cells = f"of {', '.join(SOURCES)} and a network, the tool's or one of {', '.join(OWN_NETWORKS)}"
    parser.add_argument("--cells", nargs="+", default=list(CELLS), metavar="DATA/NETWORK", help=cells)
    parser.add_argument("--method", default="shadow-teacher", help="a name, or NAME:parameter=value,…")
    parser.add_argument("--requests", type=int, default=20)
    parser.add_argument("--people", type=int, default=5, help="of each request")
    parser.add_argument("--looks", nargs="+", type=int, default=[1, 5, 10, 20], help="after which requests to judge")
    parser.add_argument("--shadows", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--table", action="store_true", help="only print what is there")
    options = parser.parse_args()
    for cell in [] if options.table else options.cells:
        plan = audit(options, cell, options.seed)
        run_stream(options, cell, with_scores(plan, options.work / "out" / plan.name))
    print_table(read_lines(options.work / "stream.jsonl"))


def run_stream(options: argparse.Namespace, cell: str, opened: OpenedAudit) -> None:
    """Go through the requests, and judge after some."""
    plan, bench = opened.plan, opened.bench
    people = generator(options.seed, "stream").permutation(len(bench.table))[: options.requests * options.people]
    # A seed of its own for every request: theirs come on different days.
    folder = options.work / "chain" / plan.name / options.method.replace(":", "-")
    target = bench.target
    done = {(line["cell"], line["method"], line["requests"]) for line in read_lines(options.work / "stream.jsonl")}
    torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.0)
    model_path, spent = target, 0.0
    with one_thread(plan.specification.hardware):
        for number in range(1, options.requests + 1):
            rows = np.sort(people[: number * options.people])
            new = np.sort(people[(number - 1) * options.people : number * options.people])
            everybody = ForgetSet(rows, True)
            problem = UnlearningProblem.of(bench, plan.arrays, everybody, options.seed)
            request = guarded(request_of(options.method, "none", options.seed + number))
            path = folder / f"{number:03d}.safetensors"
            spent = unlearned(problem.going_on(ForgetSet(new, True), model_path), request, path)
            model_path = path
            if number in options.looks and (cell, options.method, number) not in done:
                at_once = folder / f"{number:03d}-at-once.safetensors"
                seconds = {CHAIN: spent, AT_ONCE: unlearned(problem, request, at_once)}
                judge(options, cell, number, problem, request, {CHAIN: path, AT_ONCE: at_once}, seconds)


def guarded(request: Request) -> Request:
    return Request(request.method, request.parameters, request.sequencing, request.seed, guard=True)


def unlearned(problem: UnlearningProblem, request: Request, path: Path) -> float:
    """Unlearn, where that was not done yet; return the seconds that it took."""
    kept = path.with_suffix(".json")
    if not kept.exists():
        began = time.process_time()
        model, run = run_method(problem, request, watched=False)
        spent = time.process_time() - began
        save_model(model, path)
        kept.write_text(json.dumps({"seconds": spent, "stopped": run.ledger.stopped}))
    seconds: float = json.loads(kept.read_text())["seconds"]
    return seconds


def judge(
    options: argparse.Namespace,
    cell: str,
    number: int,
    problem: UnlearningProblem,
    request: Request,
    paths: dict[str, Path],
    seconds: dict[str, float],
) -> None:
    """Write a line: everything of everybody so far, by model."""
    bench = problem.bench
    folder = options.work / "retrained" / bench.store.audit
    references = [folder / f"{number:03d}-{options.people}-{which}.safetensors" for which in (0, 1)]
    training = [retrained(bench.specification, problem.pool, problem.retain, path) for path in references]
    models: dict[str, nn.Module] = {"nothing": problem.load(), "retrain": problem.load(references[1])}
    models |= {name: problem.load(path) for name, path in paths.items()}
    reference = Answers.of(problem, problem.load(references[0]))
    answers = {name: Answers.of(problem, model) for name, model in models.items()}
    evidence = ShadowEvidence(problem, judges(bench, will_teach(request)))
    best = reference.accuracies(problem)
    line: dict[str, Any] = {
        "cell": cell,
        "method": options.method,
        "requests": number,
        "people": len(problem.forget.rows),
        "retraining": round(float(np.mean(training)), 2),
        "seconds": {name: round(spent, 2) for name, spent in seconds.items()},
        "models": {},
    }
    for name, one in (answers | {"reference": reference}).items():
        found: Accuracies = one.accuracies(problem)
        known = called(evidence.ratio(one)[problem.forget.rows])
        line["models"][name] = {
            "tow": round(tug_of_war(found, best), 4),
            "called": None if known is None else round(known, 4),
            **{part: round(value, 4) for part, value in found.to_json().items()},
        }
    for name in paths:
        judged = {"original": answers["nothing"], "unlearned": answers[name], "retrained": reference}
        outcome = decide(judged | {"second_retrained": answers["retrain"]}, evidence, options.method, exact=False)
        line["models"][name]["outcome"] = outcome.name
    talk(f"{cell} after {number} requests: {line['models'][CHAIN]}")
    with (options.work / "stream.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")


def print_table(lines: list[dict[str, Any]]) -> None:
    """A row a look: ToW, then accuracy and LiRA's verdict on the forgotten and accuracy on the retained."""
    titles = (
        "data / network", "requests", "people", "do nothing", CHAIN, "outcome", AT_ONCE, "second retraining",
        "forgotten right (retrained)", "called known (retrained)", "retained right (retrained)", "time",
    )  # fmt: skip
    print(f"| {' | '.join(titles)} |")
    print("|---" * len(titles) + "|")
    for line in lines:
        models = line["models"]
        chain, best = models[CHAIN], models["reference"]
        share = line["seconds"][CHAIN] / line["retraining"]
        tow = " | ".join(f"{models[name]['tow']:.3f}" for name in (AT_ONCE, "retrain"))
        pairs = " | ".join(f"{chain[part]:.3f} ({best[part]:.3f})" for part in ("forget", "called", "retain"))
        print(
            f"| {line['cell']} | {line['requests']} | {line['people']} | {models['nothing']['tow']:.3f} | "
            f"{chain['tow']:.3f} | {chain['outcome']} | {tow} | {pairs} | {100 * share:.0f}% |"
        )


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
