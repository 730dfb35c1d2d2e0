"""`privaudit defend`: variations that suit, ordinary audits of them, and results that `compare` comes to as well."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import privaudit
from privaudit.audit.plan import plan_audit
from privaudit.audit.reopening import reopen_plan
from privaudit.commands.defence.estimator_variations import estimator_variations
from privaudit.commands.defence.output_measures import measure_outputs
from privaudit.commands.defence.variations import BASELINE, Variation, default_variations, read_sweep, varied_settings
from privaudit.config import AuditSettings
from privaudit.errors import UsageError
from privaudit.estimators.build import build_estimator
from privaudit.networks.cnn import build_cnn
from privaudit.networks.cnn import build_dropout as cnn_dropout
from privaudit.report.brief import next_steps
from privaudit.runtime import files
from privaudit.training.augment import Augmenter
from privaudit.training.recipe import RECIPES, resolve_recipe


@pytest.fixture(scope="module")
def defended(small_audit: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The small audit against a fifth of its epochs."""
    root = tmp_path_factory.mktemp("defended")
    places: dict[str, Any] = {name: root / name for name in ("store", "out")}
    for name, folder in places.items():
        shutil.copytree(small_audit["root"] / name, folder)
    sweep = root / "sweep.toml"
    sweep.write_text('[fewer]\ntitle = "fewer epochs"\nepochs = 6\n', "utf-8")
    results = privaudit.defend(sweep=sweep, workers=1, boundary=40, boundary_queries=120, **places)
    return {"results": results, "places": places, "sweep": sweep, "audit": small_audit["results"]["audit"]}


def test_the_stored_audit_is_the_baseline_and_nothing_of_it_is_trained_again(defended: dict[str, Any]) -> None:
    results, places = defended["results"], defended["places"]
    baseline, fewer = results.variants
    assert (baseline.name, baseline.audit) == (BASELINE, defended["audit"])
    assert results.trained == 9  # the variation's target and eight shadow models
    scored = json.loads((places["out"] / defended["audit"] / "score.json").read_text("utf-8"))
    assert baseline.auc == scored["attacks"]["lira"]["auc"]
    assert baseline.accuracy == scored["accuracy"]["target_test"]
    assert fewer.changes == {"epochs": 6}
    assert results.recommended in (None, "fewer")
    assert (places["store"] / "latest").read_text("utf-8").strip() == defended["audit"]


def test_differences_are_those_that_compare_finds(defended: dict[str, Any]) -> None:
    baseline, fewer = defended["results"].variants
    found = privaudit.compare(baseline.audit, fewer.audit, out=defended["places"]["out"])
    assert fewer.paired is found.paired is True
    assert fewer.auc_change == found.attacks["lira"].auc
    assert fewer.tpr_change == found.attacks["lira"].tpr_at_fpr["0.01"]


def test_models_that_are_asked_again_say_what_the_store_says(defended: dict[str, Any]) -> None:
    """All that a model says, attacked by LiRA's margin, is the audit's own attack."""
    results = defended["results"]
    everything = results.outputs.measures[0]
    assert everything.name == "logits"
    assert everything.attacks["margin"] == pytest.approx(results.variants[0].tpr_at_fpr["0.01"])
    softened = next(one for one in results.outputs.measures if one.name == "temperature-5")
    assert softened.adaptive.auc == pytest.approx(everything.adaptive.auc, abs=1e-3)
    assert softened.helps is False


def test_labels_are_asked_along_the_boundary_of_stored_models(defended: dict[str, Any]) -> None:
    walk = defended["results"].outputs.boundary
    assert (walk.samples, walk.queries) == (40, 120)
    assert list(walk.attacks) == [
        "boundary distance",
        "boundary distance, fitted",
        "labels of altered copies",
        "margin",
    ]
    assert all(0 <= attack.auc <= 1 and attack.auc_ci is not None for attack in walk.attacks.values())
    page = (Path(defended["results"].folder) / "report.html").read_text("utf-8")
    assert "to who walks along the boundary" in page
    planned = privaudit.defend(
        dry_run=True, workers=1, sweep=defended["sweep"], boundary=40, boundary_queries=120, **defended["places"]
    )
    assert planned.questions == 8 * (200 + 40 * 120)


def test_what_is_written_says_the_same(defended: dict[str, Any]) -> None:
    results, folder = defended["results"], Path(defended["results"].folder)
    assert folder == defended["places"]["out"] / "defences" / defended["audit"]
    table = pd.read_csv(results.table)
    assert table["name"].tolist()[:2] == [BASELINE, "fewer"]
    assert len(table) == 2 + len(results.outputs.measures)
    page = (folder / "report.html").read_text("utf-8")
    assert results.report.pdf is not None
    for said in ("What lowers the risk, and what it costs", "fewer epochs", "By whoever adapts", "Holm"):
        assert said in page
    stored = json.loads((folder / "defence.json").read_text("utf-8"))
    assert stored["sentence"] == results.sentence
    assert str(folder.parent) not in json.dumps(stored)
    assert files.is_whole(folder / "results.csv")
    checked = privaudit.verify(defended["audit"], **defended["places"])
    assert not checked.damaged + checked.missing


def test_the_same_again_trains_nothing_and_comes_to_the_same(defended: dict[str, Any]) -> None:
    planned = privaudit.defend(dry_run=True, sweep=defended["sweep"], workers=1, **defended["places"])
    assert [one.to_train for one in planned.variants] == [0, 0]
    assert planned.to_train == 0


def test_what_now_points_to_it(defended: dict[str, Any]) -> None:
    from privaudit.report.brief.verdict import judge
    from privaudit.results.audit.score_results import ScoreResults
    from privaudit.results.base import read_result
    from privaudit.results.statement.declaration import Declaration, DeclaredLimits

    path = defended["places"]["out"] / defended["audit"] / "score.json"
    results = read_result(path, ScoreResults)
    declared = Declaration(limits=DeclaredLimits(auc=0.5))
    now = next_steps.Situation(results, judge(results, declared), [], declared)
    assert f"privaudit defend {defended['audit']}" in next_steps.next_steps(now)[0].commands


# Which variations.


def names(settings: AuditSettings) -> tuple[set[str], str]:
    found, skipped = default_variations(plan_audit(settings))
    return {one.name for one in found}, " ".join(skipped)


def test_variations_suit_data_and_network(tmp_path: Path) -> None:
    found, skipped = names(AuditSettings(dataset="digits", samples=200, device="cpu"))
    assert found >= {"half-epochs", "weight-decay", "augmentation", "smaller-network", "dropout", "more-data"}
    random = np.random.default_rng(0)
    features: dict[str, Any] = {"x_train": random.normal(size=(60, 4)), "x_test": random.normal(size=(30, 4))}
    labels: dict[str, Any] = {name: np.arange(count) % 2 for name, count in (("y_train", 60), ("y_test", 30))}
    np.savez(tmp_path / "features.npz", **features, **labels)
    found, skipped = names(AuditSettings(dataset=str(tmp_path / "features.npz"), device="cpu"))
    assert {"augmentation", "more-data"}.isdisjoint(found)
    assert "it is for images" in skipped
    assert "60 of 60 training samples" in skipped
    (tmp_path / "own.py").write_text("def fit(model, inputs, labels, seed, device, report):\n    pass\n", "utf-8")
    own = AuditSettings(dataset=str(tmp_path / "features.npz"), training=f"{tmp_path}/own.py:fit", device="cpu")
    found, skipped = names(own)
    assert found == {"without-most-exposed"}
    assert "a function of yours trains" in skipped


def test_a_variation_keeps_all_that_it_does_not_change(small_npz: Path) -> None:
    given = AuditSettings(dataset=str(small_npz), epochs=7, batch_size=40, network="cnn", augment="flip", device="cpu")
    plan = plan_audit(given)
    same = plan_audit(varied_settings(plan, Variation("same", "same", {})))
    assert same.name == plan.name
    dropped = plan_audit(varied_settings(plan, Variation("dropout", "", {"network": "cnn-dropout"})))
    assert dropped.specification.recipe == plan.specification.recipe
    assert np.array_equal(dropped.design(8), plan.design(8))
    other = plan_audit(varied_settings(plan, Variation("paper", "", {"recipe": "paper"})))
    assert other.specification.recipe == RECIPES["paper"]


def test_a_variation_of_a_private_training_keeps_its_promise() -> None:
    pytest.importorskip("opacus")
    asked: dict[str, Any] = {"recipe": "dp-sgd", "noise_multiplier": 1.3, "delta": 1e-4, "max_grad_norm": 0.5}
    plan = plan_audit(AuditSettings(dataset="digits", samples=200, epochs=6, device="cpu", **asked))
    # A stored audit's settings say nothing of it.
    stored = replace(plan, settings=plan.settings.changed(**dict.fromkeys(asked)))
    for one in (plan, stored):
        assert plan_audit(varied_settings(one, Variation("same", "", {}))).name == plan.name
        for change in ({"epochs": 3}, {"epsilon": 2.0}, {"delta": 1e-6}):
            found = plan_audit(varied_settings(one, Variation("", "", change))).specification.recipe.privacy
            assert found is not None
            assert found.max_grad_norm == 0.5
            assert found.delta == change.get("delta", 1e-4)
            assert (found.noise_multiplier == 1.3) == ("epsilon" not in change)
        plain = plan_audit(varied_settings(one, Variation("", "", {"recipe": "fast"})))
        assert plain.specification.recipe.privacy is None
    assert {"epsilon": 1.0} in [one.changes for one in default_variations(stored)[0]]


def test_of_an_estimator_what_it_fits_by_and_the_data_are_varied() -> None:
    plan = plan_audit(AuditSettings(dataset="digits", samples=200, estimator="random-forest", device="cpu"))
    found, skipped = default_variations(plan)
    gentler = ["leaves-of-10", "leaves-of-30", "smaller-trees", "logistic-regression"]
    assert [one.name for one in found] == [*gentler, "more-data", "without-most-exposed"]
    leaves = plan_audit(varied_settings(plan, found[0])).identity.estimator
    assert leaves is not None
    assert leaves.builds == "sklearn.ensemble.RandomForestClassifier(min_samples_leaf=10)"
    assert "an estimator is audited" in " ".join(skipped)
    assert plan_audit(varied_settings(plan, Variation("same", "", {}))).name == plan.name
    assert len(plan_audit(varied_settings(plan, found[4])).data) == 400
    nothing: Any = None
    assert measure_outputs(plan, nothing) is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "it names no variation"),
        ("epochs = 3", "epochs = 3 stands outside"),
        ("[a]", "[a] changes nothing"),
        ("[a]\nepoch = 3", "[a] epoch = 3: there is no such option; did you mean epochs?"),
        ("[a]\nseed = 3", "[a] seed: it is the same for every variation"),
        ("[baseline]\nepochs = 3", "is what the audited configuration is called"),
        ("[a", "cannot read --sweep"),
    ],
)
def test_a_sweep_s_mistake_is_named(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "sweep.toml"
    file.write_text(content, "utf-8")
    with pytest.raises(UsageError, match=re.escape(said)):
        read_sweep(file)


def test_a_stored_audit_is_what_it_is(defended: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="--epochs means nothing beside"):
        privaudit.defend(audit=defended["audit"], epochs=3, **defended["places"])
    with pytest.raises(UsageError, match="no audit 'unknown'"):
        privaudit.defend(audit="unknown", **defended["places"])


# What variations are made of.


def test_samples_are_left_out_by_a_file_and_stay_out(small_npz: Path, tmp_path: Path) -> None:
    listed = tmp_path / "out.csv"
    listed.write_text("sample_id\n3\n17\n200\n", "utf-8")
    places: dict[str, Any] = {"store": tmp_path / "store", "out": tmp_path / "out"}
    settings = AuditSettings(dataset=str(small_npz), network="cnn", without=listed, device="cpu", **places)
    plan = plan_audit(settings)
    assert len(plan.data) == 297
    assert not {3, 17, 200} & set(plan.data.sample_ids.tolist())
    files.claim(plan.store.folder)
    plan.store.write_description(plan.describe())
    again = reopen_plan(plan.store, AuditSettings(**places))
    assert (again.name, again.data.drawn) == (plan.name, 300)
    listed.write_text("sample_id\n3\n9999\n", "utf-8")
    with pytest.raises(UsageError, match="9999"):
        plan_audit(settings)


def test_names_of_audits_without_smoothed_labels_are_as_they_were() -> None:
    assert "label_smoothing" not in RECIPES["fast"].identity()
    assert resolve_recipe("fast", {"label_smoothing": 0.1}).identity()["label_smoothing"] == 0.1
    with pytest.raises(UsageError, match="label_smoothing"):
        resolve_recipe("fast", {"label_smoothing": 1.0})


def test_a_small_shift_moves_small_images_by_one_pixel_and_never_mirrors() -> None:
    generator = torch.Generator().manual_seed(0)
    augmenter = Augmenter("shift", (8, 8, 1), 50, generator)
    augmenter.begin_epoch(0, torch.arange(50), [50], torch.device("cpu"))
    image = torch.zeros(8, 8, 1, dtype=torch.uint8)
    image[2, 5] = 1
    moved = augmenter(image.expand(50, 8, 8, 1))
    places = {tuple(one.nonzero()[0][:2].tolist()) for one in moved}
    assert places == {(down, right) for down in (1, 2, 3) for right in (4, 5, 6)}


def test_dropout_is_the_same_network_where_it_answers() -> None:
    plain, dropped = build_cnn((8, 8, 1), 3), cnn_dropout((8, 8, 1), 3)
    weights = list(plain.state_dict().values())
    dropped.load_state_dict(dict(zip(dropped.state_dict(), weights, strict=True)))
    inputs = torch.randn(5, 1, 8, 8)
    assert torch.equal(plain(inputs), dropped.eval()(inputs))
    assert not torch.equal(plain(inputs), dropped.train()(inputs))


@pytest.mark.parametrize(
    ("estimator", "expected"),
    [
        ("hist-gradient-boosting", {"fewer-trees": "max_iter=25", "leaves-of-100": "min_samples_leaf=100"}),
        ("logistic-regression", {"penalty-10": "C=0.1", "penalty-100": "C=0.01"}),
        ("sklearn.ensemble.RandomForestClassifier(max_depth=4, min_samples_leaf=20)", {"leaves-of-30": "max_depth=4"}),
        ("sklearn.neighbors.KNeighborsClassifier(n_neighbors=40)", {"logistic-regression": "logistic-regression"}),
    ],
)
def test_an_estimator_fits_less_closely_than_it_does(estimator: str, expected: dict[str, str]) -> None:
    """What it is given stays as it is, and nothing is tried that would fit more closely."""
    found = {name: text for name, _, text in estimator_variations(estimator)}
    for name, part in expected.items():
        assert part in found[name]
    assert not {"leaves-of-10", "smaller-trees", "more-neighbours"} & found.keys() or "boosting" in estimator
    assert ("logistic-regression" in found) == (estimator != "logistic-regression")
    for text in found.values():
        build_estimator(text)
