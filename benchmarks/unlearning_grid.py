"""Unlearning methods on networks and data that none was tuned on: the table of docs/unlearning-results.md.

    python benchmarks/unlearning_grid.py --work grid --data-dir data
    python benchmarks/unlearning_grid.py --cells digits-noisy/batchnorm --forget few riskiest --methods rl ga
    python benchmarks/unlearning_grid.py --work grid --methods auto shadow-teacher
    python benchmarks/unlearning_grid.py --work grid --table

Each cell is an audit (data and network) and a forget set. Its target model unlearns by each method's defaults, handed
over all at once and guarded, as the command does it, and is held against a model retrained without the forget set; so
are the target as it is (``nothing``) and a second retrained model (``retrain``). ``called`` is the share of D_u that
LiRA calls trained on, by the pairs of shadow models that never teach; ``outcome`` and ``sentence`` are what the command
says. Everything is kept below ``--work``: results in ``results.jsonl``, a line a run, and a line that is there is not
made again. ``auto`` is what ``--method auto`` finds by its calibration, retraining forbidden: where it answers
"retrain", the model stays as it is. Seconds are processor time of one core, the teachers' answers included.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler
from torch import nn

from privaudit.audit.plan import AuditPlan
from privaudit.audit.reopening import reopen_plan
from privaudit.commands.unlearning.run_naming import decides_unlearning
from privaudit.commands.unlearning.unlearn_inputs import OpenedAudit, with_scores
from privaudit.config import AuditSettings, Sequencing
from privaudit.data import load_dataset
from privaudit.errors import PrivauditError
from privaudit.evaluation.answers import Answers, Mute
from privaudit.evaluation.exposure_change import called
from privaudit.evaluation.measures.utility import tug_of_war
from privaudit.evaluation.outcome_of_run import decide
from privaudit.evaluation.shadow_evidence import ShadowEvidence
from privaudit.results.unlearning.calibration import Calibration
from privaudit.runtime.progress import talk
from privaudit.runtime.seeds import generator
from privaudit.shadow.specification import ModelSpecification
from privaudit.shadow.store import open_audit
from privaudit.shadow.trainer import load_model, one_thread, save_model, train_with_new_seeds
from privaudit.training.loop import Samples
from privaudit.trials.calibration.calibrate import CalibrationOf
from privaudit.unlearning.application.method_choice import AUTO
from privaudit.unlearning.application.problem import UnlearningProblem
from privaudit.unlearning.application.run_method import Request, judges, run_method
from privaudit.unlearning.base import RETRAIN, UNLEARNERS
from privaudit.unlearning.parameters import parse_changes, with_changes
from privaudit.unlearning.requests.forget_set import ForgetSet, choose_forget_set

Rows = npt.NDArray[np.int64]

#: Where the noise floor is less than this above doing nothing there is nothing to forget that ToW would show.
SOMETHING = 0.05

#: What is to be reached: a share of the second retraining's ToW, and at most so much less than doing nothing.
BAR, WORSE = 0.95, 0.01


@dataclass(frozen=True)
class Source:
    """Where a cell's data come from, how many samples train and test, and the share with a wrong label."""

    dataset: str
    samples: int | None
    wrong: float
    tested: int | None = None


SOURCES = {
    "digits": Source("digits", None, 0.0),
    "digits-noisy": Source("digits", None, 0.15),
    "mnist": Source("mnist", 3_000, 0.10),
    "cifar10": Source("cifar10", 10_000, 0.0),
    "cifar10-3000": Source("cifar10", 3_000, 0.0),
    "cifar10-2000": Source("cifar10", 2_000, 0.0, 4_000),
    "cifar10-1500": Source("cifar10", 1_500, 0.0, 4_000),
    "breast-cancer": Source("breast-cancer", None, 0.0),
    "adult-like": Source("adult-like", 4_000, 0.0),
}
CELLS = (
    "digits/cnn",
    "digits-noisy/batchnorm",
    "digits-noisy/groupnorm",
    "digits-noisy/residual",
    "mnist/cnn",
    "cifar10/cnn",
    "cifar10-3000/residual",
    "cifar10-3000/groupnorm",
    "cifar10-1500/resnet",
    "breast-cancer/mlp",
    "adult-like/mlp",
)
#: Forget sets; ``cluster``: a random sample and the 19 nearest of its class.
FORGET = {
    "few": "random:20",
    "random": "random:10%",
    "riskiest": "top-risk:5%",
    "class": "class:3",
    "cluster": "cluster:20",
}
#: Networks of files beside this one.
OWN_NETWORKS = {
    "batchnorm": "grid_networks.py",
    "groupnorm": "grid_networks.py",
    "residual": "grid_networks.py",
    "resnet": "grid_resnet.py",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("grid"), help="audits, retrained models and results")
    parser.add_argument("--data-dir", type=Path, default=None)
    parser.add_argument("--cells", nargs="+", default=list(CELLS), metavar="DATA/NETWORK", help=" ".join(CELLS))
    parser.add_argument("--forget", nargs="+", default=list(FORGET), choices=list(FORGET))
    parser.add_argument("--methods", nargs="+", default=["shadow-teacher"], help="names, or NAME:parameter=value,…")
    parser.add_argument("--seeds", type=int, default=1, help="audits of each cell, with data of their own")
    parser.add_argument("--shadows", type=int, default=16)
    parser.add_argument("--order", default="none")
    parser.add_argument("--table", action="store_true", help="only print what is there")
    options = parser.parse_args()
    if not options.table:
        for seed in range(options.seeds):
            for cell in options.cells:
                run_cell(options, cell, seed)
    print_table(read_results(options.work), options)


def run_cell(options: argparse.Namespace, cell: str, seed: int) -> None:
    """Audit what is not audited yet; unlearn what is not unlearned yet."""
    done = {key_of(result) for result in read_results(options.work)}
    forgettable = [name for name in options.forget if not (name == "class" and cell.endswith("/mlp"))]
    wanted = [
        (forget, method)
        for forget in forgettable
        for method in ("nothing", "retrain", *options.methods)
        if (cell, forget, named(method, options.order), seed) not in done
    ]
    if not wanted:
        return
    plan = audit(options, cell, seed)
    opened = with_scores(plan, options.work / "out" / plan.name)
    for name in dict.fromkeys(forget for forget, _ in wanted):
        forget = forget_set(FORGET[name], opened.plan, opened.bench.table, seed)
        methods = [method for other, method in wanted if other == name]
        run_forget_set(options, opened, forget, methods, (cell, name, seed))


def run_forget_set(
    options: argparse.Namespace,
    opened: OpenedAudit,
    forget: ForgetSet,
    methods: list[str],
    where: tuple[str, str, int],
) -> None:
    """Retrain twice, then unlearn by every method; a line of results each."""
    cell, name, seed = where
    plan, specification = opened.plan, opened.plan.specification
    problem = UnlearningProblem.of(opened.bench, plan.arrays, forget, seed)
    pool, retain = problem.pool, problem.retain

    # The first optimiser of a process makes torch import its compiler for seconds.
    torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.0)
    with one_thread(specification.hardware):
        digest = hashlib.sha256(forget.rows.tobytes()).hexdigest()[:16]
        paths = [options.work / "retrained" / plan.name / f"{digest}-{number}.safetensors" for number in (0, 1)]
        seconds = [retrained(specification, pool, retain, path) for path in paths]
        judged = JudgedRuns(problem, [problem.load(), *(load_model(specification, path) for path in paths)])
        for method in methods:
            stopped, spent, calibration = None, 0.0, None
            if method == "nothing":
                model = problem.load()
            elif method == "retrain":
                model, spent = load_model(specification, paths[1]), seconds[1]
            else:
                if method == AUTO:
                    calibration = calibrated(opened, problem, options.order)
                    if calibration.method == RETRAIN:
                        # Retraining is forbidden here: the model stays as it is.
                        stopped = f"auto answers retrain: {calibration.why}"
                request = (
                    calibrated_request(calibration, options.order, seed)
                    if calibration is not None
                    else request_of(method, options.order, seed)
                )
                began = time.process_time()
                try:
                    if request is None:
                        model = problem.load()
                    else:
                        model, run = run_method(problem, request, watched=False)
                        stopped = run.ledger.stopped
                except PrivauditError as error:
                    model, stopped = problem.load(), error.message
                spent = time.process_time() - began
            result = {
                "cell": cell,
                "forget": name,
                "method": named(method, options.order),
                "seed": seed,
                "size": len(forget.rows),
                **judged.of(model, method),
                "seconds": round(spent, 2),
                "retraining": round(statistics.mean(seconds), 2),
                "stopped": stopped,
                "calibration": None if calibration is None else calibration.to_json(),
            }
            talk(f"{cell} {name} {method}: ToW {result['tow']:.3f}")
            with (options.work / "results.jsonl").open("a") as file:
                file.write(json.dumps(result) + "\n")


class JudgedRuns:
    """What becomes of models: ToW, the share of D_u called trained on, and the outcome in words as the command has it.

    Parameters
    ----------
    problem
        What was to be forgotten.
    models
        The original, and two retrained ones.
    """

    def __init__(self, problem: UnlearningProblem, models: list[nn.Module]) -> None:
        self._problem = problem
        # By the pairs that never teach, whatever the method.
        self._evidence = ShadowEvidence(problem, judges(problem.bench, True))
        names = ("original", "retrained", "second_retrained")
        self._beside = {name: Answers.of(problem, model) for name, model in zip(names, models, strict=True)}

    def of(self, model: nn.Module, method: str) -> dict[str, Any]:
        problem, reference = self._problem, self._beside["retrained"].accuracies(self._problem)
        answers = Answers.of(problem, model)
        if not answers.are_numbers:
            answers = Answers.of(problem, Mute(problem.bench.specification.classes), finite=False)
        found = answers.accuracies(problem)
        outcome = decide({**self._beside, "unlearned": answers}, self._evidence, method, exact=False)
        return {
            "tow": round(tug_of_war(found, reference), 4),
            "accuracy": {part: round(value, 4) for part, value in found.to_json().items()},
            "reference": {part: round(value, 4) for part, value in reference.to_json().items()},
            "called": self._called(answers),
            "called_retrained": self._called(self._beside["retrained"]),
            "outcome": outcome.name,
            "sentence": outcome.sentence,
        }

    def _called(self, answers: Answers) -> float | None:
        if not self._problem.forget.scattered:
            return None
        known = called(self._evidence.ratio(answers)[self._problem.forget.rows])
        return None if known is None else round(known, 4)


def retrained(specification: ModelSpecification, pool: Samples, retain: Rows, path: Path) -> float:
    """Train without the forget set, where that was not done yet; return the seconds that it took."""
    if not path.with_suffix(".json").exists():
        began = time.process_time()
        model, _, _ = train_with_new_seeds(specification, pool, retain, ("grid", path.stem))
        spent = time.process_time() - began
        save_model(model, path)
        path.with_suffix(".json").write_text(json.dumps(spent))
    seconds: float = json.loads(path.with_suffix(".json").read_text())
    return seconds


def calibrated(opened: OpenedAudit, problem: UnlearningProblem, order: str) -> Calibration:
    """What ``--method auto`` finds for forget sets of this kind; made where it is not stored yet."""
    made = CalibrationOf(opened.plan, problem, Sequencing(order=order), True, decides_unlearning(opened.bench))
    return made.stored() or made.without_trials() or made.made()


def request_of(method: str, order: str, seed: int) -> Request:
    """``NAME`` or ``NAME:parameter=value,…`` as a request."""
    name, _, changes = method.partition(":")
    given = parse_changes(tuple(changes.split(","))) if changes else {}
    parameters = with_changes(UNLEARNERS.load(name).defaults, given)
    return Request(name, parameters, Sequencing(order=order), seed, guard=True)


def calibrated_request(calibration: Calibration, order: str, seed: int) -> Request | None:
    """What was calibrated as a request, guarded; None where that is retraining."""
    if calibration.method == RETRAIN:
        return None
    parameters = with_changes(UNLEARNERS.load(calibration.method).defaults, dict(calibration.parameters))
    return Request(calibration.method, parameters, Sequencing(order=order), seed, guard=True)


def audit(options: argparse.Namespace, cell: str, seed: int) -> AuditPlan:
    """The cell's audit, made by ``privaudit score`` where it is not there yet."""
    source, network = cell.split("/")
    path = options.work / f"{source}-{seed}.npz"
    if not path.exists():
        write_data(SOURCES[source], path, seed, options.data_dir)
    store, out = options.work / f"store-{seed}" / cell.replace("/", "-"), options.work / "out"
    if network in OWN_NETWORKS:
        network = f"{Path(__file__).parent / OWN_NETWORKS[network]}:{network}"
    command = [
        sys.executable, "-m", "privaudit", "score", "--dataset", str(path), "--network", network,
        "--shadows", str(options.shadows), "--seed", str(seed), "--store", str(store), "--out", str(out),
        "--canaries", "0", "--invert", "0", "--json",
    ]  # fmt: skip
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=os.environ)  # noqa: S603
    return reopen_plan(open_audit(store, None), AuditSettings(store=store, out=out))


def write_data(source: Source, path: Path, seed: int, data_dir: Path | None) -> None:
    """Draw the samples and the wrong labels by the seed."""
    if source.dataset in TABLES:
        write_arrays(path, *TABLES[source.dataset](seed))
        return
    data = load_dataset(source.dataset, data_dir=data_dir)
    random = generator(seed, "grid", source.dataset)
    rows = np.sort(random.permutation(len(data.y_train))[: source.samples or len(data.y_train)])
    labels = data.y_train[rows].copy()
    classes = len(data.class_names)
    wrong = random.permutation(len(labels))[: round(source.wrong * len(labels))]
    labels[wrong] = (labels[wrong] + random.integers(1, classes, len(wrong))) % classes
    tested = np.sort(generator(seed, "grid-test").permutation(len(data.y_test))[: source.tested or len(data.y_test)])
    write_arrays(path, data.x_train[rows], labels, data.x_test[tested], data.y_test[tested])


def write_arrays(path: Path, x_train: Any, y_train: Any, x_test: Any, y_test: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        np.savez(file, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)


def breast_cancer(seed: int) -> tuple[Any, Any, Any, Any]:
    """scikit-learn's embedded table, standardised by its training part; a quarter to test."""
    features, labels = load_breast_cancer(return_X_y=True)
    order = generator(seed, "grid", "breast-cancer").permutation(len(labels))
    train, test = order[: 3 * len(order) // 4], order[3 * len(order) // 4 :]
    scaler = StandardScaler().fit(features[train])
    return (
        scaler.transform(features[train]).astype(np.float32),
        labels[train],
        scaler.transform(features[test]).astype(np.float32),
        labels[test],
    )


def adult_like(seed: int, samples: int = 4_000, tested: int = 2_000) -> tuple[Any, Any, Any, Any]:
    """Draw rows like a census: skewed amounts, one-hot categories, a class of a quarter that they foretell in part."""
    random = generator(seed, "grid", "adult-like")
    count = samples + tested
    numbers = random.normal(size=(count, 6)).astype(np.float32)
    numbers[:, 4:] = np.exp(numbers[:, 4:]) - 1.6
    categories = [random.choice(size, count, p=random.dirichlet(np.ones(size))) for size in (7, 16, 6, 2)]
    hot = np.concatenate(
        [np.eye(size, dtype=np.float32)[values] for size, values in zip((7, 16, 6, 2), categories, strict=True)], axis=1
    )
    features = np.concatenate([numbers, hot], axis=1)
    score = features @ random.normal(size=features.shape[1]) * 0.7 + 0.5 * numbers[:, 0] * numbers[:, 1]
    labels = (score + random.logistic(size=count) > np.quantile(score, 0.75)).astype(np.int64)
    return features[:samples], labels[:samples], features[samples:], labels[samples:]


#: Tables: features for the ``mlp``, two classes (of which none is forgotten whole).
TABLES = {"breast-cancer": breast_cancer, "adult-like": adult_like}


def forget_set(specification: str, plan: AuditPlan, table: Any, seed: int) -> ForgetSet:
    """By ``--forget``'s words, or a cluster of near neighbours of one class."""
    if not specification.startswith("cluster:"):
        return choose_forget_set(specification, table, plan.data.class_names, seed)
    labels = plan.data.y_train
    flat = np.asarray(plan.data.x_train, np.float64).reshape(len(labels), -1)
    middle = int(generator(seed, "cluster").integers(len(labels)))
    distance = np.square(flat - flat[middle]).sum(axis=1)
    distance[labels != labels[middle]] = np.inf
    return ForgetSet(np.sort(np.argsort(distance, kind="stable")[: int(specification.partition(":")[2])]), True)


def named(method: str, order: str) -> str:
    """What a run is called in the results: orders matter to methods alone."""
    return method if order == "none" or method in ("nothing", "retrain") else f"{method} ({order})"


def key_of(result: dict[str, Any]) -> tuple[str, str, str, int]:
    return result["cell"], result["forget"], result["method"], result["seed"]


def read_results(work: Path) -> list[dict[str, Any]]:
    """What is there; of a run that was killed in the middle of a line the line is left out."""
    return read_lines(work / "results.jsonl")


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a file that are whole."""
    lines = path.read_text().splitlines() if path.exists() else []
    return list(parsed(lines))


def parsed(lines: list[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        with contextlib.suppress(json.JSONDecodeError):
            yield json.loads(line)


def print_table(results: list[dict[str, Any]], options: argparse.Namespace) -> None:
    """Means over seeds, a row a cell and forget set, and how often each method reached the bar."""
    by_key: dict[tuple[str, str], dict[str, list[dict[str, Any]]]] = {}
    for result in results:
        if result["cell"] in options.cells and result["forget"] in options.forget:
            by_key.setdefault((result["cell"], result["forget"]), {}).setdefault(result["method"], []).append(result)
    methods = list(dict.fromkeys(result["method"] for result in results))
    print("| data / network | forget | n | " + " | ".join(methods) + " |")
    print("|---" * (3 + len(methods)) + "|")
    reached: dict[str, list[bool]] = {}
    worse: dict[str, int] = {}
    for (cell, forget), of_method in by_key.items():
        tow = {name: statistics.mean(run["tow"] for run in runs) for name, runs in of_method.items()}
        shown = []
        for name in methods:
            if name not in tow:
                shown.append("–")
                continue
            share = statistics.mean(run["seconds"] / run["retraining"] for run in of_method[name])
            shown.append(f"{tow[name]:.3f}" + ("" if name in ("nothing", "retrain") else f" ({100 * share:.0f}%)"))
            worse[name] = worse.get(name, 0) + (tow[name] < tow["nothing"] - WORSE)
            if tow["retrain"] - tow["nothing"] >= SOMETHING:
                reached.setdefault(name, []).append(tow[name] >= BAR * tow["retrain"])
        size = next(iter(of_method.values()))[0]["size"]
        print(f"| {cell} | {forget} | {size} | " + " | ".join(shown) + " |")
    for name in methods:
        hits = reached.get(name, [])
        print(f"{name}: {sum(hits)} of {len(hits)} cells reach the bar; worse than nothing in {worse.get(name, 0)}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
