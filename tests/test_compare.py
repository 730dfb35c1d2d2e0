"""Two audits held against each other: intervals that cover, refusals that say why, and a report of its own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from privaudit.commands.compare_settings import differing_settings
from privaudit.results.audit.score_results import ScoreResults
from privaudit.results.base import read_result
from privaudit.runtime import files
from privaudit.statistics.audit_difference import Estimate, difference, newcombe
from privaudit.statistics.intervals import wilson
from privaudit.statistics.performance import performance
from tests.conftest import Run

PAIRS = 8


def influences(values: np.ndarray[Any, Any]) -> Estimate:
    """The mean of one value a cluster."""
    return Estimate(float(values.mean()), (values - values.mean()) / len(values))


def test_paired_is_the_paired_t_interval() -> None:
    random = np.random.default_rng(0)
    first, second = random.normal(0.5, 0.02, (2, PAIRS))
    found = difference(influences(first), influences(second), paired=True)
    expected = stats.ttest_rel(second, first).confidence_interval()
    assert found.ci == pytest.approx(tuple(expected))
    assert found.difference == pytest.approx(second.mean() - first.mean())


def test_unpaired_is_welchs_interval() -> None:
    random = np.random.default_rng(1)
    first, second = random.normal(0.5, 0.02, PAIRS), random.normal(0.6, 0.05, 2 * PAIRS)
    found = difference(influences(first), influences(second), paired=False)
    expected = stats.ttest_ind(second, first, equal_var=False).confidence_interval()
    assert found.ci == pytest.approx(tuple(expected))


def test_few_pairs_give_no_interval() -> None:
    assert difference(influences(np.ones(3)), influences(np.ones(8)), paired=False).ci is None


def test_an_interval_without_spread_is_a_point() -> None:
    found = difference(influences(np.full(8, 0.25)), influences(np.full(8, 0.5)), paired=False)
    assert found.ci == (0.25, 0.25)


def simulated(paired: bool, seed: int) -> tuple[float, bool, float]:
    """Two audits of one population whose pairs differ in how much they leak: estimate, coverage of 0, width."""
    random = np.random.default_rng(seed)
    cells = np.repeat(np.arange(PAIRS), 120)
    member = np.tile(np.arange(120) < 60, PAIRS)
    common = random.normal(0.5, 0.35, PAIRS)
    sides = []
    for _ in range(2):
        leak = common + random.normal(0, 0.1, PAIRS) if paired else random.normal(0.5, 0.36, PAIRS)
        found = performance(random.normal(leak[cells] * member, 1), member, cells)
        assert found.influence is not None
        sides.append(Estimate(found.auc, np.array(found.influence.auc)))
    result = difference(sides[0], sides[1], paired)
    assert result.ci is not None
    low, high = result.ci
    return result.difference, low <= 0 <= high, high - low


def test_intervals_of_the_difference_cover() -> None:
    """Under no difference at all, 300 simulated comparisons each."""
    widths = {}
    for paired in (True, False):
        found = [simulated(paired, seed) for seed in range(300)]
        assert 0.92 <= np.mean([covers for _, covers, _ in found]) <= 0.985
        widths[paired] = float(np.mean([width for _, _, width in found]))
    assert widths[True] < 0.75 * widths[False]  # what the pairs share cancels


def test_newcombe_is_the_published_example() -> None:
    """56 of 70 against 48 of 80 gives 0.0524 to 0.3339 (Newcombe 1998, method 10, example a)."""
    first, second = np.array([48 / 80]), np.array([56 / 70])
    bounds = [np.stack(wilson(np.array([hits]), np.array([trials]))) for hits, trials in ((48, 80), (56, 70))]
    low, high = newcombe(first, bounds[0], second, bounds[1])
    assert (low.item(), high.item()) == pytest.approx((0.0524, 0.3339), abs=1e-4)


def write_signals(path: Path, leak: float, seed: int = 0, **changes: Any) -> Path:
    """Signals of 16 models and 400 samples; the same design for the same seed."""
    random = np.random.default_rng(seed)
    models, samples = 16, 400
    keep = np.zeros((models, samples), np.bool_)
    for pair in range(0, models, 2):
        keep[pair, random.permutation(samples)[: samples // 2]] = True
        keep[pair + 1] = ~keep[pair]
    noise = np.random.default_rng([seed, int(100 * leak)])
    logits = noise.normal(0, 1, (models, samples, 3))
    labels = np.arange(samples) % 3
    logits[:, np.arange(samples), labels] += 1 + leak * keep
    arrays: dict[str, Any] = {"logits": logits, "keep": keep, "labels": labels} | changes
    np.savez(path, **arrays)
    return path


@pytest.fixture(scope="module")
def audits(privaudit: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """Audits that leak a lot, a little, a little under another design, and of other samples."""
    root = tmp_path_factory.mktemp("compare")
    labels = np.arange(400) % 3
    labels[:2] = [2, 0]
    files = {
        "much": write_signals(root / "much.npz", 2.0),
        "little": write_signals(root / "little.npz", 0.2),
        "other-design": write_signals(root / "other.npz", 0.2, seed=1),
        "other-ids": write_signals(root / "ids.npz", 0.2, sample_ids=np.arange(400) + 10),
        "other-labels": write_signals(root / "labels.npz", 0.2, labels=labels),
    }
    names = {}
    for key, path in files.items():
        done = privaudit("score", "--signals", path, "--out", root, "--json")
        assert done.returncode == 0, done.stderr
        names[key] = json.loads(done.stdout)["audit"]
    return root, names


def test_a_defence_shows(privaudit: Run, audits: tuple[Path, dict[str, str]]) -> None:
    root, names = audits
    done = privaudit("compare", names["much"], names["little"], "--out", root, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["paired"]
    assert found["verdict"] == "b leaks less"
    auc = found["attacks"]["lira"]["auc"]
    assert auc["ci"][0] <= auc["difference"] <= auc["ci"][1] < 0
    assert auc["difference"] == pytest.approx(auc["b"] - auc["a"])
    assert found["mean_risk"]["ci"][1] < 0
    assert found["changed"]["fell"] > found["changed"]["rose"]
    assert found["changed"]["fell"] + found["changed"]["rose"] <= 400
    folder = Path(found["folder"])
    report = json.loads((folder / "report.json").read_text())
    assert report["finding"][0].startswith("B leaks less than A")
    # Page 1 says what B cost, and in what the audits differ besides; the cost is a paired t over pairs of models.
    of_pairs = []
    for key in ("much", "little"):
        stored = np.load(root / f"{key}.npz")
        right = stored["logits"].argmax(2) == stored["labels"]
        unseen = ~stored["keep"]
        of_pairs.append([right[p : p + 2][unseen[p : p + 2]].mean() for p in range(0, 16, 2)])
    expected = stats.ttest_rel(of_pairs[1], of_pairs[0]).confidence_interval()
    assert found["accuracy"]["ci"] == pytest.approx(tuple(expected))
    assert report["finding"][1].startswith("What it cost: models are right on")
    assert [(one["of"], one["what"]) for one in found["differs"]] == [("configuration", "models")]
    assert report["glance"]["rows"] == [["models (configuration)", "those of much.npz", "those of little.npz"]]
    html = (folder / "report.html").read_text()
    for fact in report["facts"]:
        assert fact["value"] in html
    assert (folder / "report.pdf").read_bytes().startswith(b"%PDF")
    assert (folder / "report.html").stat().st_mode & 0o077 == 0


def test_another_design_is_compared_apart(privaudit: Run, audits: tuple[Path, dict[str, str]]) -> None:
    root, names = audits
    done = privaudit("compare", root / names["little"], names["other-design"], "--out", root, "--json")
    found = json.loads(done.stdout)
    assert not found["paired"]
    assert found["verdict"] == "no difference shown"
    low, high = found["attacks"]["lira"]["auc"]["ci"]
    assert low < 0 < high


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ("other-ids", "10 ids are in the first alone (0, 1, 2, 3, 4, …); 10 ids are in the second alone (400, 401"),
        ("other-labels", "2 labels differ (sample 0: 0 and 2)"),
        ("little", "compared with itself"),
        ("absent", "no results of an audit 'absent'"),
    ],
)
def test_what_can_not_be_compared_says_why(
    privaudit: Run, audits: tuple[Path, dict[str, str]], other: str, message: str
) -> None:
    root, names = audits
    done = privaudit("compare", names["little"], names.get(other, other), "--out", root)
    assert done.returncode in (1, 2)
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_what_differs_is_told_by_what_is_on_record(small_audit: dict[str, Any]) -> None:
    a = read_result(Path(small_audit["results"]["scores"]).parent / "score.json", ScoreResults)
    assert differing_settings(a, a) == ()
    assert a.about.identity is not None
    assert a.about.identity.recipe is not None
    recipe = a.about.identity.recipe.model_copy(update={"epochs": 99, "weight_decay": 0.25})
    identity = a.about.identity.model_copy(update={"recipe": recipe, "seed": 7})
    b = a.model_copy(update={"about": a.about.model_copy(update={"identity": identity}), "rmia_gamma": 2.0})
    assert {(one.of, one.what, one.b) for one in differing_settings(a, b)} == {
        ("configuration", "seed", "7"),
        ("configuration", "epochs", "99"),
        ("configuration", "weight decay", "0.25"),
        ("attack settings", "RMIA's γ", "2"),
    }


def test_other_data_is_refused_by_its_fingerprint(privaudit: Run, small_audit: dict[str, Any], tmp_path: Path) -> None:
    """The same ids and labels of other inputs."""
    folder = Path(small_audit["results"]["scores"]).parent
    a, b = (tmp_path / name / folder.name for name in ("a", "b"))
    for copy in (a, b):
        shutil.copytree(folder, copy)
    results = json.loads((b / "score.json").read_text())
    results["about"]["identity"]["fingerprint"] = "0" * 64
    files.write_json(b / "score.json", results)
    files.seal(b / "score.json")
    done = privaudit("compare", a, b, "--out", tmp_path)
    assert done.returncode == 1
    assert "0000000000000000…" in done.stderr
    assert "ids and labels agree" in done.stderr
