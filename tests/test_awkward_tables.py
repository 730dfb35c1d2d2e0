"""Tables as they come: each is planned as an audit, or refused in words; what became of every column is said."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privaudit.audit.plan import plan_audit
from privaudit.config import AuditSettings
from privaudit.data.formats.load import load_dataset
from privaudit.errors import PrivauditError
from privaudit.results.audit.audit_description import TableOptions

ROWS = 120
DAYS = pd.date_range("2020-01-01", periods=ROWS)


def table(rows: int = ROWS, /, **columns: Any) -> pd.DataFrame:
    random = np.random.default_rng(0)
    whole = {
        "x": random.normal(size=rows).round(3),
        "k": random.choice(["a", "b"], rows),
        "y": ["no", "yes"] * (rows // 2),
    }
    return pd.DataFrame(whole | columns)


def words(count: int, rows: int = ROWS) -> list[str]:
    return [f"w{k}" for k in np.random.default_rng(1).integers(0, count, rows)]


#: What it is, and what is said of it among the notes of its audit.
AUDITED = {
    "mixed half and half": (table(code=[str(k) if k % 2 else f"A{k % 9}" for k in range(ROWS)]), "taken for words"),
    "all missing": (table(e=[""] * ROWS, f=["NA"] * ROWS), "left out: e (it holds no value), f (it holds no value)"),
    "one category": (table(o="only"), "left out: o (one value in every row)"),
    "one category and missing": (table(o=["only", ""] * 60), "missing cells are a category of their own: o"),
    "500 categories": (table(5000, c=words(500, 5000)), "c (200, and "),
    "unicode": (table(**{"naïve Größe": ["日本", "Ελλάδα", "👩‍🚀"] * 40, "‮": words(3)}), "naïve Größe (3)"),
    "duplicated columns": (table(x2=table()["x"], k2=table()["k"]), "x2 (says the same as x), k2 (says the same as k)"),
    "300 classes": (table(700, y=[f"c{k % 300}" for k in range(700)]), "target 'y': 300 classes"),
    "a class of one row": (table(y=["solo", *["a", "b"] * 59, "a"]), "single training sample"),
    "beyond 2^53": (table(n=[str(2**53 + k) for k in range(ROWS)]), "whole numbers beyond 2⁵³"),
    "huge numbers": (table(h=["1e300", *map(str, range(ROWS - 1))]), "a number so large that"),
    "yes and no": (
        table(b=["yes", "NO", "Yes"] * 40, t=["T", "F", ""] * 40),
        "truth values, as 0 and 1: b (no, yes), t",
    ),
    "dates in three formats": (
        table(d=[day.strftime(("%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y")[k % 3]) for k, day in enumerate(DAYS)]),
        "d (days, month, weekday, month first)",
    ),
    "free text": (table(t=[f'He said: "no, {k}"\nand left' for k in range(ROWS)]), "free text or ids"),
    "decimal commas": (table(p=[f"{k / 7:.2f}".replace(".", ",") for k in range(ROWS)]), "decimal commas"),
    "postal codes": (table(z=[f"{k % 20:05}" for k in range(ROWS)]), "holds codes"),
    "rows counted": (table(n=range(ROWS)), "n (it counts the rows)"),
    "ids that nobody named": (
        table(user_id=np.random.default_rng(2).permutation(ROWS)),
        "user_id (another whole number",
    ),
    "labels in two spellings": (table(y=["Yes", "yes", "no"] * 40), "differ from another in capitals alone"),
    "missing nearly everywhere": (table(x=["", "1.5", "", ""] * 30), "x"),
    "one column": (table()[["k", "y"]], "k (2)"),
}

#: What it is, and what is said of it instead of an audit.
REFUSED = {
    "mixed": (table(age=["old", *map(str, range(ROWS - 1))]), "line 2, column 'age': 'old' is no number"),
    "infinite": (table(i=["inf", *map(str, range(ROWS - 1))]), "line 2, column 'i': 'inf' is infinite"),
    "too large": (table(i=["1e400", *map(str, range(ROWS - 1))]), "line 2, column 'i': '1e400' is infinite"),
    "a row a class": (table(y=[f"c{k}" for k in range(ROWS)]), "names rows rather than classes"),
    "a row a class, few": (table(14, y=[f"c{k}" for k in range(14)]), "has a single row"),
    "measurements": (table(y=np.random.default_rng(0).normal(size=ROWS)), "measurements, not classes"),
    "labels that are missing": (table(y=["", "NA", *["a", "b"] * 59]), "line 3, column 'y': the label is missing"),
    "one class": (table(y="a"), "at least 2 classes"),
    "dates of either order": (
        table(d=[f"0{1 + k % 9}/0{1 + k % 8}/2021" for k in range(ROWS)]),
        "day or the month first",
    ),
    "dates of both orders": (table(d=["13/01/2021", "01/14/2021"] * 60), "day or the month first"),
    "30 February": (table(d=["2021-02-30", *DAYS.strftime("%Y-%m-%d")[1:]]), "'2021-02-30' is no date"),
    "thousands": (table(p=[f"{k:,}" for k in range(1000, 1000 + ROWS)]), "one between thousands"),
    "money": (table(p=[f"${k % 50}" for k in range(ROWS)]), "'$0': numbers with signs"),
    "nothing said": (table()[["y"]].assign(k="a"), "no column is left to learn from"),
    "few rows": (table(10), "too few"),
}


def plan(folder: Path, content: pd.DataFrame) -> list[str]:
    path = folder / "awkward.csv"
    content.to_csv(path, index=False)
    settings = AuditSettings(dataset=str(path), label="y", device="cpu", store=folder / "s", out=folder / "o")
    planned = plan_audit(settings)
    assert np.isfinite(planned.data.x_train).all()
    return list(planned.notes)


@pytest.mark.parametrize("name", AUDITED)
def test_a_table_is_audited_and_what_became_of_it_is_said(name: str, tmp_path: Path) -> None:
    content, said = AUDITED[name]
    notes = "\n".join(plan(tmp_path, content))
    assert said in notes


@pytest.mark.parametrize("name", REFUSED)
def test_a_table_is_refused_in_words(name: str, tmp_path: Path) -> None:
    content, said = REFUSED[name]
    with pytest.raises(PrivauditError) as caught:
        plan(tmp_path, content)
    assert said in str(caught.value)


def test_a_forced_category_and_a_column_left_out_are_what_the_refusal_offers(tmp_path: Path) -> None:
    for name in ("mixed", "infinite", "dates of either order", "dates of both orders", "thousands", "money"):
        content = REFUSED[name][0]
        path = tmp_path / "awkward.csv"
        content.to_csv(path, index=False)
        column = next(one for one in content.columns if one not in ("x", "k", "y"))
        for options in ({"category": (column,)}, {"leave_out": (column,)}):
            assert len(load_dataset(str(path), table=TableOptions.model_validate({"label": "y"} | options))) == 96


def test_what_is_wrong_is_told_by_the_lines_of_the_file_whichever_part_a_row_is_in(tmp_path: Path) -> None:
    """Ids that repeat, not of the rows alone that are drawn to train; classes that only test rows have."""
    path, part = tmp_path / "parts.csv", ["train"] * 100 + ["test"] * 20
    table(n=[row // 2 for row in range(ROWS)]).to_csv(path, index=False)
    with pytest.raises(PrivauditError, match=r"parts.csv: 60 things are wrong\n  - line 3, column 'n': the id '0'"):
        load_dataset(str(path), table=TableOptions(label="y", id="n"))
    table(part=part, y=["no", "yes"] * 59 + ["no", "may be"]).to_csv(path, index=False)
    with pytest.raises(PrivauditError, match=r"parts.csv, line 121, column 'y': 'may be' is a class that no training"):
        load_dataset(str(path), table=TableOptions(label="y", test="part"))


#: Cells that people, spreadsheets and programs write.
CELLS = [
    *(
        "",
        "NA",
        "?",
        "-",
        "none",
        "0",
        "1",
        "-1",
        "007",
        "3.5",
        "3,5",
        "1,234",
        "1e5",
        "1e308",
        "-1e308",
        "1e400",
        "inf",
    ),
    *(
        "nan",
        "yes",
        "no",
        "TRUE",
        "f",
        "2024-02-29",
        "2023-02-29",
        "01/02/2024",
        "13/02/2024",
        "02/13/2024",
        "1.2.2024",
    ),
    *(
        "31 Dec 2024",
        "Dec 31, 2024 10:00",
        "2024-01-01T00:00:00Z",
        "20240131",
        "$5",
        "12 %",
        "=1+1",
        "a",
        "A",
        " a ",
        "é",
    ),
    *("日本", "\u200b", "a\nb", 'say "x"', "a;b", "a|b", "#REF!", str(2**64), "0x1f", "١٢", "9999-12-31", "0000-01-01"),
]


@settings(max_examples=120, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from(CELLS), min_size=1, max_size=5), min_size=1, max_size=5),
    st.lists(st.sampled_from(["x", "id", "Größe", "a b", "", " ", "1", "label", "y"]), min_size=5, max_size=5),
    st.integers(0, 40),
    st.integers(0, 2**32),
    st.sampled_from([",", ";", "\t", "|"]),
)
def test_whatever_cells_a_table_is_made_of(
    tmp_path_factory: pytest.TempPathFactory,
    pools: list[list[str]],
    names: list[str],
    rows: int,
    seed: int,
    delimiter: str,
) -> None:
    """Each column of a few kinds of cells, one of them mostly: an audit's data, or words."""
    random = np.random.default_rng(seed)
    columns = [[pool[0] if random.random() < 0.8 else str(random.choice(pool)) for _ in range(rows)] for pool in pools]
    columns.append([str(random.choice(["a", "b"])) for _ in range(rows)])
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow([*names[: len(pools)], "class"])
    writer.writerows(zip(*columns, strict=True))
    path = tmp_path_factory.mktemp("table") / "any.csv"
    path.write_text(text.getvalue(), "utf-8")
    try:
        data = load_dataset(str(path), table=TableOptions(label="class", id="id" if "id" in names[:2] else None))
    except PrivauditError:
        return
    assert data.table is not None
    assert data.x_train.dtype == np.float32
    assert np.isfinite(data.x_train).all()
    assert np.isfinite(data.x_test).all()
    assert sum(len(part) for part in (data.y_train, data.y_test)) <= rows
    assert all(data.notes)


@settings(max_examples=40, deadline=None)
@given(st.text(alphabet='ab,;"\n\r\t 1é', max_size=60))
def test_whatever_text_a_file_holds(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("text") / "any.csv"
    path.write_bytes(text.encode())
    with pytest.raises(PrivauditError):
        load_dataset(str(path), table=TableOptions(label="label"))
