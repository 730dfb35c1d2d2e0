"""Exposure by group: the test against scipy and simulation, and what people may bring as metadata."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from privaudit.audit.metadata import NOT_GIVEN, read_metadata
from privaudit.errors import DataError
from privaudit.results.audit.score_results import Exposure
from privaudit.scoring.subgroups import exposure
from tests.conftest import Run
from tests.test_signals_file import arrays, save

KEEP = np.arange(16)[:, None] % 2 == np.zeros((1, 600))


def judged(right: npt.NDArray[np.bool_], values: npt.NDArray[np.str_], clusters: npt.NDArray[np.int64]) -> Exposure:
    """Exposure where LiRA's verdict on each cell is right or wrong as said."""
    keep = KEEP[: len(right), : right.shape[1]]
    return exposure(values, np.where(right == keep, 1.0, -1.0), keep, clusters)


def test_models_that_leak_other_groups_each_do_not_make_exposure_uneven() -> None:
    """Each pair of models leaks each group by its own measure, all alike on average: samples agree, models do not."""
    random = np.random.default_rng(3)
    groups = np.repeat(["a", "b", "c"], 200)
    called = 0
    for _ in range(300):
        chance = np.repeat(np.repeat(stats.norm.cdf(random.normal(0.3, 0.2, (8, 3))), 2, axis=0), 200, axis=1)
        found = judged(random.random((16, 600)) < chance, groups, np.arange(16) // 2)
        assert found.p is not None
        called += found.p < 0.05
        assert found.to_json()["unit"] == "pairs of models and samples"
    assert called <= 27  # 5% of 300, and three standard errors


def test_samples_drawn_into_groups_at_random_do_not_make_exposure_uneven() -> None:
    """Risk differs from sample to sample, and the groups are chance: models alone would find them uneven."""
    random = np.random.default_rng(4)
    called = 0
    for _ in range(200):
        groups = random.permutation(np.repeat(["a", "b", "c"], 40))
        chance = random.uniform(0.5, 1, 120)
        found = judged(random.random((16, 120)) < chance, groups, np.arange(16) // 2)
        called += found.p is not None and found.p < 0.05
    assert called <= 19


def test_two_groups_are_one_comparison() -> None:
    random = np.random.default_rng(5)
    groups = np.repeat(["a", "b"], 300)
    found = judged(random.random((16, 600)) < np.where(groups == "b", 0.65, 0.6), groups, np.arange(16) // 2)
    assert found.p is not None
    assert found.groups[0].p == found.groups[1].p == found.p < 0.05


def test_equal_groups_are_rarely_called_uneven_and_unequal_ones_are() -> None:
    random = np.random.default_rng(0)
    groups = np.repeat(["a", "b", "c"], 200)
    clusters = np.arange(16) // 2
    called = singled_out = 0
    for _ in range(300):
        found = judged(random.random((16, 600)) < 0.6, groups, clusters)
        assert found.p is not None
        called += found.p < 0.05
        singled_out += any(row.p is not None and row.p < 0.05 for row in found.groups)
    assert called <= 27  # 5% of 300, and three standard errors
    assert singled_out <= 27
    chance = np.where(groups == "b", 0.7, 0.6)
    found = judged(random.random((16, 600)) < chance, groups, clusters)
    assert found.groups[0].name == "b"
    assert found.p is not None
    assert found.p < 1e-3
    assert found.groups[0].p is not None
    assert found.groups[0].p < 1e-3


def test_group_intervals_cover() -> None:
    """Models differ in how well they are attacked; the interval must know it."""
    random = np.random.default_rng(1)
    groups = np.repeat(["a", "b"], [100, 300])
    clusters = np.arange(16) // 2
    truth = float(np.mean(stats.norm.cdf(random.normal(0.5, 0.2, 200_000))))
    covered = 0
    for _ in range(400):
        chance = np.repeat(stats.norm.cdf(random.normal(0.5, 0.2, 8)), 2)[:, None]
        found = judged(random.random((16, 400)) < chance, groups, clusters)
        interval = found.groups[0].ci
        assert interval is not None
        covered += interval[0] <= truth <= interval[1]
    assert 0.92 <= covered / 400 <= 0.985


def test_small_and_constant_groups() -> None:
    found = judged(np.ones((4, 12), np.bool_), np.array(["a"] * 10 + ["b"] * 2), np.arange(4) // 2)
    assert found.p is None
    assert all(row.p is None and row.ci is None for row in found.groups)


def test_each_group_is_attacked_by_itself() -> None:
    """AUC within a group is scikit-learn's on its cells alone; a group that leaks more reads more."""
    random = np.random.default_rng(2)
    groups = np.repeat(["leaks", "tight"], [200, 400])
    ratio = random.normal(size=KEEP.shape) + np.where(groups == "leaks", 2.0, 0.2) * (2 * KEEP - 1)
    found = {row.name: row for row in exposure(groups, ratio, KEEP, np.arange(16) // 2).groups}
    for name, row in found.items():
        chosen = groups == name
        assert row.attack is not None
        expected = roc_auc_score(KEEP[:, chosen].ravel(), ratio[:, chosen].ravel())
        assert row.attack.auc == pytest.approx(expected, abs=1e-9)
        assert row.attack.tpr_ci["0.01"] is not None  # 1% of 1,600 is 16 false alarms
        assert row.attack.tpr_at_fpr["0.001"] is None  # 0.1% is one or two: too little evidence
        assert row.to_json()["attack"]["auc"] == row.attack.auc
    leaks, tight = found["leaks"].attack, found["tight"].attack
    assert leaks is not None
    assert tight is not None
    assert leaks.auc > tight.auc + 0.3


def test_metadata_columns(tmp_path: Path) -> None:
    ids = np.arange(100, 140)
    table = pd.DataFrame({"sample_id": ids[:-1], "site": ["x", "y", ""] * 13, "age": range(39)})
    table.to_csv(tmp_path / "m.csv", index=False)
    found = read_metadata(tmp_path / "m.csv", ids)
    assert found["site"][:4].tolist() == ["x", "y", NOT_GIVEN, "x"]
    assert found["site"][-1] == NOT_GIVEN
    assert len(set(found["age"])) == 5  # quarters, and the one who is not there
    assert found["age"][0] == "0 to 9.5"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("id,site\n1,x\n", "it needs sample_id"),
        ("sample_id\n1\n", "at least one other"),
        ("sample_id,site\nx,y\n", "must be integers"),
        ("sample_id,site\n1,x\n1,y\n", "sample 1 is there more than once"),
        ("sample_id,site\n7000,x\n", "not one of its 1 sample_ids"),
        ("", "cannot read"),
        ("sample_id,name\n" + "".join(f"{i},n{i}\n" for i in range(300)), "names samples rather than groups"),
    ],
)
def test_bad_metadata_is_told(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "m.csv"
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        read_metadata(path, np.arange(300))


def test_groups_are_in_results_and_report(privaudit: Run, tmp_path: Path) -> None:
    given = arrays(16, 600)
    site = np.where(np.arange(600) % 2 == 0, "north", "<south>")
    given["logits"][:, np.arange(0, 600, 2), given["labels"][::2]] -= 2 * given["keep"][:, ::2]  # no leak in the north
    path = save(tmp_path / "x.npz", given)
    pd.DataFrame({"sample_id": np.arange(600), "site": site}).to_csv(tmp_path / "m.csv", index=False)
    done = privaudit("score", "--signals", path, "--metadata", tmp_path / "m.csv", "--out", tmp_path / "o", "--json")
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    found = results["groups"]["site"]
    assert found["p"] < 0.01
    assert [group["name"] for group in found["groups"]] == ["<south>", "north"]
    assert results["groups"]["class"]["p"] > 0.001
    html = Path(results["report"]["html"]).read_text()
    assert "By site, exposure is uneven" in html
    assert "&lt;south&gt;" in html
