"""Trainings of the digits with canaries by coins, private ones and ones that were broken on purpose."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from unittest import mock

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

from privaudit.results.audit.promise import GuessedCoins
from privaudit.runtime.torch_globals import seeded_globals
from privaudit.shadow.trainer import one_thread
from privaudit.signals import signals_of
from privaudit.training.hardware import Hardware
from privaudit.training.loop import Samples, logits_of, train
from privaudit.training.private import clipped_sums, loop
from privaudit.training.private.mechanism import PrivateTraining
from privaudit.training.recipe import PRIVATE, RECIPES, Recipe

#: Real samples, canaries, and what a canary has in the one feature that is its own: no two of them meet in a linear
#: network, and where nothing is clipped, its gradient is about as large as that.
REAL, CANARIES, SCALE = 400, 500, 10.0
RATE, EPOCHS, DELTA = 0.125, 20, 1e-5
HARDWARE = Hardware("cpu", "fp32")

#: What Opacus's accountant says that ε = 1 takes at this rate and number of steps; a test holds it to that.
NOISE = 6.568


@cache
def _pool() -> Samples:
    """Digits as features, which have none of the canaries'; and behind them the canaries, with drawn labels."""
    digits = load_digits()
    inputs = np.zeros((REAL + CANARIES, 64 + CANARIES), np.float32)
    inputs[:REAL, :64] = digits.data[:REAL] / 16
    inputs[REAL:, 64:] = SCALE * np.eye(CANARIES)
    drawn = np.random.default_rng(0).integers(0, 10, CANARIES)
    return Samples.from_arrays(inputs, np.concatenate([digits.target[:REAL], drawn]).astype(np.int64), "cpu")


def private_recipe(noise: float = NOISE) -> Recipe:
    """DP-SGD of ε = 1."""
    privacy = PrivateTraining(
        noise_multiplier=noise, max_grad_norm=1.0, sample_rate=RATE, epsilon=1.0, delta=DELTA, accountant="test"
    )
    return RECIPES[PRIVATE].model_copy(update={"privacy": privacy, "epochs": EPOCHS, "batch_size": 81})


def guess_coins(seed: int, recipe: Recipe) -> GuessedCoins:
    """Train one model, and guess the surest half of its coins by the margin, against canaries of the same label."""
    samples = _pool()
    coins = np.random.default_rng(seed).random(CANARIES) < 0.5
    members = np.concatenate([np.arange(REAL), REAL + np.flatnonzero(coins)])
    rows = np.arange(REAL, REAL + CANARIES)
    labels = samples.labels[rows].numpy()
    with one_thread(HARDWARE), seeded_globals(seed):
        model = nn.Sequential(nn.Linear(64 + CANARIES, 10))
        train(model, samples, members, recipe, seed, HARDWARE)
        score = signals_of(logits_of(model, samples, rows), labels)[:, 0]
    for label in range(10):
        score[labels == label] -= np.median(score[labels == label])
    surest = np.argsort(-np.abs(score))[: CANARIES // 2]
    correct = int(((score[surest] > 0) == coins[surest]).sum())
    return GuessedCoins(correct=correct, guesses=len(surest), canaries=CANARIES)


@contextmanager
def unclipped() -> Iterator[None]:
    """Noise on the mean of a batch that nobody clipped."""
    with mock.patch.object(clipped_sums, "factors", lambda squares, norm: torch.ones_like(squares)):
        yield


@contextmanager
def everybody() -> Iterator[None]:
    """Noise that counts on sampling, and steps that take everybody."""

    def whole(samples: int, rate: float, generator: torch.Generator) -> torch.Tensor:
        return torch.arange(samples)

    true_mean = loop.noisy_mean

    def mean(sums, trained, samples, privacy, generator):  # type: ignore[no-untyped-def]
        # The noise as it was accounted for, on the sum; the mean over those who are there.
        return [one * RATE for one in true_mean(sums, trained, samples, privacy, generator)]

    with mock.patch.object(loop, "draw_batch", whole), mock.patch.object(loop, "noisy_mean", mean):
        yield


@contextmanager
def twice_divided() -> Iterator[None]:
    """Noise that is divided by the batch size once more than the gradients are."""
    true_mean = loop.noisy_mean

    def mean(sums, trained, samples, privacy, generator):  # type: ignore[no-untyped-def]
        less = privacy.noise_multiplier / (privacy.sample_rate * samples)
        changed = privacy.model_copy(update={"noise_multiplier": less})
        return true_mean(sums, trained, samples, changed, generator)

    with mock.patch.object(loop, "noisy_mean", mean):
        yield
