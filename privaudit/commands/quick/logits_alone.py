"""`privaudit quick --signals FILE`: a model of which the logits alone are at hand. No torch."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.audit.external_signals.signals_file import signals_of_models
from privaudit.audit.external_signals.signals_kinds import kind_of
from privaudit.data.formats.arrays import read_npz
from privaudit.errors import DataError
from privaudit.results.audit.quick_results import QuickAnswer, QuickSeconds, TargetAccuracy
from privaudit.runtime.progress import talk
from privaudit.scoring.few_models.attack_target import TargetEvidence, all_clear_refuted, attack_target, forecast
from privaudit.scoring.few_models.sample_features import of_labels
from privaudit.signals import SIGNALS, signal

LAYOUT = "It needs logits [N, C], labels [N] and member [N] bool, True where the model was trained on the sample."

#: Fewer of a side say nothing.
FEWEST_OF_A_SIDE = 10


def run_logits(path: Path, seed: int) -> QuickAnswer:
    """Attack the model of a file of logits; return what ``quick --json`` prints."""
    started = time.perf_counter()
    logits, labels, member, note = _read(path)
    order = np.argsort(~member, kind="stable")
    logits, labels, members = logits[order], labels[order], int(member.sum())
    signals = signals_of_models(logits[np.newaxis, :, np.newaxis], labels)[0, :, 0]
    nobody = np.empty((0, len(labels), len(SIGNALS)), np.float32)
    keep = np.empty((0, members), np.bool_)
    evidence = TargetEvidence(signals, members, of_labels(labels), nobody, keep)
    attacks = attack_target(evidence, seed)
    right = signal(signals, "margin") > 0
    if note is not None:
        talk(f"  {note}")
    return QuickAnswer(
        audit=None,
        members=members,
        others=len(labels) - members,
        shadows=0,
        trained=0,
        attack=list(attacks)[-1],
        attacks=attacks,
        forecast=forecast(evidence),
        accuracy=TargetAccuracy(members=float(right[:members].mean()), others=float(right[members:].mean())),
        blind=None,
        seconds=QuickSeconds(training=0.0, attacking=round(time.perf_counter() - started, 3)),
        notes=() if note is None else (note,),
        warnings=(
            *all_clear_refuted(attacks),
            "whether members and others are alike but for membership can't be told from logits alone",
        ),
    )


def _read(path: Path) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64], npt.NDArray[np.bool_], str | None]:
    """Logits, labels, who is a member, and what the numbers are; `DataError` names what is wrong."""
    try:
        arrays, source = read_npz(path), path.name
    except DataError as error:
        raise DataError(error.message, hint=LAYOUT) from error
    for name in ("logits", "labels", "member"):
        if name not in arrays:
            raise DataError(f"{source} lacks {name}", hint=f"It holds: {', '.join(arrays) or 'nothing'}. {LAYOUT}")
    logits, labels, member = arrays["logits"], arrays["labels"], arrays["member"]
    if logits.ndim != 2 or logits.dtype.kind not in "fiu" or 0 in logits.shape:
        raise DataError(
            f"{source}: logits is {logits.dtype} {list(logits.shape)}: it must be numbers [N, C]", hint=LAYOUT
        )
    if labels.shape != logits.shape[:1] or labels.dtype.kind not in "iu":
        raise DataError(f"{source}: labels is {labels.dtype} {list(labels.shape)}: it must be integers [{len(logits)}]")
    if member.shape != logits.shape[:1] or member.dtype != np.bool_:
        raise DataError(f"{source}: member is {member.dtype} {list(member.shape)}: it must be bool [{len(logits)}]")
    wrong = np.argwhere(np.isnan(logits) | np.isposinf(logits))
    if len(wrong):
        raise DataError(f"{source}: logits of sample {wrong[0][0]} are not numbers ({len(wrong):,} such values)")
    classes = max(2, logits.shape[1])
    outside = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(outside):
        raise DataError(f"{source}: labels[{outside[0]}] = {labels[outside[0]]}: there are {classes} classes")
    for count, what in ((int(member.sum()), "True"), (int((~member).sum()), "False")):
        if count < FEWEST_OF_A_SIDE:
            raise DataError(
                f"{source}: member is {what} for {count:,} of {len(member):,} samples: it needs {FEWEST_OF_A_SIDE} "
                "that the model was trained on, and as many that it was not",
                hint=LAYOUT,
            )
    labels = labels.astype(np.int64)
    kind = kind_of(logits[np.newaxis, :, np.newaxis], labels, "logits", source)
    return kind.logits(logits[:, np.newaxis])[:, 0], labels, member, kind.note("logits")
