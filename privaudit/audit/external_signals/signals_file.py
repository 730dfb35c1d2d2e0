"""A file of logits that somebody else's models gave: read, checked, and turned into evidence. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.attacks.lira import FEWEST_MODELS
from privaudit.attacks.suite import Evidence
from privaudit.audit.external_signals.signals_design import Design, find_design, rotation_of
from privaudit.audit.external_signals.signals_kinds import CURE, LOGITS, Kind, kind_of
from privaudit.audit.metadata import read_metadata, read_subjects
from privaudit.audit.outlying_models import find_outlying, models_left
from privaudit.data.formats.arrays import read_npz
from privaudit.errors import DataError, EvidenceError
from privaudit.results.audit.outliers import Outliers
from privaudit.scoring.reliability.outliers import drawn_in
from privaudit.scoring.score_table import SampleFacts
from privaudit.signals import SIGNALS, signal, signals_of

#: Fewest models on either side of a sample: one is dropped from each, and one must be left.
FEWEST_A_SIDE = 2

LAYOUT = (
    "It needs logits [S, N, C] or [S, N, Q, C] (or statistic [S, N]), keep [S, N] bool, labels [N]; optional are "
    "sample_ids [N], class_names [C], population_logits [S, Z, C] with population_labels [Z]."
)


@dataclass(frozen=True)
class SignalsFile:
    """What a signals file holds, checked."""

    evidence: Evidence
    facts: SampleFacts
    queries: int
    classes: int | None
    design: Design
    outliers: Outliers
    notes: tuple[str, ...]


def read_signals_file(path: Path, seed: int, metadata: Path | None = None) -> SignalsFile:
    """Read ``--signals FILE.npz``.

    Parameters
    ----------
    path
        The file; see `LAYOUT`.
    seed
        Chooses which model of the other side is dropped with a target that has no complement.
    metadata
        A CSV of properties of the samples, if any.

    Raises
    ------
    DataError
        Names what is wrong with the file, and where.
    EvidenceError
        Where there are too few models to say anything.
    """
    arrays = read_npz(path)
    source = path.name
    for name in ("keep", "labels"):
        if name not in arrays:
            raise DataError(f"{source} lacks {name}", hint=f"It holds: {', '.join(arrays) or 'nothing'}. {LAYOUT}")
    keep = _membership(arrays["keep"], source)
    labels = _integers(arrays["labels"], "labels", keep.shape[1], source)
    if ("logits" in arrays) == ("statistic" in arrays):
        held = "both logits and statistic" if "logits" in arrays else "neither logits nor statistic"
        raise DataError(f"{source} holds {held}", hint=LAYOUT)
    classes: int | None = None
    notes: list[str | None] = []
    if "logits" in arrays:
        logits = _numbers(arrays["logits"], "logits", keep.shape, (3, 4), source)
        logits = logits[:, :, np.newaxis] if logits.ndim == 3 else logits
        classes = max(2, logits.shape[-1])
        _check_labels(labels, "labels", classes, source)
        kind = kind_of(logits, labels, "logits", source)
        notes = [kind.note("logits")]
        signals = signals_of_models(logits, labels, kind)
    else:
        statistic = _numbers(arrays["statistic"], "statistic", keep.shape, (2,), source)
        signals = np.full((*keep.shape, 1, len(SIGNALS)), np.nan, np.float32)
        signals[..., SIGNALS.index("margin")] = statistic[:, :, np.newaxis]
        if labels.min() < 0:
            raise DataError(f"{source}: label {labels.min()} is negative")
    population, note = _population(arrays, len(keep), classes, source)
    facts = _facts(arrays, labels, classes, source)
    outliers = find_outlying(
        signal(signals, "margin"),
        facts.sample_ids,
        find_design(keep).mates,
        lambda left: _are_enough(keep[left]),
        is_margin=classes is not None,
    )
    evidence, design = evidence_of(signals, keep, population, seed, source, models_left(outliers, len(keep)))
    if metadata is not None:
        facts = replace(
            facts,
            properties=read_metadata(metadata, facts.sample_ids),
            subjects=read_subjects(metadata, facts.sample_ids),
            subjects_from="subject_id",
        )
    said = tuple(note for note in (*notes, note) if note)
    return SignalsFile(evidence, facts, signals.shape[2], classes, design, outliers, said)


def evidence_of(
    signals: npt.NDArray[Any],
    keep: npt.NDArray[np.bool_],
    population: npt.NDArray[Any] | None,
    seed: int,
    source: str,
    left: npt.NDArray[np.bool_] | None = None,
) -> tuple[Evidence, Design]:
    """Evidence of the models that take part, complements next to each other, and how they stand to each other.

    Raises
    ------
    EvidenceError
        Where too few models were trained on different samples.
    """
    design = find_design(keep, left)
    order = design.order
    if len(order) < FEWEST_MODELS:
        raise EvidenceError(
            f"{source}: {design.sentence()}; {len(order)} models are too few: LiRA needs at least {FEWEST_MODELS}"
        )
    keep = _membership(keep[order], f"{source} ({design.sentence()})" if design.left_out else source)
    evidence = Evidence(signals[order], keep, population=None if population is None else population[order])
    if not design.is_paired:
        rotation = rotation_of(design, keep, seed)
        evidence = replace(evidence, partners=rotation.partners, used=rotation.used, clusters=rotation.clusters)
    return replace(evidence, signals=drawn_in(evidence.signals, evidence.used)), design


def signals_of_models(
    logits: npt.NDArray[Any], labels: npt.NDArray[np.int64], kind: Kind = LOGITS
) -> npt.NDArray[np.float32]:
    """Signals ``[S, N, Q, K]`` of logits ``[S, N, Q, C]``, or of what is taken for them, a model at a time."""
    models, samples, queries = logits.shape[:3]
    signals = np.empty((models, samples, queries, len(SIGNALS)), np.float32)
    for model in range(models):
        of_model = kind.logits(logits[model])
        for query in range(queries):
            signals[model, :, query] = signals_of(of_model[:, query], labels)
    return signals


def _membership(value: npt.NDArray[Any], source: str) -> npt.NDArray[np.bool_]:
    if value.dtype != np.bool_ or value.ndim != 2:
        raise DataError(
            f"{source}: keep is {value.dtype} {list(value.shape)}: it must be bool [S, N], True where model s was "
            "trained on sample i",
            hint="Save it with keep.astype(bool).",
        )
    models, samples = value.shape
    if models < FEWEST_MODELS:
        raise EvidenceError(
            f"{source}: {models} models are too few: LiRA drops the target and one model of the other side from each "
            f"fit, so it needs at least {FEWEST_MODELS}"
        )
    if samples < 2:
        raise DataError(f"{source}: {samples} samples are too few")
    inside = value.sum(axis=0)
    for counts, what in ((inside, "trained on it"), (models - inside, "not trained on it")):
        lonely = np.flatnonzero(counts < FEWEST_A_SIDE)
        if len(lonely):
            number = ("no model", "one model only")[int(counts[lonely[0]])]
            raise DataError(
                f"{source}: sample {lonely[0]} has {number} that was {what} ({len(lonely)} such samples): each needs "
                f"at least {FEWEST_A_SIDE} models on either side",
                hint="Leave those samples out, or train more models.",
            )
    return value


def _are_enough(keep: npt.NDArray[np.bool_]) -> bool:
    inside = keep.sum(axis=0)
    return bool(np.all(np.minimum(inside, len(keep) - inside) >= FEWEST_A_SIDE))


def _numbers(
    value: npt.NDArray[Any], name: str, shape: tuple[int, ...], dimensions: tuple[int, ...], source: str
) -> npt.NDArray[Any]:
    if not (np.issubdtype(value.dtype, np.floating) or np.issubdtype(value.dtype, np.integer)):
        raise DataError(f"{source}: {name} is {value.dtype}: it must be numbers")
    if value.ndim not in dimensions or value.shape[:2] != shape or 0 in value.shape:
        raise DataError(
            f"{source}: {name} has shape {list(value.shape)}, keep {list(shape)}: the first two must agree", hint=LAYOUT
        )
    for model, part in enumerate(value):
        # Minus infinity is the logarithm of a probability of 0: whether it is one is asked where the kind is told.
        bad = np.argwhere(~(np.isfinite(part) | (np.isneginf(part) & (name != "statistic"))))
        if len(bad):
            raise DataError(
                f"{source}: {name} holds {part[tuple(bad[0])]} for model {model}, sample {bad[0][0]} "
                f"({len(bad)} such values in that model)",
                hint=CURE,
            )
    return value


def _integers(value: npt.NDArray[Any], name: str, length: int, source: str) -> npt.NDArray[np.int64]:
    if value.ndim != 1 or not np.issubdtype(value.dtype, np.integer) or len(value) != length:
        raise DataError(f"{source}: {name} is {value.dtype} {list(value.shape)}: it must be integers [{length}]")
    return value.astype(np.int64)


def _check_labels(labels: npt.NDArray[np.int64], name: str, classes: int, source: str) -> None:
    outside = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(outside):
        raise DataError(
            f"{source}: {name}[{outside[0]}] = {labels[outside[0]]} is out of range: there are {classes} classes"
        )


def _population(
    arrays: Mapping[str, npt.NDArray[Any]], models: int, classes: int | None, source: str
) -> tuple[npt.NDArray[Any] | None, str | None]:
    if "population_logits" not in arrays:
        return None, None
    if classes is None or "population_labels" not in arrays:
        raise DataError(f"{source}: population_logits need logits and population_labels", hint=LAYOUT)
    logits = arrays["population_logits"]
    if logits.ndim != 3 or len(logits) != models or max(2, logits.shape[2]) != classes:
        raise DataError(
            f"{source}: population_logits has shape {list(logits.shape)}: it must be [{models}, Z, {classes}]"
        )
    logits = _numbers(logits, "population_logits", logits.shape[:2], (3,), source)
    labels = _integers(arrays["population_labels"], "population_labels", logits.shape[1], source)
    _check_labels(labels, "population_labels", classes, source)
    kind = kind_of(logits[:, :, np.newaxis], labels, "population_logits", source)
    return signals_of_models(logits[:, :, np.newaxis], labels, kind), kind.note("population_logits")


def _facts(
    arrays: Mapping[str, npt.NDArray[Any]], labels: npt.NDArray[np.int64], classes: int | None, source: str
) -> SampleFacts:
    count = int(labels.max()) + 1 if classes is None else classes
    names = tuple(map(str, np.asarray(arrays.get("class_names", np.arange(count))).ravel().tolist()))
    if len(names) < count or len(set(names)) < len(names):
        raise DataError(f"{source}: class_names must be {count} different names, not {len(names)}")
    ids = _integers(arrays.get("sample_ids", np.arange(len(labels))), "sample_ids", len(labels), source)
    if len(np.unique(ids)) < len(ids):
        raise DataError(f"{source}: sample_ids are not unique")
    return SampleFacts(ids, labels, names, np.zeros(len(labels), np.bool_))
