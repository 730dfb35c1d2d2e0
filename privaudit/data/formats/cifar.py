"""CIFAR-10 and CIFAR-100 in their published "python version" files, read as data.

Those files are pickles, and a pickle can run code. So they are parsed by a reader that knows arrays, numbers, text,
lists and dicts alone: every name that a file asks for is answered by one of three inert constructors below or refused.
Whether the checksum is the published one is said in the dataset's source.
"""

from __future__ import annotations

import hashlib
import io
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.data.dataset import IntArray, Split
from privaudit.errors import DataError


@dataclass(frozen=True)
class CifarLayout:
    """Where one version keeps its files, and their published MD5 sums."""

    title: str
    folder: str
    train: dict[str, str]
    test: dict[str, str]
    names_file: str
    names_key: str
    labels_key: str


CIFAR10 = CifarLayout(
    title="CIFAR-10",
    folder="cifar-10-batches-py",
    train={
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    },
    test={"test_batch": "40351d587109b95175f43aff81a1287e"},
    names_file="batches.meta",
    names_key="label_names",
    labels_key="labels",
)
CIFAR100 = CifarLayout(
    title="CIFAR-100",
    folder="cifar-100-python",
    train={"train": "16019d7e3df5f24257cddd939b257f8d"},
    test={"test": "f0ef6b0ae62326f3e7ffdfab6717acfc"},
    names_file="meta",
    names_key="fine_label_names",
    labels_key="fine_labels",
)


def find_cifar(layout: CifarLayout, folder: Path) -> Path | None:
    """The folder that holds every file of ``layout``, or None."""
    root = folder / layout.folder
    names = [*layout.train, *layout.test, layout.names_file]
    return root if all((root / name).is_file() for name in names) else None


def read_cifar(layout: CifarLayout, root: Path) -> tuple[Split, Split, tuple[str, ...], str]:
    """Read training and test images, class names, and a source line that says whether checksums match."""
    published = True
    splits = []
    for files in (layout.train, layout.test):
        images, labels = [], []
        for name, checksum in files.items():
            content = (root / name).read_bytes()
            published &= hashlib.md5(content, usedforsecurity=False).hexdigest() == checksum
            batch_images, batch_labels = _read_batch(root / name, content, layout.labels_key)
            images.append(batch_images)
            labels.append(batch_labels)
        splits.append(Split(np.concatenate(labels), np.concatenate(images).__getitem__))
    names = read_data_only(root / layout.names_file).get(layout.names_key)
    if not isinstance(names, list):
        raise DataError(f"{root / layout.names_file} has no list '{layout.names_key}'")
    verdict = "published checksums" if published else "checksums differ from the published ones"
    return splits[0], splits[1], tuple(map(str, names)), f"{layout.title} files in {layout.folder} ({verdict})"


def _read_batch(path: Path, content: bytes, labels_key: str) -> tuple[npt.NDArray[np.uint8], IntArray]:
    batch = read_data_only(path, content)
    data, labels = batch.get("data"), batch.get(labels_key)
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != 3072:
        raise DataError(f"{path}: 'data' must be uint8 [N, 3072]")
    if not isinstance(labels, list) or len(labels) != len(data) or not all(isinstance(n, int) for n in labels):
        raise DataError(f"{path}: '{labels_key}' must be a list of {len(data)} integers")
    images = data.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), np.asarray(labels, np.int64)


def read_data_only(path: Path, content: bytes | None = None) -> dict[str, Any]:
    """Read a dict of plain data from a pickle stream without letting it call anything."""
    try:
        value = _DataOnlyReader(io.BytesIO(path.read_bytes() if content is None else content)).load()
        plain = _plain(value)
    except DataError as error:
        raise DataError(f"{path}: {error.message}", hint=error.hint) from error
    # A damaged stream can fail in as many ways as there are instructions in it.
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, IndexError, KeyError, AttributeError) as error:
        raise DataError(f"{path} is truncated or is no CIFAR file: {error}") from error
    except (OverflowError, MemoryError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is damaged: {error}") from error
    if not isinstance(plain, dict):
        raise DataError(f"{path} holds a {type(plain).__name__}, not the dict of a CIFAR file")
    return plain


class _ArrayDescription:
    """Stands in for ``numpy.ndarray`` while reading: keeps what the file says, runs nothing."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments
        self.state: tuple[Any, ...] = ()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.state = state


class _TypeDescription(_ArrayDescription):
    """Stands in for ``numpy.dtype``."""


class _BufferDescription(_ArrayDescription):
    """Stands in for the array constructor of pickle protocol 5."""


_ALLOWED: dict[str, Any] = {
    "_reconstruct": lambda *arguments: _ArrayDescription(*arguments),
    "_frombuffer": lambda *arguments: _BufferDescription(*arguments),
    "ndarray": _ArrayDescription,
    "dtype": _TypeDescription,
    # Python 2 strings written by Python 3, protocol 2: text and the name of a codec.
    "encode": lambda text, codec="latin1": str(text).encode("latin1") if codec == "latin1" else b"",
}
_MODULES = {
    *("numpy", "numpy.core.multiarray", "numpy._core.multiarray"),
    *("numpy.core.numeric", "numpy._core.numeric", "_codecs"),
}


class _DataOnlyReader(pickle.Unpickler):
    def __init__(self, stream: io.BytesIO) -> None:
        super().__init__(stream, encoding="latin1")

    def find_class(self, module: str, name: str) -> Any:
        if module not in _MODULES or name not in _ALLOWED:
            raise DataError(f"it asks to run {module}.{name}: refused", hint="CIFAR files hold nothing but data.")
        return _ALLOWED[name]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(_plain(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        # Keys and names of a file that Python 3 wrote; an array's bytes never come this way.
        return value.decode("latin1")
    if isinstance(value, _BufferDescription):
        buffer, kind, shape = value.arguments[:3]
        return _array(buffer, kind, shape, value.arguments[3] if len(value.arguments) > 3 else "C")
    if isinstance(value, _ArrayDescription):
        _version, shape, kind, fortran, buffer = value.state
        return _array(buffer, kind, shape, "F" if fortran else "C")
    return value


def _array(buffer: Any, kind: Any, shape: Any, order: str) -> npt.NDArray[Any]:
    code = kind.arguments[0] if isinstance(kind, _TypeDescription) and kind.arguments else None
    if code not in ("u1", "|u1"):
        raise DataError(f"an array of type {code!r} where CIFAR has unsigned bytes")
    content = buffer.encode("latin1") if isinstance(buffer, str) else bytes(buffer)
    return np.frombuffer(content, np.uint8).reshape(tuple(int(n) for n in shape), order="F" if order == "F" else "C")
