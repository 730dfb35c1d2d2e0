"""Arrays that were taken for something else: each is read as what it is, or refused by name with the cure."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privaudit.data import Dataset, load_dataset
from privaudit.data.formats.arrays import from_arrays
from privaudit.data.formats.factory import given_by_value
from privaudit.data.validation import Given
from privaudit.errors import DataError
from privaudit.testing import ContractError, check_dataset
from tests.conftest import save_noisy_images

RANDOM = np.random.default_rng(0)
LABELS = np.arange(60) % 3


def arrays(x: Any = None, **changes: Any) -> dict[str, Any]:
    x = RANDOM.random((60, 4)) if x is None else x
    return {"x_train": x, "y_train": LABELS, "x_test": x[:30], "y_test": LABELS[:30]} | changes


def read(returned: Any) -> Dataset:
    return from_arrays("mine", given_by_value(returned, "own.py:data"), "own.py:data", None, 0)


def pictures(*shape: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return RANDOM.integers(0, 256, (60, *shape)).astype(np.uint8)


@settings(max_examples=60, deadline=None)
@given(channels=st.sampled_from([1, 2, 3, 4]), side=st.integers(5, 40))
def test_channels_that_come_first_are_moved_and_said(channels: int, side: int) -> None:
    images = np.zeros((60, side, side, channels), np.uint8)
    images[:, 1, 2] = np.arange(channels) + 7
    last, first = read(arrays(images)), read(arrays(np.moveaxis(images, 3, 1)))
    assert first.fingerprint == last.fingerprint
    assert any("channels come first" in note for note in first.notes)
    assert not any("channels come first" in note for note in last.notes)


@pytest.mark.parametrize("shape", [(3, 4, 4), (1, 100, 16), (3, 24, 32), (13, 64, 64), (64, 32, 32)])
def test_images_of_two_readings_are_refused_with_both_cures(shape: tuple[int, ...]) -> None:
    images = pictures(*shape)
    with pytest.raises(DataError, match="which can't be told") as raised:
        read(arrays(images))
    first, last = (
        tuple(map(int, found.split(","))) for found in re.findall(r"transpose\(([\d, ]+)\)", str(raised.value))[:2]
    )
    assert read(arrays(images.transpose(first))).input_shape == (*shape[1:], shape[0])
    assert read(arrays(images.transpose(last))).input_shape == (shape[1], shape[0], shape[2])


@pytest.mark.parametrize("shape", [(8, 8, 1), (28, 28, 3), (3, 32, 3), (3, 3, 3), (64, 64, 13), (1, 1, 1)])
def test_images_whose_channels_come_last_stay_as_they_are(shape: tuple[int, ...]) -> None:
    images = pictures(*shape)
    np.testing.assert_array_equal(read(arrays(images)).x_train, images)


@pytest.mark.parametrize("kind", [np.int64, np.uint16, np.int32, np.uint64])
def test_whole_numbers_of_three_dimensions_are_images(kind: Any) -> None:
    images = pictures(8, 8)
    data = read(arrays(images.astype(kind)))
    assert data.fingerprint == read(arrays(images)).fingerprint
    assert any("read as uint8 images" in note for note in data.notes)


def test_images_of_sixteen_bits_keep_their_scale() -> None:
    images = RANDOM.integers(0, 65_536, (60, 8, 8)).astype(np.uint16)
    data = read(arrays(images))
    assert data.is_image
    np.testing.assert_array_equal(data.x_train[..., 0], images)
    assert any("read as images of floats on that scale" in note for note in data.notes)


def test_floats_without_a_channel_are_features_and_told_so() -> None:
    data = read(arrays(RANDOM.random((60, 8, 8))))
    assert data.input_shape == (64,)
    assert "flattened to 64 features" in data.notes[0]
    assert "[N, H, W, 1]" in data.notes[0]


def test_truth_values_are_black_and_white() -> None:
    bits = RANDOM.random((60, 8, 8)) < 0.5
    data = read(arrays(bits))
    np.testing.assert_array_equal(data.x_train[..., 0], np.where(bits, 255, 0))
    assert "black and white" in data.notes[0]


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (RANDOM.random((60, 4)) * 1j, "complex numbers"),
        (np.zeros((60, 4), "m8[s]"), "time spans"),
        (np.zeros((60, 4), "M8[s]"), "dates"),
        (np.full((60, 4), "1.5"), r"words.*\n.*astype\(float\)"),
        (np.full((60, 4), None), "Python objects"),
        (np.zeros(60), r"x_train\[:, None\]"),
        (np.zeros((60, 0)), "holds no number"),
        (np.full((60, 4), 1e300), "NaN or infinity in 60 rows"),
        (np.ma.masked_less(RANDOM.random((60, 4)), 0.5), "masked"),
        ([[1.0], [1.0, 2.0]] * 30, "is no array"),
    ],
)
def test_inputs_that_are_no_numbers_are_named(x: Any, said: str) -> None:
    one_sided = arrays(x_train=x, x_test=np.zeros((30, 4)))
    with pytest.raises(DataError, match=said):
        read(one_sided)


def test_a_sparse_matrix_is_named() -> None:
    from scipy.sparse import csr_matrix

    with pytest.raises(DataError, match="it is a sparse matrix"):
        read(arrays(x_train=csr_matrix(np.eye(60)), x_test=np.eye(60)[:30]))


def test_whole_numbers_that_float32_rounds_are_told() -> None:
    x = np.zeros((60, 3), np.int64)
    x[:, 1] = 2**40 + np.arange(60)
    assert any(
        "1 columns of x_train, first column 1, hold whole numbers beyond 2²⁴" in n for n in read(arrays(x)).notes
    )


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (LABELS + 0.7, r"0\.7 in row 0 is no class"),
        (LABELS.astype(float), r"y_train\.astype\(int\)"),
        (np.where(LABELS > 1, np.nan, LABELS), "20 of them are missing or infinite, first in row 2"),
        (np.eye(3)[LABELS], r"argmax\(axis=1\)"),
        (LABELS[:, None], r"y_train\[:, 0\]"),
        (LABELS.astype(str), r"numpy\.unique\(y_train, return_inverse=True\)"),
        (LABELS.astype(object), r"numpy\.unique\(y_train, return_inverse=True\)"),
        (LABELS.astype("m8[s]"), "must be integers"),
        (np.full(60, 2**64 - 1, np.uint64), "18446744073709551615, which is no class"),
        (LABELS - 1, "20 labels of y_train are not among 0 … 1, first -1 in row 0"),
        (np.arange(70) % 3, "60 inputs and 70 labels"),
        (np.zeros(0, int), "60 inputs and 0 labels"),
        (np.zeros(60, int), "needs at least 2"),
        (np.where(np.arange(60) == 3, 20_000_000, LABELS), "they run to 20,000,000"),
        (np.where(np.arange(60) == 3, 2**62, LABELS), "number the labels without gaps"),
    ],
)
def test_labels_that_are_none_are_named_with_the_cure(labels: Any, said: str) -> None:
    """By an audit and by `check_dataset` alike."""
    with pytest.raises(DataError, match=said):
        read(arrays(y_train=labels))
    with pytest.raises(ContractError, match=said):
        check_dataset(lambda: arrays(y_train=labels))


def test_a_label_of_twenty_million_takes_no_memory() -> None:
    import tracemalloc

    tracemalloc.start()
    with pytest.raises(DataError):
        read(arrays(y_train=np.where(np.arange(60) == 3, 20_000_000, LABELS)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000


def test_truth_values_are_labels() -> None:
    data = read(arrays(y_train=LABELS > 1, y_test=LABELS[:30] > 1))
    np.testing.assert_array_equal(data.y_train, LABELS > 1)
    assert data.class_names == ("0", "1")


def test_classes_that_are_hardly_there_are_told(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", **arrays(y_train=np.where(np.arange(60) == 5, 3, LABELS), y_test=LABELS[:30] % 2))
    notes = load_dataset(str(tmp_path / "x.npz")).notes
    assert any("1 class ('3') with a single training sample" in note for note in notes)
    assert any("2 classes ('2', '3') without a test sample" in note for note in notes)


def test_every_problem_is_told_at_once_by_an_audit_too() -> None:
    wrong = arrays(y_train=LABELS - 1, sample_ids=np.zeros(60, int), x_test=np.zeros((30, 5)))
    with pytest.raises(DataError) as raised:
        read(wrong)
    with pytest.raises(ContractError) as checked:
        check_dataset(lambda: wrong)
    for said in ("first -1 in row 0", "sample_ids are there more than once", "[4] in x_train and [5] in x_test"):
        assert said in str(raised.value)
        assert said in str(checked.value)


def test_a_slip_in_an_optional_name_is_refused_and_a_stranger_told() -> None:
    with pytest.raises(DataError, match="'sample_id' means nothing: is it sample_ids"):
        read(arrays(sample_id=np.arange(60)))
    with pytest.raises(DataError, match="is it class_names"):
        read(arrays(names=["a", "b", "c"]))
    assert any("not read" in note and "'x_val'" in note for note in read(arrays(x_val=np.zeros(3))).notes)


def test_names_stored_as_bytes_are_words() -> None:
    assert read(arrays(class_names=np.array([b"cat", b"dog", b"eel"]))).class_names == ("cat", "dog", "eel")


def test_notes_reach_the_plan_and_the_report(tmp_path: Path) -> None:
    """Dry runs, results and reports show them: they are notes of the plan."""
    save_noisy_images(
        tmp_path / "x.npz", x_train=np.zeros((300, 3, 8, 8), np.uint8), x_test=np.zeros((120, 3, 8, 8), np.uint8)
    )
    data = load_dataset(str(tmp_path / "x.npz"))
    assert data.input_shape == (8, 8, 3)
    from privaudit.audit.plan import plan_audit
    from privaudit.config import AuditSettings

    plan = plan_audit(AuditSettings(dataset=str(tmp_path / "x.npz"), store=tmp_path / "s", out=tmp_path / "o"))
    assert set(data.notes) <= set(plan.notes)


def test_notes_are_no_content() -> None:
    with_notes = from_arrays("a", Given(arrays(np.ones((60, 4))), ("a guess",)), "a", None, 0)
    assert with_notes.notes == ("a guess",)
    assert with_notes.fingerprint == from_arrays("a", Given(arrays(np.ones((60, 4)))), "a", None, 0).fingerprint
