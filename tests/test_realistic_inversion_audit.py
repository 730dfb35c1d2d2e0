"""`score --invert-settings realistic`: one result, resumed, in the report and the brief; refused without images."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pypdf import PdfReader

from privaudit import artifacts
from privaudit.audit.inversion import realistic_plan
from privaudit.audit.inversion.realistic_plan import plan_realistic
from privaudit.audit.inversion.realistic_run import RealisticStage, realistic_stage
from privaudit.audit.plan import plan_audit
from privaudit.commands.score import dry_run, run_score
from privaudit.config import AuditSettings, read_settings
from privaudit.errors import UsageError
from privaudit.inversion.presets import MatchingAttack
from privaudit.inversion.threat_models.ladder import LADDER
from privaudit.report.sections.threat_models.stored_settings import NAME, realistic_in
from privaudit.runtime import files
from tests.conftest import save_noisy_images

FEW = ("one-record", "noised-0.01", "batch-8", "batch-8-known", "fedavg-8")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("realistic")


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few threat models and a short search: what is tested is what becomes of it."""
    monkeypatch.setattr(realistic_plan, "LADDER", tuple(one for one in LADDER if one.name in FEW))
    attack = MatchingAttack(name="default", rate=0.2, steps=4)
    monkeypatch.setattr(realistic_plan, "resolve_attack", lambda *_: attack)


def settings_of(npz: Path, root: Path, **settings: Any) -> AuditSettings:
    small = {"shadows": 4, "epochs": 2, "workers": 1, "seed": 3, "invert": "0", "invert_settings": "realistic"}
    places = {"store": root / "store", "out": root / "out"}
    return read_settings({"dataset": str(npz)} | places | small | settings, None)


def test_threat_models_are_measured_once_and_told(
    small_npz: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cost = dry_run(settings_of(small_npz, root))
    assert cost.to_invert > 0
    assert cost.inversion_seconds > 0
    assert not (root / "out").exists()
    answer = run_score(settings_of(small_npz, root))
    said = capsys.readouterr().err
    assert "realistic settings: 4 threat models" in said
    assert "batch-8-known is left out: the network has no BatchNorm" in said
    found = answer.realistic_inversion
    assert found is not None
    assert [one.setting.name for one in found.outcomes] == ["one-record", "noised-0.01", "batch-8", "fedavg-8"]
    assert [one.groups for one in found.outcomes] == [32, 32, 4, 4]
    assert found.outcomes[0].attacked.labels == 1
    assert found.outcomes[0].null.recovered.rate == 0
    folder = root / "out" / answer.audit
    assert realistic_in(folder) == found

    report = json.loads((folder / "report.json").read_text())
    section = next(one for one in report["sections"] if one["anchor"] == "inversion-settings")
    (curve,) = section["figures"]
    assert curve["data"]["rows"][0]["name"] == "one record (best case)"
    assert len(curve["table"]["rows"]) == 4
    assert "added up before anybody sees them" in report["brief"]["reach"]
    assert "rebuilding records from gradients" not in report["brief"]["reach"]
    commands = json.dumps(report["sections"])
    assert "--invert-settings realistic" in commands


@pytest.mark.slow
def test_what_is_whole_is_not_measured_again(small_npz: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = run_score(settings_of(small_npz, root))
    capsys.readouterr()
    found = answer.realistic_inversion
    assert found is not None
    folder = root / "out" / answer.audit
    results = sorted((root / "store" / answer.audit / "inversion").glob("*/groups-*.npz"))
    made = {path: path.stat().st_mtime_ns for path in results}
    before = (folder / NAME).read_bytes()
    results[0].write_bytes(b"damaged")
    files.remove(results[1])
    again = run_score(settings_of(small_npz, root))
    assert "its checksum differs" in capsys.readouterr().err
    assert again.realistic_inversion is not None
    assert again.realistic_inversion.outcomes == found.outcomes
    kept = [path for path in results[2:] if path.stat().st_mtime_ns != made[path]]
    assert kept == []
    assert json.loads((folder / NAME).read_text())["outcomes"] == json.loads(before)["outcomes"]


@pytest.mark.slow
def test_without_the_option_the_stored_result_stays_and_without_one_the_brief_says_so(
    small_npz: Path, root: Path
) -> None:
    run_score(settings_of(small_npz, root))
    best_case = {"invert_settings": "best-case", "invert": "2"}
    answer = run_score(settings_of(small_npz, root, **best_case))
    report = json.loads((root / "out" / answer.audit / "report.json").read_text())
    assert "added up before anybody sees them" in report["brief"]["reach"]
    other = run_score(settings_of(small_npz, root, out=root / "other", **best_case))
    assert other.realistic_inversion is None
    report = json.loads((root / "other" / other.audit / "report.json").read_text())
    assert "privaudit score --invert-settings realistic measures" in report["brief"]["reach"]
    assert all(one["anchor"] != "inversion-settings" for one in report["sections"])
    for out in ("out", "other"):
        pages = PdfReader(io.BytesIO((root / out / other.audit / "report.pdf").read_bytes())).pages
        assert "Date and signature" in pages[1].extract_text()


def test_the_result_is_about_no_sample_and_of_one_kind() -> None:
    found = artifacts.artifact_at(NAME, artifacts.OUTPUT)
    assert found is artifacts.INVERSION_SETTINGS
    assert artifacts.artifact_at("inversion/ab/groups-0002-cd.npz", artifacts.STORE) in artifacts.INVERSIONS


def test_tables_estimators_and_other_attacks_are_refused(tmp_path: Path, small_npz: Path) -> None:
    random = np.random.default_rng(0)
    rows = {"x_train": random.random((300, 5), np.float32), "x_test": random.random((120, 5), np.float32)}
    save_noisy_images(tmp_path / "rows.npz", **rows)
    for changed, said in (
        ({"dataset": str(tmp_path / "rows.npz")}, "only images are rebuilt"),
        ({"estimator": "logistic-regression", "epochs": None}, "reads the gradients of a network"),
        ({"invert_preset": "dlg"}, "compared by 'from-noise'"),
    ):
        settings = settings_of(small_npz, tmp_path, **changed)
        with pytest.raises(UsageError, match=said):
            plan_realistic(plan_audit(settings))


def test_nothing_is_planned_unasked(small_npz: Path, tmp_path: Path) -> None:
    assert plan_realistic(plan_audit(settings_of(small_npz, tmp_path, invert_settings="best-case"))) is None


def test_a_record_alone_and_one_of_a_batch_are_announced_at_their_own_price(
    small_npz: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RealisticStage, "_seconds_of_record", lambda _, __, records: {1: 3.0, 8: 1.0}[records])
    stage = realistic_stage(plan_audit(settings_of(small_npz, tmp_path)))
    assert stage is not None
    alone, batches, federated, steps = 32 + 32, 4 * 8, 4 * 8 * 5, 4
    assert stage.seconds() == pytest.approx(steps * (3.0 * alone + batches + federated))
