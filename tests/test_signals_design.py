"""Complementary pairs are found by content wherever they stand, and noise reads ½ in every order and mixture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from privaudit.attacks.suite import ATTACKS, Evidence
from privaudit.audit.external_signals.signals_design import Design, find_design, rotation_of
from privaudit.audit.external_signals.signals_file import evidence_of
from privaudit.errors import EvidenceError
from privaudit.shadow.design import paired_design
from privaudit.signals import SIGNALS
from privaudit.statistics.roc import auc
from tests.conftest import Run

Mask = npt.NDArray[np.bool_]


def halves(models: int, samples: int, seed: int) -> Mask:
    """Each sample was seen by a random half of the models, which so have about half of the samples each."""
    return np.random.default_rng(seed).random((models, samples)).argsort(axis=0).argsort(axis=0) < models // 2


def noise(random: np.random.Generator, keep: Mask, owed: float = 0.3) -> npt.NDArray[np.float64]:
    """A statistic that no membership moves; models of disjoint training sets have a correlation of −``owed``.

    Each is √(1 − owed) of noise of its own and √owed of what its training set adds, the sum over a sample's own random
    vector: models that share training samples are alike, and complements are opposites.
    """
    samples = keep.shape[1]
    effects = random.normal(size=(samples, 100)) / 10
    of_set = (keep - keep.mean(axis=1, keepdims=True)) @ effects
    of_set /= np.sqrt(np.mean(of_set**2))
    directions = random.normal(size=(100, samples)) / 10
    values: npt.NDArray[np.float64] = np.sqrt(1 - owed) * random.normal(size=keep.shape)
    values += np.sqrt(owed) * (of_set @ directions)
    return values


def read(values: npt.NDArray[Any], keep: Mask, seed: int = 0, names: tuple[str, ...] = ("lira",)) -> dict[str, float]:
    signals = np.full((*keep.shape, 1, len(SIGNALS)), np.nan)
    signals[..., 0, SIGNALS.index("margin")] = values
    evidence, _ = evidence_of(signals, keep, None, seed, "x")
    scores = {name: ATTACKS[name].score(evidence) for name in names}
    return {name: auc(found[evidence.cells], evidence.keep[evidence.cells]) for name, found in scores.items()}


def order_of(models: int, seed: int) -> npt.NDArray[np.int64]:
    return np.random.default_rng(seed).permutation(models)


def test_pairs_are_found_in_every_order() -> None:
    keep = paired_design(500, 16, 0)
    for seed in range(5):
        order = order_of(16, seed)
        found = find_design(keep[order])
        assert found.is_paired
        assert len(found.pairs) == 8
        assert all(order[a] ^ 1 == order[b] for a, b in found.pairs)
        assert found.sentence() == "16 models: 8 complementary pairs, found by content"
    assert find_design(keep).order.tolist() == list(range(16))


def test_pairs_among_single_models_repeats_and_rivals() -> None:
    keep, others = paired_design(500, 12, 0), halves(4, 500, 1)
    mixed = np.concatenate([keep, others])[order_of(16, 2)]
    assert find_design(mixed).sentence() == (
        "16 models: 6 complementary pairs and 4 models without complement, found by content"
    )
    odd = find_design(keep[[0, 2, 4, 1, 3, 5, 7]])
    assert odd.is_paired
    assert odd.left_out == (6,)
    assert odd.sentence() == (
        "7 models: 3 complementary pairs, found by content; model 6 has no complement and is left out"
    )
    repeated = find_design(keep[[0, 1, 2, 3, 0, 5, 4, 1, 2]])
    assert repeated.pairs == ((0, 1), (2, 3), (5, 6))
    assert repeated.repeats == (4, 7, 8)
    assert "models 4, 7, 8 were trained on the same samples as others and are left out" in repeated.sentence()
    whole = find_design(np.concatenate([keep, [[True] * 500] * 2, [[False] * 500] * 2]))
    assert (len(whole.pairs), whole.single, whole.repeats) == (6, (12, 13, 14, 15), ())
    twice = np.repeat(halves(5, 500, 3), 2, axis=0)
    assert find_design(twice).single == (0, 2, 4, 6, 8)
    assert find_design(twice).repeats == (1, 3, 5, 7, 9)


def nearly_paired(models: int, samples: int, seed: int, left_out: float = 0.12) -> Mask:
    """Pairs that split a random part of the samples; the rest was seen by neither."""
    random = np.random.default_rng(seed)
    keep = paired_design(samples, models, seed)
    for pair in range(models // 2):
        neither = random.random(samples) < left_out
        keep[2 * pair : 2 * pair + 2, neither] = False
    return keep


def test_complements_that_leave_samples_out_are_found_and_never_both_used_on_one_side() -> None:
    keep = nearly_paired(16, 1000, 0)[order_of(16, 1)]
    design = find_design(keep)
    assert (len(design.nearly), design.pairs, design.single) == (8, (), ())
    ordered = keep[design.order]
    rotation = rotation_of(design, ordered, 0)
    assert np.array_equal((rotation.used & ordered).sum(0), (rotation.used & ~ordered).sum(0))
    same = ordered[0::2] == ordered[1::2]
    assert not (rotation.used[0::2] & rotation.used[1::2])[same].any()
    assert rotation.used[0::2][~same].all()
    partners = np.take_along_axis(ordered, rotation.partners, axis=0)
    assert np.array_equal(partners[rotation.used], ~ordered[rotation.used])
    assert not find_design(halves(16, 1000, 5)).nearly  # chance makes none


def folds(sets: int, parts: int, samples: int, seed: int) -> Mask:
    """Cross-validations: each model of a set leaves out another part of the samples."""
    part = np.random.default_rng(seed).integers(0, parts, (sets, 1, samples))
    return np.asarray(part != np.arange(parts)[:, np.newaxis]).reshape(-1, samples)


def test_models_of_a_cross_validation_are_found_and_one_of_either_side_takes_part() -> None:
    keep = folds(4, 4, 600, 0)
    for given in (keep, ~keep):
        order = order_of(16, 1)
        design = find_design(given[order])
        assert {frozenset(order[list(models)] // 4) for models in design.folds} == {frozenset([i]) for i in range(4)}
        assert design.sentence() == "16 models: 4 sets of folds (16 models), found by content"
        assert not design.is_paired
        ordered = given[order][design.order]
        rotation = rotation_of(design, ordered, 0)
        for start in range(0, 16, 4):
            of_set = slice(start, start + 4)
            assert (rotation.used & ordered)[of_set].sum(axis=0).tolist() == [1] * 600
            assert (rotation.used & ~ordered)[of_set].sum(axis=0).tolist() == [1] * 600
            assert (rotation.partners[of_set][rotation.used[of_set]] // 4 == start // 4).all()
            assert len(np.unique(rotation.clusters[of_set])) == 1
    # Some models are lost, and some samples deviate: what is left of the sets is found, with single models beside it.
    lost = keep[[0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 12, 13, 14, 15]]
    lost[0, :5] ^= True
    design = find_design(np.concatenate([lost, halves(6, 600, 3)]))
    assert design.folds == ((0, 1, 2), (3, 4, 5, 6), (7, 8, 9), (10, 11, 12, 13))
    assert design.single == tuple(range(14, 20))
    # Chance, and equally many models a sample, make no set.
    assert not find_design(halves(16, 600, 2)).folds
    assert not find_design(np.random.default_rng(0).random((16, 600)) < 0.75).folds
    quarter = np.random.default_rng(1).random((16, 600)).argsort(axis=0) < 4
    assert not find_design(quarter).folds


@pytest.mark.parametrize(
    "kind", ["in order", "shuffled", "mixed", "nearly", "halves", "repeated", "trained twice", "folds", "lone folds"]
)
def test_noise_reads_one_half_whatever_the_design(kind: str) -> None:
    """Complements owe each other −.3, as on digits: judged by each other they read .526 and more."""
    random = np.random.default_rng(10)
    areas = []
    for draw in range(25):
        keep = paired_design(700, 16, draw)
        if kind == "mixed":
            keep = np.concatenate([keep[:10], halves(6, 700, draw)])
        elif kind == "nearly":
            keep = nearly_paired(16, 700, draw)
        elif kind == "halves":
            keep = halves(12, 700, draw)
        elif kind == "repeated":
            keep = np.concatenate([keep, keep[:6]])
        elif kind == "folds":
            keep = folds(4, 4, 700, draw)
        elif kind == "lone folds":
            keep = ~folds(4, 4, 700, draw)
        elif kind == "trained twice":
            keep = np.repeat(halves(8, 700, draw), 2, axis=0)
        if kind != "in order":
            keep = keep[order_of(len(keep), draw)]
        # Models that share most of their training sets owe each other less: more of it, so that it shows.
        owed = 0.6 if "folds" in kind else 0.3
        areas.append(read(noise(random, keep, owed), keep, draw)["lira"])
    assert abs(np.mean(areas) - 0.5) <= 4 * np.std(areas, ddof=1) / np.sqrt(len(areas)) + 1e-3


def test_judged_by_its_complement_noise_reads_a_leak() -> None:
    """The trap itself: a random model of the other side is dropped with each target, and its complement stays."""
    random = np.random.default_rng(11)
    areas = []
    for draw in range(10):
        keep = paired_design(700, 16, draw)
        rotation = rotation_of(Design(16, (), (), tuple(range(16)), ()), keep, draw)
        signals = np.zeros((*keep.shape, 1, len(SIGNALS)))
        signals[..., 0, 0] = noise(random, keep)
        scores = ATTACKS["lira"].score(Evidence(signals, keep, rotation.partners, rotation.used))
        areas.append(auc(scores[rotation.used], keep[rotation.used]))
    assert np.mean(areas) > 0.51


def test_a_shuffled_design_reads_what_the_ordered_one_reads() -> None:
    random = np.random.default_rng(12)
    keep = paired_design(600, 16, 0)
    values = noise(random, keep) + keep
    names = ("lira", "lira-hierarchical", "lira-offline", "lira-per-sample")
    expected = read(values, keep, names=names)
    for seed in range(3):
        order = order_of(16, seed)
        assert read(values[order], keep[order], names=names) == pytest.approx(expected, abs=1e-12)


def test_too_few_different_training_sets_are_told() -> None:
    keep = np.repeat(paired_design(40, 2, 0), 4, axis=0)
    with pytest.raises(EvidenceError, match="trained on the same samples as others and are left out; 2 models"):
        read(np.zeros(keep.shape), keep)


def test_what_was_found_is_said_in_terminal_json_and_report(privaudit: Run, tmp_path: Path) -> None:
    keep = np.concatenate([paired_design(300, 12, 0), halves(4, 300, 1)])[order_of(16, 2)]
    statistic = np.random.default_rng(3).normal(size=keep.shape) + keep
    labels = np.zeros(300, int)
    path = tmp_path / "mixed.npz"
    np.savez(path, statistic=statistic, keep=keep, labels=labels)
    done = privaudit("score", "--signals", path, "--out", tmp_path / "o", "--json")
    assert done.returncode == 0, done.stderr
    sentence = "16 models: 6 complementary pairs and 4 models without complement, found by content"
    assert sentence in done.stderr
    results = json.loads(done.stdout)
    assert results["about"]["given"]["design"]["sentence"] == sentence
    assert sentence in Path(results["report"]["html"]).read_text()
    assert results["attacks"]["lira"]["auc_ci"] is not None
