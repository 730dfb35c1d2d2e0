"""What a function of the user's may return, and what is said of everything else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from scipy import sparse
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from privaudit.data import Dataset
from privaudit.data.formats.arrays import from_arrays
from privaudit.data.formats.factory import given_by_function, given_by_value
from privaudit.errors import DataError

RANDOM = np.random.default_rng(0)
X, Y = RANDOM.random((60, 4)), np.arange(60) % 3


def read(returned: Any) -> Dataset:
    return from_arrays("mine", given_by_value(returned, "own.py:data"), "own.py:data", None, 0)


class Items:
    """A Dataset by its items."""

    def __init__(self, item: Callable[[int], Any], length: int = 12) -> None:
        self.item, self.length = item, length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, row: int) -> Any:
        return self.item(row)


def both(item: Callable[[int], Any]) -> tuple[Items, Items]:
    return Items(item), Items(item)


@pytest.mark.parametrize(
    "returned",
    [
        (X, Y),
        [X, Y],
        (X.tolist(), Y.tolist()),
        ([*X], [*Y.tolist()]),
        (torch.tensor(X), torch.tensor(Y)),
        (pd.DataFrame(X), Y),
    ],
    ids=["tuple", "list", "lists", "rows", "tensors", "table and array"],
)
def test_inputs_and_labels_are_split_by_class(returned: Any) -> None:
    data = read(returned)
    np.testing.assert_array_equal(data.x_train, X[data.sample_ids].astype(np.float32))
    np.testing.assert_array_equal(data.y_train, Y[data.sample_ids])
    assert len(data.y_test) == 12
    assert any("no test" in note and "20% of" in note for note in data.notes)


def test_the_split_of_inputs_and_labels_is_stratified() -> None:
    data = read((X, Y))
    assert np.bincount(data.y_test).tolist() == [4, 4, 4]
    assert {tuple(row) for row in data.x_train} & {tuple(row) for row in data.x_test} == set()


@pytest.mark.parametrize(
    "returned",
    [(X, Y, X[:30], Y[:30]), (X, X[:30], Y, Y[:30]), ((X, Y), (X[:30], Y[:30]))],
    ids=["in our order", "train_test_split's", "pairs"],
)
def test_four_arrays_are_told_apart_by_their_dimensions(returned: Any) -> None:
    given = {"x_train": X, "y_train": Y, "x_test": X[:30], "y_test": Y[:30]}
    assert read(returned).fingerprint == read(given).fingerprint


def test_a_table_and_its_column_of_classes_are_a_table() -> None:
    words = pd.Series(np.array(["low", "high"] * 30), name="income")
    table = pd.DataFrame({"age": np.arange(60) % 7, "town": ["Ghent", "Lyon", "Turin"] * 20})
    for column in (words, list(words)):
        data = read((table, column))
        assert data.class_names == ("high", "low")
        assert data.input_shape == (4,)


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ((X, Y[:50]), "60 inputs and 50 labels"),
        ((X, np.eye(3)[Y]), r"argmax\(axis=1\)"),
        ((X, np.array(list("abc") * 20)), "numpy.unique"),
        ((X, Y + 0.5), "is no class"),
        ((X, Y, X), "a tuple of 3"),
        (pd.DataFrame(X), "which of its columns holds the classes"),
        ({"data": X, "target": Y}, r"return \(data, target\)"),
        (DataLoader(TensorDataset(torch.tensor(X), torch.tensor(Y))), r"train_loader\.dataset"),
        ((i for i in range(3)), r"a stream \(generator\)"),
        (None, "returned NoneType: it must return"),
        ((sparse.csr_matrix(X), Y), r"a sparse matrix\n.*toarray"),
        ((X[:, 0], Y), r"arrays of \[60\], \[60\](.|\n)*X\[:, None\]"),
        ((Y, X), "not inputs"),
        ((np.zeros(60, [("age", "f4"), ("pay", "f4")]), Y), "a structured array of the fields age, pay"),
        (TensorDataset(torch.tensor(X), torch.tensor(Y)), "returned TensorDataset"),
    ],
)  # fmt: skip
def test_what_a_function_may_not_return_is_told_with_the_cure(returned: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read(returned)


class Stream(IterableDataset):  # type: ignore[type-arg]
    def __iter__(self) -> Iterator[Any]:
        return iter([(X[0], 0)])


def test_streams_are_refused_and_their_lists_taken() -> None:
    for returned in (Stream(), (Stream(), Stream())):
        with pytest.raises(DataError, match=r"a stream \(Stream\) without a length(.|\n)*list\(train\)"):
            read(returned)
    listed = [(x, int(y)) for x, y in zip(X, Y, strict=True)]
    assert len(read((listed, listed))) == 60


@pytest.mark.parametrize(
    ("item", "said"),
    [
        (lambda row: open("/nowhere/cat.png") if row == 5 else (X[0], row % 2),  # noqa: SIM115, PTH123
         r"sample 5 of the train dataset can't be read: FileNotFoundError.*/nowhere/cat.png.*test_factories\.py, line"),
        (lambda row: {"a": row}["lost"],
         r"sample 0 .* can't be read: KeyError: 'lost' \(test_factories\.py, line \d+\)"),
        (lambda row: {"image": 1, "label": 2}, r"a dict of 'image', 'label'\n.*item\['image'\]"),
        (lambda row: (1, 2, 3), r"no \(input, label\)"),
        (lambda row: None, r"no \(input, label\)"),
        (lambda row: (X[0], row * 0.7), "the label of sample 1 of the train dataset is 0.7"),
        (lambda row: (X[0], torch.tensor(1.7)), "is 1.7"),
        (lambda row: (X[0], float("nan")), "is nan"),
        (lambda row: (X[0], torch.eye(2)[row % 2]), r"label\.argmax\(\)"),
        (lambda row: (X[0], "cat"), "is 'cat': it must be an integer"),
        (lambda row: (Image.new("RGB", (8 + row, 8)), 0), r"sample 0 is \[8, 8, 3\], sample 1 \[8, 9, 3\]\n.*Resize"),
        (lambda row: (Image.new("L" if row else "RGB", (8, 8)), 0), r"image\.convert\('RGB'\)"),
    ],
)  # fmt: skip
def test_a_sample_that_cannot_be_read_is_named(item: Callable[[int], Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        read(both(item))


def test_whole_labels_of_any_kind_are_labels() -> None:
    kinds: list[Callable[[int], Any]] = [
        int,
        float,
        np.int8,
        torch.tensor,
        lambda y: torch.tensor([y]),
        lambda y: y > 0,
    ]
    prints = {read(both(lambda row, kind=kind: (X[row], kind(row % 2)))).fingerprint for kind in kinds}  # type: ignore[misc]
    assert len(prints) == 1


def test_half_precision_is_read_as_the_same_numbers() -> None:
    for kind in (torch.bfloat16, torch.float16):
        inputs = torch.tensor(X).to(kind)
        expected = inputs.float().numpy()
        np.testing.assert_array_equal(read((inputs, torch.tensor(Y), inputs, torch.tensor(Y))).x_train, expected)
        items = both(lambda row, inputs=inputs: (inputs[row], int(Y[row])))  # type: ignore[misc]
        np.testing.assert_array_equal(read(items).x_train, expected[:12])


def test_tensors_whose_channels_come_last_are_told() -> None:
    images = torch.rand(12, 28, 28, 1)
    data = read(both(lambda row: (images[row], row % 2)))
    np.testing.assert_array_equal(data.x_train, images.numpy())
    assert any("channels last" in note for note in data.notes)
    first = read(both(lambda row: (images[row].permute(2, 0, 1), row % 2)))
    assert (first.fingerprint, first.notes) == (data.fingerprint, ())


@pytest.mark.parametrize(("mode", "as_mode"), [("P", "RGB"), ("1", "L"), ("CMYK", "RGB"), ("L", "L"), ("RGB", "RGB")])
def test_pictures_are_read_as_colours(mode: str, as_mode: str) -> None:
    image = Image.fromarray(RANDOM.integers(0, 256, (8, 8, 3)).astype(np.uint8)).convert(mode)
    data = read(both(lambda row: (image, row % 2)))
    expected = np.asarray(image.convert(as_mode))
    np.testing.assert_array_equal(data.x_train[0], expected[..., None] if as_mode == "L" else expected)


def test_a_dict_of_two_datasets_is_read_too() -> None:
    train, test = both(lambda row: (X[row], row % 2))
    assert read({"train": train, "test": test}).fingerprint == read((train, test)).fingerprint


def test_a_function_that_fails_is_told_where(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("def data():\n    table = {}\n    return table['rows']\n")
    from privaudit.runtime.registry import import_reference

    with pytest.raises(DataError, match=r"KeyError: 'rows'\n  It failed at own\.py, line 3"):
        given_by_function(import_reference(f"{tmp_path}/own.py:data", "dataset"), "own.py:data")


def test_data_that_is_drawn_anew_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    import privaudit
    from privaudit.errors import PrivauditError

    (tmp_path / "draws.py").write_text(
        "import numpy as np\n\ndef data():\n    x = np.random.random((40, 3)); y = np.arange(40) % 2\n"
        "    return {'x_train': x, 'y_train': y, 'x_test': np.ones((10, 3)), 'y_test': y[:10]}\n"
    )
    with pytest.raises(PrivauditError, match="two calls of the function return different x_train"):
        privaudit.score(dataset=f"{tmp_path}/draws.py:data", shadows=4, store=tmp_path / "s", out=tmp_path / "o")
    assert not list((tmp_path / "s").glob("*/models/*"))
