"""Tables: classes in the order of numbers, every column said for what it is taken, and nothing lost in between."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privaudit.data import Dataset
from privaudit.data.formats.arrays import from_arrays
from privaudit.data.formats.factory import given_by_value
from privaudit.errors import DataError

ROWS = 200
DAYS = pd.date_range("2020-01-01", periods=ROWS)


def table(**columns: Any) -> pd.DataFrame:
    random = np.random.default_rng(0)
    whole = {
        "age": random.integers(18, 90, ROWS),
        "town": random.choice(["Ghent", "Lyon"], ROWS),
        "income": random.choice(["low", "high"], ROWS),
    }
    return pd.DataFrame(whole | columns)


def read(train: pd.DataFrame, **others: Any) -> Dataset:
    return from_arrays(
        "t", given_by_value({"train": train, "target": "income"} | others, "own.py:t"), "own.py:t", None, 0
    )


NUMBERED = np.arange(ROWS) % 12


@pytest.mark.parametrize(
    "classes",
    [
        NUMBERED,
        NUMBERED - 5,
        NUMBERED.astype(float),
        NUMBERED.astype(str),
        NUMBERED.astype(object),
        pd.array(NUMBERED, dtype="Int64"),
        pd.array(NUMBERED.astype(str), dtype="string"),
        [f"{number:+d}" if number else "0" for number in NUMBERED - 3],
        pd.Categorical(NUMBERED),
        [Decimal(int(number)) for number in NUMBERED],
    ],
    ids=["int", "negative", "float", "words", "objects", "Int64", "string", "signs", "categories", "Decimal"],
)
def test_classes_that_are_numbers_are_sorted_as_numbers(classes: Any) -> None:
    """A target that was trained elsewhere knows them as 0 … 11: labels are those, not the places of words."""
    data = read(table(income=classes))
    np.testing.assert_array_equal(data.y_train, NUMBERED[data.sample_ids])
    assert data.class_names == tuple(str(one) for one in sorted(set(classes), key=float))


@pytest.mark.parametrize("classes", [np.arange(ROWS) % 9, np.arange(ROWS) % 3 - 1, np.arange(ROWS) % 2 > 0])
def test_few_classes_keep_the_order_that_words_gave_them(classes: Any) -> None:
    """Audits of such tables keep their identity."""
    assert list(read(table(income=classes)).class_names) == sorted(map(str, set(classes.tolist())))


def test_categories_keep_their_own_order() -> None:
    classes = pd.Categorical(["low", "mid", "high", "low"] * 50, ["low", "mid", "high", "never"], ordered=True)
    data = read(table(income=classes))
    assert data.class_names == ("low", "mid", "high")
    np.testing.assert_array_equal(data.y_train, np.asarray(classes.codes)[data.sample_ids])
    assert any("in the order of the categories" in note for note in data.notes)


def test_a_test_table_may_write_a_number_otherwise() -> None:
    """Missing values elsewhere make floats of pandas's integers."""
    for other in (NUMBERED.astype(float), NUMBERED.astype(str), [f"{number}.0" for number in NUMBERED]):
        data = read(table(income=NUMBERED), test=table(income=other))
        np.testing.assert_array_equal(data.y_test, NUMBERED)


@settings(max_examples=40, deadline=None)
@given(st.sets(st.integers(-(10**6), 10**6), min_size=2, max_size=15), st.booleans())
def test_any_integers_come_in_the_order_of_numbers(numbers: set[int], as_words: bool) -> None:
    column = np.resize(np.array(list(numbers)), ROWS)
    data = read(table(income=column.astype(str) if as_words else column))
    assert [int(name) for name in data.class_names] == sorted(numbers)
    np.testing.assert_array_equal(np.array(sorted(numbers))[data.y_train], column[data.sample_ids])


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        (np.random.default_rng(0).random(ROWS), "measurements, not classes"),
        (np.arange(ROWS), "names rows rather than classes"),
        (np.array(["a", "a "] * 100), "'a' and 'a '|'a ' and 'a'"),
        (np.array([1, "1"] * 100, object), "are they one"),
        (np.array(["1", "1.0"] * 100), "are they one"),
    ],
)
def test_a_target_that_is_none_is_refused(classes: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read(table(income=classes))


def test_the_encoding_is_told() -> None:
    notes = read(table(member=np.arange(ROWS) % 2 > 0)).notes
    assert notes[0] == (
        "3 columns became 4 features; as numbers: 'age'; as 0 and 1: 'member'; as a column of 0 and 1 for each value: "
        "'town' (2)"
    )
    assert "target 'income': 2 classes, high, low" in notes


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (DAYS, "dates, and it becomes 160 indicators"),
        (DAYS.tz_localize("UTC"), "holds dates"),
        (pd.period_range("2020-01", periods=ROWS, freq="M"), "holds dates"),
        ([datetime.date(2020, 1, 1 + row % 28) for row in range(ROWS)], "holds dates, and it becomes 28"),
        (DAYS.strftime("%d/%m/%Y"), "holds dates"),
        (DAYS.strftime("%Y-%m-%d %H:%M"), "holds dates"),
        (DAYS.strftime("%Y%m%d").astype(int), "dates written as numbers"),
        (1.6e9 + np.arange(ROWS) ** 1.5, "dates written as numbers"),
        ([f"p{row}" for row in range(ROWS)], "is it an id"),
        (np.arange(ROWS) + 7, "another whole number in each row: is it an id"),
        (np.arange(ROWS) + 7.0, "another whole number in each row: is it an id"),
        ([f"c{row % 60}" for row in range(ROWS)], "different values, and it becomes"),
        ([f"{row},{100 + row}" for row in range(ROWS)], "numbers stored as words"),
        (["3.5 ", "1e5", "12%", "$7"] * 50, "numbers stored as words"),
        ([str(row % 40) if row % 40 else "?" for row in range(ROWS)], "stored as words (but for 1 values)"),
        (1, "one number in every row"),
        ("a", "one word in every row"),
        (["yes", "Yes "] * 100, "in blanks or capitals alone"),
        (1e12 + np.arange(ROWS) % 50, "float32 holds 1 of its 50 different values"),
        (np.array([3, 1.5] * 100, object), "numbers as Python objects: read as numbers"),
        ([Decimal(3), Decimal("1.5")] * 100, "numbers as Python objects: read as numbers"),
    ],
)  # fmt: skip
def test_a_doubtful_column_is_told(column: Any, said: str) -> None:
    notes = read(table(odd=column)).notes
    assert any(note.startswith("column 'odd'") and said in note for note in notes), notes
    # Notes come into the report: columns are named, and nobody's values.
    assert not any(value in note for note in notes for value in ("p17", "c17", "17,117", "2020-01-17"))


def test_an_ordinary_table_raises_no_doubt() -> None:
    train, test = table(), table()
    assert not [note for note in read(train, test=test).notes if note.startswith("column ")]


def test_values_that_only_the_test_table_has_are_told() -> None:
    assert any(
        "column 'town': 200 test rows hold values" in note for note in read(table(), test=table(town="Oslo")).notes
    )


def test_missing_values_name_every_column_by_the_rows_of_the_file() -> None:
    train = table()
    train["age"] = train["age"].astype(float)
    train.loc[[3, 17], "age"], train.loc[5, "town"], train.loc[9, "income"] = np.nan, None, np.nan
    with pytest.raises(DataError) as raised:
        read(train)
    assert "column 'age' of the train table lacks 2 values, in rows 3, 17 (lines 5, 19 of a file" in str(raised.value)
    assert "column 'town' of the train table lacks 1 values, in row 5 (line 7 of a file" in str(raised.value)
    assert "column 'income' of the train table lacks 1 values, in row 9 (line 11 of a file" in str(raised.value)
    with pytest.raises(DataError, match="in rows person 3, person 17\n"):
        read(train.set_index(pd.Index([f"person {row}" for row in range(ROWS)])))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"train": pd.concat([table(), table()[["age"]]], axis=1)}, "several columns called 'age'"),
        ({"train": pd.concat([table(), table()[["income"]]], axis=1)}, "several columns called 'income'"),
        ({"test": pd.concat([table(), table()[["age"]]], axis=1)}, "the test table has several columns called 'age'"),
        ({"train": table(a=np.where(NUMBERED == 4, np.inf, 1.0), b=np.where(NUMBERED == 6, 1e300, 1.0))},
         "column 'a' (.|\n)*infinite(.|\n)*column 'b'"),
        ({"train": table(a=pd.to_timedelta(NUMBERED, "s"))}, r"'a' holds time spans\n.*total_seconds"),
        ({"train": table(a=NUMBERED * 1j)}, "'a' holds complex numbers"),
        ({"train": table(a=[[1]] * ROWS)}, "'a' holds a list in"),
        ({"train": table(a=[{}] * ROWS)}, "'a' holds a dict in"),
        ({"train": table(a=pd.array([1, None] * 100, dtype="Int64"))}, "'a' of the train table lacks 100 values"),
        ({"target": ["income"]}, "target is a list of 1: it must be the name of a column"),
        ({"target": table()["income"]}, "target is a Series of 200"),
        ({"train": table(income=[[1]] * ROWS)}, "target 'income' of the train table holds a list in 200 rows"),
        ({"target": None}, "no target column"),
        ({"id": "income"}, "both target and id"),
        ({"id": "age"}, "the id column 'age' holds .* more than once, in rows"),
        ({"id": "town"}, "ids must be integers"),
        ({"train": table()[:0]}, "0 rows"),
        ({"test": np.zeros(3)}, "test is a ndarray"),
    ],
)  # fmt: skip
def test_tables_that_cannot_be_read_are_named(change: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        read(**({"train": table()} | change))


def test_a_class_of_one_row_is_trained_on() -> None:
    """A fifth is drawn to test with; a class that would have none to train with stays."""
    for row in range(0, ROWS, 20):
        income = np.array(["low", "high"] * 100, object)
        income[row] = "rare"
        data = read(table(income=income))
        assert data.class_names == ("high", "low", "rare")
        assert (data.y_train == 2).sum() == 1


def test_columns_that_the_test_table_alone_has_are_told() -> None:
    assert any("test table alone has are left out: extra" in note for note in read(table(), test=table(extra=1)).notes)
