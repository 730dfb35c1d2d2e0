"""What the score table and the seeds' own models say of groups of samples: Figures 2 and 5, Table 3; and Figure 1."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from privaudit.attacks import lira
from privaudit.attacks.risk import attack_success
from privaudit.audit.inversion.inversion_plan import FEATURE_PAIR
from privaudit.reproduction.claims.experiment import ALL, INVERTIBLE, LEAST_INVERTIBLE, ONE_SHOT
from privaudit.reproduction.claims.sample_groups import GROUPS, choose_group
from privaudit.reproduction.study import Study
from privaudit.shadow.store import shadow_keys
from privaudit.shadow.trainer import load_model, one_thread
from privaudit.signals import signal
from privaudit.statistics.intervals import spearman
from privaudit.training.loop import Samples
from privaudit.unlearning.application.retrained_models import RetrainJob, train_missing
from privaudit.unlearning.application.run_method import scored_by

#: Figure 5's intervals of loss.
INTERVALS = 10

#: Table 3: the body of a class's confidences, and its tail.
TAIL = 0.2


def runs_of_groups(study: Study, *, inversion: bool, reliability: float | None) -> tuple[pd.DataFrame, dict[str, Any]]:
    """ASR, entropy and tail of the groups, and how loss goes with ASR, a row for each seed and group.

    Parameters
    ----------
    study
        Whose seeds' models are asked.
    inversion
        Whether the audit tells who is easily inverted.
    reliability
        How well the audit's ranking by ASR would agree with another of as many shadow models, as
        `privaudit.scoring.reliability.stability` foretells it; None where there is no ranking.

    Returns
    -------
    tuple
        The runs (``asr``, ``entropy``, ``tail``, and of all samples ``correlation``, ``corrected_correlation`` (over
        the root of the reliability, Spearman 1904), ``excess_correlation``, ``interval_correlation``; NaN where a side
        is constant); and what figures show: by seed the mean ASR and loss of ten intervals, and of seed 0
        each class's confidences.
    """
    specification, table = study.plan.specification, study.table
    everyone = np.arange(len(table))
    paths = [study.plan.store.folder / "retrained" / f"target-{seed}.safetensors" for seed in range(study.seeds)]
    train_missing(
        [RetrainJob(path, everyone, specification, ("seed-target", seed)) for seed, path in enumerate(paths)],
        study.plan,
    )
    arrays = study.plan.arrays
    pool = Samples.from_arrays(arrays.pool_inputs, arrays.pool_labels, specification.hardware.device)
    asr = risk_of_other_models(study)
    rows: list[dict[str, Any]] = []
    intervals, classes = [], []
    for seed, path in enumerate(paths):
        with one_thread(specification.hardware):
            scored = scored_by(load_model(specification, path), table, pool)
        names = [name for name in GROUPS if inversion or name not in (INVERTIBLE, LEAST_INVERTIBLE)]
        groups = {name: choose_group(name, table, seed) for name in names}
        for name, chosen in groups.items():
            rows.append(
                {
                    "seed": seed,
                    "set": name,
                    "asr": float(asr[chosen].mean()),
                    "entropy": float(scored["entropy"].to_numpy()[chosen].mean()),
                    "tail": float(scored["tail"].to_numpy()[chosen].mean()),
                }
            )
        loss = scored["loss"].to_numpy(np.float64)
        by_interval = intervals_of_loss(loss, table["risk"].to_numpy(np.float64))
        found = correlation(loss, table["risk"].to_numpy(np.float64))
        over_intervals = correlation(np.array(by_interval["loss"]), np.array(by_interval["asr"]))
        rows.append(
            {
                "seed": seed,
                "set": ALL,
                "correlation": found,
                "corrected_correlation": corrected(found, reliability),
                "excess_correlation": found - 0.5,
                "interval_correlation": over_intervals,
            }
        )
        intervals.append(by_interval)
        if seed == 0:
            classes = confidences_by_class(scored, groups, study.plan.data.class_names)
    runs = pd.DataFrame(rows).assign(method="", arm=ONE_SHOT)
    return runs, {"intervals": intervals, "classes": classes}


def corrected(observed: float, reliability: float | None) -> float:
    """What a correlation would be without the noise of one of its sides; NaN where that side is nothing else."""
    return observed / reliability**0.5 if reliability is not None and reliability > 0 else float("nan")


def correlation(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> float:
    """Spearman's ρ; NaN where a side is constant, which is no evidence for or against anything."""
    found = spearman(first, second).spearman
    return float("nan") if found is None else found


def risk_of_other_models(study: Study) -> npt.NDArray[np.float64]:
    """ASR of every sample by the shadow models that were not inverted, where there are enough of them."""
    bench = study.bench
    inverted = (2 * FEATURE_PAIR, 2 * FEATURE_PAIR + 1)
    others = [model for model in range(bench.shadows) if model not in inverted]
    if len(others) < lira.FEWEST_MODELS:
        return study.table["risk"].to_numpy(np.float64)
    keys = [shadow_keys(bench.shadows)[model] for model in others]
    margin = signal(bench.store.read_signals(keys)[:, : len(study.table), 0], "margin")
    keep = bench.keep()[others]
    return attack_success(lira.online(margin, keep), keep)


def intervals_of_loss(loss: npt.NDArray[np.float64], asr: npt.NDArray[np.float64]) -> dict[str, list[float]]:
    """Mean loss and mean ASR of ten intervals of loss with as many samples each, by rising loss."""
    parts = np.array_split(np.argsort(loss, kind="stable"), min(INTERVALS, len(loss)))
    return {"loss": [float(loss[part].mean()) for part in parts], "asr": [float(asr[part].mean()) for part in parts]}


def confidences_by_class(
    scored: pd.DataFrame, groups: dict[str, npt.NDArray[np.int64]], class_names: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Table 3: of each class the ranges of true-label confidence of its body and its tail, and the groups' means."""
    labels, confidence = scored["label"].to_numpy(), scored["confidence"].to_numpy(np.float64)
    found = []
    for label in np.unique(labels):
        of_class = np.sort(confidence[labels == label])
        edge = float(np.quantile(of_class, TAIL))
        means = {}
        for name, rows in groups.items():
            mine = rows[labels[rows] == label]
            means[name] = float(confidence[mine].mean()) if len(mine) else None
        found.append(
            {"class": class_names[label], "highest": float(of_class[-1]), "edge": edge, "lowest": float(of_class[0])}
            | {"groups": means}
        )
    return found


def inversion_of_audit(results: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Figure 1 from the audit's own inversions: how many of the random group come back, and whether models agree.

    One audit answers it, without seeds, by intervals over samples. Some but not all: the interval of the share lies
    within 5% … 95%. Two models agree: the interval of Spearman's ρ lies above 0; they do not: it lies below .1.
    """
    matching = results["inversion"]["matching"]
    recovered, agreement = matching["outcomes"]["recovered"], matching["reliability"]["models"]
    share = {"mean": recovered["rate"], "ci": recovered["ci"], "n": recovered["n"]}
    reliability = {"mean": agreement["spearman"], "ci": agreement["ci"], "n": agreement["n"]}
    few, many = 0.05, 0.95
    inside = share["ci"][0] > few and share["ci"][1] < many
    outside = share["ci"][1] < few or share["ci"][0] > many
    share["verdict"] = "supported" if inside else "not supported" if outside else "inconclusive"
    bounds = reliability["ci"]
    if bounds is None:
        reliability["verdict"] = "inconclusive"
    else:
        reliability["verdict"] = (
            "supported" if bounds[0] > 0 else "not supported" if bounds[1] < 0.1 else "inconclusive"
        )
    return {"as_in_paper": share, "controlled": reliability}
