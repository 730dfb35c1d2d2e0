"""A target of whole numbers may be a measurement: what was taken for classes is doubted aloud."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from privaudit.audit.plan import plan_audit
from privaudit.config import AuditSettings
from privaudit.data.tables.class_column import encode_classes

NOBODY = pd.Series([], dtype=str, name="age")


def notes_of(values: list[int], rows: int) -> list[str]:
    column = pd.Series(np.repeat(values, rows).astype(str), name="age")
    return encode_classes(column, NOBODY, "people").notes


def test_many_whole_numbers_with_few_rows_each_are_said_to_look_like_a_measurement() -> None:
    ages = list(range(18, 90))
    doubt = notes_of(ages, 4)[-1]
    assert "'age' has 72 different numbers, half of them in at most 4 rows: is it a measurement?" in doubt
    assert "pandas.cut" in doubt
    for values, rows in ((ages, 10), (ages[:20], 4)):  # A hundred classes of images; a scale of marks.
        assert not any("measurement" in note for note in notes_of(values, rows))


def test_it_is_said_of_a_table_that_is_parted_as_well(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"x": random.normal(size=240), "y": random.normal(size=240), "age": np.arange(240) % 60 + 18})
    frame.to_csv(tmp_path / "people.csv", index=False)
    plan = plan_audit(AuditSettings(dataset=str(tmp_path / "people.csv"), label="age", device="cpu"))
    assert any("is it a measurement?" in note for note in plan.notes)
