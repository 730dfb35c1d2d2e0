"""Datasets: where they are looked for, what they hold, and what is said of bad ones."""

from __future__ import annotations

import gzip
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from privaudit.data import Dataset, Limits, load_dataset
from privaudit.data.formats.cifar import CIFAR100, read_data_only
from privaudit.data.formats.mnist import read_idx
from privaudit.data.formats.torch_datasets import given_by_datasets
from privaudit.data.sampling import stratified_rows
from privaudit.data.tables.dataframe import arrays_of_table
from privaudit.errors import DataError, PrivauditError, UsageError
from tests.conftest import save_noisy_images


def write_idx(path: Path, array: np.ndarray[Any, np.dtype[np.uint8]], compressed: bool = False) -> None:
    content = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content) if compressed else content)


def write_mnist(folder: Path) -> None:
    random = np.random.default_rng(0)
    for part, count in (("train", 60), ("t10k", 30)):
        images = random.integers(0, 256, (count, 28, 28)).astype(np.uint8)
        write_idx(folder / f"MNIST/raw/{part}-images-idx3-ubyte", images)
        write_idx(folder / f"MNIST/raw/{part}-labels-idx1-ubyte.gz", np.arange(count, dtype=np.uint8) % 10, True)


def write_cifar100(folder: Path, samples: int = 200) -> None:
    """Files in the exact format of CIFAR-100's python version."""
    root = folder / "cifar-100-python"
    root.mkdir(parents=True)
    random = np.random.default_rng(0)
    for name, count in (("train", samples), ("test", 100)):
        batch = {
            "filenames": [f"{i}.png" for i in range(count)],
            "batch_label": f"{name} batch",
            "fine_labels": [i % 100 for i in range(count)],
            "coarse_labels": [i % 20 for i in range(count)],
            "data": random.integers(0, 256, (count, 3072)).astype(np.uint8),
        }
        (root / name).write_bytes(pickle.dumps(batch, protocol=2 if name == "train" else 5))
    names = {"fine_label_names": [f"class {i}" for i in range(100)], "coarse_label_names": [f"s{i}" for i in range(20)]}
    (root / "meta").write_bytes(pickle.dumps(names, protocol=2))


def write_tree(root: Path, sizes: dict[str, int] | None = None, mode: str = "RGB") -> None:
    random = np.random.default_rng(0)
    for part in ("train", "test"):
        for name, count in (sizes or {"cat": 12, "dog": 8}).items():
            folder = root / part / name
            folder.mkdir(parents=True, exist_ok=True)
            for number in range(count):
                pixels = random.integers(0, 256, (16, 16, 3) if mode == "RGB" else (16, 16)).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{number:03d}.png")


def test_digits() -> None:
    data = load_dataset("digits")
    assert data.x_train.shape == (1437, 8, 8, 1)
    assert len(data.x_test) == 360
    assert data.fingerprint == load_dataset("digits", seed=5).fingerprint
    assert np.bincount(data.y_train).min() > 130


def test_fingerprint_sees_every_part() -> None:
    data = load_dataset("digits")
    changed = data.x_train.copy()
    changed[7, 3, 3] ^= 1
    parts: dict[str, Any] = {name: getattr(data, name) for name in Dataset.__dataclass_fields__}
    prints = {
        Dataset(**parts).fingerprint,
        Dataset(**parts | {"x_train": changed}).fingerprint,
        Dataset(**parts | {"sample_ids": data.sample_ids + 1}).fingerprint,
        Dataset(**parts | {"class_names": tuple("abcdefghij")}).fingerprint,
    }
    assert len(prints) == 4
    assert data.fingerprint in prints


def test_mnist_layout_plain_and_gzipped(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    data = load_dataset("mnist", data_dir=tmp_path)
    assert data.x_train.shape == (60, 28, 28, 1)
    assert data.y_train[:12].tolist() == [*range(10), 0, 1]


def test_truncated_idx_is_named(tmp_path: Path) -> None:
    path = tmp_path / "images"
    write_idx(path, np.zeros((5, 4, 4), np.uint8))
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(DataError, match="images is truncated"):
        read_idx(path)
    path.write_bytes(b"GIF89a")
    with pytest.raises(DataError, match="not an IDX file"):
        read_idx(path)


def test_a_damaged_gzip_is_named(tmp_path: Path) -> None:
    path = tmp_path / "labels.gz"
    write_idx(path, np.arange(2000, dtype=np.uint8), True)
    content = bytearray(path.read_bytes())
    content[20:40] = bytes(20)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"cannot read .*labels\.gz"):
        read_idx(path)


def test_cifar100_format(tmp_path: Path) -> None:
    write_cifar100(tmp_path)
    data = load_dataset("cifar100", data_dir=tmp_path)
    assert data.x_train.shape == (200, 32, 32, 3)
    assert data.classes == 100
    assert "checksums differ" in data.source
    stored = np.random.default_rng(0).integers(0, 256, (200, 3072)).astype(np.uint8)
    np.testing.assert_array_equal(data.x_train[3, :, :, 1], stored[3, 1024:2048].reshape(32, 32))


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("open('owned', 'w').close()",))


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_a_cifar_file_can_run_nothing(tmp_path: Path, protocol: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "train"
    path.write_bytes(pickle.dumps({"data": Evil()}, protocol=protocol))
    with pytest.raises(DataError, match="refused"):
        read_data_only(path)
    assert not Path("owned").exists()


def test_a_cifar_file_with_keys_and_names_of_bytes_is_read_like_the_published_one(tmp_path: Path) -> None:
    """Python 3 reads the published files with ``encoding="bytes"``: what it writes back has bytes for text."""
    path = tmp_path / "meta"
    path.write_bytes(
        pickle.dumps({b"fine_label_names": [b"apple", b"\xe9clair"], b"data": np.eye(2, dtype=np.uint8)}, 2)
    )
    found = read_data_only(path)
    assert found["fine_label_names"] == ["apple", "éclair"]
    assert np.array_equal(found["data"], np.eye(2))


def test_a_truncated_cifar_file_is_named(tmp_path: Path) -> None:
    write_cifar100(tmp_path)
    path = tmp_path / "cifar-100-python" / "train"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match=r"train"):
        load_dataset("cifar100", data_dir=tmp_path)


def test_cifar_layout_matches_torchvision() -> None:
    from torchvision.datasets import CIFAR10 as PUBLISHED10
    from torchvision.datasets import CIFAR100 as PUBLISHED100

    from privaudit.data.formats.cifar import CIFAR10

    assert CIFAR10.train == dict(PUBLISHED10.train_list)
    assert CIFAR10.test == dict(PUBLISHED10.test_list)
    assert CIFAR100.train == dict(PUBLISHED100.train_list)
    assert CIFAR100.folder == PUBLISHED100.base_folder


def test_tree_keeps_paths_in_sorted_order(tmp_path: Path) -> None:
    write_tree(tmp_path / "cifar10")
    data = load_dataset("cifar10", data_dir=tmp_path)
    assert data.class_names == ("cat", "dog")
    assert data.x_train.shape == (20, 16, 16, 3)
    assert data.paths is not None
    assert data.paths[0] == "train/cat/000.png"
    assert list(data.paths) == sorted(data.paths)
    some = load_dataset("cifar10", data_dir=tmp_path, samples=10)
    assert some.paths == tuple(data.paths[i] for i in some.sample_ids)
    np.testing.assert_array_equal(some.x_train, data.x_train[some.sample_ids])


def test_image_folder_itself_and_grey(tmp_path: Path) -> None:
    write_tree(tmp_path, mode="L")
    data = load_dataset("image-folder", data_dir=tmp_path)
    assert data.input_shape == (16, 16, 1)


def test_bad_images_are_named(tmp_path: Path) -> None:
    write_tree(tmp_path)
    victim = tmp_path / "train" / "cat" / "005.png"
    whole = victim.read_bytes()
    victim.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"cat/005\.png is truncated or not an image"):
        load_dataset("image-folder", data_dir=tmp_path)
    victim.write_text("not an image")
    with pytest.raises(DataError, match=r"cat/005\.png"):
        load_dataset("image-folder", data_dir=tmp_path)
    Image.new("RGB", (20, 16)).save(victim)
    with pytest.raises(DataError, match=r"mixed image sizes: .*20×16") as error:
        load_dataset("image-folder", data_dir=tmp_path)
    assert "--image-size" in str(error.value)
    assert load_dataset("image-folder", data_dir=tmp_path, image_size=12).input_shape == (12, 12, 3)
    (tmp_path / "train" / "cat" / "notes.txt").write_text("x")
    with pytest.raises(DataError, match=r"notes\.txt is not an image file"):
        load_dataset("image-folder", data_dir=tmp_path)


def test_deep_greys_bombs_and_names(tmp_path: Path) -> None:
    write_tree(tmp_path)
    victim = tmp_path / "train" / "cat" / "005.png"
    Image.fromarray(np.full((16, 16), 40_000, np.uint16)).save(victim)
    with pytest.raises(DataError, match=r"005\.png has more than 8 bits"):
        load_dataset("image-folder", data_dir=tmp_path)
    # A header that promises 400 million pixels.
    victim.write_bytes(b"P6 20000 20000 255\n")
    with pytest.raises(DataError, match=r"005\.png is too large"):
        load_dataset("image-folder", data_dir=tmp_path)
    victim.unlink()
    (tmp_path / "train" / "cat" / os.fsdecode(b"caf\xe9.png")).write_bytes(b"")
    with pytest.raises(DataError, match="is not UTF-8"):
        load_dataset("image-folder", data_dir=tmp_path)


def test_empty_class_and_unknown_class(tmp_path: Path) -> None:
    write_tree(tmp_path)
    (tmp_path / "train" / "eel").mkdir()
    with pytest.raises(DataError, match=r"class 2 \('eel'\) has no training sample"):
        load_dataset("image-folder", data_dir=tmp_path)
    (tmp_path / "train" / "eel").rmdir()
    (tmp_path / "test" / "eel").mkdir()
    with pytest.raises(DataError, match="the training set has no class 'eel'"):
        load_dataset("image-folder", data_dir=tmp_path)


def test_tiny_imagenet_layout(tmp_path: Path) -> None:
    root = tmp_path / "tiny-imagenet-200"
    for wnid in ("n02", "n01"):
        folder = root / "train" / wnid / "images"
        folder.mkdir(parents=True)
        for number in range(3):
            Image.new("RGB", (64, 64), (number, 9, 9)).save(folder / f"{wnid}_{number}.JPEG")
    (root / "val" / "images").mkdir(parents=True)
    Image.new("L", (64, 64)).save(root / "val" / "images" / "val_0.JPEG")  # the real set has grey ones too
    (root / "val" / "val_annotations.txt").write_text("val_0.JPEG\tn02\t0\t0\t62\t62\n")
    (root / "words.txt").write_text("n01\tcrane, a bird\nn02\tcrane, a machine\n")
    assert load_dataset("tiny-imagenet", data_dir=tmp_path).class_names == ("crane (n01)", "crane (n02)")
    (root / "words.txt").write_text("n01\tfish, any\nn02\tbird\n")
    data = load_dataset("tiny-imagenet", data_dir=tmp_path)
    assert data.class_names == ("fish", "bird")
    assert data.x_train.shape == (6, 64, 64, 3)
    assert data.y_test.tolist() == [1]


def test_absent_data_names_folder_and_files(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        load_dataset("tiny-imagenet", data_dir=tmp_path)
    for part in (str(tmp_path), "val_annotations.txt", "tiny-imagenet/train/<class>", "--data-dir", "--dataset digits"):
        assert part in str(error.value)


def test_unknown_name_says_what_was_meant() -> None:
    with pytest.raises(UsageError, match="unknown dataset 'cifar'") as error:
        load_dataset("cifar")
    assert "Did you mean 'cifar10'" in str(error.value)


IMAGES = np.zeros((300, 8, 8), np.uint8)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_train": None}, "lacks y_train"),
        (
            {"y_train": np.full(300, 5), "class_names": np.array(["a", "b", "c"])},
            "300 labels of y_train are not among 0 … 2, first 5 in row 0",
        ),
        ({"y_test": np.full(120, -1)}, "120 labels of y_test are not among 0 … 2, first -1 in row 0"),
        ({"y_train": np.arange(300) % 2 * 2}, "y_train has no sample of class 1"),
        (
            {"x_train": np.full((300, 4), np.nan), "x_test": np.zeros((120, 4))},
            "x_train holds NaN or infinity in 300 rows, first in row 0",
        ),
        ({"x_test": np.zeros((120, 9, 9), np.uint8)}, r"\[8, 8, 1\] in x_train and \[9, 9, 1\] in x_test"),
        ({"x_train": IMAGES[:299]}, "299 inputs and 300 labels"),
        ({"sample_ids": np.zeros(300, int)}, "1 sample_ids are there more than once, for example 0"),
        ({"sample_ids": np.array(["a"] * 300)}, "sample_ids are <U1 .* must be integers"),
        ({"y_train": np.zeros((300, 1), int)}, "y_train must be integers of shape"),
        ({"x_train": np.array(["a"] * 300)}, "x_train is"),
        ({"y_train": np.zeros(300, int), "y_test": np.zeros(120, int)}, "needs at least 2"),
        ({"sample_ids": np.arange(300) - 5}, "between 0 and"),
        ({"sample_ids": np.arange(300, dtype=np.uint64) + 2**63}, "between 0 and"),
        ({"sample_ids": np.array(7)}, r"sample_ids are int64 \[\]: they must be integers of shape \[N\]"),
        ({"y_train": np.array(3)}, "y_train must be integers of shape"),
        ({"x_test": np.zeros((120, 8, 8, 1), np.float32)}, "x_train is uint8 and x_test float32"),
        ({"class_names": np.array(["a", "b", "a"])}, "two classes are called 'a'"),
        ({"x_test": IMAGES[:0], "y_test": np.zeros(0, int)}, "x_test is empty"),
    ],
)
def test_bad_arrays(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = tmp_path / "bad.npz"
    save_noisy_images(path, **changes)
    with pytest.raises(DataError, match=message):
        load_dataset(str(path))


def test_files_that_are_no_npz(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    with pytest.raises(DataError, match="there is no file"):
        load_dataset(str(path))
    path.write_bytes(b"")
    with pytest.raises(DataError, match=r"x\.npz"):
        load_dataset(str(path))
    path.write_bytes(b"PK\x03\x04 truncated")
    with pytest.raises(DataError, match=r"x\.npz"):
        load_dataset(str(path))
    save_noisy_images(path, y_train=np.array([{}] * 300, dtype=object))
    with pytest.raises(DataError, match="y_train holds Python objects, which need pickle, and that is never loaded"):
        load_dataset(str(path))


def test_flipped_bits_never_show_a_traceback(tmp_path: Path) -> None:
    """Wherever a bit flips, an .npz is read as it was or refused by name."""
    path = tmp_path / "x.npz"
    save_noisy_images(path)
    with np.load(path) as file:
        np.savez_compressed(path, **dict(file))
    whole = path.read_bytes()
    random = np.random.default_rng(0)
    refused = 0
    for position in [*range(120), *random.integers(0, len(whole), 150), *range(len(whole) - 120, len(whole))]:
        content = bytearray(whole)
        content[position] ^= 1 << int(random.integers(8))
        path.write_bytes(content)
        try:
            load_dataset(str(path))
        except PrivauditError as error:
            refused += 1
            assert "x" in str(error)  # noqa: PT017 (most flips are refused, some hit padding)
    assert refused > 200


def test_limits_depend_on_the_kind_of_input(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    save_noisy_images(path)
    images = load_dataset(str(path), limits=Limits(images=50, features=100))
    assert (len(images), images.available) == (50, 300)
    save_noisy_images(path, x_train=np.ones((300, 5)), x_test=np.ones((120, 5)))
    assert len(load_dataset(str(path), limits=Limits(images=50, features=100))) == 100
    assert len(load_dataset(str(path), limits=Limits(images=50, features=300))) == 300


def test_features_and_ids(tmp_path: Path) -> None:
    path = tmp_path / "table.npz"
    random = np.random.default_rng(0)
    save_noisy_images(
        path, x_train=random.normal(size=(300, 5)), x_test=random.normal(size=(120, 5)), sample_ids=np.arange(300) * 7
    )
    data = load_dataset(str(path), samples=30)
    assert data.input_shape == (5,)
    assert data.x_train.dtype == np.float32
    assert np.all(data.sample_ids % 7 == 0)


def test_factory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text(
        "import numpy as np\n"
        "def data():\n    x = np.zeros((20, 3)); y = np.arange(20) % 2\n"
        "    return {'x_train': x, 'y_train': y, 'x_test': x, 'y_test': y}\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert len(load_dataset("mine:data")) == 20
    with pytest.raises(UsageError, match="cannot find dataset 'mine:other'"):
        load_dataset("mine:other")
    (tmp_path / "theirs.py").write_text("def bad():\n    raise OSError('no disk')\n\ndef odd():\n    return 7\n")
    with pytest.raises(DataError, match=r"theirs:bad\(\) failed: OSError: no disk"):
        load_dataset("theirs:bad")
    with pytest.raises(DataError, match="returned int"):
        load_dataset("theirs:odd")
    (tmp_path / "broken.py").write_text("1 / 0\n")
    with pytest.raises(UsageError, match="importing broken failed: ZeroDivisionError"):
        load_dataset("broken:data")


@pytest.mark.parametrize("name", [":data", "..mine:data", "mine:__na me__", "mine:", "json:__name__", "nowhere:x"])
def test_factories_that_are_none(name: str) -> None:
    with pytest.raises(UsageError, match=r"names no dataset|must be a function|cannot find dataset"):
        load_dataset(name)


def test_stratified_rows_keep_shares() -> None:
    labels = np.repeat([0, 1, 2], [700, 290, 10])
    rows = stratified_rows(labels, 100, 0, "test")
    assert np.bincount(labels[rows]).tolist() == [70, 29, 1]
    assert len(np.unique(rows)) == 100
    assert np.array_equal(rows, stratified_rows(labels, 100, 0, "test"))
    assert not np.array_equal(rows, stratified_rows(labels, 100, 1, "test"))
    with pytest.raises(PrivauditError, match="only 1,000"):
        stratified_rows(labels, 1001, 0, "test")


def test_real_mnist(shared_data: Path) -> None:
    data = load_dataset("mnist", data_dir=shared_data, samples=1000)
    assert len(data) == 1000
    assert len(data.y_test) == 10_000


def test_a_factory_in_a_file_of_any_name(tmp_path: Path) -> None:
    """Even one that is called as a module of Python's own."""
    (tmp_path / "beside.py").write_text("ROWS = 20\n")
    (tmp_path / "random.py").write_text(
        "import numpy as np\nfrom beside import ROWS\n"
        "def data():\n    x = np.zeros((ROWS, 3)); y = np.arange(ROWS) % 2\n"
        "    return {'x_train': x, 'y_train': y, 'x_test': x, 'y_test': y}\n"
    )
    assert len(load_dataset(f"{tmp_path}/random.py:data")) == 20
    import random

    assert hasattr(random, "gauss")
    with pytest.raises(UsageError, match="cannot find dataset"):
        load_dataset(f"{tmp_path}/random.py:nothing")
    with pytest.raises(UsageError, match="there is no file"):
        load_dataset(f"{tmp_path}/absent.py:data")


def people(rows: int, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "number": np.arange(rows) + 1000,
            "age": random.integers(18, 90, rows),
            "town": random.choice(["Ghent", "Lyon", "Turin"], rows),
            "member": random.random(rows) < 0.5,
            "income": random.choice(["low", "high"], rows),
        }
    )


def test_tables_become_features() -> None:
    table = people(60)
    test = people(30, 1)
    test.loc[0, "town"] = "Oslo"
    arrays = arrays_of_table({"train": table, "test": test, "target": "income", "id": "number"}, "people").arrays
    expected = np.column_stack(
        [table["age"], *(table["town"] == town for town in ("Ghent", "Lyon", "Turin")), table["member"]]
    )
    np.testing.assert_array_equal(arrays["x_train"], expected.astype(np.float32))
    assert arrays["x_test"][0, 1:4].tolist() == [0, 0, 0]  # nobody knew Oslo
    assert arrays["class_names"].tolist() == ["high", "low"]
    np.testing.assert_array_equal(arrays["y_train"], (table["income"] == "low").astype(int))
    np.testing.assert_array_equal(arrays["sample_ids"], table["number"])


def test_a_single_table_is_split_once() -> None:
    first, second = (
        arrays_of_table({"train": people(100), "target": "income", "id": "number"}, "p").arrays for _ in "ab"
    )
    assert len(first["y_train"]) == 80
    assert len(first["y_test"]) == 20
    np.testing.assert_array_equal(first["sample_ids"], second["sample_ids"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"target": "wage"}, "no target column 'wage'"),
        ({"id": "name"}, "no id column 'name'"),
        ({"labels": 1}, "returned 'labels'"),
        ({"train": people(60).assign(age=np.nan)}, "column 'age' of the train table lacks 60 values"),
        (
            {"train": people(60).assign(income=people(60)["income"].where(np.arange(60) > 0))},
            "column 'income' of the train table lacks 1 values, in row 0 ",
        ),
        ({"test": people(9).drop(columns="town")}, "lacks the column 'town'"),
        ({"test": people(9).assign(income="huge")}, "a class that the training table lacks"),
        ({"train": people(1200).assign(town=[f"t{i}" for i in range(1200)])}, "names rows rather than categories"),
        ({"train": people(60)[["income", "number"]], "test": None}, "nothing to learn from"),
    ],
)
def test_bad_tables(change: dict[str, Any], message: str) -> None:
    given = {"train": people(60), "test": people(30, 1), "target": "income", "id": "number"} | change
    with pytest.raises(DataError, match=message):
        arrays_of_table(given, "people")


def test_torch_datasets_become_arrays() -> None:
    import torch
    from torch.utils.data import TensorDataset

    images, labels = torch.rand(12, 3, 5, 4), torch.arange(12) % 2
    arrays = given_by_datasets((TensorDataset(images, labels), TensorDataset(images[:4], labels[:4])), "mine").arrays
    np.testing.assert_array_equal(arrays["x_train"], images.permute(0, 2, 3, 1).numpy())
    np.testing.assert_array_equal(arrays["y_test"], [0, 1, 0, 1])
    with pytest.raises(DataError, match=r"sample 0 of the train dataset is no \(input, label\)"):
        given_by_datasets((TensorDataset(images), TensorDataset(images)), "mine")
    with pytest.raises(DataError, match="different shapes"):
        given_by_datasets(([(np.zeros(2), 0), (np.zeros(3), 1)], [(np.zeros(2), 0)]), "mine")
