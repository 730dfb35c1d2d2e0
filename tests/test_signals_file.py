"""``--signals FILE``: people who trained elsewhere, what they may bring, and what is said of anything else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from privaudit.audit.external_signals.signals_file import read_signals_file
from privaudit.errors import PrivauditError
from privaudit.shadow.design import paired_design
from tests.conftest import Run


def arrays(models: int = 16, samples: int = 400, classes: int = 3, shift: float = 2.0, seed: int = 0) -> dict[str, Any]:
    """Logits in which the true class's is N(1, 1), and ``shift`` higher where the model saw the sample."""
    random = np.random.default_rng(seed)
    keep, labels = paired_design(samples, models, seed), random.integers(0, classes, samples)
    logits = random.normal(size=(models, samples, classes)).astype(np.float32)
    logits[:, np.arange(samples), labels] += 1 + shift * keep
    return {"logits": logits, "keep": keep, "labels": labels}


def save(path: Path, given: dict[str, Any]) -> Path:
    np.savez(path, **{name: value for name, value in given.items() if value is not None})
    return path


def test_logits_from_elsewhere(privaudit: Run, tmp_path: Path) -> None:
    population = np.random.default_rng(1).normal(size=(16, 200, 3))
    given = arrays() | {
        "population_logits": population,
        "population_labels": np.arange(200) % 3,
        "sample_ids": np.arange(400) * 3,
        "class_names": np.array(["ant", "bee", "<cat>"]),
    }
    path = save(tmp_path / "mine.npz", given)
    done = privaudit("score", "--signals", path, "--out", tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert (results["samples"], results["shadows"], results["trained"]) == (400, 16, 0)
    assert results["controls"]["negative"] is None
    assert results["attacks"]["lira"]["auc"] > 0.8
    assert results["attacks"]["lira"]["auc_ci"][0] < results["attacks"]["lira"]["auc"]
    assert {"rmia", "population", "loss", "label-only"} <= set(results["attacks"])
    table = pd.read_parquet(results["scores"])
    assert table["sample_id"].tolist() == [3 * i for i in range(400)]
    assert table["loss"].isna().all()  # there is no target model
    assert table["tail"].isna().all()
    assert sorted(table["rank"]) == list(range(1, 401))
    html = Path(results["report"]["html"]).read_text()
    assert "trained elsewhere" in html
    assert "&lt;cat&gt;" in html
    assert results["report"]["pdf"] is not None, done.stderr
    again = privaudit("score", "--signals", path, "--out", tmp_path / "out", "--json")
    assert json.loads(again.stdout) == results
    rendered = privaudit("report", results["audit"], "--out", tmp_path / "out", "--store", tmp_path / "none")
    assert rendered.returncode == 0, rendered.stderr


def test_a_statistic_with_a_known_answer(privaudit: Run, tmp_path: Path) -> None:
    """IN ~ N(2, 1), OUT ~ N(0, 1): ASR Φ(1), AUC Φ(√2), TPR at 1% FPR 1 − Φ(z₀.₉₉ − 2)."""
    random = np.random.default_rng(2)
    keep = paired_design(2000, 64, 0)
    statistic = random.normal(size=keep.shape) + 2 * keep
    path = save(tmp_path / "known.npz", {"statistic": statistic, "keep": keep, "labels": np.zeros(2000, int)})
    results = json.loads(privaudit("score", "--signals", path, "--out", tmp_path / "o", "--json").stdout)
    lira = results["attacks"]["lira"]
    assert lira["auc"] == pytest.approx(stats.norm.cdf(np.sqrt(2)), abs=0.01)
    assert lira["tpr_at_fpr"]["0.01"] == pytest.approx(stats.norm.sf(stats.norm.ppf(0.99) - 2), abs=0.05)
    assert results["mean_risk"] == pytest.approx(stats.norm.cdf(1), abs=0.01)
    variants = ("bayes", "global", "hierarchical", "offline", "offline-two-sided", "per-sample")
    assert set(results["attacks"]) == {"lira", "label-only", *(f"lira-{name}" for name in variants)}
    refused = privaudit("score", "--signals", path, "--statistic", "logit-gap")
    assert refused.returncode == 2
    assert "holds a statistic of its own" in refused.stderr


@pytest.mark.parametrize("kind", ["halves without pairs", "coins", "odd number"])
def test_designs_without_pairs(privaudit: Run, tmp_path: Path, kind: str) -> None:
    """Noise reads ½ and a known shift reads what it must, whatever the design is."""
    random = np.random.default_rng(3)
    models = 15 if kind == "odd number" else 16
    if kind == "halves without pairs":
        keep = random.random((models, 3000)).argsort(axis=0).argsort(axis=0) < models // 2
    else:
        keep = random.random((models, 3000)) < 0.5
        keep[:2], keep[2:4] = True, False
    for shift in (0.0, 2.0):
        statistic = random.normal(size=keep.shape) * random.uniform(0.5, 2, 3000) + shift * keep
        path = save(tmp_path / "x.npz", {"statistic": statistic, "keep": keep, "labels": np.arange(3000) % 2})
        results = json.loads(privaudit("score", "--signals", path, "--out", tmp_path / "o", "--json").stdout)
        area = results["attacks"]["lira"]["auc"]
        if shift == 0:
            assert area == pytest.approx(0.5, abs=0.012)
        else:
            assert area > 0.8
        assert results["stability"] is None


def test_queries_are_averaged_and_binary_models_work(privaudit: Run, tmp_path: Path) -> None:
    random = np.random.default_rng(4)
    keep, labels = paired_design(300, 16, 0), random.integers(0, 2, 300)
    sign = 2 * labels - 1
    logits = random.normal(size=(16, 300, 4, 1)) + (sign * (1 + 1.5 * keep))[:, :, None, None]
    path = save(tmp_path / "b.npz", {"logits": logits, "keep": keep, "labels": labels})
    four = json.loads(privaudit("score", "--signals", path, "--out", tmp_path / "o", "--json").stdout)
    path = save(tmp_path / "b.npz", {"logits": logits[:, :, :1], "keep": keep, "labels": labels})
    one = json.loads(privaudit("score", "--signals", path, "--out", tmp_path / "o", "--json").stdout)
    assert four["attacks"]["lira"]["auc"] > one["attacks"]["lira"]["auc"] + 0.05


GOOD = arrays(8, 40)
NEVER = GOOD["keep"].copy()
NEVER[:, 7] = False
ONCE = GOOD["keep"].copy()
ONCE[:, 7] = [True] * 7 + [False]
NOT_A_NUMBER = GOOD["logits"].copy()
NOT_A_NUMBER[3, 5, 1] = np.nan


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"keep": None}, "lacks keep"),
        ({"labels": None}, "lacks labels"),
        ({"logits": None}, "neither logits nor statistic"),
        ({"statistic": np.zeros((8, 40))}, "both logits and statistic"),
        ({"keep": GOOD["keep"].astype(int)}, "keep is int64 .*must be bool"),
        ({"keep": GOOD["keep"][0]}, "keep is bool .40.: it must be bool"),
        ({"keep": GOOD["keep"][:2], "logits": GOOD["logits"][:2]}, "2 models are too few"),
        ({"keep": NEVER}, "sample 7 has no model that was trained on it"),
        ({"keep": ~NEVER}, "sample 7 has no model that was not trained on it"),
        ({"keep": ONCE}, "sample 7 has one model only that was not trained on it"),
        ({"logits": GOOD["logits"][:6]}, r"logits has shape \[6, 40, 3\]"),
        ({"logits": GOOD["logits"][:, :39]}, r"logits has shape \[8, 39, 3\]"),
        ({"logits": GOOD["logits"][:, :, :0]}, "logits has shape"),
        ({"logits": NOT_A_NUMBER}, "logits holds nan for model 3, sample 5"),
        ({"logits": np.full((8, 40, 3), np.inf)}, "logits holds inf for model 0, sample 0"),
        ({"logits": np.full((8, 40, 3), "a")}, "must be numbers"),
        ({"logits": GOOD["logits"].astype(complex)}, "must be numbers"),
        ({"labels": GOOD["labels"][:39]}, "labels is int64 .39.: it must be integers .40."),
        ({"labels": GOOD["labels"] + 0.5}, "labels is float64"),
        ({"labels": GOOD["labels"] + 3}, r"labels\[0\] = \d is out of range: there are 3 classes"),
        ({"labels": GOOD["labels"] - 5}, "out of range"),
        ({"logits": np.array([[{}]], dtype=object)}, "never loaded"),
        ({"population_logits": np.zeros((8, 5, 3))}, "need logits and population_labels"),
        ({"population_logits": np.zeros((7, 5, 3)), "population_labels": np.zeros(5, int)}, "must be .8, Z, 3."),
        ({"class_names": np.array(["a", "a", "b"])}, "3 different names"),
        ({"sample_ids": np.zeros(40, int)}, "not unique"),
        ({"keep": GOOD["keep"][:, :1], "logits": GOOD["logits"][:, :1], "labels": GOOD["labels"][:1]}, "1 samples"),
    ],
)
def test_bad_files_are_told(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = save(tmp_path / "bad.npz", GOOD | changes)
    with pytest.raises(PrivauditError, match=message) as error:
        read_signals_file(path, 0)
    assert "bad.npz" in str(error.value)


def test_no_file_no_content_and_senseless_flags(privaudit: Run, tmp_path: Path) -> None:
    (tmp_path / "empty.npz").write_bytes(b"")
    (tmp_path / "text.npz").write_text("hello")
    for arguments, code, message in (
        (["--signals", "absent.npz"], 1, "there is no file"),
        (["--signals", "empty.npz"], 1, "not a readable .npz"),
        (["--signals", "text.npz"], 1, "not a readable .npz"),
        (["--signals", "empty.npz", "--epochs", "3"], 2, "--epochs means nothing with --signals"),
        (["--signals", "empty.npz", "--dry-run"], 2, "--dry-run means nothing with --signals"),
    ):
        done = privaudit("score", *arguments, cwd=tmp_path)
        assert done.returncode == code, done.stderr
        assert message in done.stderr
        assert "Traceback" not in done.stderr


def test_rmia_gamma_is_one_unless_it_is_set_and_names_no_other_audit(privaudit: Run, tmp_path: Path) -> None:
    population = {
        "population_logits": np.random.default_rng(1).normal(size=(8, 60, 3)),
        "population_labels": [0, 1] * 30,
    }
    path = save(tmp_path / "g.npz", arrays(8, 200) | population)
    found = {}
    for gamma, flags in ((1, []), (2, ["--rmia-gamma", "2"])):
        done = privaudit("score", "--signals", path, *flags, "--out", tmp_path / "o", "--json")
        assert done.returncode == 0, done.stderr
        found[gamma] = json.loads(done.stdout)
        assert found[gamma]["rmia_gamma"] == gamma
        html = Path(found[gamma]["report"]["html"]).read_text()
        assert f"RMIA (γ = {gamma})" in html
        assert f"--rmia-gamma {gamma}" in html
    assert found[1]["audit"] == found[2]["audit"]
    assert found[1]["attacks"]["rmia"]["auc"] != found[2]["attacks"]["rmia"]["auc"]
    assert found[1]["attacks"]["lira"] == found[2]["attacks"]["lira"]
    refused = privaudit("score", "--signals", path, "--rmia-gamma", "0")
    assert refused.returncode == 2
    assert "Traceback" not in refused.stderr
