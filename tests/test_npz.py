""".npz files: headers are read first, and only what is needed."""

from __future__ import annotations

import math
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from privaudit.data import load_dataset, npz
from privaudit.data.free_memory import available_memory
from privaudit.data.npz import read_npz
from privaudit.errors import DataError
from tests.conftest import save_noisy_images

#: What a bomb of the tests unpacks to: enough to be seen, and quick to pack.
SIZE = 64_000_000


def add(path: Path, name: str, shape: tuple[int, ...], size: int | None = None) -> None:
    """Add zeros to an .npz file, with a header that promises this shape."""
    left = math.prod(shape) if size is None else size
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive, archive.open(name, "w") as stream:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, header)
        stream.write(bytes(left))


def peak_of(path: Path) -> tuple[int, str]:
    """The bytes that reading took at most, and what was said."""
    tracemalloc.start()
    try:
        load_dataset(str(path))
        said = ""
    except DataError as error:
        said = str(error)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak, said


@pytest.mark.parametrize(
    ("key", "shape", "said"),
    [
        ("junk", (SIZE,), ""),
        ("y_train", (SIZE,), "300 inputs and 64,000,000 labels"),
        ("x_train", (SIZE,), "it must be uint8 images"),
        ("x_test", (SIZE // 8, 8), "8,000,000 inputs and 120 labels"),
        ("sample_ids", (SIZE,), "64,000,000 sample_ids for 300 labels"),
        ("class_names", (SIZE,), "one name a class"),
    ],
)
def test_what_is_not_needed_or_cannot_be_right_is_never_unpacked(
    tmp_path: Path, key: str, shape: tuple[int, ...], said: str
) -> None:
    path = tmp_path / "small.npz"
    save_noisy_images(path, **{key: None})
    add(path, f"{key}.npy", shape)
    assert path.stat().st_size < 500_000
    peak, message = peak_of(path)
    assert said in message
    assert bool(said) == bool(message)
    assert peak < SIZE / 8


def test_more_than_memory_holds_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "small.npz"
    save_noisy_images(path, x_train=None)
    add(path, "x_train.npy", (300, 8, SIZE // 2400))
    monkeypatch.setattr(npz, "available_memory", lambda: 100_000_000)
    peak, said = peak_of(path)
    assert "unpacks to 0.1 GB twice, and 0.1 GB of memory are left: x_train is uint8 [300, 8, 26666]" in said
    assert peak < SIZE / 8


def test_memory_is_that_of_the_machine_or_the_limit_of_the_process() -> None:
    import resource

    before = available_memory()
    assert before is None or 10_000_000 < before < 2**50
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (2**42, limits[1]))
    try:
        limited = available_memory()
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
    assert limited is not None
    assert limited <= 2**42


@pytest.mark.parametrize("size", [5, 300 * 64 - 1, 300 * 64 + 1])
def test_a_header_that_promises_other_bytes_is_named(tmp_path: Path, size: int) -> None:
    path = tmp_path / "lies.npz"
    save_noisy_images(path, x_train=None)
    add(path, "x_train.npy", (300, 8, 8), size)
    with pytest.raises(DataError, match="the header of x_train promises 19,200 bytes, and the file has"):
        load_dataset(str(path))


def test_a_header_that_promises_the_moon_is_named(tmp_path: Path) -> None:
    path = tmp_path / "lies.npz"
    save_noisy_images(path, x_train=None)
    add(path, "x_train.npy", (300, 2**40, 2**40), 5)
    with pytest.raises(DataError, match="is damaged: the header of x_train promises"):
        load_dataset(str(path))


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", ["x_train.npy", "x_train"])
def test_two_arrays_of_one_name_are_a_doubt(tmp_path: Path, name: str) -> None:
    path = tmp_path / "twice.npz"
    save_noisy_images(path)
    add(path, name, (300, 8, 8))
    with pytest.raises(DataError, match="two arrays called 'x_train'"):
        load_dataset(str(path))


def test_nested_and_foreign_members_are_told_and_not_read(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    save_noisy_images(path)
    with zipfile.ZipFile(path, "a") as archive:
        for name in ("deep/x_train.npy", "README.txt", "../../y_train.npy"):
            archive.writestr(name, b"no array")
    notes = load_dataset(str(path)).notes
    assert notes == ("not read, since it means nothing here: 'deep/x_train', 'README.txt', '../../y_train'",)


def test_every_kind_of_array_comes_back(tmp_path: Path) -> None:
    stored: dict[str, Any] = {
        "c": np.arange(6.0).reshape(2, 3),
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "words": np.array(["a", "bcd"]),
        "big": np.arange(3, dtype=">i2"),
        "nothing": np.zeros((0, 3)),
        "scalar": np.array(7),
    }
    np.savez_compressed(tmp_path / "x.npz", **stored)
    file = read_npz(tmp_path / "x.npz")
    assert list(file) == list(stored)
    for name, array in stored.items():
        np.testing.assert_array_equal(file[name], array)
        assert (file.header(name).shape, file.header(name).dtype) == (array.shape, array.dtype)
