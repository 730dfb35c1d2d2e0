"""One teacher a sample, drawn together: chances stay what they are, and how many teach the right label is no chance."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from privaudit.training.loop import Samples
from privaudit.unlearning.application.nearest_retained import nearest_retained
from privaudit.unlearning.one_teacher import OneTeacher, drawn_together


def test_as_many_as_expected_are_drawn_in_all_and_of_each_label() -> None:
    random = np.random.default_rng(0)
    share, labels = random.choice([0, 0.25, 1 / 3, 0.5, 1], 300), random.integers(0, 5, 300)
    for _ in range(50):
        drawn = drawn_together(share, labels, random)
        assert drawn[share == 1].all()
        assert not drawn[share == 0].any()
        assert abs(drawn.sum() - share.sum()) < 1
        for label in range(5):
            of_label = labels == label
            assert abs(drawn[of_label].sum() - share[of_label].sum()) < 1


def test_each_has_its_own_chance() -> None:
    random = np.random.default_rng(1)
    share, labels = np.array([0.1, 0.5, 0.5, 0.9, 0.3, 0.7]), np.array([0, 0, 1, 1, 0, 1])
    drawn = np.mean([drawn_together(share, labels, random) for _ in range(8000)], axis=0)
    # Three standard errors of a share of 8,000.
    assert drawn == pytest.approx(share, abs=0.017)


def test_the_teachers_of_a_set_are_right_as_often_as_teachers_are() -> None:
    """Four teachers of 400 samples, each right on its own half of them: drawn one by one, 200 ± 10 would be right."""
    random = np.random.default_rng(2)
    labels = torch.from_numpy(random.integers(0, 4, 400))
    one = OneTeacher(labels, 4)
    right = random.random((4, 400)) < 0.5
    for number in range(4):
        says = np.where(right[number], labels.numpy(), (labels.numpy() + 1) % 4)
        one.add(number, torch.eye(4, dtype=torch.float64)[torch.from_numpy(says)], np.ones(400, bool), None)
    who, answers = one.chosen()
    assert abs((answers.argmax(1) == labels).sum().item() - right.mean(axis=0).sum()) < 1
    # What is taught is what that teacher says, and each of them teaches.
    assert np.array_equal(right[who, np.arange(400)], (answers.argmax(1) == labels).numpy())
    assert np.bincount(who, minlength=4).min() > 60


def test_a_fresh_teacher_of_its_own_sees_what_lies_nearest_to_the_forgotten() -> None:
    """Two forget samples at 0 and 100, one after the other has its nearest; what is nearest to both counts once."""
    places = np.array([0, 100, 1, 2, 3, 40, 60, 99, 90, 50], np.float32)
    samples = Samples.from_arrays(places[:, None], np.zeros(10, np.int64), "cpu")
    forget, retain = np.array([0, 1]), np.arange(2, 10)
    for count, expected in ((1, [1]), (2, [1, 99]), (3, [1, 2, 99]), (4, [1, 2, 90, 99]), (8, sorted(places[2:]))):
        found = nearest_retained(samples, forget, retain, count)
        assert sorted(places[found]) == expected
    assert len(nearest_retained(samples, forget, retain, 0)) == 0
    # In parts it is the same.
    many = Samples.from_arrays(
        np.random.default_rng(3).normal(size=(300, 4)).astype(np.float32), np.zeros(300, int), "cpu"
    )
    whole = nearest_retained(many, np.arange(5), np.arange(5, 300), 40)
    for size in (7, 60):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("privaudit.unlearning.application.nearest_retained.CHUNK", size)
            assert np.array_equal(nearest_retained(many, np.arange(5), np.arange(5, 300), 40), whole)
