"""Estimators of scikit-learn's kind as shadow models: fitted to members, the same wherever, and kept without pickle."""

from __future__ import annotations

import importlib.util
import math
import runpy
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier

import privaudit
from privaudit.attacks import lira
from privaudit.audit.estimators.estimator_plan import unseen_classes
from privaudit.errors import DataError, PrivauditError, UsageError
from privaudit.estimators.build import build_estimator, estimator_identity, shown_name
from privaudit.estimators.fitted import LEAST, MOST, SEEDS, fit_estimator, seeded
from privaudit.estimators.saved_models import read_estimator
from privaudit.estimators.stored_answers import StoredAnswers
from privaudit.estimators.tree_checks import demand_sound_trees
from privaudit.objects.estimator_text import estimator_text
from privaudit.runtime import files
from privaudit.runtime.seeds import derive_seed
from privaudit.shadow.design import paired_design
from privaudit.shadow.external_estimator import read_given_estimator
from privaudit.shadow.external_target import read_given_target, take_in
from privaudit.shadow.specification import ModelSpecification
from privaudit.shadow.store import AuditStore
from privaudit.shadow.trainer import AuditArrays, TrainingJob, load_model
from privaudit.signals import SIGNALS, signals_of
from privaudit.training.hardware import Hardware
from privaudit.training.loop import Samples, logits_of
from privaudit.training.recipe import RECIPES

FOREST = RandomForestClassifier(n_estimators=20, random_state=7, n_jobs=2)


def save_rows(path: Path, rows: int = 60) -> dict[str, npt.NDArray[Any]]:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(rows + 30, 4)).astype(np.float32)
    y = (x[:, 0] + draw.normal(size=rows + 30) > 0).astype(np.int64)
    arrays: dict[str, Any] = {"x_train": x[:rows], "y_train": y[:rows], "x_test": x[rows:], "y_test": y[rows:]}
    np.savez(path, **arrays)
    return arrays


@pytest.fixture(scope="module")
def forest_audit(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One finished audit of forests; read it, never change it."""
    root = tmp_path_factory.mktemp("forests")
    arrays = save_rows(root / "rows.npz")
    places: dict[str, Any] = {"store": root / "store", "out": root / "out"}
    asked: dict[str, Any] = {"dataset": root / "rows.npz", "shadows": 6, "workers": 1}
    results = privaudit.score(**asked, **places, estimator=FOREST)
    return {"root": root, "arrays": arrays, "results": results, "asked": asked, "places": places}


def test_a_model_s_margins_are_the_log_odds_of_a_forest_fitted_by_hand_to_its_members(
    forest_audit: dict[str, Any],
) -> None:
    store = AuditStore(forest_audit["places"]["store"], forest_audit["results"].audit)
    arrays, key = forest_audit["arrays"], "0003"
    members = store.read_design()[3]
    state = derive_seed(derive_seed(0, "train", key, 0), "random_state") % SEEDS
    by_hand = RandomForestClassifier(n_estimators=20, random_state=state).fit(
        arrays["x_train"][members], arrays["y_train"][members]
    )
    said = by_hand.predict_proba(np.concatenate([arrays["x_train"], arrays["x_test"]]))
    said = np.clip(said, min(MOST, said[said > 0].min() / 2), 1)[: len(members)]
    sign = 2 * arrays["y_train"] - 1
    expected = sign * np.log(said[:, 1] / said[:, 0])
    margins = store.read_signals([key])[0, :, 0, SIGNALS.index("margin")]
    np.testing.assert_allclose(margins, expected, atol=1e-5)
    record = files.read_json(store.record(key))
    assert record["members"] == members.sum() == 30


def test_the_controls_of_estimators_hold_and_untrained_ones_differ(forest_audit: dict[str, Any]) -> None:
    results = forest_audit["results"]
    assert results.controls.negative.holds
    assert results.controls.untrained.holds
    store = AuditStore(forest_audit["places"]["store"], results.audit)
    untrained = store.read_control("untrained", ["0000", "0001"])
    assert not np.array_equal(untrained[0], untrained[1])


def test_asked_again_nothing_is_fitted_and_a_lost_model_comes_out_the_same(
    forest_audit: dict[str, Any], tmp_path: Path
) -> None:
    shutil.copytree(forest_audit["places"]["store"], tmp_path / "store", dirs_exist_ok=True)
    store = AuditStore(tmp_path / "store", forest_audit["results"].audit)
    before = store.model("0002").read_bytes()
    for path in store.files_of("0002"):
        files.remove(path)
    # Neither a seed of its own nor threads are part of what an estimator is.
    same = RandomForestClassifier(n_estimators=20)
    again = privaudit.score(**forest_audit["asked"], store=tmp_path / "store", out=tmp_path / "out", estimator=same)
    assert (again.audit, again.trained) == (forest_audit["results"].audit, 1)
    assert store.model("0002").read_bytes() == before
    assert again.attacks["lira"].auc == forest_audit["results"].attacks["lira"].auc


def test_the_report_says_what_was_fitted_and_how_to_do_it_again(forest_audit: dict[str, Any]) -> None:
    results = forest_audit["results"]
    page = (forest_audit["places"]["out"] / results.audit / "report.html").read_text("utf-8")
    assert "sklearn.ensemble.RandomForestClassifier(n_estimators=20)" in page
    assert "--estimator" in page
    assert "--network" not in page
    assert results.audit.startswith("rows-randomforestclassifier-")


def test_an_estimator_forgets_by_a_new_fit_and_by_nothing_else(forest_audit: dict[str, Any], tmp_path: Path) -> None:
    for name in ("store", "out"):
        shutil.copytree(forest_audit["places"][name], tmp_path / name)
    places: dict[str, Any] = {"store": tmp_path / "store", "out": tmp_path / "out"}
    for method in ("ga", "shadow-teacher"):
        with pytest.raises(UsageError, match=f"--method {method} changes the weights of a network by gradient steps"):
            privaudit.unlearn(method=method, forget="random:10%", **places)
    planned: Any = privaudit.unlearn(order="risk", forget="random:10%", dry_run=True, **places)
    assert planned.method == "retrain"
    assert "gradient steps" in planned.chosen.why
    done: Any = privaudit.unlearn(forget="random:10%", workers=1, **places)
    assert (done.method, done.outcome, done.forget) == ("retrain", "exact", 6)
    assert done.relearn.steps == {}
    _check_export_of_run(places)
    store = AuditStore(tmp_path / "store", forest_audit["results"].audit)
    with pytest.raises(UsageError, match="what an estimator said, and not the estimator"):
        privaudit.load_model(store.audit, **places)
    purged = privaudit.purge(audit=store.audit, forget="random:5%", yes=True, **places)
    assert {path.name for path in store.folder.rglob("*.safetensors")} == set()
    assert not purged.models_kept
    assert all("said of every sample" in one.why for one in purged.unlearned_removed)
    assert not privaudit.verify(store.audit, **places).damaged


def _check_export_of_run(places: dict[str, Path]) -> None:
    """What is left can be had, where skops is: it is fitted again, and says what is on record."""
    if importlib.util.find_spec("skops") is not None:
        found = privaudit.export("latest", **places)
        assert found.outcome == "exact"
        assert (Path(found.folder) / "model.skops").is_file()


def test_an_exported_estimator_is_the_one_that_was_audited(forest_audit: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("skops")
    found = privaudit.export(
        forest_audit["results"].audit, store=forest_audit["places"]["store"], out=tmp_path / "export"
    )
    assert "skops" in found.needs
    loaded = runpy.run_path(str(tmp_path / "export" / "load.py"))["load"]()
    arrays = forest_audit["arrays"]
    state = derive_seed(derive_seed(0, "train", "target", 0), "random_state") % SEEDS
    by_hand = RandomForestClassifier(n_estimators=20, random_state=state).fit(arrays["x_train"], arrays["y_train"])
    assert np.array_equal(loaded.predict_proba(arrays["x_test"]), by_hand.predict_proba(arrays["x_test"]))


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"epochs": 3}, "--epochs means nothing with --estimator"),
        ({"network": "mlp"}, "--network means nothing with --estimator"),
        ({"invert": 5}, "reads the gradients of a network, and random-forest has none"),
        ({"precision": "bf16"}, "--precision bf16 with --estimator"),
        ({"estimator": "random-forrest"}, "unknown estimator 'random-forrest'"),
        ({"estimator": "sklearn.svm.LinearSVC()"}, "LinearSVC, which has no predict_proba"),
        ({"estimator": "os.system('id')"}, "is neither a value nor a class with parameters by name"),
        ({"estimator": "sklearn.utils.murmurhash3_32(key=1)"}, "no class of scikit-learn's kind"),
        ({"estimator": 3}, "it is no estimator"),
        ({"estimator": RandomForestClassifier(class_weight={0: math})}, "which no text can say"),
    ],
)
def test_what_means_nothing_to_an_estimator_or_is_none_is_told(
    flags: dict[str, Any], said: str, forest_audit: dict[str, Any], tmp_path: Path
) -> None:
    asked: dict[str, Any] = {"estimator": "random-forest"} | flags
    with pytest.raises(UsageError, match=said.replace("(", r"\(").replace(")", r"\)")):
        privaudit.score(dataset=forest_audit["asked"]["dataset"], store=tmp_path, out=tmp_path, **asked)


class Nowhere(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Its class is in a test, so that a text can name it."""

    def __init__(self, size: int = 3) -> None:
        self.size = size


@pytest.mark.parametrize(
    ("estimator", "text"),
    [
        (FOREST, "sklearn.ensemble.RandomForestClassifier(n_estimators=20)"),
        (LogisticRegression(C=0.5, class_weight="balanced"), "sklearn.linear_model.LogisticRegression(C=0.5, "),
        (make_pipeline(StandardScaler(), LogisticRegression()), "sklearn.pipeline.Pipeline(steps=[('standardscaler', "),
        (
            Pipeline(
                [
                    ("columns", ColumnTransformer([("log", FunctionTransformer(np.log1p), [0, 2])])),
                    ("tree", DecisionTreeClassifier(class_weight={0: 1, 1: 10.5}, max_depth=np.int64(3))),
                ]
            ),
            "numpy.log1p",
        ),
        (Nowhere(size=5), "tests.test_estimators.Nowhere(size=5)"),
    ],
)
def test_an_estimator_s_text_builds_one_with_the_same_parameters(estimator: Any, text: str) -> None:
    said = estimator_text(estimator)
    assert text in said
    assert "random_state" not in said
    built = build_estimator(said) if hasattr(estimator, "predict_proba") else None
    assert built is None or estimator_text(built) == said


def test_an_estimator_is_known_by_its_class_its_parameters_and_its_file(tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text(
        "from sklearn.tree import DecisionTreeClassifier\n\ndef make():\n    return DecisionTreeClassifier()\n"
    )
    found = estimator_identity(f"{own}:make")
    assert (found["name"], found["builds"]) == ("own.py:make", None)
    assert found["source"] == files.sha256_of(own)
    assert estimator_identity("random-forest")["builds"] == "sklearn.ensemble.RandomForestClassifier()"
    text = estimator_text(make_pipeline(StandardScaler(), LogisticRegression(C=2.0)))
    assert shown_name(text) == "StandardScaler-LogisticRegression"
    assert estimator_identity(text)["builds"] == text


def test_every_nested_random_state_has_a_stream_of_its_own_and_one_thread() -> None:
    nested = make_pipeline(StandardScaler(), RandomForestClassifier(n_jobs=4, random_state=1))
    one, same, other = (seeded(build_estimator(estimator_text(nested)), seed).get_params() for seed in (1, 1, 2))
    key = "randomforestclassifier__random_state"
    assert one[key] == same[key] != other[key]
    kept = seeded(RandomForestClassifier(n_jobs=4), 1)
    assert kept.n_jobs == 1


def test_a_class_that_a_model_never_saw_is_at_the_clip_and_is_told() -> None:
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(40, 3)).astype(np.float32), draw.integers(0, 2, 40) * 2
    for name in ("random-forest", "logistic-regression"):
        said = np.exp(fit_estimator(name, x, y, 4, 0)[0].log_probabilities(x))
        assert np.allclose(said[:, [1, 3]], said[0, 1])
        assert LEAST <= said[0, 1] <= MOST
    alone = fit_estimator("random-forest", x, np.full(40, 2), 4, 0)[0].log_probabilities(x)
    assert np.allclose(np.exp(alone[0]), [MOST, MOST, 1, MOST])
    keep = np.array([[True, True, False], [False, False, True]])
    notes = unseen_classes(keep, np.array([0, 0, 1]), ("often", "rare"))
    assert len(notes) == 2
    assert "class 'rare' is so rare that 1 of 2 shadow models see no sample of it" in notes[1]


class ByPlace(LogisticRegression):  # type: ignore[misc]
    """Wants classes 0, 1, 2, … without gaps, as XGBoost does."""

    def fit(self, rows: Any, labels: Any) -> Any:
        if not np.array_equal(np.unique(labels), np.arange(len(np.unique(labels)))):
            raise ValueError("Invalid classes")
        return super().fit(rows, labels)


def test_a_library_that_wants_classes_without_gaps_gets_them() -> None:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(60, 2)).astype(np.float32)
    y = np.where(x[:, 0] > 0, 3, 1)
    said = fit_estimator("tests.test_estimators.ByPlace()", x, y, 4, 0)[0].log_probabilities(x)
    assert np.array_equal(said.argmax(1), np.where(x[:, 0] > 0, 3, 1)) or (said.argmax(1) == y).mean() > 0.9


class Broken(LogisticRegression):  # type: ignore[misc]
    def predict_proba(self, rows: Any) -> Any:
        return np.full((len(rows), 2), np.nan)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("tests.test_estimators.Broken()", "gives values that are no probabilities"),
        ("sklearn.ensemble.RandomForestClassifier(n_estimators=-1)", "fit failed: InvalidParameterError"),
    ],
)
def test_an_estimator_that_fails_is_told_with_its_reason(name: str, said: str) -> None:
    x = np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32)
    with pytest.raises(PrivauditError, match=said):
        fit_estimator(name, x, (x[:, 0] > 0).astype(np.int64), 2, 0)[0].log_probabilities(x)


def test_full_grown_trees_leak_and_logistic_regression_little() -> None:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(160, 5)).astype(np.float32)
    y = (x[:, 0] + 2 * draw.normal(size=160) > 0).astype(np.int64)
    keep = paired_design(len(y), 8, 0)
    areas = {}
    for name in ("logistic-regression", "sklearn.ensemble.RandomForestClassifier(n_estimators=10)"):
        logits = [fit_estimator(name, x[row], y[row], 2, k)[0].log_probabilities(x) for k, row in enumerate(keep)]
        scores = lira.online(np.stack([signals_of(one, y)[:, SIGNALS.index("margin")] for one in logits]), keep)
        areas[name] = roc_auc_score(keep.ravel(), scores.ravel())
    little, much = areas.values()
    assert much > 0.75
    assert little < 0.6


def a_specification(shape: tuple[int, ...]) -> ModelSpecification:
    return ModelSpecification(
        network="random-forest", input_shape=shape, classes=2, statistics=((), ()), recipe=RECIPES["fast"], seed=0,
        hardware=Hardware("cpu", "fp32"), estimator="random-forest",
    )  # fmt: skip


def fitted_tree(depth: int | None = None) -> tuple[npt.NDArray[Any], DecisionTreeClassifier]:
    x = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    return x, DecisionTreeClassifier(max_depth=depth, random_state=0).fit(x, (x[:, 0] > 0).astype(int))


def test_a_pickle_is_never_opened_and_an_ending_that_is_none_is_told(tmp_path: Path) -> None:
    path = tmp_path / "model.joblib"
    path.write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(UsageError, match="it may be a pickle, which runs whatever code it names"):
        read_estimator(path, ("0", "1"), 3, None)
    with pytest.raises(DataError, match="no such file"):
        read_estimator(tmp_path / "none.skops", ("0", "1"), 3, None)


def test_a_skops_file_is_read_by_names_of_its_classes_and_only_what_is_trusted_is_built(tmp_path: Path) -> None:
    skops = pytest.importorskip("skops.io")
    x, _ = fitted_tree()
    names = np.array(["yes", "no"])
    model = RandomForestClassifier(n_estimators=5, random_state=0).fit(x, names[(x[:, 0] > 0).astype(int)])
    skops.dump(model, tmp_path / "forest.skops")
    found = read_estimator(tmp_path / "forest.skops", ("yes", "no", "maybe"), 3, None)
    said = np.exp(found.log_probabilities(x))
    assert np.allclose(said[:, :2], np.clip(model.predict_proba(x)[:, [1, 0]], said.min(), 1), atol=1e-6)
    with pytest.raises(DataError, match="takes 3 features, and a row of this audit has 4"):
        read_estimator(tmp_path / "forest.skops", ("yes", "no"), 4, None)
    with pytest.raises(DataError, match="tells no, yes apart"):
        read_estimator(tmp_path / "forest.skops", ("a", "b"), 3, None)
    own = ByPlace().fit(x, (x[:, 0] > 0).astype(int))
    skops.dump(own, tmp_path / "own.skops")
    with pytest.raises(DataError, match=r"holds tests\.test_estimators\.ByPlace, which are not scikit-learn's own"):
        read_estimator(tmp_path / "own.skops", ("0", "1"), 3, RandomForestClassifier())
    assert read_estimator(tmp_path / "own.skops", ("0", "1"), 3, ByPlace()).columns.tolist() == [0, 1]
    (tmp_path / "damaged.skops").write_bytes(b"PK nothing")
    with pytest.raises(DataError, match="no readable skops file"):
        read_estimator(tmp_path / "damaged.skops", ("0", "1"), 3, None)


def test_a_given_estimator_is_asked_as_the_audit_s_own_are_and_needs_one_to_be_compared_with(tmp_path: Path) -> None:
    skops = pytest.importorskip("skops.io")
    arrays = save_rows(tmp_path / "rows.npz")
    forest = RandomForestClassifier(n_estimators=5, random_state=3).fit(arrays["x_train"], arrays["y_train"])
    skops.dump(forest, tmp_path / "mine.skops")
    specification = a_specification((4,))
    given = read_given_estimator(("no", "yes"), tmp_path / "mine.skops", specification)
    named = (arrays["x_train"], arrays["y_train"], arrays["x_test"], arrays["y_test"])
    asked = AuditArrays(*named, np.arange(10))
    store = AuditStore(tmp_path, "audit")
    take_in(TrainingJob("target", np.arange(60), specification, store), given, asked)
    samples = Samples.from_arrays(arrays["x_test"], arrays["y_test"], "cpu")
    said = logits_of(load_model(specification, store.model("target")), samples)
    np.testing.assert_allclose(np.exp(said), np.clip(forest.predict_proba(arrays["x_test"]), MOST, 1), atol=1e-6)
    assert store.is_finished("target")
    assert files.read_json(store.record("target"))["given"]["file"] == "mine.skops"
    with pytest.raises(UsageError, match="is an estimator"):
        read_given_target(tmp_path / "mine.skops", specification)


def test_images_are_rows_of_pixels_and_an_unknown_one_has_no_answer() -> None:
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (40, 4, 4, 3)).astype(np.uint8)
    labels = (images[:, 0, 0, 0] > 128).astype(np.int64)
    fitted = fit_estimator("logistic-regression", images[:30], labels[:30], 2, 0)[0]
    by_hand = build_estimator("logistic-regression").fit(images[:30].reshape(30, -1) / np.float32(255), labels[:30])
    model = StoredAnswers.of(fitted, [images[:30], images[30:35]])
    said = logits_of(model, Samples.from_arrays(images[:35], labels[:35], "cpu"))
    expected = by_hand.predict_proba(images[:35].reshape(35, -1) / np.float32(255))
    np.testing.assert_allclose(np.exp(said), np.clip(expected, LEAST, 1), atol=1e-4)
    with pytest.raises(PrivauditError, match="was never asked about this row"):
        logits_of(model, Samples.from_arrays(images[35:], labels[35:], "cpu"))


class Tree:
    """As scikit-learn's compiled tree shows itself."""

    def __init__(self, of: Any) -> None:
        for name in ("children_left", "children_right", "feature"):
            setattr(self, name, np.array(getattr(of, name)))


@pytest.mark.parametrize(("field", "value"), [("children_left", 0), ("children_right", 10_000), ("feature", 3)])
def test_a_tree_that_leads_outside_itself_is_not_walked(field: str, value: int) -> None:
    _, model = fitted_tree()
    demand_sound_trees([model, Tree(model.tree_)], 3, "FILE")
    bad = Tree(model.tree_)
    getattr(bad, field)[0] = value
    with pytest.raises(DataError, match="FILE holds a decision tree that leads outside itself"):
        demand_sound_trees({"part": [bad]}, 3, "FILE")


@pytest.mark.parametrize(("name", "ending"), [("xgboost", ".json"), ("xgboost", ".ubj"), ("lightgbm", ".txt")])
def test_a_library_s_own_format_is_read_as_it_was_written(name: str, ending: str, tmp_path: Path) -> None:
    pytest.importorskip(name)
    x, _ = fitted_tree()
    fitted = fit_estimator(name, x, (x[:, 0] > 0).astype(np.int64), 2, 0)[0]
    path = tmp_path / f"model{ending}"
    (fitted.estimator.booster_ if name == "lightgbm" else fitted.estimator).save_model(path)
    found = read_estimator(path, ("0", "1"), 3, None)
    np.testing.assert_allclose(found.log_probabilities(x), fitted.log_probabilities(x), atol=1e-5)
