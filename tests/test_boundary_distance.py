"""Distance to the decision boundary by labels alone: against closed forms, within its budget, and on noise."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from privaudit.attacks.label_only.boundary_distance import Budget, boundary_distances
from privaudit.attacks.label_only.calibrated_distance import calibrated_distance
from privaudit.commands.defence.boundary import _Space
from privaudit.shadow.design import paired_design
from privaudit.statistics.intervals import FloatArray
from privaudit.statistics.roc import auc

Points = npt.NDArray[np.float32]


class Linear:
    """A linear classifier of two classes, which counts what it is asked."""

    def __init__(self, dimensions: int, seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        self.normal = random.normal(size=dimensions)
        self.offset = 0.3
        self.asked = 0

    def __call__(self, points: Points) -> npt.NDArray[np.int64]:
        self.asked += len(points)
        return (points @ self.normal + self.offset > 0).astype(np.int64)

    def distance(self, points: Points) -> FloatArray:
        """In closed form."""
        away: FloatArray = np.abs(points @ self.normal + self.offset) / np.linalg.norm(self.normal)
        return away


def drawn(count: int, dimensions: int, seed: int = 1) -> Points:
    return np.random.default_rng(seed).normal(size=(count, dimensions)).astype(np.float32)


@pytest.mark.parametrize(("dimensions", "queries", "within"), [(2, 400, 1.01), (20, 1000, 1.05), (200, 3000, 1.5)])
def test_it_is_a_linear_classifiers_distance_in_closed_form(dimensions: int, queries: int, within: float) -> None:
    """What is found is a point of the other class: never nearer than the boundary, and near it with many questions."""
    model, samples = Linear(dimensions), drawn(40, dimensions)
    starts = drawn(50, dimensions, 2)
    found = boundary_distances(model, samples, model(samples), starts, queries, np.random.default_rng(0))
    truth = model.distance(samples)
    assert np.all(found >= truth * (1 - 1e-4))
    assert np.median(found / truth) <= within


def test_a_larger_budget_finds_nearer_points_and_none_is_overdrawn() -> None:
    samples, starts = drawn(30, 60), drawn(40, 60, 2)
    sums = []
    for queries in (30, 150, 600, 2400):
        model = Linear(60)
        truth = model(samples)
        model.asked = 0
        found = boundary_distances(model, samples, truth, starts, queries, np.random.default_rng(0))
        assert model.asked <= len(starts) + len(samples) * queries
        assert Budget.of(queries, 60).most <= queries
        sums.append(found.sum())
    assert sums == sorted(sums, reverse=True)
    assert sums[-1] < 0.5 * sums[0]


def test_a_wrong_sample_lies_on_the_boundary_and_one_class_alone_has_none() -> None:
    model, samples, starts = Linear(5), drawn(20, 5), drawn(30, 5, 2)
    truth = model(samples)
    wrong = np.arange(20) < 4
    found = boundary_distances(model, samples, np.where(wrong, 1 - truth, truth), starts, 200, np.random.default_rng(0))
    assert np.all(found[wrong] == 0)
    assert np.all(found[~wrong] > 0)
    zeros = np.zeros(20, np.int64)
    alone = boundary_distances(
        lambda points: np.zeros(len(points), np.int64), samples, zeros, starts, 200, np.random.default_rng(0)
    )
    farthest = np.linalg.norm(samples[:, np.newaxis] - starts, axis=2).max(axis=1)
    np.testing.assert_allclose(alone, farthest, rtol=1e-5)


def test_inputs_stay_within_what_they_may_be() -> None:
    """A sphere in a box: the nearest point of the boundary within it."""
    asked = []

    def outside(points: Points) -> npt.NDArray[np.int64]:
        asked.append((points.min(), points.max()))
        return np.asarray(np.linalg.norm(points - 0.5, axis=1) > 0.4, np.int64)

    samples = (0.5 + 0.05 * drawn(20, 3)).astype(np.float32)
    bounds = np.zeros(3, np.float32), np.ones(3, np.float32)
    corners = np.array([[0, 0, 0], [1, 1, 1], [1, 0, 1]], np.float32)
    found = boundary_distances(outside, samples, np.zeros(20, np.int64), corners, 800, np.random.default_rng(0), bounds)
    assert min(low for low, _ in asked) >= 0
    assert max(high for _, high in asked) <= 1
    truth = 0.4 - np.linalg.norm(samples - 0.5, axis=1)
    assert np.all(found >= truth * (1 - 1e-4))
    assert np.median(found / truth) <= 1.05


def space_of(pool: npt.NDArray[Any], deviation: tuple[float, ...]) -> _Space:
    plan: Any = SimpleNamespace(
        arrays=SimpleNamespace(pool_inputs=pool), specification=SimpleNamespace(statistics=((0.0,), deviation))
    )
    return _Space.of(plan)


def test_distances_of_images_are_in_deviations_of_their_channels_between_black_and_white() -> None:
    pool = np.random.default_rng(0).integers(0, 256, (5, 4, 4, 2), np.uint8)
    pool[:, 0, 0] = 0  # An image's corner may be drawn on, even where no image has anything there.
    space = space_of(pool, (0.5, 0.25))
    points = space.points(pool)
    np.testing.assert_allclose(space.inputs(points), pool / 255, atol=1e-6)
    of_channels = (pool[0] / 255.0 - pool[1] / 255.0) / (0.5, 0.25)
    assert np.linalg.norm(points[0] - points[1]) == pytest.approx(np.linalg.norm(of_channels), rel=1e-5)
    assert space.bounds is not None
    low, high = space.bounds
    assert points.shape == (5, 32)
    assert np.all((space.inputs(low[np.newaxis]) == 0) & (space.inputs(high[np.newaxis]) == 1))


def test_a_feature_that_never_varies_stays_as_it_is() -> None:
    """Its deviation is said to be 1, so that nothing is divided by 0."""
    pool = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    pool[:, 1] = 7
    space = space_of(pool, (2.0, 1.0, 0.5))
    points = space.points(pool)
    np.testing.assert_allclose(points, pool[:, [0, 2]] / (2.0, 0.5), rtol=1e-6)
    np.testing.assert_allclose(space.inputs(points), pool, rtol=1e-6)
    assert np.all(space.inputs(points + 3)[:, 1] == 7)
    assert space.bounds is None


def test_calibrated_distance_is_the_obvious_one() -> None:
    random = np.random.default_rng(0)
    keep = paired_design(12, 8, 0)
    distance = random.exponential(size=keep.shape)
    found = calibrated_distance(distance, keep)
    for model in range(8):
        left = np.setdiff1d(np.arange(8), [model, model ^ 1])
        for sample in range(12):
            others = distance[left, sample][~keep[left, sample]]
            assert found[model, sample] == pytest.approx(distance[model, sample] - others.mean(), abs=1e-12)


def test_noise_reads_one_half_and_members_who_lie_farther_are_found() -> None:
    random = np.random.default_rng(3)
    areas, shifted = [], []
    for draw in range(40):
        keep = paired_design(200, 8, draw)
        # Samples differ by far more than membership does.
        distance = random.exponential(5, 200) + random.uniform(0.2, 2, 200) * random.normal(size=keep.shape)
        areas.append(auc(calibrated_distance(distance, keep).ravel(), keep.ravel()))
        shifted.append(auc(calibrated_distance(distance + keep, keep).ravel(), keep.ravel()))
    assert abs(np.mean(areas) - 0.5) <= 4 * np.std(areas, ddof=1) / np.sqrt(len(areas))
    assert np.mean(shifted) > 0.65
