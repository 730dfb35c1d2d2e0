"""Where a named dataset is looked for, in order: published layout, class folders, download, a clear word."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from privaudit.data import arrays, cifar, digits, idx, image_tree
from privaudit.data.dataset import Dataset, Split
from privaudit.data.sampling import NO_LIMITS, Limits, drawn_rows
from privaudit.errors import DataError, UsageError
from privaudit.progress import talk
from privaudit.registry import Registry

DATA_VARIABLE = "PRIVAUDIT_DATA"
DEFAULT_FOLDER = "data"
DOWNLOAD_TIMEOUT = 20.0  # seconds without an answer

#: name -> where its `Publication` lives; other packages add theirs by the entry-point group ``privaudit.datasets``
#: (a factory that returns a dict of arrays).
DATASETS = Registry(
    "dataset",
    dict.fromkeys(("digits", "mnist", "cifar10", "cifar100", "tiny-imagenet"), "privaudit.data.locate:PUBLISHED")
    | {"image-folder": "privaudit.data.locate:PUBLISHED"},
)


@dataclass(frozen=True)
class Publication:
    """How a published dataset is laid out and, failing that, fetched."""

    looked_for: str
    read: Callable[[Path, int | None], tuple[Split, Split, tuple[str, ...], str] | None]
    torchvision_name: str | None = None


def default_folder() -> Path:
    """``$PRIVAUDIT_DATA``, else ``data``."""
    return Path(os.environ.get(DATA_VARIABLE) or DEFAULT_FOLDER)


def load_dataset(
    name: str,
    *,
    data_dir: Path | None = None,
    samples: int | None = None,
    limits: Limits = NO_LIMITS,
    seed: int = 0,
    image_size: int | None = None,
) -> Dataset:
    """Load a dataset by name, ``FILE.npz`` or ``module:factory``.

    Parameters
    ----------
    name
        One of `DATASETS`, the path of an ``.npz`` file, or ``module:factory``.
    data_dir
        Folder to look in; `default_folder` where None.
    samples
        Keep a class-stratified random subset of this many training samples.
    limits
        The same where ``samples`` is None and there are more.
    seed
        Chooses the subset.
    image_size
        Resize images read from files to this many pixels a side.

    Raises
    ------
    DataError
        Where the data is absent or can't be used; the message names the folder and the files.
    UsageError
        Where the name is unknown.
    """
    if name.endswith(".npz") or ":" in name or (name in DATASETS and name not in PUBLISHED):
        loaded = arrays.read_npz(Path(name)) if name.endswith(".npz") else _call(name)
        title = Path(name).stem if name.endswith(".npz") else name.rpartition(":")[2]
        return arrays.from_arrays(title, loaded, f"arrays of {Path(name).name}", samples, seed, limits)
    DATASETS.check(name)
    folder = default_folder() if data_dir is None else data_dir
    train, test, class_names, source = _find(name, folder, image_size)
    rows = drawn_rows(train.labels, samples, limits.images, seed)
    return Dataset(
        name=name,
        x_train=train.take(rows),
        y_train=train.labels[rows],
        x_test=test.take(np.arange(len(test.labels))),
        y_test=test.labels,
        class_names=class_names,
        sample_ids=rows,
        source=source,
        available=len(train.labels),
        paths=None if train.paths is None else tuple(train.paths[row] for row in rows),
    )


def _call(name: str) -> Any:
    return arrays.call_factory(name) if ":" in name else arrays.call_registered(DATASETS.load(name), name)


def _find(name: str, folder: Path, image_size: int | None) -> tuple[Split, Split, tuple[str, ...], str]:
    published = PUBLISHED[name]
    if (found := published.read(folder, image_size)) is not None:
        return found
    tree = folder / name
    if image_tree.has_class_folders(tree):
        return (*image_tree.read_class_folders(tree, image_size), image_tree.describe(tree))
    failure = ""
    if published.torchvision_name is not None:
        failure = _download(published.torchvision_name, folder)
        if not failure and (found := published.read(folder, image_size)) is not None:
            return found
    raise DataError(
        f"no dataset '{name}' in {folder.absolute()}: looked for {published.looked_for} and for "
        f"{name}/train/<class>/* with {name}/test/<class>/*{failure}",
        hint=f"Put it there, or name its folder with --data-dir DIR or ${DATA_VARIABLE}; "
        "without data, try --dataset digits.",
    )


def _download(torchvision_name: str, folder: Path) -> str:
    from torchvision import datasets

    if not os.access(folder if folder.is_dir() else folder.absolute().parent, os.W_OK):
        return "; the folder can't be written to, so nothing was downloaded"
    talk(f"{torchvision_name} is not in {folder}: trying to download it.")
    existed = folder.exists()
    waiting = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_TIMEOUT)
    try:
        getattr(datasets, torchvision_name)(str(folder), download=True)
    except (OSError, RuntimeError) as error:
        if not existed:
            _remove_empty_folders(folder)
        return f"; the download failed ({str(error)[:120]})"
    finally:
        socket.setdefaulttimeout(waiting)
    return ""


def _remove_empty_folders(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _read_digits(folder: Path, image_size: int | None) -> tuple[Split, Split, tuple[str, ...], str]:
    return (*digits.read_digits(), "handwritten digits embedded in scikit-learn (UCI, 8×8 pixels)")


def _read_mnist(folder: Path, image_size: int | None) -> tuple[Split, Split, tuple[str, ...], str] | None:
    files = idx.find_mnist(folder)
    return None if files is None else (*idx.read_mnist(files), "MNIST IDX files")


def _read_cifar10(folder: Path, image_size: int | None) -> tuple[Split, Split, tuple[str, ...], str] | None:
    root = cifar.find_cifar(cifar.CIFAR10, folder)
    return None if root is None else cifar.read_cifar(cifar.CIFAR10, root)


def _read_cifar100(folder: Path, image_size: int | None) -> tuple[Split, Split, tuple[str, ...], str] | None:
    root = cifar.find_cifar(cifar.CIFAR100, folder)
    return None if root is None else cifar.read_cifar(cifar.CIFAR100, root)


def _read_tiny_imagenet(folder: Path, image_size: int | None) -> tuple[Split, Split, tuple[str, ...], str] | None:
    root = folder / "tiny-imagenet-200"
    if not image_tree.has_tiny_imagenet(root):
        return None
    return (*image_tree.read_tiny_imagenet(root, image_size), "Tiny-ImageNet files in tiny-imagenet-200")


def _read_image_folder(folder: Path, image_size: int | None) -> tuple[Split, Split, tuple[str, ...], str] | None:
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder.absolute()}", hint="Name the image folder with --data-dir DIR.")
    if not image_tree.has_class_folders(folder):
        return None
    return (*image_tree.read_class_folders(folder, image_size), image_tree.describe(folder))


PUBLISHED = {
    "digits": Publication("nothing (it is embedded)", _read_digits),
    "mnist": Publication("MNIST/raw/{train,t10k}-{images-idx3,labels-idx1}-ubyte", _read_mnist, "MNIST"),
    "cifar10": Publication("cifar-10-batches-py/{data_batch_1…5,test_batch,batches.meta}", _read_cifar10, "CIFAR10"),
    "cifar100": Publication("cifar-100-python/{train,test,meta}", _read_cifar100, "CIFAR100"),
    "tiny-imagenet": Publication(
        "tiny-imagenet-200/train/<wnid>/images with tiny-imagenet-200/val/val_annotations.txt", _read_tiny_imagenet
    ),
    "image-folder": Publication("train/<class>/* with test/<class>/*", _read_image_folder),
}
