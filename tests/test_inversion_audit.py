"""The inversion stage of an audit: columns, images, resume, mistakes, and the report's section."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from pypdf import PdfReader

from privaudit.audit.inversion import inversion_scope
from privaudit.audit.inversion.inversion_plan import (
    AFFORDED,
    calibration_path,
    measured,
    plan_inversion,
    seconds_of_step,
)
from privaudit.audit.inversion.inversion_scope import choose_inversion
from privaudit.audit.inversion.inversion_stage import InversionStage
from privaudit.audit.plan import plan_audit
from privaudit.commands.score import run_score
from privaudit.config import AuditSettings, read_settings
from privaudit.errors import UsageError
from privaudit.inversion.image_similarity import place, psnr, ssim
from privaudit.inversion.presets import FROM_NOISE, RefiningAttack, resolve_attack
from privaudit.results.audit.inversion_results import EngineChoice
from privaudit.results.base import write_result
from privaudit.runtime import files
from privaudit.scoring.inversion_scores import COLUMNS, chosen, no_ranking, null_rates, reliability, sample_scores
from tests.conftest import Run, save_noisy_images

CONTRACT = ["inverted", "inversion_success", "psnr", "ssim"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("inversion")


@pytest.fixture(scope="module")
def score(small_npz: Path, root: Path) -> Any:
    """Score the small audit in this process with these settings; its models are trained once."""

    def run(*, out: str, **settings: Any) -> tuple[dict[str, Any], str]:
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            results = run_score(settings_of(small_npz, root, out=root / out, **settings))
        return results.to_json(), said.getvalue()

    return run


def settings_of(npz: Path, root: Path, **settings: Any) -> AuditSettings:
    small = {"shadows": 8, "epochs": 10, "workers": 1, "seed": 3}
    return read_settings({"dataset": str(npz), "store": root / "store"} | small | settings, None)


@pytest.fixture(scope="module")
def compared(score: Any) -> dict[str, Any]:
    """The default: two groups. Read it, never change it."""
    results, said = score(show_samples=True, out="compared")
    return {"results": results, "said": said, "folder": Path(results["scores"]).parent}


def test_twelve_samples(score: Any, small_npz: Path) -> None:
    """What the table says is what the saved images say; everybody else's columns are null."""
    results, said = score(invert="12", out="twelve")
    assert "--invert 0 leaves them out" in said
    table = pd.read_parquet(results["scores"])
    assert set(COLUMNS) <= set(table.columns)
    inverted = table[table["psnr"].notna()]
    assert len(inverted) == 12
    for column in CONTRACT:
        assert table.loc[table["psnr"].isna(), column].isna().all()
        assert inverted[column].notna().all()
    assert (inverted["inverted"] == (inverted["inversion_success"] >= 0.5)).all()
    with np.load(Path(results["scores"]).parent / results["inversion"]["reconstructions"]) as stored:
        found = {name: stored[name] for name in stored.files}
    data = np.load(small_npz)["x_train"][..., np.newaxis]
    assert found["images"].shape == (2, 2, 12, 8, 8, 1)
    truths = data[found["sample_ids"]] / 255
    by_id = inverted.set_index("sample_id").loc[found["sample_ids"]]
    recomputed = np.stack([[psnr(images, truths) for images in model] for model in found["images"]])
    np.testing.assert_allclose(by_id["psnr"], recomputed.mean(axis=(0, 1)), atol=1e-4)
    np.testing.assert_allclose(by_id["psnr_best"], chosen(recomputed, found["objective"]).mean(axis=0), atol=1e-4)
    alike = np.stack([[ssim(images, truths) for images in model] for model in found["images"]])
    np.testing.assert_allclose(by_id["ssim"], alike.mean(axis=(0, 1)), atol=1e-5)
    placed = [place(images, truths, data, found["sample_ids"], 255) for model in found["images"] for images in model]
    success = np.mean([one.recovered for one in placed], axis=0)
    np.testing.assert_allclose(by_id["inversion_success"], success)
    np.testing.assert_allclose(by_id["id_rank"], np.median([one.rank for one in placed], axis=0))


def test_nothing_is_inverted_twice(score: Any, privaudit: Run, small_npz: Path, root: Path) -> None:
    """The same again reads what is there; what is lost or damaged is made again, to the bit, by two workers too."""
    first, _ = score(invert="12", out="twelve")
    table = Path(first["scores"]).read_bytes()
    results = sorted((root / "store" / first["audit"] / "inversion").glob("*/*.npz"))
    made = {path: path.stat().st_mtime_ns for path in results}
    again, said = score(invert="12", out="again")
    assert "inverting" not in said
    assert {path: path.stat().st_mtime_ns for path in results} == made
    assert Path(again["scores"]).read_bytes() == table
    matching = [path for path in results if path.name.startswith("matching")]
    files.remove(matching[0])
    matching[-1].write_bytes(b"damaged")
    flags = ("--shadows", "8", "--epochs", "10", "--workers", "2", "--seed", "3", "--invert", "12")
    done = privaudit("score", "--dataset", small_npz, *flags, "--store", root / "store", "--out", root / "anew")
    assert done.returncode == 0, done.stderr
    assert "its checksum differs" in done.stderr
    assert "inversion, an upper bound (T2, 12 random samples): recovered" in done.stdout
    assert "guess: class mean" in done.stdout
    for name in ("scores.parquet", "reconstructions.npz"):
        assert (root / "anew" / first["audit"] / name).read_bytes() == (
            root / "twelve" / first["audit"] / name
        ).read_bytes()


def test_the_two_groups(compared: dict[str, Any]) -> None:
    found = compared["results"]["inversion"]
    table = pd.read_parquet(compared["results"]["scores"])
    high, low = (table[table["inversion_group"] == name] for name in ("high", "low"))
    assert len(high) == len(low) == found["groups"]["size"] == 15
    pool = table[table["t1_psnr"].notna()]
    assert len(pool) == 300
    assert high["t1_psnr"].min() >= pool.loc[~pool.index.isin(high.index), "t1_psnr"].max()
    assert found["groups"]["compared"]["entropy"]["means"][0] == pytest.approx(high["entropy"].mean())
    assert table["gradient_norm"].notna().all()
    assert table["curvature"].notna().all()
    assert set(found["null"]) == {"nearest_other", "class_mean", "other_reconstruction"}
    assert found["null"]["nearest_other"]["recovered"]["rate"] == 0
    for tier in ("features", "matching"):
        assert set(found[tier]["confounders"]) == {"loss", "gradient_norm", "curvature", "contrast", "risk"}
        assert set(found[tier]["reliability"]) == {"restarts", "models"}
    assert found["matching"]["labels_right"] == 1
    assert "inverting: gradient matching (T2)" in compared["said"]


def test_the_report_shows_images_only_where_asked(score: Any, compared: dict[str, Any], root: Path) -> None:
    report = json.loads((compared["folder"] / "report.json").read_text())
    section = next(section for section in report["sections"] if section["anchor"] == "inversion")
    assert [figure["kind"] for figure in section["figures"]] == ["inversion-pictures", "inversion-groups"]
    assert len(section["figures"][0]["data"]["blocks"][0]["originals"]) == 10
    pages = PdfReader(io.BytesIO((compared["folder"] / "report.pdf").read_bytes())).pages
    text = " ".join(page.extract_text() for page in pages)
    assert "What gradients give away" in " ".join(text.split())
    without, _ = score(invert="groups", out="compared-quietly")
    folder = Path(without["scores"]).parent
    report = json.loads((folder / "report.json").read_text())
    section = next(section for section in report["sections"] if section["anchor"] == "inversion")
    assert [figure["kind"] for figure in section["figures"]] == ["inversion-placement", "inversion-groups"]
    assert "--show-samples" in " ".join(section["paragraphs"])
    assert not (folder / "inversion-pictures.npz").exists()
    assert (compared["folder"] / "reconstructions.npz").stat().st_mode & 0o077 == 0


def test_a_defence_and_fresh_networks(score: Any, root: Path) -> None:
    """Strong noise hides everything; identification falls to chance."""
    results, _ = score(invert="10", gradient_clip=0.1, gradient_noise=1.0, out="defended")
    found = results["inversion"]["matching"]
    assert found["outcomes"]["recovered"]["rate"] == 0
    assert found["outcomes"]["identified"]["ci"][0] <= 0.05
    assert any("does not rank the samples" in warning for warning in results["inversion"]["warnings"])
    ids = root / "ids.txt"
    ids.write_text("sample_id\n5\n17\n")
    results, _ = score(invert=f"ids:{ids}", invert_at="init", invert_batch="2", out="init")
    table = pd.read_parquet(results["scores"])
    assert table.loc[table["psnr"].notna(), "sample_id"].tolist() == [5, 17]
    assert results["inversion"]["engine"]["batch"] == 2


def test_without_inversion_the_columns_are_null(score: Any, root: Path) -> None:
    """Images of an earlier scoring go with what the table said of them."""
    score(invert="2", out="left-out")
    results, _ = score(invert="0", out="left-out")
    assert results["inversion"] is None
    assert pd.read_parquet(results["scores"])[list(COLUMNS)].isna().all().all()
    assert not (Path(results["scores"]).parent / "reconstructions.npz").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"invert": "301"}, "there are only 300"),
        ({"invert": "some"}, "a number, all, groups"),
        ({"invert": 5, "invert_preset": "deep"}, "inverting-gradients"),
        ({"invert": "ids:nowhere"}, "cannot read the ids"),
        ({"invert": 5, "network": "tests.test_inversion_audit:batch_dependent"}, "depends on the batch"),
    ],
)
def test_mistakes_are_told(small_npz: Path, root: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as error:
        plan_inversion(plan_audit(settings_of(small_npz, root, **settings)))
    assert message in str(error.value)


def batch_dependent(input_shape: tuple[int, ...], classes: int) -> torch.nn.Module:
    """A user's network that has no gradient of a single sample."""
    norm = torch.nn.BatchNorm2d(1, track_running_stats=False)
    return torch.nn.Sequential(norm, torch.nn.Flatten(), torch.nn.Linear(64, classes))


def test_by_default_such_networks_are_left_out(small_npz: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = plan_audit(settings_of(small_npz, root, network="tests.test_inversion_audit:batch_dependent"))
    assert plan_inversion(plan) is None
    assert "no inversions" in capsys.readouterr().err


def test_settings_out_of_range_are_told(small_npz: Path, root: Path) -> None:
    for settings in ({"gradient_noise": -1.0}, {"gradient_clip": 0.0}, {"invert_at": "end"}):
        with pytest.raises(UsageError, match=next(iter(settings))):
            settings_of(small_npz, root, **settings)
    plan = plan_audit(settings_of(small_npz, root, invert_batch="0"))
    inversion = plan_inversion(plan)
    assert inversion is not None
    with pytest.raises(UsageError, match="at least 1"):
        measured(plan, inversion, keep=False)


def test_features_are_no_images(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    rows = {"x_train": random.random((300, 5), np.float32), "x_test": random.random((120, 5), np.float32)}
    save_noisy_images(tmp_path / "rows.npz", **rows)
    with pytest.raises(UsageError, match="only images are inverted"):
        plan_inversion(plan_audit(settings_of(tmp_path / "rows.npz", tmp_path, invert="5")))
    assert plan_inversion(plan_audit(settings_of(tmp_path / "rows.npz", tmp_path))) is None


def test_what_takes_too_long_is_left_out(small_npz: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_audit(settings_of(small_npz, root, invert_preset="inverting-gradients"))
    usual = plan_inversion(plan)
    monkeypatch.setitem(AFFORDED, "cpu", 20.0)
    slow = plan_inversion(plan)
    monkeypatch.setitem(AFFORDED, "cpu", 2.0)
    slower = plan_inversion(plan)
    assert usual is not None
    assert slow is not None
    assert slower is not None
    assert (usual.matched, slow.matched, slower.matched) == (30, 0, 0)
    assert "--invert N" in slow.notes[0]
    assert len(slower.pool) < len(slow.pool) == 300


def test_by_default_a_dear_comparison_is_left_for_records_at_random(
    small_npz: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first of the seeded order, whom --invert N takes; what was left out is said; cheap ones stay whole."""
    plan = plan_audit(settings_of(small_npz, root / "fresh"))
    whole = plan_inversion(plan)
    cheap = choose_inversion(plan)
    assert cheap is not None
    assert whole is not None
    assert cheap.chosen is None
    assert (cheap.group, len(cheap.pool)) == (whole.group, len(whole.pool))
    step = seconds_of_step(plan)
    monkeypatch.setattr(inversion_scope, "BRIEFLY", 0.4 * inversion_scope.seconds_of(whole, step) / AFFORDED["cpu"])
    briefly = choose_inversion(plan)
    assert briefly is not None
    assert briefly.chosen is not None
    asked = plan_inversion(plan_audit(settings_of(small_npz, root / "fresh", invert=str(len(briefly.chosen)))))
    assert asked is not None
    assert np.array_equal(briefly.chosen, asked.chosen if asked.chosen is not None else [])
    assert 10 <= len(briefly.chosen) < 30
    assert inversion_scope.seconds_of(briefly, step) < 0.4 * inversion_scope.seconds_of(whole, step)
    assert "--invert groups inverts 300 by features and 30 by gradient matching" in briefly.notes[-1]
    assert choose_inversion(plan_audit(settings_of(small_npz, root / "fresh", invert="groups"))) is not None
    monkeypatch.setattr(inversion_scope, "BRIEFLY", 1e-9)
    assert choose_inversion(plan) is None


def test_a_store_that_holds_the_comparison_goes_on_with_it(
    compared: dict[str, Any], small_npz: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inversion_scope, "BRIEFLY", 1e-9)
    found = choose_inversion(plan_audit(settings_of(small_npz, root)))
    assert found is not None
    assert found.group == compared["results"]["inversion"]["groups"]["size"]


def test_an_audit_that_was_matched_from_noise_goes_on_so(small_npz: Path, tmp_path: Path) -> None:
    """One search that it left in its store is enough; other settings, and other places, begin from features."""
    plan = plan_audit(settings_of(small_npz, tmp_path, invert="2"))
    before = plan_inversion(plan, FROM_NOISE)
    assert before is not None
    engine = EngineChoice(engine="vmapped", batch=32)
    write_result(calibration_path(plan.store, plan.specification), engine)
    folder = InversionStage(plan, before, engine).folder("matching")
    usual = choose_inversion(plan)
    assert usual is not None
    assert isinstance(usual.attack, RefiningAttack)
    files.write_bytes(folder / "matching-0002-0123456789abcdef.npz", b"")
    found = choose_inversion(plan)
    assert found is not None
    assert found.attack == before.attack == resolve_attack(FROM_NOISE, (8, 8, 1))
    for other in ({"gradient_clip": 0.25}, {"invert_at": "init"}, {"store": tmp_path / "elsewhere"}):
        elsewhere = choose_inversion(plan_audit(settings_of(small_npz, tmp_path, invert="2", **other)))
        assert isinstance(elsewhere and elsewhere.attack, RefiningAttack)
    # A batch that was asked for is kept in no calibration.
    in_eights = plan_audit(settings_of(small_npz, tmp_path, invert="2", invert_batch=8))
    assert isinstance((choose_inversion(in_eights) or usual).attack, RefiningAttack)
    asked = InversionStage(plan, before, engine.model_copy(update={"batch": 8})).folder("matching")
    files.write_bytes(asked / "matching-0002-0123456789abcdef.npz", b"")
    assert (choose_inversion(in_eights) or usual).attack == before.attack
    # Where both lie, noise was asked for by name: the default is not lost for that.
    refined = InversionStage(plan, usual, engine).folder("matching")
    files.write_bytes(refined / "matching-0002-0123456789abcdef.npz", b"")
    assert (choose_inversion(plan) or before).attack == usual.attack


def test_scores_of_samples() -> None:
    runs = {
        "recovered": np.array([[[True, False], [True, False]], [[False, False], [True, True]]]),
        "psnr": np.array([[[20.0, 10], [22, 12]], [[30, 8], [32, 16]]]),
        "ssim": np.ones((2, 2, 2)),
        "nn_margin": np.zeros((2, 2, 2)),
        "id_rank": np.ones((2, 2, 2)),
        "objective": np.array([[[0.2, 0.1], [0.1, np.nan]], [[0.3, 0.4], [0.5, 0.2]]]),
    }
    scores = sample_scores(runs)
    assert scores["inversion_success"].tolist() == [0.75, 0.25]
    assert scores["inverted"].tolist() == [True, False]
    assert scores["psnr"].tolist() == [26, 11.5]
    assert scores["psnr_best"].tolist() == [(22 + 30) / 2, (10 + 16) / 2]
    assert scores["psnr_sd_models"] == pytest.approx([np.std([21, 31], ddof=1), np.std([11, 12], ddof=1)])
    within = [np.std([20, 22], ddof=1), np.std([30, 32], ddof=1)]
    assert scores["psnr_sd_restarts"][0] == pytest.approx(np.sqrt(np.mean(np.square(within))))


def test_reliability_of_known_noise() -> None:
    """PSNR = sample + model noise + restart noise, all of deviation 1: correlations follow from the variances."""
    random = np.random.default_rng(1)
    samples = random.normal(size=4000)
    by_model = samples + random.normal(size=(2, 1, 4000))
    found = reliability(by_model + random.normal(size=(2, 3, 4000)))
    of_normal = {"restarts": 2 / 3, "models": 1 / (2 + 1 / 3)}
    for name, pearson in of_normal.items():
        spearman = 6 / np.pi * np.arcsin(pearson / 2)
        assert found[name]["spearman"] == pytest.approx(spearman, abs=0.03)
        assert found[name]["ci"][0] < spearman < found[name]["ci"][1]
    assert reliability(by_model[:1])["models"]["spearman"] is None


def test_null_rates_count() -> None:
    truths = np.stack([np.full((8, 8, 1), value) for value in (0.2, 0.8)])
    guesses = truths + np.array([0.05, 0.5])[:, np.newaxis, np.newaxis, np.newaxis]
    found = null_rates(truths, guesses, place(guesses, truths, truths, np.arange(2)))
    assert found["psnr_above_20"]["rate"] == 0.5
    assert found["recovered"]["rate"] == 0.5
    assert no_ranking(0.5) is None
    assert "4.0%" in str(no_ranking(0.04))
