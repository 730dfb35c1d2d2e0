"""How cells become features: as scikit-learn and pandas would make them, fitted on training rows, and applied again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from privaudit.data.tables.column_encoders import CategoryColumn, NumberColumn
from privaudit.data.tables.encoding import Cells, TableEncoding, fit_encoding, read_encoding
from privaudit.data.tables.fit_columns import MOST_INDICATORS, RAREST
from privaudit.data.tables.table_file import UserTable
from privaudit.errors import DataError, StoreError
from privaudit.results.base import write_result

ROWS = 200


def fit(frame: pd.DataFrame, categories: tuple[str, ...] = ()) -> TableEncoding:
    fitted = fit_encoding(Cells.of(UserTable("t", frame), frame.columns), "y", ["a", "b"], categories)
    assert not fitted.problems, fitted.problems
    return fitted.encoding


def doubts(frame: pd.DataFrame) -> str:
    return "\n".join(fit_encoding(Cells.of(UserTable("t", frame), frame.columns), "y", ["a", "b"]).doubts)


def mixed(seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "age": random.normal(40, 9, ROWS),
            "income": random.lognormal(10, 1, ROWS),
            "town": random.choice(["Ghent", "Lyon", "Perú"], ROWS),
            "member": random.choice(["yes", "no"], ROWS),
            "born": pd.date_range("1970-01-01", periods=ROWS, freq="31D").strftime("%d.%m.%Y"),
        }
    )
    table["income"] = table["income"].where(random.random(ROWS) > 0.1)
    table["town"] = table["town"].where(random.random(ROWS) > 0.1, "?")
    return table


def columns_of(encoding: TableEncoding, features: np.ndarray[Any, Any]) -> pd.DataFrame:
    return pd.DataFrame(features, columns=encoding.feature_names())


def test_numbers_are_what_scikit_learn_makes_of_them() -> None:
    table = mixed()
    encoding = fit(table)
    features = columns_of(encoding, encoding.apply(table))
    np.testing.assert_allclose(features["age"], StandardScaler().fit_transform(table[["age"]])[:, 0], rtol=1e-5)
    present = table["income"].dropna()
    filled = SimpleImputer(strategy="median", add_indicator=True).fit_transform(table[["income"]])
    np.testing.assert_allclose(features["income"], (filled[:, 0] - present.mean()) / present.std(ddof=0), rtol=1e-5)
    np.testing.assert_array_equal(features["income missing"], filled[:, 1])


def test_categories_are_what_scikit_learn_makes_of_them() -> None:
    table = mixed()
    encoding = fit(table)
    features = columns_of(encoding, encoding.apply(table))
    expected = OneHotEncoder(sparse_output=False, categories=[["Ghent", "Lyon", "Perú", "?"]]).fit_transform(
        table[["town"]]
    )
    names = ["town=Ghent", "town=Lyon", "town=Perú", "town=(missing)"]
    np.testing.assert_array_equal(features[names], expected)
    np.testing.assert_array_equal(features["member"], table["member"] == "yes")


def test_rare_words_are_one_category_as_scikit_learn_pools_them() -> None:
    random = np.random.default_rng(0)
    table = pd.DataFrame({"c": random.choice([f"w{k}" for k in range(40)], ROWS)})
    encoding = fit(table)
    pooled = OneHotEncoder(sparse_output=False, min_frequency=RAREST, handle_unknown="infrequent_if_exist")
    np.testing.assert_array_equal(encoding.apply(table), pooled.fit_transform(table))
    strange = pd.DataFrame({"c": ["never", "w0"]})
    np.testing.assert_array_equal(encoding.apply(strange), pooled.transform(strange))
    assert all((table["c"] == word).sum() >= RAREST for word in encoding.columns[0].values)  # type: ignore[union-attr]


def test_of_many_words_the_commonest_have_an_indicator() -> None:
    words = [f"w{k:03}" for k in range(500) for _ in range(6 + (k >= 400))]
    (column,) = fit(pd.DataFrame({"c": words})).columns
    assert isinstance(column, CategoryColumn)
    assert len(column.values) == MOST_INDICATORS
    assert set(column.values) >= {f"w{k}" for k in range(400, 500)}
    assert column.rare == 300


@pytest.mark.parametrize("form", ["%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%d %b %Y", "%B %d, %Y"])
def test_dates_are_what_pandas_makes_of_them(form: str) -> None:
    dates = pd.Series(pd.date_range("1999-12-20", periods=ROWS, freq="5D"))
    table = pd.DataFrame({"d": dates.dt.strftime(form)})
    encoding = fit(table)
    assert encoding.feature_names() == ["d days", "d month", "d weekday"]
    expected = np.stack([(dates - pd.Timestamp("1970-01-01")).dt.days, dates.dt.month, dates.dt.day_of_week], axis=1)
    np.testing.assert_allclose(encoding.apply(table), StandardScaler().fit_transform(expected), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(encoding.apply(pd.DataFrame({"d": dates})), encoding.apply(table))


def test_times_of_day_and_zones_are_read() -> None:
    times = pd.Series(pd.date_range("2024-03-01 01:30", periods=ROWS, freq="5h"))
    written = times.dt.strftime("%Y-%m-%d %H:%M") + "+02:00"
    encoding = fit(pd.DataFrame({"t": written}))
    hours = (times - pd.Timedelta("2h")).dt.hour.to_numpy()[:, None]
    np.testing.assert_allclose(
        columns_of(encoding, encoding.apply(pd.DataFrame({"t": written})))["t hour"],
        StandardScaler().fit_transform(hours)[:, 0],
        rtol=1e-5,
    )


@settings(max_examples=25, deadline=None)
@given(st.lists(st.dates(), min_size=30, max_size=60, unique=True), st.sampled_from(["%Y-%m-%d", "%d.%m.%Y"]))
def test_any_calendar_day_is_found_as_python_counts_it(days: list[Any], form: str) -> None:
    table = pd.DataFrame(
        {"d": [f"{day.year:04}-{day:%m-%d}" if form[1] == "Y" else f"{day:%d.%m.}{day.year:04}" for day in days]}
    )
    encoding = fit(table)
    ordinals = np.array([day.toordinal() for day in days], float)[:, None]
    found = columns_of(encoding, encoding.apply(table))["d days"]
    np.testing.assert_allclose(found, StandardScaler().fit_transform(ordinals)[:, 0], rtol=1e-4, atol=1e-4)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=25, max_size=60, unique=True))
def test_any_numbers_are_scaled_without_overflow_and_read_as_python_writes_them(numbers: list[float]) -> None:
    typed, written = pd.DataFrame({"x": numbers}), pd.DataFrame({"x": [repr(number) for number in numbers]})
    encoding = fit(typed)
    if not encoding.columns:  # They count the rows, or are one number but for its sign.
        return
    features = encoding.apply(typed)
    assert np.isfinite(features).all()
    assert abs(float(features.mean())) < 0.01
    np.testing.assert_array_equal(features, encoding.apply(written))
    assert (np.diff(features[np.argsort(numbers), 0]) >= 0).all()


def test_a_row_is_the_same_features_whatever_its_cells_are_stored_as() -> None:
    table = mixed()
    encoding = fit(table)
    as_words = table.assign(income=table["income"].map(lambda one: "" if pd.isna(one) else repr(one)))
    as_words = as_words.assign(age=table["age"].map(repr), town=table["town"].astype("category"))
    as_types = table.assign(
        member=table["member"] == "yes",
        born=pd.to_datetime(table["born"], dayfirst=True),
        town=table["town"].astype(object),
    )
    for other in (as_words, as_types, table[::-1].set_index(np.arange(ROWS) + 7)):
        rows = slice(None, None, -1) if other.index[0] == 7 else slice(None)
        np.testing.assert_array_equal(encoding.apply(other), encoding.apply(table)[rows])


def test_the_encoding_is_of_the_training_rows_alone(tmp_path: Path) -> None:
    """Other test rows, however strange, leave every training feature what it was."""
    from privaudit.data.formats.load import load_dataset
    from privaudit.results.audit.audit_description import TableOptions

    table = mixed().assign(part=["train"] * 150 + ["test"] * 50, y=["a", "b"] * 100)
    found = []
    for factor in (1, 1000):
        table.loc[150:, ["age", "income"]] *= factor
        table.loc[150:, "town"] = f"Town {factor}"
        table.to_csv(tmp_path / "t.csv", index=False)
        found.append(load_dataset(str(tmp_path / "t.csv"), table=TableOptions(label="y", test="part")))
    np.testing.assert_array_equal(found[0].x_train, found[1].x_train)
    assert not np.array_equal(found[0].x_test, found[1].x_test)
    assert found[0].table is not None
    assert found[1].table is not None
    assert found[0].table.digest == found[1].table.digest


def test_it_is_kept_and_read_again_to_the_bit(tmp_path: Path) -> None:
    table = mixed()
    encoding = fit(table, ("age",))
    write_result(tmp_path / "encoding.json", encoding)
    again = read_encoding(tmp_path / "encoding.json")
    assert again == encoding
    assert again.digest == encoding.digest
    np.testing.assert_array_equal(again.apply(table), encoding.apply(table))
    text = json.loads((tmp_path / "encoding.json").read_text())
    write_result(tmp_path / "encoding.json", encoding.model_copy(update={"format": 2}))
    with pytest.raises(StoreError, match="another version"):
        read_encoding(tmp_path / "encoding.json")
    (tmp_path / "encoding.json").write_text("{}")
    with pytest.raises(StoreError, match="damaged"):
        read_encoding(tmp_path / "encoding.json")
    assert {column["kind"] for column in text["columns"]} == {"number", "boolean", "date", "category"}


def test_no_word_that_fewer_than_five_rows_share_is_kept() -> None:
    table = pd.DataFrame({"c": ["a"] * 30 + ["Jane Doe"] * 4 + ["b"] * 5, "free": [f"patient {k}" for k in range(39)]})
    assert "Jane" not in fit(table).model_dump_json()
    assert "patient 3" not in fit(table).model_dump_json()


def test_new_rows_that_do_not_fit_are_told_by_row_and_column() -> None:
    table = mixed()
    encoding = fit(table)
    strange = table[:4].astype(object)
    strange.loc[1, "age"], strange.loc[2, "member"], strange.loc[3, "born"] = "old", "perhaps", "yesterday"
    with pytest.raises(DataError) as caught:
        encoding.apply(strange)
    assert "row 1, column 'age': 'old' is no number" in str(caught.value)
    assert "row 2, column 'member': 'perhaps' is neither no nor yes" in str(caught.value)
    assert "row 3, column 'born': 'yesterday' is no date" in str(caught.value)
    with pytest.raises(DataError, match="lacks the column"):
        encoding.apply(table.drop(columns="age"))


def test_missing_cells_where_the_training_rows_lack_none_are_filled_and_told() -> None:
    table = mixed()[["age"]]
    encoding = fit(table)
    cells = Cells.of(UserTable("t", pd.DataFrame({"age": [None, 40.0]})), ["age"])
    found = encoding.encode(cells)
    column = encoding.columns[0]
    assert isinstance(column, NumberColumn)
    assert found.features[0, 0] == pytest.approx(
        (table["age"].median() - table["age"].mean()) / table["age"].std(ddof=0)
    )
    assert "1 cells are missing" in found.notes[0]


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        ([""] * ROWS, "it holds no value"),
        (["same"] * ROWS, "one value in every row"),
        (["1", "1.0"] * 100, "one value in every row"),
        ([f"text number {k}" for k in range(ROWS)], "200 different values, none in 5 rows"),
    ],
)
def test_what_says_nothing_is_left_out_with_its_reason(cells: list[str], why: str) -> None:
    encoding = fit(pd.DataFrame({"x": cells, "other": np.arange(ROWS) % 7}))
    assert [(one.name, one.why[: len(why)]) for one in encoding.left_out] == [("x", why)]


def test_copies_are_left_out_and_kinds_that_are_forced_are_kept() -> None:
    codes = np.arange(ROWS) % 7
    encoding = fit(pd.DataFrame({"a": codes, "b": codes, "c": codes.astype(str), "code": codes}), ("code",))
    assert [(one.name, one.why) for one in encoding.left_out] == [
        ("b", "says the same as a"),
        ("c", "says the same as a"),
    ]
    assert encoding.feature_names() == ["a", *(f"code={k}" for k in range(7))]


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (["a", "A"] * 100, "1 of its values differ from another in capitals alone"),
        ([f"{k:03}" for k in range(20)] * 10, "codes"),
        ([f"{k % 20}" if k % 2 else f"x{k % 20}" for k in range(ROWS)], "holds numbers (50% of its cells) and words"),
        ([f"{k / 7:.2f}".replace(".", ",") for k in range(ROWS)], "decimal commas"),
        ([str(2**60 + k * 10**10) for k in range(ROWS)], "beyond 2⁵³"),
        (["1e300", *map(str, range(ROWS - 1))], "so large that"),
        ([str(20240101 + k % 28) for k in range(ROWS)], "dates written as numbers"),
    ],
)
def test_what_is_doubtful_is_said(cells: list[str], said: str) -> None:
    assert said in doubts(pd.DataFrame({"x": cells}))


def test_codes_that_another_program_read_as_numbers_are_refused_and_a_file_is_read_as_it_is(tmp_path: Path) -> None:
    """pandas makes 7 of 007: every such row would be of a rare category."""
    table = pd.DataFrame({"code": [f"{k % 20:03}" for k in range(ROWS)], "x": np.arange(ROWS) % 7})
    encoding = fit(table)
    table.to_csv(tmp_path / "codes.csv", index=False)
    np.testing.assert_array_equal(encoding.apply(tmp_path / "codes.csv"), encoding.apply(table))
    with pytest.raises(DataError, match=r"column 'code': it holds numbers.*dtype=str"):
        encoding.apply(pd.read_csv(tmp_path / "codes.csv"))
