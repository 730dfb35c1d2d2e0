"""What is exported of a table's model says what it takes: its columns, their cells, and which features they become."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import privaudit
from privaudit.audit.plan import AuditPlan, plan_audit
from privaudit.config import AuditSettings
from privaudit.data.tables.encoding import TableEncoding
from privaudit.deployment.row_encoding import columns_in_words
from privaudit.results.base import write_result
from privaudit.runtime import files
from privaudit.shadow.store import TARGET
from privaudit.shadow.trainer import train_job

#: What each column's line has to say.
SAID = {
    "age": "age: a number; missing is filled with 25 (features 0 to 1)",
    "member": "member: no or yes; missing is taken for yes (feature 2)",
    "joined": "joined: a date, as 2024-12-31, 31/12/2024 by day first; missing is filled (features 3 to 5)",
    "town": "town: one of Ghent, Łódź; others are one rare category, missing is a category (features 6 to 9)",
}


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> AuditPlan:
    """An audit of trees on a table, of which the target alone is fitted."""
    folder = tmp_path_factory.mktemp("trees")
    rows = range(60)
    pd.DataFrame(
        {
            "age": [None if row == 5 else row for row in rows],
            "member": ["no" if row % 3 == 0 else "yes" for row in rows],
            "joined": [f"{1 + row % 28}/{1 + row % 12}/{2000 + row % 5}" for row in rows],
            "town": ["" if row % 9 == 0 else "rare" if row == 7 else "Ghent" if row % 2 else "Łódź" for row in rows],
            "left": ["no" if row % 4 < 2 else "yes" for row in rows],
            "part": ["test" if row >= 50 else "train" for row in rows],
        }
    ).to_csv(folder / "people.csv", index=False)
    settings = AuditSettings(
        dataset=str(folder / "people.csv"), label="left", test="part", leave_out=("part",), shadows=4, workers=1,
        estimator="sklearn.tree.DecisionTreeClassifier(max_depth=4)", store=folder / "store",
    )  # fmt: skip
    found = plan_audit(settings)
    files.claim(found.store.folder)
    found.store.write_description(found.describe())
    keep = found.store.write_design(found.design(4))
    train_job(next(job for job in found.jobs(keep) if job.key == TARGET), found.arrays, lambda _: None)
    assert found.data.table is not None
    write_result(found.store.encoding, found.data.table.encoding)
    return found


def test_every_column_is_named_with_what_its_cells_are(plan: AuditPlan) -> None:
    assert plan.data.table is not None
    assert isinstance(plan.data.table.encoding, TableEncoding)
    assert columns_in_words(plan.data.table.encoding) == list(SAID.values())
    assert plan.data.x_train.shape[1] == 10


def test_an_estimator_of_a_table_takes_raw_rows_and_needs_no_privaudit(plan: AuditPlan, tmp_path: Path) -> None:
    pytest.importorskip("skops")
    privaudit.export(plan.store.folder, out=tmp_path / "served")
    readme = " ".join((tmp_path / "served" / "README.txt").read_text("utf-8").split())
    assert all(line in readme for line in SAID.values())
    served = runpy.run_path(str(tmp_path / "served" / "load.py"))
    raw = pd.read_csv(Path(plan.settings.dataset)).iloc[:50]
    for rows in (raw, raw.to_dict("records"), raw[raw.columns[::-1]].astype(object).where(raw.notna(), None)):
        np.testing.assert_allclose(served["features"](rows), plan.data.x_train, rtol=1e-5, atol=1e-5)
    right = np.array(served["CLASSES"])[served["load"]().predict(served["features"](raw))] == raw["left"]
    assert right.mean() > 0.7
    assert "privaudit" not in (tmp_path / "served" / "load.py").read_text("utf-8").replace("privaudit it does not", "")
