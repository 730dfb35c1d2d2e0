"""Reconstructed classes: what knows the population alone is near to nobody in it, and a memory is near to its own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

from privaudit.audit.inversion.classes.class_plan import choose_classes
from privaudit.errors import UsageError
from privaudit.inversion.classes.class_ascent import reconstruct_classes
from privaudit.inversion.classes.class_prior import ClassPrior
from privaudit.scoring.classes.closeness import ClassSamples, closeness, nearness
from tests.conftest import SMALL, Run

MODELS, RECORDS, WIDTH = 16, 200, 12


@pytest.fixture(scope="module")
def samples() -> ClassSamples:
    """Normal samples of one class, and random halves of them."""
    random = np.random.default_rng(0)
    half = np.stack([random.permutation(RECORDS) < RECORDS // 2 for _ in range(MODELS // 2)])
    keep = np.stack([half, ~half], axis=1).reshape(MODELS, RECORDS)
    flat = random.standard_normal((RECORDS, WIDTH)).astype(np.float32)
    return ClassSamples(flat, np.zeros(RECORDS, np.int64), keep)


def judged(samples: ClassSamples, images: npt.NDArray[Any]) -> Any:
    found = nearness(samples, 0, images.astype(np.float32))
    assert found is not None
    return closeness([found], np.ones((MODELS, 1), bool))


def test_a_guess_that_never_varies_tells_nothing(samples: ClassSamples) -> None:
    found = judged(samples, np.tile(samples.flat.mean(axis=0), (MODELS, 1)))
    assert found.auc == 0.5
    assert found.nearest_member == 0.5
    assert found.recognised.rate == 1


def test_a_guess_by_chance_tells_nothing(samples: ClassSamples) -> None:
    found = judged(samples, np.random.default_rng(1).standard_normal((MODELS, WIDTH)))
    assert found.auc_ci is not None
    assert found.auc_ci[0] <= 0.5 <= found.auc_ci[1]


def test_a_mean_of_members_is_near_to_members_and_one_of_others_to_others(samples: ClassSamples) -> None:
    members, others = (judged(samples, samples.mean_of(0, members=which)) for which in (True, False))
    assert members.auc_ci is not None
    assert members.auc_ci[0] > 0.5
    assert others.auc_ci is not None
    assert others.auc_ci[1] < 0.5
    # Whose mean it is decides its sign alone: either half is the other one's complement.
    assert members.auc == pytest.approx(1 - others.auc, abs=0.02)


def test_a_copy_of_a_member_is_nearest_to_one(samples: ClassSamples) -> None:
    copies = np.stack([samples.flat[np.flatnonzero(row)[0]] for row in samples.keep])
    found = judged(samples, copies)
    assert found.nearest_member == 1
    assert found.to_members == pytest.approx(0, abs=1e-3)
    assert found.to_others > 0.3


def test_nearness_is_the_slow_and_obvious_sum(samples: ClassSamples) -> None:
    images = np.random.default_rng(2).standard_normal((MODELS, WIDTH)).astype(np.float32)
    found = nearness(samples, 0, images)
    assert found is not None
    near = np.array([[-float(((image - one) ** 2).sum()) for one in samples.flat] for image in images])
    model = 5
    others = [other for other in range(MODELS) if other // 2 != model // 2]
    excess = near[model] - near[others].mean(axis=0)
    seen = samples.keep[model]
    wins = [float(a > b) + 0.5 * float(a == b) for a in excess[seen] for b in excess[~seen]]
    assert found.auc[model] == pytest.approx(np.mean(wins), abs=1e-6)
    assert found.to_members[model] == pytest.approx(np.sqrt(-near[model][seen].max() / WIDTH), rel=1e-4)


def test_the_prior_is_the_gaussian_that_samples_come_from() -> None:
    random = np.random.default_rng(3)
    directions = np.linalg.qr(random.standard_normal((6, 2)))[0].T
    flat = 1 + random.standard_normal((4_000, 2)) * [3.0, 0.5] @ directions
    prior = ClassPrior.of(flat.astype(np.float32))
    assert prior.mean == pytest.approx(np.ones(6), abs=0.2)
    lengths = np.linalg.norm(prior.axes, axis=1)
    assert lengths[:2] == pytest.approx([3.0, 0.5], rel=0.06)
    assert lengths[2:] == pytest.approx(0, abs=1e-3)
    assert abs(prior.axes[0] @ directions[0]) == pytest.approx(3, rel=0.06)


def test_the_ascent_ends_where_the_posterior_is_highest() -> None:
    """Of a logistic regression in one direction the top is known: w z = (1 − p(z)) · slope."""
    mean, axes, low, high = (np.array(part, np.float32) for part in ([0.0], [[1.0]], [-50.0], [50.0]))
    prior = ClassPrior(mean, axes, low, high, samples=100)
    model = nn.Linear(1, 2)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[-1.0], [1.0]]))
        model.bias.zero_()
    found = reconstruct_classes(model, prior, 2, lambda flat: flat, torch.device("cpu"), weight=0.5)
    for z, sign in zip(found[:, 0], (-1, 1), strict=True):
        slope = 2 * sign * (1 - 1 / (1 + np.exp(-2 * sign * z)))
        assert 0.5 * z == pytest.approx(slope, abs=2e-3)


@pytest.fixture(scope="module")
def audit(
    privaudit: Run, small_audit: dict[str, Any], small_npz: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """The small audit of images once more, its classes reconstructed: nothing is trained for it."""
    root = tmp_path_factory.mktemp("classes")
    shutil.copytree(small_audit["root"], root, dirs_exist_ok=True)
    done = privaudit(
        *("score", "--dataset", small_npz, *SMALL, "--reconstruct-classes", "yes", "--show-samples", "--json"),
        *("--store", root / "store", "--out", root / "out"),
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert (results["audit"], results["trained"]) == (small_audit["results"]["audit"], 0)
    return {"results": results, "root": root}


def test_classes_are_recognised_and_reported_beside_a_class_mean(audit: dict[str, Any], small_npz: Path) -> None:
    found = audit["results"]["classes"]
    assert (found["models"], found["classes"], found["of"]) == (8, 3, "pixels")
    # Patterns of three classes: whoever climbs the probability of one comes out with what other models take for it.
    assert found["found"]["recognised"]["rate"] == 1
    assert found["null"]["class_mean_of_others"]["auc"] < 0.5 < found["null"]["class_mean_of_members"]["auc"]
    out = audit["root"] / "out" / audit["results"]["audit"]
    assert json.loads((out / "classes.json").read_text()) == found
    with np.load(out / "class-reconstructions.npz", allow_pickle=False) as stored, np.load(small_npz) as data:
        assert stored["reconstructions"].shape == (3, 8, 8, 1)
        means = [data["x_train"][data["y_train"] == label].mean(axis=0) / 255 for label in range(3)]
        alike = [[np.corrcoef(one.ravel(), mean.ravel())[0, 1] for mean in means] for one in stored["reconstructions"]]
        assert np.argmax(alike, axis=1).tolist() == [0, 1, 2]
    report = json.loads((out / "report.json").read_text())
    (section,) = [one for one in report["sections"] if one["anchor"] == "classes"]
    assert [figure["kind"] for figure in section["figures"]] == ["bars", "pictures"]
    assert "what a whole class looks like was attempted" in report["brief"]["reach"]


def test_reconstructions_go_with_whoever_is_purged(audit: dict[str, Any], privaudit: Run) -> None:
    root, audited = audit["root"], audit["results"]["audit"]
    places = ("--store", root / "store", "--out", root / "out")
    assert privaudit("verify", audited, *places).returncode == 0
    done = privaudit("purge", "--audit", audited, "--forget", "random:1%", "--dry-run", "--json", *places)
    assert done.returncode == 0, done.stderr
    removed = json.loads(done.stdout)["removed"]
    assert len(removed["reconstructions of classes"]) == 9
    assert any(one.endswith("class-reconstructions.npz") for one in removed["pictures and reconstructions"])


@pytest.mark.slow
def test_what_is_not_asked_for_again_goes(audit: dict[str, Any], privaudit: Run, small_npz: Path) -> None:
    root, audited = audit["root"], audit["results"]["audit"]
    places = ("--store", root / "store", "--out", root / "out")
    again = privaudit("score", "--dataset", small_npz, *SMALL, *places, "--json")
    assert again.returncode == 0, again.stderr
    same = json.loads(again.stdout)
    assert (same["classes"], same["audit"], same["trained"]) == (None, audited, 0)
    assert not list((root / "out").rglob("class*"))


def test_an_estimator_has_no_gradient_to_climb() -> None:
    plan: Any = SimpleNamespace(
        settings=SimpleNamespace(reconstruct_classes="yes"),
        specification=SimpleNamespace(estimator="random-forest"),
        network_name="random-forest",
    )
    with pytest.raises(UsageError, match="--reconstruct-classes yes: it climbs the gradient of a network"):
        choose_classes(plan, is_inverted=False)
    plan.settings.reconstruct_classes = "auto"
    assert choose_classes(plan, is_inverted=True) is None
    # Unasked, nothing is climbed where no gradient is inverted.
    assert choose_classes(plan, is_inverted=False) is None
