"""What the target says of each image elsewhere: mirrored, and shifted by some pixels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from privaudit.audit.plan import AuditPlan
from privaudit.shadow.store import TARGET
from privaudit.shadow.trainer import load_model, one_thread
from privaudit.signals import SIGNALS, signals_of
from privaudit.training.loop import Samples, logits_of

#: (pixels down, pixels right, mirrored) of each view.
VIEWS = ((0, 0, True), (2, 2, False), (-2, -2, False))


def asked_elsewhere(plan: AuditPlan) -> npt.NDArray[np.float64] | None:
    """Return the target's margins of other views of every sample, ``[n, V]``, members first.

    What was learned by heart is this image and no other: how sure the model is of its mirror image tells how hard the
    image is. None of samples that are no images, and of models whose answers alone are kept.
    """
    specification, arrays = plan.specification, plan.arrays
    if not plan.data.is_image or specification.estimator is not None or specification.is_head:
        return None
    parts = [(arrays.pool_inputs, arrays.pool_labels), (arrays.test_inputs, arrays.test_labels)]
    with one_thread(specification.hardware):
        model = load_model(specification, plan.store.model(TARGET))
        found = []
        for inputs, labels in parts:
            samples = Samples.from_arrays(inputs, labels, specification.hardware.device)
            views = [signals_of(logits_of(model, samples, None, seen_as), labels) for seen_as in VIEWS]
            found.append(np.stack([view[:, SIGNALS.index("margin")] for view in views], axis=1))
    return np.concatenate(found).astype(np.float64)
