"""Trainings of the digits with canaries by coins, private ones and ones that were broken on purpose."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from unittest import mock

import numpy as np
import torch
from sklearn.datasets import load_digits

from privaudit.networks import build_network
from privaudit.results.audit.promise import GuessedCoins
from privaudit.shadow.trainer import one_thread
from privaudit.signals import signals_of
from privaudit.training.hardware import Hardware
from privaudit.training.loop import Samples, logits_of, train
from privaudit.training.private import clipped_sums, loop
from privaudit.training.private.mechanism import PrivateTraining, steps_of
from privaudit.training.recipe import PRIVATE, RECIPES, Recipe

#: Canaries, and in how many times the data's scale: where nothing is clipped, large inputs have large gradients.
CANARIES, SCALE = 500, 3.0
REAL = 400
RATE, EPOCHS, DELTA = 0.125, 20, 1e-5
HARDWARE = Hardware("cpu", "fp32")

#: What Opacus's accountant says that ε = 1 takes at this rate and number of steps; a test holds it to that.
NOISE = 6.568


@cache
def _pool() -> tuple[Samples, int]:
    """The digits as features, and behind them noise with drawn labels."""
    digits = load_digits()
    data, target = digits.data[:REAL], digits.target[:REAL]
    random = np.random.default_rng(0)
    made_up = SCALE * random.random((CANARIES, 64)).astype(np.float32)
    inputs = np.concatenate([(data / 16).astype(np.float32), made_up])
    labels = np.concatenate([target, random.integers(0, 10, CANARIES)]).astype(np.int64)
    return Samples.from_arrays(inputs, labels, "cpu"), REAL


def private_recipe(noise: float = NOISE) -> Recipe:
    """DP-SGD of ε = 1."""
    privacy = PrivateTraining(
        noise_multiplier=noise, max_grad_norm=1.0, sample_rate=RATE, epsilon=1.0, delta=DELTA, accountant="test"
    )
    return RECIPES[PRIVATE].model_copy(update={"privacy": privacy, "epochs": EPOCHS, "batch_size": 81})


def guess_coins(seed: int, recipe: Recipe, trainings: int = 1) -> GuessedCoins:
    """Train so many models, each with coins of its own, and guess the surest half of all coins by the margin.

    A coin bears on its own training alone, so that all of them together are coins of one mechanism that keeps the
    promise of each.
    """
    samples, real = _pool()
    scores, coins = [], []
    for training in range(trainings):
        random = np.random.default_rng([seed, training])
        coin = random.random(CANARIES) < 0.5
        members = np.concatenate([np.arange(real), real + np.flatnonzero(coin)])
        model = build_network("mlp", (64,), 10, ([0.3] * 64, [0.4] * 64), seed * 1000 + training)
        with one_thread(HARDWARE):
            train(model, samples, members, recipe, seed * 1000 + training, HARDWARE)
            rows = np.arange(real, real + CANARIES)
            signals = signals_of(logits_of(model, samples, rows), samples.labels[rows].numpy())
        scores.append(signals[:, 0] - np.median(signals[:, 0]))
        coins.append(coin)
    score, truth = np.concatenate(scores), np.concatenate(coins)
    surest = np.argsort(-np.abs(score))[: len(score) // 2]
    correct = int(((score[surest] > 0) == truth[surest]).sum())
    return GuessedCoins(correct=correct, guesses=len(surest), canaries=len(truth))


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
        less = privacy.model_copy(
            update={"noise_multiplier": privacy.noise_multiplier / (privacy.sample_rate * samples)}
        )
        return true_mean(sums, trained, samples, privacy, generator)

    with mock.patch.object(loop, "noisy_mean", mean):
        yield


STEPS = steps_of(EPOCHS, RATE)
