"""Training against test samples: alike, and none of them the same; or the target's figure says that they are not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from privaudit.commands.gate import check_audit
from privaudit.data.duplicates import find_duplicates
from privaudit.report.content import comparability
from privaudit.report.document import build_content
from privaudit.results.audit.controls import Controls, Duplicates, UnseenControl
from privaudit.results.audit.score_results import About, RiskAndDifficulty, ScoreResults, TargetAttack
from privaudit.results.gate_results import Limit
from privaudit.runtime import files
from privaudit.scoring.blind_baseline import _uneven, blind_baseline
from privaudit.scoring.unseen_control import never_seen
from privaudit.shadow.design import paired_design
from privaudit.signals import SIGNALS
from tests.conftest import SMALL, Run, save_noisy_images

Array = npt.NDArray[Any]
Side = tuple[Array, npt.NDArray[np.int64]]


def table(samples: int, seed: int) -> Side:
    """Two classes of four features."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, samples)
    return (random.normal(size=(samples, 4)) + labels[:, np.newaxis]).astype(np.float32), labels


def images(samples: int, seed: int) -> Side:
    """Images of 16 × 16 pixels in 4 classes: a pattern of the class, coarse ones of their own, and grain."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 4, samples)
    patterns = np.random.default_rng(0).normal(0, 30, (4, 4, 4))
    coarse = patterns[labels] + random.normal(0, 30, (samples, 4, 4))
    plain = np.kron(coarse, np.ones((1, 4, 4)))
    grained = 128 + plain + random.normal(0, 8, plain.shape)
    return np.clip(grained, 0, 255).astype(np.uint8)[..., np.newaxis], labels


def test_the_blind_baseline_reads_a_half_where_both_sides_are_drawn_alike() -> None:
    found = [blind_baseline(table(200, seed), table(120, 100 + seed), seed) for seed in range(5)]
    areas = [one.auc for one in found if one is not None]
    assert len(areas) == 5
    assert abs(np.mean(areas) - 0.5) < 0.04
    assert sum(not one.holds for one in found if one is not None) <= 1


@pytest.mark.slow
@pytest.mark.parametrize("draw", [table, images])
def test_the_blind_baseline_raises_a_false_alarm_in_at_most_a_fortieth(draw: Any) -> None:
    """Of 120 audits in which nothing is wrong 3 are due, and 8 would come in one of 100 such tests."""
    found = [blind_baseline(draw(250, seed), draw(150, 1000 + seed), seed) for seed in range(120)]
    assert sum(not one.holds for one in found if one is not None) <= 7


def blurred(x: Array) -> Array:
    return ((x.astype(int) + np.roll(x, 1, 1) + np.roll(x, 1, 2) + np.roll(x, (1, 1), (1, 2))) // 4).astype(np.uint8)


@pytest.mark.parametrize(
    "change",
    [
        lambda x, random: np.clip(x + 12.0, 0, 255).astype(np.uint8),
        lambda x, random: np.clip(x + random.normal(0, 8, x.shape), 0, 255).astype(np.uint8),
        lambda x, random: blurred(x),
        lambda x, random: np.clip(0.5 * x + random.normal(0, 20, x.shape), 0, 255).astype(np.uint8),
        lambda x, random: (x // 16 * 16).astype(np.uint8),
    ],
    ids=["brighter", "noise", "blur", "half and noise", "fewer levels"],
)
def test_the_blind_baseline_tells_changed_images(change: Any) -> None:
    x, y = images(150, 1)
    found = blind_baseline(images(300, 0), (change(x, np.random.default_rng(2)), y), 0)
    assert found is not None
    assert not found.holds
    assert found.auc > 0.6


def test_the_blind_baseline_tells_scale_drift_and_other_classes_in_tables() -> None:
    """A wider spread has the same mean: no linear classifier sees it."""
    train, (x, y) = table(400, 0), table(200, 1)
    wider = blind_baseline(train, ((2 * x).astype(np.float32), y), 0)
    drifted = blind_baseline(train, (x + np.array([0.8, 0, 0, 0], np.float32), y), 0)
    kept = np.flatnonzero((y == 1) | (np.arange(200) % 3 == 0))
    mixed = blind_baseline(train, (x[kept], y[kept]), 0)
    assert [one is not None and one.holds for one in (wider, drifted, mixed)] == [False, False, False]
    assert mixed is not None
    assert mixed.classes_p < 0.001


def test_a_stratified_split_is_no_alarm_and_too_few_samples_say_nothing() -> None:
    x, y = table(300, 3)
    order = np.argsort(y, kind="stable")
    test = order[::4]
    train = np.setdiff1d(order, test)
    found = blind_baseline((x[train], y[train]), (x[test], y[test]), 0)
    assert found is not None
    assert found.classes_p > 0.5
    assert blind_baseline((x[:50], y[:50]), (x[50:60], y[50:60]), 0) is None


def unseen(seed: int, *, models: int = 8, harder: float = 0.0, common: float = 0.0) -> UnseenControl:
    """240 training and 90 test samples under models of unequal skill; test may be harder, or move by model."""
    random = np.random.default_rng(seed)
    keep = paired_design(240, models, seed)
    x = random.normal(2, 2, 330) + random.normal(0, 0.4, (models, 1)) * random.normal(1, 0.5, 330)
    x = x + random.gamma(4, 0.3, 330) * random.standard_t(5, (models, 330))
    x[:, :240] += 1.5 * keep
    x[:, 240:] += common * random.normal(size=(models, 1)) - harder
    signals = np.zeros((models, 330, 1, len(SIGNALS)), np.float32)
    signals[:, :, 0, SIGNALS.index("margin")] = x
    found = never_seen(signals[:, :240], keep, signals[:, 240:], seed)
    assert found is not None
    return found


@pytest.mark.parametrize("models", [4, 8])
def test_never_seen_samples_are_not_told_from_test_samples_of_the_same_source(models: int) -> None:
    """Members are far ahead in margin, and none is looked at; p is uniform, so .1 is undercut in a tenth."""
    found = [unseen(seed, models=models) for seed in range(20)]
    assert abs(np.mean([one.auc for one in found]) - 0.5) < 0.01
    assert sum(one.p < 0.1 for one in found) <= 6  # P(Binomial(20, .1) > 6) = .2%
    assert sum(not one.holds for one in found) <= 3


def test_a_harder_test_set_and_one_that_moves_by_model_are_told() -> None:
    """LiRA is relative to the sample's own mean: a harder side shows in the margin, a moving one by model."""
    harder, moving = unseen(0, harder=1.5), unseen(0, common=1.5)
    assert not harder.holds
    assert harder.margin_auc > 0.6
    assert abs(harder.auc - 0.5) < 0.02
    assert not moving.holds
    assert moving.of_models.spread > 2 * moving.of_models.spread_by_chance


def test_equal_samples_are_counted_within_training_and_across() -> None:
    x, y = images(300, 0)
    test_x, test_y = images(100, 1)
    test_x[:7], test_y[:7] = x[:7], y[:7]
    test_y[0] = (y[0] + 1) % 4
    x[10:13], y[10:13] = x[20], y[20]
    found = find_duplicates((x, y), (test_x, test_y), 0)
    assert (found.test_in_training, found.same_label, found.within_training) == (7, 6, 4)
    assert not found.ordinary
    assert found.near is not None
    assert (found.near.test, found.near.training) == (0, 0)


def test_near_duplicates_are_counted_and_ordinary_neighbours_are_none() -> None:
    x, y = images(600, 0)
    test_x, test_y = images(200, 1)
    plain = find_duplicates((x, y), (test_x, test_y), 0)
    assert plain.near is not None
    assert (plain.near.test, plain.near.training) == (0, 0)
    grained = x[:40] + np.random.default_rng(3).normal(0, 2, x[:40].shape)
    test_x[:40] = np.clip(grained, 0, 255).astype(np.uint8)
    found = find_duplicates((x, y), (test_x, test_y), 0)
    assert found.test_in_training == 0
    assert found.near is not None
    assert 30 <= found.near.test <= 40


@pytest.mark.parametrize("columns", [2, 5, 30])
def test_neighbours_in_continuous_tables_are_no_near_duplicates(columns: int) -> None:
    x = np.random.default_rng(0).normal(size=(2500, columns)).astype(np.float32)
    y = np.zeros(2500, np.int64)
    found = find_duplicates((x[:2000], y[:2000]), (x[2000:], y[2000:]), 0)
    assert found.near is None or (found.near.test, found.near.training) == (0, 0)


def test_equal_rows_are_ordinary_where_columns_are_few_and_discrete_and_not_where_they_are_copied() -> None:
    random = np.random.default_rng(0)
    few = random.integers(0, 3, (900, 4)).astype(np.float32)
    y = np.zeros(900, np.int64)
    assert find_duplicates((few[:700], y[:700]), (few[700:], y[700:]), 0).ordinary
    # Two continuous columns of which every row is there twice: nothing else than copies.
    twice = np.repeat(random.normal(size=(450, 2)).astype(np.float32), 2, axis=0)[random.permutation(900)]
    found = find_duplicates((twice[:700], y[:700]), (twice[700:], y[700:]), 0)
    assert not found.ordinary
    assert found.test_in_training > 100


@pytest.fixture(scope="module")
def shifted(privaudit: Run, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """An audit whose test inputs were halved and made noisy."""
    root = tmp_path_factory.mktemp("shifted")
    save_noisy_images(root / "plain.npz")
    x = np.load(root / "plain.npz")["x_test"]
    noise = np.random.default_rng(0).normal(0, 20, x.shape)
    save_noisy_images(root / "shifted.npz", x_test=np.clip(0.5 * x + noise, 0, 255).astype(np.uint8))
    done = privaudit(
        "score", "--dataset", root / "shifted.npz", *SMALL, "--store", root / "store", "--out", root / "out", "--json"
    )
    assert done.returncode == 0, done.stderr
    return {"results": json.loads(done.stdout), "stderr": done.stderr, "root": root}


def test_a_test_set_from_elsewhere_warns_wherever_the_targets_figure_is_shown(
    shifted: dict[str, Any], privaudit: Run
) -> None:
    results, out = shifted["results"], shifted["root"] / "out"
    assert results["controls"]["negative"]["holds"]
    assert not results["controls"]["blind"]["holds"]
    assert results["controls"]["blind"]["ci"][0] > 0.9
    (warning,) = results["target"]["warnings"]
    assert warning in results["warnings"]
    assert f"warning: {warning}" in shifted["stderr"]
    content = build_content(out / results["audit"]).report
    assert any(said.startswith("Warning") for said in content.finding)
    (controls,) = (one for one in content.overview if one.question == "Do the controls hold?")
    assert any("WARNING" in said for said in controls.answer)
    (attacks,) = (section for section in content.sections if section.anchor == "attacks")
    assert attacks.tables[0].rows[-1][0].endswith("see the warning")
    assert f"Warning: {warning}." in attacks.paragraphs
    gated = privaudit("gate", results["audit"], "--out", out, "--target", "--max-auc", "1", "--json")
    assert gated.returncode == 4
    assert "differ by themselves" in json.loads(gated.stdout)["checks"][0]["reason"]
    shadow = privaudit("gate", results["audit"], "--out", out, "--max-auc", "1")
    assert shadow.returncode == 0, shadow.stderr


def test_results_that_lack_these_controls_are_still_shown_and_gated(shifted: dict[str, Any], tmp_path: Path) -> None:
    source = shifted["root"] / "out" / shifted["results"]["audit"]
    folder = tmp_path / source.name
    folder.mkdir()
    for name in ("score.json", "scores.parquet"):
        (folder / name).write_bytes((source / name).read_bytes())
    old = files.read_json(folder / "score.json")
    for key in ("duplicates", "warnings"):
        del old[key]
    for key in ("blind", "shift"):
        del old["controls"][key]
    del old["target"]["warnings"]
    files.write_json(folder / "score.json", old)
    for name in ("score.json", "scores.parquet"):
        files.seal(folder / name)
    content = build_content(folder).report
    assert not any("WARNING" in said for one in content.overview for said in one.answer)
    assert check_audit(folder, [Limit(quantity="auc", most=1.0)], "lira", of_target=True)[0].verdict == "holds"


def bare_results(target: TargetAttack | None = None, duplicates: Duplicates | None = None) -> ScoreResults:
    """Of an audit that found nothing, and ran no control."""
    return ScoreResults(
        audit="bare", samples=100, shadows=16, statistic="margin", attacks={}, agreement={}, groups={}, stability=None,
        most_exposed=None, risk_vs_difficulty=RiskAndDifficulty(intrinsic_shift=None, loss_as_proxy=None),
        target=target, controls=Controls(negative=None, untrained=None, positive=None), duplicates=duplicates,
        epsilon=None, mean_risk=0.5, accuracy=None, training=None, about=About(audit="bare"), trained=0,
    )  # fmt: skip


def test_a_target_that_holds_thanks_to_test_samples_it_was_trained_on_is_not_told() -> None:
    counts = Duplicates(
        training=100, test=50, test_in_training=10, test_in_training_share=0.2, same_label=10, within_training=4,
        ordinary=False, near=None,
    )  # fmt: skip
    target = TargetAttack(auc=0.55, auc_ci=None, tpr_at_fpr={}, tpr_ci={}, smallest_fpr=0.01)
    results = bare_results(target=target, duplicates=counts)
    assert comparability.is_too_low(results)
    assert "10 of 50 test samples (20.0%) are training samples" in comparability.doubts(results)[0]
    assert len(comparability.repeated(results)) == 2
    assert "re-audit" in comparability.of_unlearning(results)[0]
    # Where rows repeat by nature, or none does, nothing is said.
    ordinary = counts.model_copy(update={"ordinary": True})
    assert comparability.doubts(results.model_copy(update={"duplicates": ordinary})) == []


def test_a_class_of_hardly_a_sample_is_said_to_tell_its_members_by_its_size() -> None:
    """All 3 of a class are members, and it is not tested with: who is of it was trained on, whatever a model says."""
    (said,) = comparability.small_classes(["a", "b", "rare"], [50, 5, 3], [20, 5, 0])
    assert said.startswith(
        "1 of 3 classes has few samples and hardly any on one side (training and test: 'rare' 3 and 0)"
    )
    (said,) = comparability.small_classes(list("abcde"), [90, 2, 2, 3, 4], [9] * 5)
    assert "4 of 5 classes have few samples" in said
    assert "'b' 2 and 9, 'c' 2 and 9, 'd' 3 and 9 and 1 more)" in said
    assert comparability.small_classes(["a", "b"], [5, 900], [5, 40]) == []
    # A fixed share of every class was drawn to test: its size tells nothing.
    assert comparability.small_classes(list("ab"), [90, 10], [22, 2]) == []
    assert comparability.small_classes([str(one) for one in range(100)], [4] * 100, [100] * 100) == []
    # Of nobody to test with nothing is held against training samples.
    assert comparability.small_classes(["a", "b"], [3, 9], [0, 0]) == []


def test_few_samples_of_a_class_are_not_called_uneven_more_often_than_chance_makes_them() -> None:
    """Of 25 test samples and rare classes the χ² distribution alone says p ≤ .0125 in 4% of audits."""
    random = np.random.default_rng(20)
    shares = [0.9, 0.06, 0.02, 0.01, 0.01]
    p_values = []
    for _ in range(300):
        mixed = np.stack([random.multinomial(1_000, shares), random.multinomial(25, shares)])
        p_values.append(_uneven(mixed[:, mixed.sum(axis=0) > 0], random))
    assert np.mean(np.array(p_values) <= 0.0125) <= 0.0125 + 2 * np.sqrt(0.0125 * 0.9875 / 300)
    # It is Fisher's exact test of two classes (two-sided by χ²), and a missing class is seen.
    counts = np.array([[30, 2], [4, 4]])
    assert _uneven(counts, random) == pytest.approx(stats.fisher_exact(counts).pvalue, abs=0.006)
    assert _uneven(np.array([[30, 30, 2], [30, 0, 1]]), random) < 0.001
