"""Trainings of the digits with canaries that are gradients, private ones and ones that were broken on purpose."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from unittest import mock

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

from privaudit.results.audit.promise import Promise
from privaudit.scoring.promise.steps import counts_of_steps
from privaudit.shadow.trainer import one_thread
from privaudit.training.hardware import Hardware
from privaudit.training.loop import Samples, seeded_layers
from privaudit.training.private import loop
from privaudit.training.private.canary_gradients import CanaryGradients
from privaudit.training.private.loop import train_privately
from privaudit.training.recipe import Recipe

REAL, CANARIES, HIDDEN = 400, 1000, 32
HARDWARE = Hardware("cpu", "fp32")


@cache
def _samples() -> Samples:
    digits = load_digits()
    inputs = (digits.data[:REAL] / 16).astype(np.float32)
    return Samples.from_arrays(inputs, digits.target[:REAL].astype(np.int64), "cpu")


def read_steps(seed: int, recipe: Recipe, canaries: int = CANARIES) -> Promise:
    """Train one network on digits and canaries by coins, and count what whoever reads its steps tells."""
    assert recipe.privacy is not None
    random = np.random.default_rng(seed)
    coins = random.random(canaries) < 0.5
    numbers = random.choice(65 * HIDDEN + (HIDDEN + 1) * 10, canaries, replace=False)
    planted = CanaryGradients(numbers, coins)
    with one_thread(HARDWARE), seeded_layers(seed, torch.device("cpu")):
        model = nn.Sequential(nn.Linear(64, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 10))
        train_privately(model, _samples(), np.arange(REAL), recipe, seed, HARDWARE, None, planted)
    return counts_of_steps(planted.observed(), coins, recipe.privacy, seed)


@contextmanager
def everybody() -> Iterator[None]:
    """Noise that counts on sampling, and steps that take everybody."""
    with mock.patch.object(loop, "draw_batch", lambda samples, rate, generator: torch.arange(samples)):
        yield
