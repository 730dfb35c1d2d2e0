"""What the score table and the seeds' own models say of groups of samples: Figures 2 and 5, Table 3; and Figure 1."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from privaudit.attacks import lira
from privaudit.attacks.risk import attack_success
from privaudit.audit.inversion.inversion_plan import FEATURE_PAIR
from privaudit.errors import EvidenceError
from privaudit.reproduction.claims.catalogue import BY_NAME
from privaudit.reproduction.claims.experiment import ALL, INVERTIBLE, LEAST_INVERTIBLE, ONE_SHOT, RANDOM
from privaudit.reproduction.claims.sample_groups import GROUPS, choose_group, name_of_part, part_of
from privaudit.reproduction.study import Study
from privaudit.reproduction.verdicts.one_audit import agree, some_but_not_all
from privaudit.results.audit.score_results import ScoreResults
from privaudit.results.measures import Interval
from privaudit.results.reproduction_results import AuditAnswer, ClassConfidences, LossIntervals, ShownData
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


def runs_of_groups(study: Study) -> tuple[pd.DataFrame, ShownData]:
    """ASR, entropy and tail of the groups, and how loss goes with ASR, a row for each seed and group.

    Returns
    -------
    tuple
        The runs (``asr``, ``entropy``, ``tail``, and of all samples ``correlation``, ``corrected_correlation`` (over
        the root of the ranking's reliability, Spearman 1904), ``interval_correlation``, and of the seed's own part of
        them ``part_correlation``, ``sure_excess`` and ``intervals_of_part``; NaN where a side is constant); and what
        figures show: by seed the mean ASR and loss of ten intervals, and of seed 0 each class's confidences.
    """
    specification, table, arrays = study.plan.specification, study.table, study.plan.arrays
    everyone = np.arange(len(table))
    paths = [study.plan.store.folder / "retrained" / f"target-{seed}.safetensors" for seed in range(study.seeds)]
    train_missing(
        [RetrainJob(path, everyone, specification, ("seed-target", seed)) for seed, path in enumerate(paths)],
        study.plan,
    )
    pool = Samples.from_arrays(arrays.pool_inputs, arrays.pool_labels, specification.hardware.device)
    others_asr, risk = risk_of_other_models(study), table["risk"].to_numpy(np.float64)
    names = [name for name in GROUPS if has_features(study.audit) or name not in (INVERTIBLE, LEAST_INVERTIBLE)]
    rows, intervals, classes = [], [], []
    for seed, path in enumerate(paths):
        with one_thread(specification.hardware):
            scored = scored_by(load_model(specification, path), table, pool).assign(asr=others_asr)
        groups = {name: choose_group(name, table, seed) for name in names}
        for name, chosen in groups.items():
            means = {column: float(scored[column].to_numpy()[chosen].mean()) for column in ("asr", "entropy", "tail")}
            rows.append({"seed": seed, "set": name, "unit": name_of_part(seed), **means})
        loss = scored["loss"].to_numpy(np.float64)
        intervals.append(intervals_of_loss(loss, risk))
        found = correlation(loss, risk)
        measures = {
            "correlation": found,
            "corrected_correlation": corrected(found, study.about.reliability),
            "interval_correlation": correlation(np.array(intervals[-1].loss), np.array(intervals[-1].asr)),
            **of_part(loss, risk, part_of(len(table), seed), study.about.reliability_ci),
        }
        rows.append({"seed": seed, "set": ALL, "unit": name_of_part(seed), **measures})
        if seed == 0:
            classes = confidences_by_class(scored, groups, study.plan.data.class_names)
    return pd.DataFrame(rows).assign(method="", arm=ONE_SHOT), ShownData(intervals=intervals, classes=classes)


def of_part(
    loss: npt.NDArray[np.float64],
    risk: npt.NDArray[np.float64],
    part: npt.NDArray[np.int64],
    reliability: Interval | None,
) -> dict[str, float]:
    """How loss goes with risk among the samples of one seed alone: no two seeds have a sample in common.

    ``sure_excess`` is the correlation over the root of the most that the ranking's reliability can be, less ½: what is
    taken away is noise of the shadow models that is surely there.
    """
    shown, own = intervals_of_loss(loss[part], risk[part]), correlation(loss[part], risk[part])
    return {
        "part_correlation": own,
        "sure_excess": corrected(own, None if reliability is None else reliability[1]) - 0.5,
        "intervals_of_part": correlation(np.array(shown.loss), np.array(shown.asr)),
    }


def has_features(results: ScoreResults) -> bool:
    """Whether feature matching (T1) says who is easily inverted."""
    return results.inversion is not None and results.inversion.features is not None


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


def intervals_of_loss(loss: npt.NDArray[np.float64], asr: npt.NDArray[np.float64]) -> LossIntervals:
    """Mean loss and mean ASR of ten intervals of loss with as many samples each, by rising loss."""
    parts = np.array_split(np.argsort(loss, kind="stable"), min(INTERVALS, len(loss)))
    of_loss, of_asr = ([float(values[part].mean()) for part in parts] for values in (loss, asr))
    return LossIntervals(loss=of_loss, asr=of_asr)


def confidences_by_class(
    scored: pd.DataFrame, groups: dict[str, npt.NDArray[np.int64]], class_names: tuple[str, ...]
) -> list[ClassConfidences]:
    """Table 3: of each class the ranges of true-label confidence of its body and its tail, and the groups' means."""
    labels, confidence = scored["label"].to_numpy(), scored["confidence"].to_numpy(np.float64)
    found = []
    for label in np.unique(labels):
        of_class = confidence[labels == label]
        of_groups = {name: confidence[rows[labels[rows] == label]] for name, rows in groups.items()}
        confidences = {
            "class": class_names[label],
            "highest": of_class.max(),
            "edge": np.quantile(of_class, TAIL),
            "lowest": of_class.min(),
            "groups": {name: values.mean() if len(values) else None for name, values in of_groups.items()},
        }
        found.append(ClassConfidences.model_validate(confidences))
    return found


def inversion_of_audit(results: ScoreResults) -> dict[str, AuditAnswer]:
    """Figure 1 from the audit's own inversions: how many of the random group come back, and whether models agree.

    One audit answers it, without seeds, by intervals over samples. Some but not all: the interval of the share lies
    within 5% … 95%. Two models agree: the interval of Spearman's ρ lies above 0; they do not: it lies below .1.

    Raises
    ------
    EvidenceError
        Where nothing was inverted by gradient matching, or nothing of it can be ranked.
    """
    matching = None if results.inversion is None else results.inversion.matching
    if matching is None:
        raise EvidenceError(
            f"figure1 needs gradient matching, and audit {results.audit} left it out",
            hint="; ".join(results.inversion.notes if results.inversion is not None else ())
            + ". Leave figure1 out, or take another size or network.",
        )
    share, agreement = matching.outcomes["recovered"], matching.reliability["models"]
    if share.rate is None or share.ci is None or agreement.spearman is None:
        raise EvidenceError(
            f"figure1 needs reconstructions that differ in quality, and those of audit {results.audit} do not",
            hint="Leave figure1 out, or take another size or network.",
        )
    answered = {
        "as_in_paper": (share.rate, share.ci, share.n, some_but_not_all(share.ci)),
        "controlled": (agreement.spearman, agreement.ci, agreement.n, agree(agreement.ci)),
    }
    return {
        protocol: AuditAnswer(
            mean=mean,
            ci=ci,
            n=n,
            verdict=verdict,
            says=BY_NAME["figure1"].contrasts()[protocol].says,
            first=RANDOM,
        )
        for protocol, (mean, ci, n, verdict) in answered.items()
    }
