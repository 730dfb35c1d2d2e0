"""Signals against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special, stats

from privaudit.signals import SIGNALS, signal, signals_of


def test_signals_are_their_definitions() -> None:
    random = np.random.default_rng(0)
    z, y = random.normal(size=(50, 7)) * 3, random.integers(0, 7, 50)
    found = signals_of(z, y)
    assert found.dtype == np.float32
    for i in range(50):
        p = special.softmax(z[i])
        others = np.delete(z[i], y[i])
        ordered = np.sort(z[i])
        expected = {
            "margin": z[i, y[i]] - others.max(),
            "logit-gap": ordered[-1] - ordered[-2],
            "scaled-logit": np.log(p[y[i]] / (1 - p[y[i]])),
            "loss": -np.log(p[y[i]]),
            "entropy": stats.entropy(p),
            "confidence": p[y[i]],
        }
        for name in SIGNALS:
            assert signal(found, name)[i] == pytest.approx(expected[name], rel=1e-5, abs=1e-6)


def test_the_gap_is_the_margins_size() -> None:
    random = np.random.default_rng(1)
    found = signals_of(random.normal(size=(100, 2)), random.integers(0, 2, 100))
    np.testing.assert_allclose(signal(found, "logit-gap"), np.abs(signal(found, "margin")), rtol=1e-6)


def test_extreme_logits_stay_finite() -> None:
    z = np.array([[1e4, -1e4, 0.0], [-1e4, 1e4, 0.0], [0.0, 0.0, 0.0]], np.float32)
    assert np.isfinite(signals_of(z, np.array([0, 0, 1]))).all()


def test_one_logit_is_a_binary_model() -> None:
    found = signals_of(np.array([[2.0], [2.0]]), np.array([1, 0]))
    np.testing.assert_allclose(signal(found, "margin"), [2, -2])
    np.testing.assert_allclose(signal(found, "confidence"), special.expit([2, -2]), rtol=1e-6)
