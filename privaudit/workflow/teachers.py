"""Where the teachers of `shadow-teacher` come from: the stored shadow models, or new ones that exclude D_u."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from torch import nn

from privaudit.errors import EvidenceError, UsageError
from privaudit.seeds import generator
from privaudit.shadow.store import AuditStore
from privaudit.shadow.trainer import ModelSpecification, train_with_new_seeds
from privaudit.training.loop import Samples
from privaudit.unlearning.base import UNLEARNERS
from privaudit.unlearning.forget_set import ForgetSet
from privaudit.unlearning.parameters import Parameters
from privaudit.unlearning.teachers import Teachers, average, split_pairs, teachers_of

FRESH = "--parameter fresh_teachers=2 trains teachers that exclude the forget set, and counts their cost."


def why_no_teachers(forget: ForgetSet, shadows: int, parameters: Parameters) -> str | None:
    """Why nothing can teach this forget set; None where something can."""
    if getattr(parameters, "fresh_teachers", 0):
        return None
    if not forget.scattered:
        return (
            "more than half of a class is to be forgotten, and the shadow models saw half of every class: none of "
            "them says how a model without it behaves"
        )
    try:
        split_pairs(shadows, 0)
    except EvidenceError as error:
        return error.message
    return None


def check_applicable(method: str, forget: ForgetSet, shadows: int, parameters: Parameters) -> None:
    """Raise `UsageError` where the method needs teachers and there are none: before anything is trained."""
    if UNLEARNERS.load(method).needs_teachers and (why := why_no_teachers(forget, shadows, parameters)):
        raise UsageError(f"{method} is not applicable: {why}", hint=FRESH)


def teachers_for(
    store: AuditStore,
    specification: ModelSpecification,
    keep: npt.NDArray[np.bool_],
    samples: Samples,
    forget: ForgetSet,
    retain: npt.NDArray[np.int64],
    parameters: Parameters,
    seed: int,
) -> tuple[Callable[[], Teachers] | None, str]:
    """How to make the teachers of a forget set when a method asks for them; or None, and why.

    Parameters
    ----------
    keep
        bool ``[S, N]``: who of the stored shadow models saw what. Their pairs are split by the audit's seed, so that
        the same ones judge whatever is unlearned.
    samples
        The pool, on the device.
    parameters
        Of the method: where they ask for ``fresh_teachers`` those are trained, by the target's recipe, on random
        shares of D_r.
    seed
        Of the run: decides fresh teachers.
    """
    if why := why_no_teachers(forget, len(keep), parameters):
        return None, why
    fresh = int(getattr(parameters, "fresh_teachers", 0))
    if fresh:
        share = float(getattr(parameters, "fresh_share", 1.0))
        return lambda: _trained(specification, samples, forget.rows, retain, fresh, share, seed), ""
    pairs = split_pairs(len(keep), specification.seed)
    return lambda: teachers_of(store, specification, samples, forget.rows, keep, pairs), ""


def _trained(
    specification: ModelSpecification,
    samples: Samples,
    forget: npt.NDArray[np.int64],
    retain: npt.NDArray[np.int64],
    models: int,
    share: float,
    seed: int,
) -> Teachers:
    """Train models that never saw D_u, each on its own random share of D_r, and ask them."""
    size = max(1, round(share * len(retain)))
    rows = np.sort(forget)

    gradients = []

    def asked() -> Iterator[tuple[nn.Module, npt.NDArray[np.bool_]]]:
        for number in range(models):
            chosen = np.sort(generator(seed, "fresh-teacher", number).permutation(retain)[:size])
            model, record, _ = train_with_new_seeds(specification, samples, chosen, ("fresh-teacher", seed, number))
            gradients.append(record.gradients)
            yield model, np.ones(len(rows), np.bool_)

    teachers = average(asked(), samples, rows, specification.classes)
    return replace(teachers, trained_samples=sum(gradients))
