"""Similarity of images against scikit-image and brute force; groups against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from privaudit.inversion.image_similarity import place, psnr, ssim
from privaudit.statistics.group_difference import compare


def pictures(shape: tuple[int, ...], count: int, seed: int) -> np.ndarray:
    """Smooth random images: noise alone has no structure to be alike in."""
    random = np.random.default_rng(seed)
    noise = random.random((count, *shape))
    return (noise + np.roll(noise, 1, 1) + np.roll(noise, 1, 2) + np.roll(noise, 2, 1)) / 4


@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 32, 3), (11, 17, 1), (64, 48, 3)])
def test_psnr_and_ssim_match_scikit_image(shape: tuple[int, ...]) -> None:
    truths = pictures(shape, 6, 0)
    strength = np.linspace(0.05, 1, 6)[:, np.newaxis, np.newaxis, np.newaxis]
    images = np.clip(truths + strength * (pictures(shape, 6, 1) - 0.5), 0, 1)
    for measured, image, truth in zip(psnr(images, truths), images, truths, strict=True):
        assert measured == pytest.approx(peak_signal_noise_ratio(truth, image, data_range=1), abs=1e-9)
    for measured, image, truth in zip(ssim(images, truths), images, truths, strict=True):
        wanted = structural_similarity(
            truth, image, data_range=1, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
        assert measured == pytest.approx(wanted, abs=1e-7)


def test_ssim_of_small_images_is_the_textbook_sum() -> None:
    """8×8 holds no window of 11: the largest odd one is 7, and both of its places a side count."""
    first, second = pictures((8, 8, 1), 2, 2), pictures((8, 8, 1), 2, 3)
    offsets = np.arange(-3, 4)
    window = np.exp(-(offsets[:, np.newaxis] ** 2 + offsets**2) / (2 * 1.5**2))
    window /= window.sum()
    for measured, a, b in zip(ssim(first, second), first[..., 0], second[..., 0], strict=True):
        values = []
        for i in (0, 1):
            for j in (0, 1):
                x, y = a[i : i + 7, j : j + 7], b[i : i + 7, j : j + 7]
                mx, my = (window * x).sum(), (window * y).sum()
                vx, vy = (window * (x - mx) ** 2).sum(), (window * (y - my) ** 2).sum()
                cov = (window * (x - mx) * (y - my)).sum()
                values.append((2 * mx * my + 1e-4) * (2 * cov + 9e-4) / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4)))
        assert measured == pytest.approx(np.mean(values), abs=1e-9)


def test_identical_images_end_the_scale() -> None:
    image = pictures((12, 12, 1), 1, 4)
    assert psnr(image, image)[0] == 100
    assert ssim(image, image)[0] == pytest.approx(1)


def test_placement_against_brute_force() -> None:
    random = np.random.default_rng(5)
    references = random.integers(0, 256, (1500, 6, 6, 1)).astype(np.uint8)
    own = np.array([0, 7, 1400, -1])
    truths = np.where((own >= 0)[:, np.newaxis, np.newaxis, np.newaxis], references[own] / 255, 0.5)
    images = np.clip(truths + random.normal(0, 0.28, truths.shape), 0, 1)
    found = place(images, truths, references, own, 255)
    for row in range(4):
        errors = ((images[row] - references / 255) ** 2).mean(axis=(1, 2, 3))
        if own[row] >= 0:
            errors[own[row]] = np.inf
        error = ((images[row] - truths[row]) ** 2).mean()
        assert found.error[row] == pytest.approx(error)
        assert found.nearest[row] == errors.argmin()
        assert found.nearest_error[row] == pytest.approx(errors.min())
        assert found.rank[row] == 1 + (errors < error).sum()
        assert found.margin[row] == pytest.approx(np.log(errors.min() / error))
    assert not found.recovered.any()  # far more than 0.01 off
    exact = place(truths[:1], truths[:1], references, own[:1], 255)
    assert exact.recovered.all()
    assert exact.rank[0] == 1


def test_the_nearest_other_image_is_never_recovered() -> None:
    """Images that differ by less than 20 dB: PSNR alone would call their neighbour a success."""
    base = pictures((8, 8, 1), 1, 6)
    references = np.clip(base + np.random.default_rng(7).normal(0, 0.02, (50, 8, 8, 1)), 0, 1)
    own = np.arange(50)
    nearest = references[place(references, references, references, own).nearest]
    judged = place(nearest, references, references, own)
    assert (psnr(nearest, references) > 20).all()
    assert not judged.recovered.any()
    assert (judged.rank > 1).all()


def test_comparison_against_scipy() -> None:
    random = np.random.default_rng(8)
    first, second = random.normal(0.3, 1, 60), random.normal(0, 2, 45)
    found = compare(first, second)
    welch = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
    assert found.difference_ci == pytest.approx((welch.low, welch.high))
    assert found.superiority == pytest.approx((first[:, np.newaxis] > second).mean())
    assert found.p == pytest.approx(stats.mannwhitneyu(first, second).pvalue)
    one = stats.t.interval(0.95, 59, first.mean(), stats.sem(first))
    assert found.cis[0] == pytest.approx(one)
    same = compare(np.ones(5), np.ones(4))
    assert (same.p, same.superiority, same.difference) == (None, 0.5, 0)


def test_comparison_holds_its_level_where_nothing_differs() -> None:
    random = np.random.default_rng(9)
    found = [compare(random.exponential(size=30), random.exponential(size=50)) for _ in range(400)]
    assert 0.02 < np.mean([one.p < 0.05 for one in found if one.p is not None]) < 0.09
    covered = [one.difference_ci[0] <= 0 <= one.difference_ci[1] for one in found
               if one.difference_ci]  # fmt: skip
    assert 0.9 < np.mean(covered) < 0.98
