"""Unlearning methods where a plain case says nothing: temperatures, running means, what is left over."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from privaudit.unlearning.ascent_guard import AscentGuard
from privaudit.unlearning.bad_teacher import BadTeacher
from privaudit.unlearning.base import Parameters, StopUnlearning
from privaudit.unlearning.gradient_ascent import GradientAscent
from privaudit.unlearning.parameters import with_changes
from tests.test_methods import CLASSES, FEATURES, everything, kl_gradient, linear_context


def test_the_climb_that_stops_ascent_is_a_running_mean() -> None:
    """Half again as high as allowed, time after time: 1.5 (1 − .8ᵗ) passes 1 at the fifth."""
    context, *_ = linear_context()
    guard = AscentGuard(GradientAscent(context, Parameters(1, 0.1)))
    before = float(guard._before[context.forget].mean())
    loss = before + 1.5 * (guard.ceiling - before)
    for _ in range(4):
        guard.check(everything(context), loss)
    with pytest.raises(StopUnlearning, match="would destroy"):
        guard.check(everything(context), loss)


def test_bad_teacher_asks_teachers_and_model_at_one_temperature() -> None:
    context, weight, x, _ = linear_context()
    changes = {"retain_share": 1, "batch_size": 20, "temperature": 3}
    BadTeacher(context, with_changes(BadTeacher.defaults, changes)).step(everything(context))
    teacher = softmax(x @ weight.T / 3, axis=1)
    teacher[:5] = softmax(x[:5] @ np.full((FEATURES, CLASSES), 0.5) / 3, axis=1)
    gradient = next(context.model.parameters()).grad
    assert gradient is not None
    # T² KL at temperature T has the gradient T (p_T − q_T) xᵀ.
    np.testing.assert_allclose(gradient.numpy(), 3 * kl_gradient(weight / 3, x, teacher), atol=1e-5)
