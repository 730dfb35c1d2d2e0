"""What few shadow models find of one target: AUC and TPR at 1% FPR over how many there are, and over seconds.

    python benchmarks/few_models.py --store shadow_models --data-dir data AUDIT [AUDIT ...]

Of finished audits; nothing is trained but one model for its loss trace (--trace) and two imitations of the target
(--imitate). The models of a smaller look are the first of the audit. Seconds are one core's: what training the
quickest of them took (the others shared the machine), and the processor's time for asking and attacking here. Intervals
are over samples, for the one target; with --rotate over pairs, each shadow model being the target in turn.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from privaudit.attacks import lira
from privaudit.attacks.few_models.cross_fitting import folds_of
from privaudit.attacks.few_models.offline_rmia import offline_rmia
from privaudit.attacks.few_models.transferred import transferred
from privaudit.attacks.risk import attack_success, evidence
from privaudit.audit.plan import AuditPlan
from privaudit.audit.reopening import reopen_plan
from privaudit.commands.quick.run_quick import evidence_of
from privaudit.config import AuditSettings
from privaudit.report.content import wording
from privaudit.runtime.seeds import derive_seed, generator
from privaudit.scoring.few_models.attack_target import READ, TargetEvidence, forecast, scores_of
from privaudit.scoring.few_models.sample_features import of_labels
from privaudit.shadow.design import paired_design
from privaudit.shadow.store import TARGET, AuditStore, shadow_keys
from privaudit.shadow.trainer import load_model, read_record
from privaudit.signals import SIGNALS, signal, signals_of
from privaudit.statistics.performance import performance
from privaudit.training.loop import Samples, as_network_input, logits_of, make_optimizer, train

COUNTS = (0, 2, 4, 8, 16)

HEAD = "\n| attack | shadow models | seconds | AUC | at 1% false alarms | at 0.1% |\n|---|---|---|---|---|---|"


def row(
    name: str,
    models: int,
    seconds: float,
    scores: npt.NDArray[Any],
    member: npt.NDArray[np.bool_],
    cluster: npt.NDArray[np.int64] | None = None,
) -> None:
    """Print a row of the table."""
    found = performance(scores, member, cluster)
    rates = " | ".join(wording.found_at(found, rate) for rate in ("0.01", "0.001"))
    print(f"| {name} | {models} | {seconds:,.0f} | {wording.area(found)} | {rates} |", flush=True)


def of_models(known: TargetEvidence, first: int, last: int) -> TargetEvidence:
    """The same with some of the shadow models."""
    return replace(known, shadows=known.shadows[first:last], keep=known.keep[first:last])


def curve(plan: AuditPlan, training: float) -> None:
    """Print every attack over the number of shadow models."""
    start = time.process_time()
    known = evidence_of(plan)
    asking, member, seed = time.process_time() - start, known.member, plan.settings.seed
    labels = np.concatenate([plan.arrays.pool_labels, plan.arrays.test_labels])
    # What samples look like is of no use to the transferred attack: told less, the conditional one is done sooner.
    short = replace(known, features=of_labels(labels))
    bare = scores_of(of_models(short, 0, 0), seed)
    row("logits alone: loss", 0, 0, bare["loss"], member)
    row("logits alone: conditional", 0, 0, bare["conditional"], member)
    for count in COUNTS:
        if count > len(known.shadows):
            break
        start = time.process_time()
        scores = scores_of(of_models(short if count else known, 0, count), seed)
        spent = (0.0 if count else asking) + time.process_time() - start + count * training
        for name in ("rmia-offline", "transferred") if count else ("conditional",):
            row(name, count, spent, scores[name], member)
        if count >= 4:
            row("offline LiRA, as the audit has it", count, count * training, audited(plan, count), member)
    pairs = [of_models(short, first, first + 2) for first in range(0, len(known.shadows), 2)]
    found = [performance(scores_of(pair, seed)["transferred"], member) for pair in pairs]
    areas, rates = [one.auc for one in found], [one.tpr_at_fpr["0.01"] or 0.0 for one in found]
    print(
        f"transferred by each pair alone: AUC {np.mean(areas):.3f} ({min(areas):.3f} to {max(areas):.3f}), at 1% "
        f"{np.mean(rates):.1%} ({min(rates):.1%} to {max(rates):.1%})"
    )
    guess = forecast(known)
    print(f"forecast at 1%: {'none' if guess is None else format(guess['0.01'], '.1%')}")


def rotated(plan: AuditPlan) -> None:
    """Print what few models find of each shadow model in turn, pooled as the audit's own figures are.

    Its members against those of the pool that it never saw, by the pairs next to its own.
    """
    known, seed = evidence_of_models(plan), plan.settings.seed
    models, samples = known.keep.shape
    cluster = np.repeat(np.arange(models) // 2, samples).reshape(models, samples)
    fold = folds_of(known.member, generator(seed, "few-models-folds"))
    said = np.stack([signal(known.shadows, name) for name in READ], axis=-1)
    losses = signal(known.shadows, "loss")
    for count in (2, 4):
        start, found = (
            time.process_time(),
            {name: np.empty(known.keep.shape) for name in ("rmia-offline", "transferred")},
        )
        for model in range(models):
            others = (model // 2 * 2 + 2 + np.arange(count)) % models
            made_up = paired_design(len(fold) - samples, count, seed, "target-audit")
            seen = np.concatenate([known.keep[others], made_up], axis=1)
            scores = transferred(said[model], said[others], seen, known.member, fold)
            found["transferred"][model] = scores[:samples]
            found["rmia-offline"][model] = offline_rmia(losses[model], losses[others], ~seen)[:samples]
        spent = (time.process_time() - start) / models
        for name, scores in found.items():
            row(f"{name}, each shadow model", count, spent, scores, known.keep, cluster)


def evidence_of_models(plan: AuditPlan) -> TargetEvidence:
    """Return what the store's models say, without what samples look like."""
    store, keys = plan.store, shadow_keys(plan.shadows)
    shadows = np.concatenate([store.read_signals(keys), store.read_control("test", keys)], axis=1)[:, :, 0]
    keep = store.read_design()[: plan.shadows]
    return TargetEvidence(shadows[0], keep.shape[1], np.zeros((shadows.shape[1], 1)), shadows, keep)


def audited(plan: AuditPlan, models: int) -> npt.NDArray[Any]:
    """Offline LiRA of the target by so many shadow models: the row ``target`` of an audit."""
    store, keys = plan.store, shadow_keys(models)
    of_pool, of_test = store.read_signals(keys), store.read_control("test", keys)
    statistic = signal(np.concatenate([of_pool, of_test], axis=1)[:, :, 0], "margin")
    made_up = paired_design(of_test.shape[1], models, plan.settings.seed, "target-audit")
    out = ~np.concatenate([store.read_design()[:models], made_up], axis=1)
    target = np.concatenate([store.read_signals([TARGET])[0, :, 0], store.read_control("test", [TARGET])[0, :, 0]])
    return lira.offline_one_sided(signal(target, "margin"), statistic, out)


def traced(plan: AuditPlan, models: int) -> None:
    """Train the target again, noting every sample's loss after each epoch; hold its ranking against LiRA's."""
    specification, arrays = plan.specification, plan.arrays
    pool = Samples.from_arrays(arrays.pool_inputs, arrays.pool_labels, specification.hardware.device)
    model, trace, asking = specification.build(TARGET, 0), [], [0.0]

    def note(_: int) -> None:
        start = time.process_time()
        trace.append(signal(signals_of(logits_of(model, pool), arrays.pool_labels), "loss"))
        model.train()
        asking[0] += time.process_time() - start

    seed = derive_seed(specification.seed, "train", TARGET, 0)
    rows = np.arange(len(plan.data))
    start = time.process_time()
    train(model, pool, rows, specification.recipe, seed, specification.hardware, note)
    whole = time.process_time() - start
    kept = load_model(specification, plan.store.model(TARGET)).state_dict()
    same = all(torch.equal(kept[name], tensor) for name, tensor in model.state_dict().items())
    print(f"loss trace: {whole:.0f} s of training, {asking[0]:.0f} s of it for the trace; the same weights: {same}")
    keys = shadow_keys(models)
    margins, keep = signal(plan.store.read_signals(keys)[:, :, 0], "margin"), plan.store.read_design()[:models]
    losses = signal(plan.store.read_signals([TARGET])[0, :, 0], "loss")
    mean = np.mean(trace, axis=0)
    truths = {"all": slice(0, models), "first half": slice(0, models // 2), "second half": slice(models // 2, models)}
    ranked = {name: vulnerable(margins[part], keep[part]) for name, part in truths.items()}
    found = {
        "loss trace (LT-IQR)": trace_range(np.asarray(trace)), "the target's loss": losses,
        "mean of the loss trace": mean, "loss after the first epoch": trace[0],
    }  # fmt: skip
    for share in (0.01, 0.05):
        for name, ranking in found.items():
            print(f"precision at {share:.0%}, {name}: {precision_at(ranking, ranked['all'], share):.0%}")
        ceiling = precision_at(ranked["first half"], ranked["second half"], share)
        print(f"precision at {share:.0%}, one half of the shadow models by the other: {ceiling:.0%}")


def trace_range(losses: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Rank samples by the interquartile range of their loss ``[E, N]`` over epochs (Pollock et al. 2024, LT-IQR).

    What is learned late and then well was not known from others: its loss spans much. What is never learned, or known
    at once, spans little.
    """
    low, high = np.quantile(np.asarray(losses, np.float64), [0.25, 0.75], axis=0)
    return np.asarray(high - low)


def precision_at(ranking: npt.NDArray[Any], truth: npt.NDArray[Any], share: float) -> float:
    """Share of those that a ranking names first who are among as many that the truth names first."""
    count = max(1, round(share * len(truth)))
    named, meant = (np.argsort(-np.asarray(of, np.float64), kind="stable")[:count] for of in (ranking, truth))
    return len(np.intersect1d(named, meant)) / count


def vulnerable(margins: npt.NDArray[Any], keep: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    """LiRA's ranking: success of the attack, ties broken by the evidence."""
    ratio = lira.online(margins, keep)
    return attack_success(ratio, keep) + 1e-6 * np.tanh(evidence(ratio, keep) / 100)


def imitated(plan: AuditPlan) -> None:
    """Two models of never-trained samples, by their labels and by what the target says of them, as references."""
    arrays, seed, store, specification = plan.arrays, plan.settings.seed, plan.store, plan.specification
    target = np.concatenate([store.read_signals([TARGET])[0, :, 0], store.read_control("test", [TARGET])[0, :, 0]])
    known = replace(evidence_of_models(plan), signals=target)
    others = len(arrays.test_labels)
    first = paired_design(others, 2, seed, "imitation")
    inputs = np.concatenate([arrays.pool_inputs, arrays.test_inputs])
    labels = np.concatenate([arrays.pool_labels, arrays.test_labels])
    everyone = Samples.from_arrays(inputs, labels, specification.hardware.device)
    teacher = logits_of(load_model(specification, plan.store.model(TARGET)), everyone)
    # Members are held against either model: both never saw them.
    drawn = paired_design(len(arrays.pool_labels), 2, seed, "imitation-members")
    seen = np.concatenate([drawn, first], axis=1)
    for name, of_teacher in (("labels", False), ("the target's answers", True)):
        start, answers = time.process_time(), []
        for index in (0, 1):
            rows = len(arrays.pool_labels) + np.flatnonzero(first[index])
            model = specification.build("imitation", index)
            _imitate(model, everyone, rows, teacher if of_teacher else None, plan, index)
            answers.append(signals_of(logits_of(model, everyone), labels))
        spent, said = time.process_time() - start, np.stack(answers)
        loss, margin = (signal(known.signals, one) for one in ("loss", "margin"))
        row(f"RMIA by 2 taught {name}", 2, spent, offline_rmia(loss, signal(said, "loss"), ~seen), known.member)
        reference = np.where(seen[0], signal(said, "margin")[1], signal(said, "margin")[0])
        row(f"margin less that of 2 taught {name}", 2, spent, margin - reference, known.member)
        of_reference = np.where(seen[0][:, np.newaxis], said[1], said[0])[:, : len(SIGNALS)]
        told = replace(of_models(known, 0, 0), features=np.concatenate([of_labels(labels), of_reference], axis=1))
        row(f"conditional by 2 taught {name}", 2, spent, scores_of(told, seed)["conditional"], known.member)


def _imitate(
    model: torch.nn.Module,
    samples: Samples,
    rows: npt.NDArray[np.int64],
    teacher: npt.NDArray[Any] | None,
    plan: AuditPlan,
    index: int,
) -> None:
    """Train on rows by the audit's recipe, towards labels or towards the teacher's softmax; no augmentation."""
    recipe, hardware = plan.specification.recipe, plan.specification.hardware
    generator = torch.Generator().manual_seed(derive_seed(plan.settings.seed, "imitation", index))
    optimizer, chosen = make_optimizer(model, recipe), torch.from_numpy(rows)
    towards = samples.labels if teacher is None else torch.from_numpy(teacher).softmax(dim=1)
    batches = -(-len(rows) // recipe.batch_size)
    model.train()
    for step in range(batches * recipe.epochs):
        if step % batches == 0:
            order = chosen[torch.randperm(len(rows), generator=generator)].tensor_split(batches)
        batch = order[step % batches]
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate_at(step, batches * recipe.epochs)
        with hardware.autocast():
            logits = model(as_network_input(samples.take(batch))).float()
        optimizer.zero_grad(set_to_none=True)
        functional.cross_entropy(logits, towards[batch]).backward()
        optimizer.step()
    model.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("audits", nargs="+")
    parser.add_argument("--store", type=Path, default=Path("shadow_models"))
    parser.add_argument("--data-dir", type=Path, default=None)
    parser.add_argument("--rotate", action="store_true")
    parser.add_argument("--trace", action="store_true")
    parser.add_argument("--imitate", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for audit in options.audits:
        store = AuditStore(options.store, audit)
        plan = reopen_plan(store, AuditSettings(store=options.store, data_dir=options.data_dir))
        plan = replace(plan, shadows=store.finished_shadows())
        print(f"\n{audit}: {len(plan.data):,} samples, {plan.shadows} shadow models", flush=True)
        if options.rotate:
            print(HEAD)
            rotated(plan)
        elif options.trace:
            traced(plan, plan.shadows)
        elif options.imitate:
            imitated(plan)
        else:
            print(HEAD)
            curve(plan, min(read_record(store, key).seconds or 0.0 for key in shadow_keys(plan.shadows)))


if __name__ == "__main__":
    main()
