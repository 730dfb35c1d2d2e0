"""People with several records: members have all of them in, nothing reads a half, independent ones add up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from privaudit.api import score
from privaudit.attacks import lira
from privaudit.audit.metadata import read_metadata, read_subjects
from privaudit.report.document import build_content
from privaudit.results.audit.score_results import ScoreAnswer
from privaudit.results.statement.subject_risk import SubjectRisk
from privaudit.scoring.reliability.split_halves import attack_halves
from privaudit.scoring.subjects.subject_cells import Subjects, risk_if_independent
from privaudit.scoring.subjects.subject_risk import RatioCells, subject_risk
from privaudit.shadow.design import paired_design
from privaudit.statistics.jackknife import Refits


def simulated(
    records: int, people: int, models: int, shift: float, seed: int = 0, common: float = 0.0
) -> tuple[SubjectRisk, dict[str, np.ndarray]]:
    """Gaussian statistics, ``shift`` spreads higher where seen; a share ``common`` of the variance is the person's."""
    rng = np.random.default_rng(seed)
    keep = paired_design(records * people, models, seed, "test")
    names = np.repeat(np.array([f"p{one}" for one in range(people)], object), records)
    of_person = np.repeat(rng.normal(size=(models, people)), records, axis=1)
    x = np.sqrt(1 - common) * rng.normal(size=keep.shape) + np.sqrt(common) * of_person + shift * keep

    def attack(left: np.ndarray) -> np.ndarray:
        return np.asarray(lira.online(x[left], keep[left]))

    everyone = np.ones(models, np.bool_)
    cells = RatioCells(
        attack(everyone), keep, np.ones(keep.shape, np.bool_), np.arange(models) // 2, Refits(models, attack), 0.0
    )
    found, columns = subject_risk(names, "subject_id", cells, attack_halves(x, keep), 0)
    assert found is not None
    return found, columns


def test_where_nothing_leaks_people_read_a_half() -> None:
    found, _ = simulated(3, 800, 16, 0.0)
    assert found.attack is not None
    assert found.attack.auc_ci is not None
    assert found.right_ci is not None
    assert found.attack.auc_ci[0] < 0.5 < found.attack.auc_ci[1]
    assert found.right_ci[0] < 0.5 < found.right_ci[1]
    assert found.mean_risk == pytest.approx(0.5, abs=0.02)
    assert not found.named


def test_independent_records_add_up_to_the_closed_form() -> None:
    """k records, each d spreads apart, are √k·d apart: AUC Φ(√k·d/√2), right in Φ(√k·d/2), TPR by the normal's tail."""
    records, models, d = 2, 64, 0.8
    found, _ = simulated(records, 300, models, d)
    together = np.sqrt(records) * d
    assert found.attack is not None
    assert found.right is not None
    assert found.attack.auc == pytest.approx(stats.norm.cdf(together / np.sqrt(2)), abs=0.02)
    assert found.right == pytest.approx(stats.norm.cdf(together / 2), abs=0.02)
    assert found.mean_risk == pytest.approx(stats.norm.cdf(together / 2), abs=0.02)
    tpr = found.attack.tpr_at_fpr["0.01"]
    assert tpr == pytest.approx(stats.norm.sf(stats.norm.isf(0.01) - together), abs=0.05)
    assert found.cells == pytest.approx(models * 300 * 2.0 ** (1 - records), rel=0.05)


def test_records_that_repeat_each_other_are_seen_to_add_less() -> None:
    found, _ = simulated(2, 400, 16, 1.0, common=0.9)
    (pairs,) = found.by_records
    assert pairs.right is not None
    assert pairs.right_if_independent is not None
    assert pairs.right < pairs.right_if_independent - 0.03


def test_sums_and_sides_are_those_of_a_plain_loop() -> None:
    rng = np.random.default_rng(1)
    names = np.array(["b", "a", None, "b", "b", None, "a"], object)
    subjects, keep = Subjects.of(names), paired_design(7, 8, 0, "test")
    values, used = rng.normal(size=(8, 7)), rng.random((8, 7)) < 0.9
    inside, outside = subjects.one_sided(keep, used)
    for subject in range(len(subjects.records)):
        rows = np.flatnonzero(subjects.of_record == subject)
        assert len({names[row] for row in rows}) == 1
        assert len(rows) == subjects.records[subject]
        assert subjects.sums(values)[:, subject] == pytest.approx(values[:, rows].sum(axis=1))
        for model in range(8):
            there = used[model, rows].all()
            assert inside[model, subject] == (there and keep[model, rows].all())
            assert outside[model, subject] == (there and not keep[model, rows].any())
    assert subjects.records.tolist() == [2, 3, 1, 1]


def test_of_one_record_the_risk_is_its_share_of_right_verdicts() -> None:
    rng = np.random.default_rng(2)
    keep = paired_design(50, 12, 0, "test")
    ratio = rng.normal(size=keep.shape) + keep
    subjects = Subjects.of(np.arange(50).astype(str).astype(object))
    risk = risk_if_independent(ratio, keep, np.ones(keep.shape, np.bool_), subjects, 0)
    order = np.argsort(np.arange(50).astype(str))
    assert risk == pytest.approx(((ratio > 0) == keep).mean(axis=0)[order])


def test_the_one_who_leaks_is_confirmed_and_pointed_at() -> None:
    rng = np.random.default_rng(3)
    keep, names = paired_design(400, 32, 0, "test"), np.array([f"p{row // 2}" for row in range(400)], object)
    x = rng.normal(size=keep.shape)
    x[:, 100:102] += 3 * keep[:, 100:102]

    def attack(left: np.ndarray) -> np.ndarray:
        return np.asarray(lira.online(x[left], keep[left]))

    ones = np.ones(keep.shape, np.bool_)
    cells = RatioCells(attack(np.ones(32, np.bool_)), keep, ones, np.arange(32) // 2, Refits(32, attack), 0.0)
    found, columns = subject_risk(names, "subject_id", cells, attack_halves(x, keep), 0)
    assert found is not None
    assert found.named
    assert found.confirmed == 1
    assert np.flatnonzero(columns["subject_confirmed"]).tolist() == [100, 101]
    assert found.worst == pytest.approx(columns["subject_risk"][100])
    assert found.worst_by_others is not None
    assert found.worst_by_others > 0.9


def test_nobody_with_several_records_says_nothing() -> None:
    names = np.array(["a", "b", None], object)
    keep = paired_design(3, 8, 0, "test")
    cells = RatioCells(keep.astype(np.float64), keep, np.ones_like(keep), np.arange(8) // 2, (), 0.0)
    assert subject_risk(names, "subject_id", cells, None, 0) == (None, {})


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """An audit of simulated signals, whose records are of people named in the metadata."""
    root = tmp_path_factory.mktemp("people")
    rng, keep = np.random.default_rng(4), paired_design(600, 16, 0, "test")
    margin = rng.normal(size=keep.shape) + (0.6 + 2.5 * (np.arange(600) < 8)) * keep
    np.savez(root / "signals.npz", statistic=margin, keep=keep, labels=np.arange(600) % 3)
    people = pd.DataFrame({"sample_id": np.arange(600), "subject_id": [f"<b>Ann {row // 4}" for row in range(600)]})
    people.loc[590:, "subject_id"] = ""
    people.assign(ward=["north", "south"] * 300).to_csv(root / "people.csv", index=False)
    found = score(signals=root / "signals.npz", metadata=root / "people.csv", out=root / "out")
    return {"root": root, "results": found, "folder": root / "out" / found.audit}


def test_metadata_says_whose_records_are(audited: dict[str, Any], tmp_path: Path) -> None:
    found: ScoreAnswer = audited["results"]
    assert found.subjects is not None
    assert (found.subjects.subjects, found.subjects.unnamed, found.subjects.most_records) == (148 + 10, 10, 4)
    assert set(found.groups) == {"class", "ward"}
    table = pd.read_parquet(audited["folder"] / "scores.parquet")
    assert table["subject"].iloc[5] == "<b>Ann 1"
    assert table["subject"].isna().sum() == 10
    assert (table.groupby("subject")["subject_risk"].nunique() == 1).all()
    ids = np.arange(600)
    assert read_subjects(None, ids) is None
    assert set(read_metadata(audited["root"] / "people.csv", ids)) == {"ward"}
    pd.DataFrame({"sample_id": ids, "ward": "x"}).to_csv(tmp_path / "m.csv", index=False)
    assert read_subjects(tmp_path / "m.csv", ids) is None


def test_the_report_tells_of_people_and_names_none(audited: dict[str, Any]) -> None:
    content = build_content(audited["folder"])
    assert content.report.brief is not None
    said = " ".join(content.report.brief.exposed)
    assert "600 records are of 158 people, with up to 4 each" in said
    assert "the person of the records" in said
    (section,) = [one for one in content.report.sections if one.anchor == "people"]
    assert [row[0] for row in section.tables[0].rows] == ["1", "2", "3 to 4"]
    assert "Ann" not in str(content.report.to_json())
    assert {"subject_records", "subject_risk"} <= set(content.samples)
