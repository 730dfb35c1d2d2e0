"""MNIST in its own IDX files, plain or gzipped, as torchvision lays them out."""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.data.dataset import Split
from privaudit.errors import DataError

FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
UNSIGNED_BYTE = 0x08


def find_mnist(folder: Path) -> dict[str, tuple[Path, Path]] | None:
    """The four files below ``folder/MNIST/raw``, or None where one is absent."""
    found: dict[str, tuple[Path, Path]] = {}
    for part, names in FILES.items():
        paths = [_existing(folder / "MNIST" / "raw" / name) for name in names]
        if paths[0] is None or paths[1] is None:
            return None
        found[part] = (paths[0], paths[1])
    return found


def read_mnist(files: dict[str, tuple[Path, Path]]) -> tuple[Split, Split, tuple[str, ...]]:
    """Read training and test images."""
    splits = []
    for images_path, labels_path in (files["train"], files["test"]):
        images, labels = read_idx(images_path), read_idx(labels_path)
        if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
            raise DataError(
                f"{images_path} holds {list(images.shape)} and {labels_path} {list(labels.shape)}: "
                "expected as many images as labels"
            )
        splits.append(Split(labels.astype(np.int64), images[..., np.newaxis].__getitem__))
    return splits[0], splits[1], tuple(map(str, range(10)))


def read_idx(path: Path) -> npt.NDArray[Any]:
    """Read one IDX file of unsigned bytes; `DataError` names it where it is truncated or something else."""
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"cannot read {path}: {error}") from error
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != UNSIGNED_BYTE:
        raise DataError(f"{path} is not an IDX file of unsigned bytes")
    dimensions = content[3]
    header = 4 + 4 * dimensions
    if len(content) < header:
        raise DataError(f"{path} is truncated: its header is cut short")
    shape = struct.unpack(f">{dimensions}I", content[4:header])
    expected = header + int(np.prod(shape, dtype=np.int64))
    if len(content) != expected:
        raise DataError(f"{path} is truncated or padded: {len(content):,} bytes, its header promises {expected:,}")
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def _existing(path: Path) -> Path | None:
    for candidate in (path, path.with_name(path.name + ".gz")):
        if candidate.is_file():
            return candidate
    return None
