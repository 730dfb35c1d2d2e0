"""A stored model is loaded for raw inputs: it answers as the package does, says what it is, or is refused in words."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import privaudit
from privaudit.audit.plan import AuditPlan, plan_audit
from privaudit.config import AuditSettings
from privaudit.errors import DataError, PrivauditError, StoreError, UnlearningRejected, UsageError
from privaudit.results.base import write_result
from privaudit.results.purge_record import PurgeRecord
from privaudit.runtime import files
from privaudit.shadow.store import TARGET, AuditStore, shadow_key
from privaudit.shadow.trainer import save_model, train_job
from privaudit.signals import signals_of
from tests.conftest import save_noisy_images, unlearn_anyway

OWN = """
from torch import nn


class Twice(nn.Module):
    def __init__(self, inputs, classes):
        super().__init__()
        self.head, self.unused = nn.Linear(inputs, classes), nn.Linear(2, 2)

    def forward(self, inputs):
        return {"features": inputs, "logits": 2 * self.head(inputs.flatten(1))}


def network(input_shape, classes):
    return Twice(input_shape[0] * input_shape[1] * input_shape[2], classes)
"""


def colours(side: int, kind: type[np.generic]) -> dict[str, Any]:
    random = np.random.default_rng(1)
    whole = random.integers(0, 256, (60, side, side, 3))
    images = whole.astype(np.uint8) if kind is np.uint8 else (whole / 100 - 1).astype(np.float32)
    return {"x_train": images[:40], "x_test": images[40:], "y_train": np.arange(40) % 3, "y_test": np.arange(20) % 3}


def features() -> dict[str, Any]:
    random = np.random.default_rng(2)
    rows = random.normal(3, 5, (60, 7)).astype(np.float32)
    return {"x_train": rows[:40], "x_test": rows[40:], "y_train": np.arange(40) % 2, "y_test": np.arange(20) % 2}


def trained(folder: Path, **settings: Any) -> AuditPlan:
    """An audit of which the target and one shadow model are trained, and nothing else is done."""
    plan = plan_audit(AuditSettings(shadows=4, epochs=1, batch_size=16, workers=1, store=folder / "store", **settings))
    files.claim(plan.store.folder)
    plan.store.write_description(plan.describe())
    keep = plan.store.write_design(plan.design(4))
    for job in plan.jobs(keep):
        if job.key in (TARGET, shadow_key(3)):
            train_job(job, plan.arrays, lambda _: None)
    return plan


def small_plan(name: str, folder: Path) -> AuditPlan:
    npz = folder / "data.npz"
    if name == "cnn":
        save_noisy_images(npz)
    else:
        np.savez(npz, **{"colour": colours(16, np.uint8), "floats": colours(16, np.float32)}.get(name, features()))
    network = {"cnn": "cnn", "features": "mlp"}.get(name, "airbench-narrow")
    if name == "own":
        (folder / "own.py").write_text(OWN, "utf-8")
        save_noisy_images(npz)
        network = f"{folder / 'own.py'}:network"
    return trained(folder, dataset=str(npz), network=network)


Prepared = Callable[[str], tuple[AuditPlan, Any]]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """Audits by the names of `small_plan`, each with its raw arrays; read them, never change them."""
    made: dict[str, tuple[AuditPlan, Any]] = {}

    def get(name: str) -> tuple[AuditPlan, Any]:
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            made[name] = (small_plan(name, folder), dict(np.load(folder / "data.npz")))
        return made[name]

    return get


@pytest.mark.parametrize("name", ["cnn", "colour", "floats", "features", "own"])
def test_it_answers_as_the_signals_on_record_say(name: str, prepared: Prepared) -> None:
    plan, raw = prepared(name)
    for key in (TARGET, shadow_key(3)):
        model = privaudit.load_model(plan.store.model(key))
        assert not model.training
        with torch.inference_mode():
            logits = model(raw["x_train"]).numpy()
        stored = plan.store.read_signals([key])[0][:, 0]
        np.testing.assert_allclose(signals_of(logits, raw["y_train"].astype(np.int64)), stored, rtol=1e-4, atol=1e-4)
        assert model.predict(raw["x_test"]) == [model.classes[label] for label in model(raw["x_test"]).argmax(1)]


def test_inputs_may_be_laid_out_otherwise_where_their_shape_proves_it(prepared: Prepared) -> None:
    plan, raw = prepared("colour")
    images = raw["x_test"]
    model = privaudit.load_model(plan.store.folder)
    expected = model(images)
    for same in (
        torch.from_numpy(images),
        images.transpose(0, 3, 1, 2),
        images.astype(np.float32) / 255,
        (images / 255).tolist(),
    ):
        torch.testing.assert_close(model(same), expected, rtol=1e-4, atol=1e-4)
    inputs = torch.rand(2, 16, 16, 3, requires_grad=True)
    model(inputs).sum().backward()
    assert inputs.grad is not None


def test_inputs_that_would_be_misread_are_refused(prepared: Prepared) -> None:
    plan, raw = prepared("colour")
    model = privaudit.load_model(plan.store.folder)
    images = raw["x_test"]
    holes = images / 255
    holes[3] = np.nan
    for wrong, said in (
        (images[0], r"a batch of one: inputs\[None\]"),
        (images[:, :8], r"takes a batch \[N, 16, 16, 3\]"),
        (images.astype(np.float32), "floats from 0 to 255"),
        (images.astype(np.int64), "Whole numbers 0 to 255 are bytes"),
        (holes, "input 3 holds numbers that are NaN"),
        (np.array([["a"]]), "takes numbers"),
    ):
        with pytest.raises(DataError, match=said):
            model(wrong)
    floats = privaudit.load_model(prepared("floats")[0].store.folder)
    with pytest.raises(DataError, match="trained on float images"):
        floats(images)


def test_what_an_earlier_version_did_not_note_is_not_guessed(tmp_path: Path) -> None:
    images = (np.random.default_rng(0).random((20, 8, 8, 1)) * 255).astype(np.uint8)
    plan = small_plan("cnn", tmp_path)
    description = plan.store.read_description().to_json()
    del description["data"]["dtype"]
    files.write_json(plan.store.description, description)
    files.seal(plan.store.description)
    model = privaudit.load_model(plan.store.folder)
    assert model.about.input_type is None
    with pytest.raises(DataError, match="privaudit score again: it notes it"):
        model(images)
    assert model(images / np.float32(255)).shape == (20, 3)
    plan.store.write_description(plan.describe())
    assert privaudit.load_model(plan.store.folder)(images).shape == (20, 3)


def test_it_says_what_it_is(prepared: Prepared) -> None:
    plan, _ = prepared("own")
    target = privaudit.load_model(plan.name, store=plan.store.root)
    about = target.about
    assert (about.audit, about.run, about.kind, about.deployable) == (plan.name, None, "target", True)
    assert about.fingerprint == plan.data.fingerprint
    assert about.sha256 == files.sha256_of(plan.store.model(TARGET))
    assert about.network_source == files.sha256_of(plan.store.root.parent / "own.py")
    assert (about.classes, about.input_shape, about.input_type) == (("0", "1", "2"), (8, 8, 1), "uint8")
    assert "recipe 'fast', 1 epochs" in target.describe()
    shadow = privaudit.load_model(plan.store.model(shadow_key(3)))
    assert (shadow.about.kind, shadow.about.members, shadow.about.deployable) == ("shadow", 150, False)
    assert "NOT to be deployed: a shadow model" in shadow.describe()


@pytest.fixture(scope="module")
def unlearned(small_audit: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Two runs: one that retrained, and then one that changed nothing."""
    root = tmp_path_factory.mktemp("unlearned")
    for name in ("store", "out"):
        shutil.copytree(small_audit["root"] / name, root / name)
    places: Any = {"store": root / "store", "out": root / "out"}
    exact = privaudit.unlearn(method="retrain", forget="random:12", **places)
    nothing = unlearn_anyway(
        lambda: privaudit.unlearn(
            method="ga", learning_rate=0, order="none", forget="random:12", reference="shadow", **places
        )
    )
    return {"root": root, "places": places, "exact": exact, "nothing": nothing, "npz": small_audit["npz"]}


def test_an_unlearned_model_is_found_by_file_folder_and_name(unlearned: dict[str, Any]) -> None:
    """Its accuracy on raw inputs is the one that the run measured."""
    exact, arrays = unlearned["exact"], np.load(unlearned["npz"])
    folder = Path(exact["folder"])
    models = [
        privaudit.load_model(folder / "model.safetensors"),
        privaudit.load_model(folder),
        privaudit.load_model(exact["run"], **unlearned["places"]),
    ]
    ids = pd.read_parquet(folder / "forgetting.parquet")["sample_id"].to_numpy()
    kept = np.setdiff1d(np.arange(300), ids)
    for model in models:
        for part, rows in (("forget", ids), ("retain", kept)):
            right = np.array(model.predict(arrays["x_train"][rows])) == arrays["y_train"][rows].astype(str)
            assert right.mean() == pytest.approx(exact["accuracy"]["unlearned"][part])
    (reference, *_) = sorted((unlearned["root"] / "store" / exact["audit"] / "retrained").glob("*.safetensors"))
    twin = privaudit.load_model(reference)
    assert (twin.about.kind, twin.about.members, twin.about.deployable) == ("retrained", 288, False)
    torch.testing.assert_close(twin(arrays["x_test"]), models[0](arrays["x_test"]), rtol=0, atol=0)
    about = models[0].about
    assert (about.run, about.outcome, about.forgotten, about.deployable) == (exact["run"], "exact", 12, True)
    assert about.record_sha256 == files.sha256_of(folder / "record.json")
    assert "on all samples but 12" in about.trained_by


def test_a_rejected_model_is_loaded_only_on_request_and_with_a_warning(unlearned: dict[str, Any]) -> None:
    nothing = unlearned["nothing"]
    file = Path(nothing["folder"]) / "rejected.safetensors"
    for named in (file, file.parent, nothing["run"], "latest"):
        with pytest.raises(UnlearningRejected, match=r"outcome is unchanged.*\n.*rejected=True"):
            privaudit.load_model(named, **unlearned["places"])
    with pytest.warns(UserWarning, match="was rejected: nothing was forgotten; it is not to be deployed"):
        model = privaudit.load_model(file, rejected=True)
    assert not model.about.deployable
    assert "then ga to forget 12 samples" in model.about.trained_by


def test_a_run_whose_store_is_elsewhere_says_so(unlearned: dict[str, Any], tmp_path: Path) -> None:
    audit, run = unlearned["exact"]["audit"], unlearned["exact"]["run"]
    shutil.copytree(unlearned["root"] / "out" / audit, tmp_path / "far" / "out" / audit)
    folder = tmp_path / "far" / "out" / audit / "unlearn" / run
    with pytest.raises(StoreError, match=r"--store DIR, from Python store=DIR"):
        privaudit.load_model(folder)
    assert privaudit.load_model(folder, store=unlearned["root"] / "store").about.run == run


def damage(store: AuditStore) -> None:
    content = bytearray(store.model(TARGET).read_bytes())
    content[-1] ^= 1
    store.model(TARGET).write_bytes(content)


def unseal(store: AuditStore) -> None:
    files.seal_of(store.model(TARGET)).unlink()


def unrecord(store: AuditStore) -> None:
    files.remove(store.record(TARGET))


def swap(store: AuditStore) -> None:
    one, other = store.model(TARGET), store.model(shadow_key(3))
    shutil.copy(other, one)
    shutil.copy(files.seal_of(other), files.seal_of(one))


def purge(store: AuditStore) -> None:
    gone = [path.relative_to(store.folder).as_posix() for path in (store.model(TARGET), store.record(TARGET))]
    store.record_purge(PurgeRecord(digest="d", date="2026-11-01", samples=3, models=1, files=gone))
    files.remove(store.model(TARGET))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (damage, "is damaged"),
        (unseal, "is unfinished"),
        (unrecord, "target.json is absent"),
        (swap, "not what was sealed for this place"),
        (purge, "was purged on 2026-11-01"),
    ],
)
def test_what_is_not_whole_is_refused(spoil: Callable[[AuditStore], None], said: str, tmp_path: Path) -> None:
    store = small_plan("features", tmp_path).store
    spoil(store)
    for named in (store.model(TARGET), store.folder):
        with pytest.raises(StoreError, match=said):
            privaudit.load_model(named)


def test_a_mistyped_run_is_told_in_words(tmp_path: Path) -> None:
    with pytest.raises(PrivauditError):
        privaudit.load_model(
            tmp_path / "nope" / "out" / "a" / "unlearn" / "r" / "model.safetensors", store=tmp_path / "store"
        )


def test_what_is_no_model_of_a_store_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = small_plan("features", tmp_path)
    monkeypatch.chdir(tmp_path)
    shutil.copy(plan.store.model(TARGET), tmp_path / "target.safetensors")
    (tmp_path / "model.pt").write_bytes(b"")
    for named, kind, said in (
        ("target.safetensors", DataError, "no model of an audit"),
        ("model.pt", DataError, "those of a store are .safetensors files"),
        ("absent.safetensors", UsageError, "there is no file"),
        ("some/where", UsageError, "there is no file or folder"),
        ("store", UsageError, "no folder of an audit"),
        ("digits-cnn-00000000", UsageError, "there is no audit and no run"),
        ("latest", UsageError, "there is no latest audit"),
    ):
        with pytest.raises(kind, match=said):
            privaudit.load_model(named)
    with pytest.raises(UsageError, match=plan.name):
        privaudit.load_model("nothing", store="store")


def test_another_code_than_that_on_record_is_refused(tmp_path: Path) -> None:
    plan = small_plan("own", tmp_path)
    (tmp_path / "own.py").rename(tmp_path / "moved.py")
    with pytest.raises(UsageError, match=r"can't be found: there is no file .*own\.py[\s\S]*say where it is now"):
        privaudit.load_model(plan.store.folder)
    assert privaudit.load_model(plan.store.folder, network=f"{tmp_path / 'moved.py'}:network").classes
    (tmp_path / "other.py").write_text(OWN + "\n# edited\n", "utf-8")
    with pytest.raises(UsageError, match="is not that which the model was trained as"):
        privaudit.load_model(plan.store.folder, network=f"{tmp_path / 'other.py'}:network")


def test_weights_of_another_network_are_told(tmp_path: Path) -> None:
    plan = small_plan("features", tmp_path)
    other = replace(plan.specification, input_shape=(5,), statistics=((0.0,) * 5, (1.0,) * 5)).build("other")
    save_model(other, plan.store.model(TARGET))
    with pytest.raises(PrivauditError, match=r"cannot load .* into network mlp"):
        privaudit.load_model(plan.store.folder)


TABLE = """
import numpy as np
import pandas as pd


def people():
    random = np.random.default_rng(5)
    table = pd.DataFrame(
        {
            "age": random.integers(18, 90, 80),
            "town": random.choice(["Aalst", "Ghent", "Ypres"], 80),
            "owner": random.random(80) < 0.5,
            "floor": pd.Categorical(random.integers(0, 3, 80)),
            "height": random.normal(1.7, 0.1, 80).astype("float32"),
            "verdict": random.choice(["no", "yes"], 80),
        }
    )
    return {"train": table, "target": "verdict"}
"""


def table_plan(folder: Path) -> tuple[AuditPlan, pd.DataFrame]:
    """An audit of `TABLE`, and its raw training rows."""
    (folder / "people.py").write_text(TABLE, "utf-8")
    plan = trained(folder, dataset=f"{folder / 'people.py'}:people", network="mlp")
    assert plan.data.encoding is not None
    write_result(plan.store.columns, plan.data.encoding)
    namespace: dict[str, Any] = {}
    exec(compile(TABLE, "people.py", "exec"), namespace)  # noqa: S102 - our own source
    return plan, namespace["people"]()["train"].iloc[plan.data.sample_ids]


def test_a_table_is_taken_by_its_raw_columns(tmp_path: Path) -> None:
    plan, rows = table_plan(tmp_path)
    model = privaudit.load_model(plan.store.folder)
    assert model.classes == ("no", "yes")
    labels = np.array([int(word == "yes") for word in rows["verdict"]], np.int64)
    for given in (rows, rows[rows.columns[::-1]], rows.astype({"owner": int, "age": float})):
        with torch.inference_mode():
            logits = model(given).numpy()
        stored = plan.store.read_signals([TARGET])[0][:, 0]
        np.testing.assert_allclose(signals_of(logits, labels), stored, rtol=1e-4, atol=1e-4)
    assert set(model.predict(rows.drop(columns="verdict").head(5))) <= {"no", "yes"}
    stranger = rows.head(1).assign(town="Bruges")
    assert model.encode(stranger)[0, 1:4].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: rows.drop(columns=["town", "age"]), "lacks the columns 'age', 'town'"),
        (lambda rows: rows.assign(age="old"), "column 'age' holds what is no number"),
        (lambda rows: rows.assign(height=np.inf), "column 'height' holds what is no number, or infinite"),
        (lambda rows: rows.assign(town=None), "column 'town' lacks a value in rows"),
        (lambda rows: pd.concat([rows, rows[["age"]]], axis=1), "several columns of one name"),
    ],
)
def test_rows_unlike_the_audited_table_are_refused(change: Any, said: str, tmp_path: Path) -> None:
    plan, rows = table_plan(tmp_path)
    with pytest.raises(DataError, match=said):
        privaudit.load_model(plan.store.folder)(change(rows))


def test_a_table_whose_encoding_was_not_kept_is_taken_as_features(tmp_path: Path) -> None:
    plan, rows = table_plan(tmp_path)
    files.remove(plan.store.columns)
    model = privaudit.load_model(plan.store.folder)
    assert model(plan.data.x_test).shape == (16, 2)
    with pytest.raises(DataError, match=r"privaudit score again, which notes it[\s\S]*give features \[N, 9\]"):
        model(rows)
