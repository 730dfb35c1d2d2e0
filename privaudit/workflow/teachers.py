"""Where the teachers of `shadow-teacher` come from: the stored shadow models, or new ones that exclude D_u."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
from torch import nn

from privaudit.errors import EvidenceError
from privaudit.seeds import generator
from privaudit.shadow.trainer import train_with_new_seeds
from privaudit.training.loop import Samples
from privaudit.unlearning.forget_set import ForgetSet
from privaudit.unlearning.parameters import Parameters
from privaudit.unlearning.teachers import Teachers, average, split_pairs, teachers_of
from privaudit.workflow.plan import AuditPlan

#: Why a whole class has no teachers among the stored shadow models.
CLUSTERED = (
    "more than half of a class is to be forgotten, and the shadow models saw half of every class: none of them says "
    "how a model without it behaves. --parameter fresh_teachers=2 trains teachers that exclude the forget set, and "
    "counts their cost"
)


def teachers_for(
    plan: AuditPlan,
    samples: Samples,
    forget: ForgetSet,
    retain: npt.NDArray[np.int64],
    parameters: Parameters,
    seed: int,
) -> tuple[Callable[[], Teachers] | None, str]:
    """How to make the teachers of a forget set when a method asks for them; or None, and why.

    Parameters
    ----------
    samples
        The pool, on the device.
    parameters
        Of the method: where they ask for ``fresh_teachers`` those are trained, by the target's recipe, on random
        shares of D_r.
    seed
        Of the run: which pairs teach, and what fresh teachers are trained with.
    """
    fresh = int(getattr(parameters, "fresh_teachers", 0))
    if fresh:
        share = float(getattr(parameters, "fresh_share", 0.5))
        return lambda: _trained(plan, samples, forget.rows, retain, fresh, share, seed), ""
    if not forget.scattered:
        return None, CLUSTERED
    try:
        pairs = split_pairs(plan.shadows, seed)
    except EvidenceError as error:
        return None, error.message
    keep = plan.store.read_design()[: plan.shadows]
    return lambda: teachers_of(plan.store, plan.specification, samples, forget.rows, keep, pairs), ""


def _trained(
    plan: AuditPlan,
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

    def asked() -> Iterator[tuple[nn.Module, npt.NDArray[np.bool_]]]:
        for number in range(models):
            chosen = np.sort(generator(seed, "fresh-teacher", number).permutation(retain)[:size])
            model, _, _ = train_with_new_seeds(plan.specification, samples, chosen, ("fresh-teacher", seed, number))
            yield model, np.ones(len(rows), np.bool_)

    trained = models * size * plan.specification.recipe.epochs
    return average(asked(), samples, rows, plan.specification.classes, trained)
