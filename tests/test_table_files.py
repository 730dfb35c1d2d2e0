"""Tables in files: read as they are written, by whatever program, and refused in words that name line and column."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from privaudit.data import Dataset
from privaudit.data.formats.load import load_dataset
from privaudit.data.tables.table_file import read_table_file
from privaudit.errors import DataError, PrivauditError, UsageError
from privaudit.results.audit.audit_description import TableOptions

ROWS = 60
PLAIN = "age,town,income\n" + "".join(f"{20 + k},{'AB'[k % 2]},{'yes' if k % 3 else 'no'}\n" for k in range(ROWS))


def people(**columns: Any) -> pd.DataFrame:
    random = np.random.default_rng(0)
    whole = {
        "age": random.normal(40, 9, ROWS).round(2),
        "town": random.choice(["Ghent", "Lyon"], ROWS),
        "income": random.choice(["high", "low"], ROWS),
    }
    return pd.DataFrame(whole | columns)


def read(folder: Path, table: pd.DataFrame | str | bytes, **options: Any) -> Dataset:
    path = folder / "people.csv"
    if isinstance(table, pd.DataFrame):
        table.to_csv(path, index=False)
    else:
        path.write_bytes(table if isinstance(table, bytes) else table.encode())
    return load_dataset(str(path), table=TableOptions(**({"label": "income"} | options)))


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        "\ufeff" + PLAIN,
        PLAIN.encode("utf-16"),
        PLAIN.encode("utf-32"),
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "\t"),
        PLAIN.replace(",", "|"),
        "sep=;\n" + PLAIN.replace(",", ";"),
        PLAIN.replace(",", ", "),
        PLAIN.replace("\n", ",,\n"),
        "\n".join(",".join(f'"{cell}"' for cell in line.split(",")) for line in PLAIN.splitlines()),
        PLAIN.replace("\n", "\n\n"),
        "\n".join(f"{'' if not k else k - 1},{line}" for k, line in enumerate(PLAIN.splitlines())),
    ],
    ids=[
        *("plain", "windows", "old mac", "mark", "utf-16", "utf-32", "semicolons", "tabs", "bars", "sep=", "blanks"),
        *("trailing", "quoted", "blank lines", "pandas index"),
    ],
)
def test_one_table_is_one_dataset_whatever_program_saved_it(content: str | bytes, tmp_path: Path) -> None:
    data, plain = read(tmp_path, content), read(tmp_path, PLAIN)
    np.testing.assert_array_equal(data.x_train, plain.x_train)
    assert data.fingerprint == plain.fingerprint


def test_parquet_says_the_same_as_csv(tmp_path: Path) -> None:
    table = people(member=np.arange(ROWS) % 2 > 0, born=pd.date_range("1980-01-01", periods=ROWS, freq="13D"))
    table.to_parquet(tmp_path / "people.parquet")
    typed = load_dataset(str(tmp_path / "people.parquet"), table=TableOptions(label="income"))
    assert typed.fingerprint == read(tmp_path, table).fingerprint
    table.to_csv(tmp_path / "people.tsv", sep="\t", index=False)
    tabs = load_dataset(str(tmp_path / "people.tsv"), table=TableOptions(label="income"))
    assert tabs.fingerprint == typed.fingerprint


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("age,town,income\n", "no row below it"),
        ("income\nyes\n", "names one column"),
        ("1,2,3\n4,5,6\n", "holds numbers, where the names"),
        ("age,town,income\n1,A\n2,B,yes\n3,C,no,9\n", "line 2: 2 cells.*line 4: 4 cells"),
        ("age,town,income\n" + "x,1,A,yes\n" * 5, "every row has 4 cells"),
        ("age,,income\n1,q,yes\n2,r,no\n", "column 2 has no name"),
        ("age,age,income,town,town\n1,2,yes,3,4\n", "'age' are columns 1, 2; 'town' are columns 4, 5"),
        ('age,town,income\n1,"A,yes\n2,B,no\n', "line 2: its cells can't be told apart"),
        ('age,town,income\n1,"A"B,yes\n', "line 2: its cells can't be told apart"),
        ("age,town,income\n1,Orl\xe9ans,yes\n".encode("latin-1"), "line 2 is not UTF-8"),
        (b"PK\x03\x04\x00\x00", "an Excel workbook"),
        (b"PAR1\x00", "a parquet table"),
        (b"age,income\n1,\x00\n", "NUL"),
    ],
)
def test_a_file_that_is_no_table_is_refused_in_words(content: str | bytes, said: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"(?s)people.csv.*{said}"):
        read(tmp_path, content)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"age,income\n1,2\n", b"PAR1" + bytes(200) + b"PAR1"])
def test_a_damaged_parquet_file_is_refused_in_words(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "people.parquet"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"cannot read people.parquet as parquet"):
        load_dataset(str(path), table=TableOptions(label="income"))


def test_parquet_of_lists_names_the_column(tmp_path: Path) -> None:
    people(tags=[["a", "b"]] * ROWS, spans=pd.to_timedelta(np.arange(ROWS), unit="h")).to_parquet(
        tmp_path / "p.parquet"
    )
    with pytest.raises(DataError) as caught:
        load_dataset(str(tmp_path / "p.parquet"), table=TableOptions(label="income"))
    assert "column 'tags': holds a " in str(caught.value)
    assert "column 'spans': holds time spans" in str(caught.value)
    left = TableOptions(label="income", leave_out=("tags", "spans"))
    assert load_dataset(str(tmp_path / "p.parquet"), table=left).x_train.shape[1] == 3


def test_a_quoted_cell_runs_over_lines_and_lines_are_counted_all_the_same(tmp_path: Path) -> None:
    rows = ['"A\n\nB",1,yes', '"A ""x"", y",2,no', "A,3,yes"] * 20
    path = tmp_path / "notes.csv"
    path.write_text("note,x,income\n" + "\n".join(rows) + "\n")
    table = read_table_file(path)
    assert table.lines is not None
    assert list(table.frame["note"][:3]) == ["A\n\nB", 'A "x", y', "A"]
    assert table.lines[:5].tolist() == [2, 5, 6, 7, 10]


def test_without_a_label_the_likely_one_is_named(tmp_path: Path) -> None:
    for columns, likely in (
        ({}, "--label income"),
        ({"churned": ["y", "n"] * 30}, "--label income"),
        ({"Target Class": ["y", "n"] * 30, "income": np.arange(ROWS)}, "--label 'Target Class'"),
        ({"income": np.arange(ROWS) + 0.5}, "--label town"),
    ):
        with pytest.raises(UsageError, match="--label COLUMN") as caught:
            read(tmp_path, people(**columns), label=None)
        assert f"Likely {likely}: 2 classes" in str(caught.value)
        assert "Columns: age, town" in str(caught.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"label": "Income"}, "--label 'Income' \\(is 'income' meant\\?\\)"),
        ({"id": "nr", "group": ("twn", "age")}, "--id 'nr'; --group 'twn' \\(is 'town' meant\\?\\)"),
        ({"id": "income"}, "both --label and --id"),
        ({"group": ("income",)}, "both --label and --group"),
        ({"leave_out": ("age", "town")}, "no column is left"),
        ({"test": "nothing"}, "--test nothing is no column"),
        ({"test": "0%"}, "leaves nothing"),
        ({"test": "other.csv"}, "there is no file"),
    ],
)
def test_a_column_that_is_not_there_is_told_with_what_is(options: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=said):
        read(tmp_path, people(), **options)


def test_flags_of_tables_are_refused_elsewhere() -> None:
    with pytest.raises(UsageError, match="--label is for tables in files, and --dataset digits is none"):
        load_dataset("digits", table=TableOptions(label="x"))


def test_everything_that_is_wrong_is_told_at_once_and_ten_of_it_by_line(tmp_path: Path) -> None:
    table = people(nr=[f"P{k}" for k in range(ROWS)], age=[str(k) for k in range(ROWS)])
    table.loc[3, "income"] = ""
    table.loc[5, "age"] = "old"
    table.loc[[7, 9], "nr"] = "P0"
    with pytest.raises(DataError) as caught:
        read(tmp_path, table, id="nr")
    assert str(caught.value).splitlines()[:5] == [
        "people.csv: 4 things are wrong",
        "  - line 5, column 'income': the label is missing",
        "  - line 7, column 'age': 'old' is no number, unlike nearly all other cells of the column",
        "  - line 9, column 'nr': the id 'P0' is that of an earlier row",
        "  - line 11, column 'nr': the id 'P0' is that of an earlier row",
    ]
    table["income"] = ""
    with pytest.raises(DataError, match=r"63 things are wrong") as caught:
        read(tmp_path, table, id="nr")
    assert str(caught.value).count("\n  - ") == 11
    assert "and 53 more" in str(caught.value)


@pytest.mark.parametrize(
    ("ids", "kept"),
    [
        (np.arange(ROWS) * 7, np.arange(ROWS) * 7),
        ([f"K-{k}" for k in range(ROWS)], [f"K-{k}" for k in range(ROWS)]),
        ([f"{k:04}" for k in range(ROWS)], [f"{k:04}" for k in range(ROWS)]),
        ([str(2**53 + k) for k in range(ROWS)], 2**53 + np.arange(ROWS)),
        ([str(10**30 + k) for k in range(ROWS)], [str(10**30 + k) for k in range(ROWS)]),
        ([f"-{k + 1}" for k in range(ROWS)], [f"-{k + 1}" for k in range(ROWS)]),
        ([f" Zoë {k}, jr. " for k in range(ROWS)], [f"Zoë {k}, jr." for k in range(ROWS)]),
    ],
    ids=["integers", "words", "zeros", "beyond 2^53", "beyond 2^63", "negative", "names"],
)
def test_ids_are_kept_to_the_last_digit(ids: Any, kept: Any, tmp_path: Path) -> None:
    data = read(tmp_path, people(nr=ids), id="nr")
    assert len(data.sample_ids) == len(data)
    assert set(data.sample_ids.tolist()) <= set(np.asarray(kept).tolist())
    assert any("left out: nr (the id)" in note for note in data.notes)
    rows = [list(np.asarray(kept)).index(one) for one in data.sample_ids]
    np.testing.assert_array_equal(data.y_train, (people()["income"] == "low").to_numpy(int)[rows])


def test_without_ids_a_sample_is_called_by_its_row(tmp_path: Path) -> None:
    data = read(tmp_path, people())
    np.testing.assert_array_equal(data.y_train, (people()["income"] == "low").to_numpy(int)[data.sample_ids])
    assert any("counted from 0" in note for note in data.notes)


def test_the_test_part_is_a_share_a_column_or_a_file(tmp_path: Path) -> None:
    by_share = read(tmp_path, people(), test="40%")
    assert len(by_share.y_test) == sum(round(0.4 * count) for count in people()["income"].value_counts())
    marked = people(part=["test" if k % 4 == 0 else "train" for k in range(ROWS)])
    by_column = read(tmp_path, marked, test="part")
    assert by_column.sample_ids.tolist() == [k for k in range(ROWS) if k % 4]
    trained, tested = marked[marked.part == "train"], marked[marked.part == "test"]
    tested.drop(columns="part").assign(more=1).to_csv(tmp_path / "other.csv", index=False)
    by_file = read(tmp_path, trained.drop(columns="part"), test=str(tmp_path / "other.csv"))
    np.testing.assert_array_equal(by_file.x_train, by_column.x_train)
    np.testing.assert_array_equal(by_file.x_test, by_column.x_test)
    np.testing.assert_array_equal(by_file.y_test, by_column.y_test)


def test_the_split_is_part_of_the_data_and_a_subset_is_drawn_by_seed(tmp_path: Path) -> None:
    whole = read(tmp_path, people())
    path, options = str(tmp_path / "people.csv"), TableOptions(label="income")
    one, other = (load_dataset(path, table=options, samples=20, seed=seed) for seed in (1, 2))
    np.testing.assert_array_equal(one.y_test, whole.y_test)
    assert set(one.sample_ids) != set(other.sample_ids)
    assert set(one.sample_ids) | set(other.sample_ids) <= set(whole.sample_ids)


@pytest.mark.parametrize(
    ("test", "said"),
    [
        (people().drop(columns="age"), "lacks the column 'age'"),
        (people(income="medium"), "line 2, column 'income': 'medium' is a class that no training row has"),
        (people(age=["12"] * 59 + ["twelve"]), "other.csv, line 61, column 'age': 'twelve' is no number"),
        (people(income=[""] + ["low"] * 59), "other.csv, line 2, column 'income': the label is missing"),
    ],
)
def test_a_test_table_that_does_not_fit_is_told_by_its_own_lines(test: pd.DataFrame, said: str, tmp_path: Path) -> None:
    test.to_csv(tmp_path / "other.csv", index=False)
    with pytest.raises(DataError, match=said):
        read(tmp_path, people(), test=str(tmp_path / "other.csv"))


def test_a_column_for_the_test_part_says_test_or_train(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 3, column 'part': 'valid' is neither"):
        read(tmp_path, people(part=["test", "valid"] + ["train"] * 58), test="part")
    with pytest.raises(DataError, match="puts no row into the test part"):
        read(tmp_path, people(part="train"), test="part")


def test_a_missing_file_and_a_folder_are_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no file"):
        load_dataset(str(tmp_path / "nowhere.csv"), table=TableOptions(label="income"))
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(PrivauditError, match=r"folder.csv"):
        load_dataset(str(tmp_path / "folder.csv"))
