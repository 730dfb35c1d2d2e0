"""Where a named dataset is looked for, in order: published layout, class folders, download, a clear word."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from privaudit.data.dataset import Dataset, Split
from privaudit.data.formats import arrays, cifar, digits, factory, image_folder, mnist
from privaudit.data.formats.image_files import Resizing
from privaudit.data.labels import class_notes
from privaudit.data.sampling import NO_LIMITS, Limits, drawn_rows
from privaudit.data.tables.table_dataset import table_dataset
from privaudit.data.tables.table_file import is_table_file
from privaudit.data.validation import Given
from privaudit.errors import DataError, UsageError
from privaudit.results.audit.audit_description import TableOptions
from privaudit.runtime.progress import talk
from privaudit.runtime.registry import Registry, absolute_reference

DATA_VARIABLE = "PRIVAUDIT_DATA"
DEFAULT_FOLDER = "data"
IMAGE_FOLDER = "image-folder"
DOWNLOAD_TIMEOUT = 20.0  # seconds without an answer

#: name -> where its `Publication` lives; other packages add theirs by the entry-point group ``privaudit.datasets``
#: (a factory that returns a dict of arrays).
DATASETS = Registry(
    "dataset",
    dict.fromkeys(("digits", "mnist", "cifar10", "cifar100", "tiny-imagenet"), "privaudit.data.formats.load:PUBLISHED")
    | {IMAGE_FOLDER: "privaudit.data.formats.load:PUBLISHED"},
)


@dataclass(frozen=True)
class Publication:
    """How a published dataset is laid out and, failing that, fetched."""

    looked_for: str
    read: Callable[[Path, Resizing], tuple[Split, Split, tuple[str, ...], str] | None]
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
    image_size: int | Resizing | None = None,
    table: TableOptions | None = None,
) -> Dataset:
    """Load a dataset by name: ``FILE.npz``, a table in a file, a folder of class folders, or ``module:factory``.

    Parameters
    ----------
    name
        One of `DATASETS`, the path of an ``.npz`` file, of a table or of a folder, or ``module:factory``.
    data_dir
        Folder to look in; `default_folder` where None.
    samples
        Keep a class-stratified random subset of this many training samples.
    limits
        The same where ``samples`` is None and there are more.
    seed
        Chooses the subset.
    image_size
        Resize images read from files to this many pixels a side, or as a `Resizing` says.
    table
        Which column of a table is what.

    Raises
    ------
    DataError
        Where the data is absent or can't be used; the message names the folder and the files.
    UsageError
        Where the name is unknown.
    """
    if is_table(name):
        return _noted(table_dataset(Path(name), table or TableOptions(), samples, limits, seed))
    if table is not None and (flags := table.given()):
        raise UsageError(
            f"{flags[0]} is for tables in files, and --dataset {name} is none",
            hint="A table is FILE.csv, FILE.tsv or FILE.parquet.",
        )
    if is_folder(name):
        # The same audit as that of ``image-folder`` with this folder: what tells audits apart is their content.
        name, data_dir = IMAGE_FOLDER, Path(name)
    elif arrays.is_npz(name) or is_function(name):
        title, source = arrays.describe_arrays(name)
        return _noted(arrays.from_arrays(title, given_by(name), source, samples, seed, limits))
    _check_name(name)
    folder = default_folder() if data_dir is None else data_dir
    images = image_size if isinstance(image_size, Resizing) else Resizing(image_size)
    train, test, class_names, source = _find(name, folder, images)
    rows = drawn_rows(train.labels, samples, limits.images, seed)
    return _noted(
        Dataset(
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
            notes=train.notes(),
        )
    )


def is_table(name: str) -> bool:
    """Whether a dataset's name is the path of a table in a file."""
    return is_table_file(name) and name not in DATASETS and not is_folder(name)


def is_folder(name: str) -> bool:
    """Whether a dataset's name is the path of a folder; a known name is that name, whatever lies about."""
    try:
        return name not in DATASETS and Path(name).is_dir()
    except (OSError, ValueError):  # A null byte, say.
        return False


def is_function(name: str) -> bool:
    """Whether a dataset comes from a function that somebody else wrote."""
    return (
        not is_folder(name)
        and not arrays.is_npz(name)
        and not is_table(name)
        and (":" in name or (name in DATASETS and name not in PUBLISHED))
    )


def lasting_name(name: str, data_dir: Path | None) -> tuple[str, Path | None]:
    """Return the name and the ``data_dir`` that lead to the same dataset from whatever folder they are read."""
    if is_folder(name):
        return IMAGE_FOLDER, Path(name).absolute()
    is_file = arrays.is_npz(name) or is_table(name)
    return (str(Path(name).absolute()) if is_file else absolute_reference(name)), data_dir


def given_by(name: str) -> Given:
    """Read a dataset's name as arrays: ``FILE.npz``, ``module:factory``, or a name that another package registered."""
    if arrays.is_npz(name):
        return arrays.given_by_file(Path(name))
    return factory.call_factory(name) if ":" in name else factory.given_by_function(DATASETS.load(name), name)


def _noted(data: Dataset) -> Dataset:
    """The same dataset, with a word on classes that are hardly there."""
    return replace(data, notes=(*data.notes, *class_notes(data.y_train, data.y_test, data.class_names)))


def _check_name(name: str) -> None:
    """Raise `UsageError` unless a dataset is called so; what looks like a path is told as such."""
    if name not in DATASETS and (Path(name).suffix or len(Path(name).parts) > 1):
        there = Path(name).exists()
        raise UsageError(
            f"{name} is no dataset: "
            + ("a file must end in .npz, .csv, .tsv or .parquet" if there else "there is no such file or folder"),
            hint="Give FILE.npz, FILE.csv with --label COLUMN, a folder of class folders, or FILE.py:function for "
            "anything else.",
        )
    DATASETS.check(name)


def _find(name: str, folder: Path, images: Resizing) -> tuple[Split, Split, tuple[str, ...], str]:
    published = PUBLISHED[name]
    if (found := published.read(folder, images)) is not None:
        return found
    if (tree := image_folder.find_tree(folder / name)) is not None:
        return (*image_folder.read_class_folders(tree, images), image_folder.describe(tree))
    failure = ""
    if published.torchvision_name is not None:
        failure = _download(published.torchvision_name, folder)
        if not failure and (found := published.read(folder, images)) is not None:
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


def _read_digits(folder: Path, images: Resizing) -> tuple[Split, Split, tuple[str, ...], str]:
    return (*digits.read_digits(), "handwritten digits embedded in scikit-learn (UCI, 8×8 pixels)")


def _read_mnist(folder: Path, images: Resizing) -> tuple[Split, Split, tuple[str, ...], str] | None:
    files = mnist.find_mnist(folder)
    return None if files is None else (*mnist.read_mnist(files), "MNIST IDX files")


def _read_cifar10(folder: Path, images: Resizing) -> tuple[Split, Split, tuple[str, ...], str] | None:
    root = cifar.find_cifar(cifar.CIFAR10, folder)
    return None if root is None else cifar.read_cifar(cifar.CIFAR10, root)


def _read_cifar100(folder: Path, images: Resizing) -> tuple[Split, Split, tuple[str, ...], str] | None:
    root = cifar.find_cifar(cifar.CIFAR100, folder)
    return None if root is None else cifar.read_cifar(cifar.CIFAR100, root)


def _read_tiny_imagenet(folder: Path, images: Resizing) -> tuple[Split, Split, tuple[str, ...], str] | None:
    root = folder / "tiny-imagenet-200"
    if not image_folder.has_tiny_imagenet(root):
        return None
    return (*image_folder.read_tiny_imagenet(root, images), "Tiny-ImageNet files in tiny-imagenet-200")


def _read_image_folder(folder: Path, images: Resizing) -> tuple[Split, Split, tuple[str, ...], str] | None:
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder.absolute()}", hint="Name the image folder with --data-dir DIR.")
    if (tree := image_folder.find_tree(folder, whole=True)) is None:
        return None
    return (*image_folder.read_class_folders(tree, images), image_folder.describe(tree))


PUBLISHED = {
    "digits": Publication("nothing (it is embedded)", _read_digits),
    "mnist": Publication("MNIST/raw/{train,t10k}-{images-idx3,labels-idx1}-ubyte", _read_mnist, "MNIST"),
    "cifar10": Publication("cifar-10-batches-py/{data_batch_1…5,test_batch,batches.meta}", _read_cifar10, "CIFAR10"),
    "cifar100": Publication("cifar-100-python/{train,test,meta}", _read_cifar100, "CIFAR100"),
    "tiny-imagenet": Publication(
        "tiny-imagenet-200/train/<wnid>/images with tiny-imagenet-200/val/val_annotations.txt", _read_tiny_imagenet
    ),
    IMAGE_FOLDER: Publication(
        "train/<class>/* with test/<class>/* (or val, valid, validation), for train/<class>/* alone, for <class>/*",
        _read_image_folder,
    ),
}
