"""Reports name as most exposed whom other models confirm, and nobody where there is nothing to be found."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from privaudit import api
from privaudit.attacks import lira
from privaudit.attacks.risk import attack_success, intrinsic_shift
from privaudit.report.document import Content, build_content
from privaudit.report.explorer import payload
from privaudit.results.audit.score_results import ScoreAnswer, ScoreResults
from privaudit.results.base import read_result
from privaudit.results.report_paths import ReportPaths
from privaudit.runtime import files
from privaudit.shadow.design import paired_design
from tests.test_signals_file import save

SAMPLES, MODELS, LEAKING = 400, 16, 30


@pytest.fixture(scope="module")
def audits(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two audits of a statistic: noise, and one in which thirty samples leak for certain."""
    root = tmp_path_factory.mktemp("naming")
    found = {}
    for kind, size in (("noise", 0.0), ("leak", 12.0)):
        random = np.random.default_rng(2)
        keep = paired_design(SAMPLES, MODELS, 0)
        statistic = (
            random.normal(size=keep.shape) + np.where(np.arange(SAMPLES) < LEAKING, size, 0.2 * size / 12) * keep
        )
        path = save(root / f"{kind}.npz", {"statistic": statistic, "keep": keep, "labels": np.zeros(SAMPLES, np.int64)})
        found[kind] = root / "out" / api.score(signals=path, out=root / "out")["audit"]
    return found


def answer_of(content: Content) -> str:
    asked = {answer.question: " ".join(answer.answer) for answer in content.report.overview}
    return asked["Who is most exposed?"]


def tables_of(content: Content) -> list[str]:
    return [table.caption for section in content.report.sections for table in section.tables]


def fact_of(content: Content) -> str:
    return next(fact.note for fact in content.report.facts if fact.label.startswith("Samples told right"))


def test_noise_names_nobody_anywhere(audits: dict[str, Path]) -> None:
    content = build_content(audits["noise"])
    results = json.loads((audits["noise"] / "score.json").read_text())
    assert not results["told_right"]["named"]
    assert answer_of(content).startswith("No single sample is named: the ranking")
    assert not any("most exposed samples" in caption for caption in tables_of(content))
    assert content.report.explorer is not None
    assert content.report.explorer.order == "sample_id"
    assert content.report.explorer.caution.startswith("No single sample is named")
    assert '"order":"sample_id"' in payload(content.report.to_json()["explorer"], content.samples)
    assert "chance alone tells" in fact_of(content)


def test_who_leaks_for_certain_is_named_with_what_the_other_half_says(audits: dict[str, Path]) -> None:
    content = build_content(audits["leak"])
    said = answer_of(content)
    assert "confirmed by either half of the shadow models, samples " in said
    named = [int(part.split(" (")[0]) for part in said.split("samples ", 1)[1].split("; ")[:3]]
    assert all(one < LEAKING for one in named)
    assert "the other half tells 100% right in at least 90% of its models" in said
    assert any("most exposed samples that either half" in caption for caption in tables_of(content))
    assert content.report.explorer is not None
    assert content.report.explorer.order == "risk"
    assert {"confirmed"} <= set(content.samples.columns)
    assert "the other half confirms" in fact_of(content)


def test_the_terminal_says_what_chance_tells(audits: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    from privaudit.cli.commands.score import _print_told_right

    for kind, named in (("noise", False), ("leak", True)):
        results = read_result(audits[kind] / "score.json", ScoreResults)
        _print_told_right(ScoreAnswer.of(results, Path("scores"), ReportPaths(html=None, pdf=None)))
        said = capsys.readouterr().out
        assert "chance alone tells" in said
        assert ("No single sample is named" in said) != named


def test_the_scatter_draws_risk_and_shift_from_separate_halves(audits: dict[str, Path]) -> None:
    """Recomputed from the file: risk by even pairs, shift by odd ones."""
    with np.load(audits["leak"].parent.parent / "leak.npz") as given:
        statistic, keep = given["statistic"].astype(np.float32), given["keep"]
    first = np.arange(MODELS) // 2 % 2 == 0
    content = build_content(audits["leak"])
    figure = next(f for s in content.report.sections if s.anchor == "intrinsic" for f in s.figures)
    panel = figure.data["panels"][0]
    asr = attack_success(lira.online(statistic[first], keep[first]), keep[first])
    np.testing.assert_allclose(panel["x"], asr, atol=1e-4)
    np.testing.assert_allclose(panel["y"], intrinsic_shift(statistic[~first], keep[~first]), atol=1e-3)
    assert "one half of the shadow pairs" in figure.caption
    related = json.loads((audits["leak"] / "score.json").read_text())["risk_vs_difficulty"]["intrinsic_shift"]
    assert related["spearman"] == pytest.approx(stats.spearmanr(panel["x"], panel["y"]).statistic, abs=0.2)


def test_results_of_an_earlier_version_are_read_and_name_nobody(audits: dict[str, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(audits["leak"], tmp_path / audits["leak"].name))
    table = pd.read_parquet(folder / "scores.parquet").drop(columns=["confirmed", "risk_of_half", "shift_of_half"])
    table.to_parquet(folder / "scores.parquet")
    results: dict[str, Any] = json.loads((folder / "score.json").read_text())
    results["table_sha256"] = files.sha256_of(folder / "scores.parquet")
    del results["told_right"]
    results["stability"] = {"split_half": 0.3, "spread": 0.01, "reliability": 0.46, "models_needed": 100}
    for group in results["groups"].values():
        del group["unit"]
    files.write_json(folder / "score.json", results)
    for name in ("score.json", "scores.parquet"):
        files.seal(folder / name)
    content = build_content(folder)
    assert "earlier version" in answer_of(content)
    assert "chance alone" not in fact_of(content)
    figure = next(f for s in content.report.sections if s.anchor == "intrinsic" for f in s.figures)
    assert "from the same models" in figure.caption
    exposed = next(section for section in content.report.sections if section.anchor == "exposed")
    assert any("foretold too high by an earlier version" in said for said in exposed.paragraphs)
