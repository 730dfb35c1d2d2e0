"""From a CSV with ids of words to a report: scored, forgotten by id, shown, purged, and found again from anywhere."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

import privaudit
from privaudit.audit.metadata import read_metadata
from privaudit.audit.plan import plan_audit
from privaudit.audit.reopening import reopen_plan
from privaudit.config import AuditSettings, read_settings
from privaudit.data.sampling import NO_LIMITS
from privaudit.data.tables.encoding import ENCODING, read_encoding
from privaudit.data.tables.table_dataset import dataset_of_table
from privaudit.data.tables.table_file import UserTable
from privaudit.errors import DataError, UsageError
from privaudit.results.audit.audit_description import TableOptions
from privaudit.shadow.store import AuditStore
from tests.conftest import ROOT, Run

ROWS = 120
FLAGS = ("--label", "churned", "--id", "customer", "--subject", "household", "--group", "town", "--leave-out", "note")


def customers() -> pd.DataFrame:
    random = np.random.default_rng(0)
    age = random.normal(45, 12, ROWS).round(1)
    table = pd.DataFrame(
        {
            "customer": [f"K-{k:03}" for k in random.permutation(ROWS)],
            "household": [f"H{k // 2}" for k in range(ROWS)],
            "town": random.choice(["Ghent", "Lyon"], ROWS),
            "age": [*age[:-3].astype(str), "", "?", "NA"],
            "member": random.choice(["yes", "no"], ROWS),
            "joined": pd.date_range("2020-01-01", periods=ROWS, freq="9D").strftime("%d/%m/%Y"),
            "note": "anything",
        }
    )
    table["churned"] = np.where(age + random.normal(0, 12, ROWS) > 45, "left", "stayed")
    return table


@pytest.fixture(scope="module")
def scored(privaudit: Run, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One finished audit of `customers`; read it, never change it."""
    root = tmp_path_factory.mktemp("customers")
    customers().to_csv(root / "customers.csv", index=False)
    done = privaudit("score", "--dataset", "customers.csv", *FLAGS, *SMALL, "--json", cwd=root)
    assert done.returncode == 0, done.stderr
    return {"root": root, "results": json.loads(done.stdout), "stderr": done.stderr}


SMALL = ("--shadows", "8", "--epochs", "3", "--workers", "2")


def places(root: Path) -> dict[str, Any]:
    return {"store": root / "shadow_models", "out": root / "reports"}


def test_the_score_table_has_the_ids_and_subjects_of_the_file(scored: dict[str, Any]) -> None:
    table = pd.read_parquet(scored["root"] / scored["results"]["scores"])
    joined = table.merge(customers(), left_on="sample_id", right_on="customer", validate="one_to_one")
    assert len(joined) == len(table) == 96
    assert (joined["subject"] == joined["household"]).all()
    assert (joined["class_name"] == joined["churned"]).all()
    assert {group["name"] for group in scored["results"]["groups"]["town"]["groups"]} == {"Ghent", "Lyon"}


def test_what_became_of_each_column_is_printed_a_line_a_kind(scored: dict[str, Any]) -> None:
    said = scored["stderr"]
    assert "numbers, centred and scaled: age; with missing cells" in said
    assert "truth values, as 0 and 1: member (no, yes)" in said
    assert "dates, decomposed into numbers: joined (days, month, weekday, day first)" in said
    assert "left out: customer (the id), household (the subject), note (as asked for)" in said


def test_the_encoding_is_kept_with_the_audit_and_makes_the_same_features(scored: dict[str, Any]) -> None:
    root, audit = scored["root"], scored["results"]["audit"]
    encoding = read_encoding(root / "shadow_models" / audit / ENCODING)
    data = plan_audit(settings_of(root / "customers.csv")).data
    rows = customers().set_index("customer", drop=False).loc[data.sample_ids.tolist()]
    np.testing.assert_array_equal(encoding.apply(rows), data.x_train)
    assert encoding.classes == ["left", "stayed"]
    assert privaudit.verify(audit, **places(root))["damaged"] == []


def settings_of(path: Path, **changes: Any) -> AuditSettings:
    asked = {"label": "churned", "id": "customer", "subject": "household", "group": "town", "leave_out": "note"}
    return AuditSettings(dataset=str(path), shadows=8, epochs=3, device="cpu", **(asked | changes))


def test_the_page_applies_it_to_new_rows(scored: dict[str, Any]) -> None:
    (block,) = re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs" / "your-table.md").read_text("utf-8"), re.M | re.S)
    done = subprocess.run(
        [sys.executable, "-c", block],
        cwd=scored["root"],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert "age missing" in done.stdout


def test_the_same_table_is_the_same_audit_wherever_it_lies_and_another_is_not(
    scored: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "customers.csv"
    shutil.copy(scored["root"] / "customers.csv", path)
    customers().to_parquet(tmp_path / "customers.parquet")
    audit = scored["results"]["audit"]
    assert plan_audit(settings_of(path)).name == audit
    assert plan_audit(settings_of(tmp_path / "customers.parquet")).name == audit
    # Who is grouped by what changes no weight.
    assert plan_audit(settings_of(path, group=("town", "member"))).name == audit
    assert plan_audit(settings_of(path, test="30%")).name != audit
    customers().assign(age="46").to_csv(path, index=False)
    assert plan_audit(settings_of(path)).name != audit


def test_an_audit_finds_its_table_again_and_tells_where_it_has_changed(scored: dict[str, Any], tmp_path: Path) -> None:
    for name in ("shadow_models", "customers.csv"):
        (shutil.copytree if name == "shadow_models" else shutil.copy)(scored["root"] / name, tmp_path / name)
    audit = scored["results"]["audit"]
    held = json.loads((tmp_path / "shadow_models" / audit / "audit.json").read_text())["data"]
    assert held["dataset"] == str(scored["root"] / "customers.csv")
    assert held["table"] == {
        **{"label": "churned", "id": "customer", "subject": "household", "group": ["town"], "leave_out": ["note"]},
        **{"category": [], "test": None},
    }
    store = AuditStore(scored["root"] / "shadow_models", audit)
    plan = reopen_plan(store, AuditSettings())
    assert plan.name == audit
    assert set(plan.properties) == {"town"}
    (scored["root"] / "customers.csv").rename(tmp_path / "aside.csv")
    try:
        customers().assign(age="46").to_csv(scored["root"] / "customers.csv", index=False)
        with pytest.raises(UsageError, match="has changed"):
            reopen_plan(store, AuditSettings())
    finally:
        (tmp_path / "aside.csv").replace(scored["root"] / "customers.csv")


@pytest.fixture(scope="module")
def forgotten(scored: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The audit, copied, with two customers forgotten."""
    root = tmp_path_factory.mktemp("forgotten")
    for name in ("shadow_models", "reports"):
        shutil.copytree(scored["root"] / name, root / name)
    known = pd.read_parquet(scored["root"] / scored["results"]["scores"])["sample_id"]
    (root / "requests.csv").write_text("\n".join(["customer", *known[:2]]) + "\n", "utf-8")
    results = privaudit.unlearn(forget=f"ids:{root / 'requests.csv'}", method="retrain", **places(root))
    return {"root": root, "ids": known[:2].tolist(), "results": results, "data": scored["root"] / "customers.csv"}


def test_people_are_forgotten_by_their_own_ids(forgotten: dict[str, Any]) -> None:
    assert forgotten["results"]["forget"] == 2
    assert forgotten["results"]["outcome"] == "exact"
    record = json.loads(Path(forgotten["results"]["folder"], "record.json").read_text())
    assert sorted(one["sample_id"] for one in record["removed"]) == sorted(forgotten["ids"])


def test_the_report_shows_ids_hides_them_and_repeats_the_command(forgotten: dict[str, Any]) -> None:
    root = forgotten["root"]
    paths = privaudit.write_report(**places(root))
    content = Path(str(paths["html"])).read_text("utf-8")
    assert forgotten["ids"][0] in content
    assert "--label churned --id customer --subject household --group town --leave-out note" in content
    assert "customers.csv" in content
    assert str(root) not in content
    paths = privaudit.write_report(redact="ids", **places(root))
    content = Path(str(paths["html"])).read_text("utf-8")
    assert "K-0" not in content
    assert ">H1<" not in content


def test_the_unlearned_model_is_loaded_exported_and_asked_about_rows_of_the_file(
    forgotten: dict[str, Any], tmp_path: Path
) -> None:
    root = forgotten["root"]
    model = privaudit.load_model("latest", **places(root))
    rows = customers()
    named = model.predict(rows)
    plan = plan_audit(settings_of(forgotten["data"]))
    at = rows.set_index("customer", drop=False).loc[plan.data.sample_ids.tolist()]
    assert model.predict(at) == model.predict(plan.data.x_train)
    assert set(named) <= {"left", "stayed"}
    exported = privaudit.export(forgotten["results"]["folder"], store=root / "shadow_models", out=tmp_path / "served")
    # The folder alone, in a Python that has no privaudit to import.
    script = "import json, sys, load; rows = json.load(sys.stdin); model = load.load();" + (
        "print(json.dumps([model.classes[one] for one in model(rows).argmax(1)]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=str(exported["folder"]),
        input=rows.to_json(orient="records"),
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": ""},
    )
    assert json.loads(done.stdout) == named


def test_a_person_is_purged_and_the_encoding_stays(forgotten: dict[str, Any], tmp_path: Path) -> None:
    for name in ("shadow_models", "reports"):
        shutil.copytree(forgotten["root"] / name, tmp_path / name)
    privaudit.purge(forget=f"ids:{forgotten['root'] / 'requests.csv'}", yes=True, **places(tmp_path))
    (audit,) = (path.name for path in (tmp_path / "reports").glob("customers-*"))
    left = pd.read_parquet(tmp_path / "reports" / audit / "scores.parquet")
    assert not set(left["sample_id"]) & set(forgotten["ids"])
    assert (tmp_path / "shadow_models" / audit / ENCODING).is_file()
    assert privaudit.verify(audit, **places(tmp_path))["damaged"] == []


def test_groups_from_a_file_name_samples_by_words_too(scored: dict[str, Any], tmp_path: Path) -> None:
    listed = customers()[["customer", "town"]].rename(columns={"customer": "sample_id", "town": "city"})[:50]
    listed.to_csv(tmp_path / "people.csv", index=False)
    settings = settings_of(scored["root"] / "customers.csv", canaries=5, metadata=tmp_path / "people.csv")
    plan = plan_audit(settings)
    assert plan.facts.sample_ids[-5:].tolist() == [f"canary {k}" for k in range(1, 6)]
    town, city = plan.properties["town"], plan.properties["city"]
    assert set(town[-5:]) == set(city[-5:]) == {"(not given)"}
    given = city != "(not given)"
    np.testing.assert_array_equal(town[given], city[given])
    assert set(read_metadata(tmp_path / "people.csv", plan.data.sample_ids)) == {"city"}
    listed.rename(columns={"city": "town"}).to_csv(tmp_path / "people.csv", index=False)
    with pytest.raises(UsageError, match=r"--metadata .* has a column of that name too"):
        plan_audit(settings)
    listed.assign(sample_id=[f"x{k}" for k in range(50)]).to_csv(tmp_path / "people.csv", index=False)
    with pytest.raises(DataError, match="not one of its"):
        plan_audit(settings)


def test_options_of_several_columns_stand_in_a_file_of_settings_too(tmp_path: Path) -> None:
    (tmp_path / "audit.toml").write_text('label = "y"\ngroup = ["a", "b"]\nleave-out = "c"\n')
    settings = read_settings({"group": None}, tmp_path / "audit.toml")
    assert (settings.group, settings.leave_out) == (("a", "b"), ("c",))
    assert read_settings({"group": ("d",)}, tmp_path / "audit.toml").group == ("d",)


def test_random_labels_read_a_half_where_nothing_is_memorised() -> None:
    """The encoding lets nothing of the label through: held-out rows of noise are told right as often as by chance."""
    random = np.random.default_rng(3)
    table = pd.concat([customers()] * 20, ignore_index=True).assign(churned=random.choice(["a", "b"], 20 * ROWS))
    table["age"] = random.normal(size=len(table)).astype(str)
    data = dataset_of_table(
        "noise", UserTable("noise", table), TableOptions(label="churned"), samples=None, limits=NO_LIMITS, seed=0
    )
    right = LogisticRegression().fit(data.x_train, data.y_train).score(data.x_test, data.y_test)
    assert right == pytest.approx(0.5, abs=4 * 0.5 / len(data.y_test) ** 0.5)
