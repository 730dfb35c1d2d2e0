"""``.npz`` files: headers first, then only the arrays that are asked for. Nothing is unpickled."""

from __future__ import annotations

import math
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from privaudit.data.free_memory import available_memory
from privaudit.errors import DataError

SUFFIX = ".npy"

#: What damaged bytes can end in: the flaw may lie in the stream, in an array's header, or in its length.
_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, EOFError, OSError, tokenize.TokenError, SyntaxError, NotImplementedError),
    *(RuntimeError, TypeError, AttributeError, KeyError, ValueError, OverflowError, MemoryError),
)


@dataclass(frozen=True)
class ArrayHeader:
    """What the header of a stored array promises.

    Parameters
    ----------
    dtype, shape
        As NumPy wrote them.
    nbytes
        Bytes of the array, unpacked.
    packed
        Bytes that it takes in the file.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    nbytes: int
    packed: int

    @property
    def ndim(self) -> int:
        """Return the number of dimensions."""
        return len(self.shape)


class NpzFile(Mapping[str, npt.NDArray[Any]]):
    """The arrays of an ``.npz`` file, each read when it is first asked for.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    DataError
        Where it is no such file, or holds two arrays of one name.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise DataError(f"there is no file {path}")
        self.path = path
        self._read: dict[str, npt.NDArray[Any]] = {}
        try:
            with zipfile.ZipFile(path) as archive:
                members = archive.infolist()
        except _DAMAGE as error:
            raise DataError(
                f"{path} is not a readable .npz file: {error}", hint="Save one with numpy.savez(path, x_train=…, …)."
            ) from error
        self._members: dict[str, zipfile.ZipInfo] = {}
        for member in members:
            if member.is_dir():
                continue
            if (name := member.filename.removesuffix(SUFFIX)) in self._members:
                raise DataError(
                    f"{path} holds two arrays called '{name}': which one is meant can't be told",
                    hint="Save it again with one of them.",
                )
            self._members[name] = member

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, name: object) -> bool:
        return name in self._members

    def header(self, name: str) -> ArrayHeader:
        """Return what the header of ``name`` promises; nothing else of it is unpacked.

        Raises
        ------
        DataError
            Where the header can't be read, holds objects, or promises other bytes than the file has.
        """
        member = self._members[name]
        if not member.filename.endswith(SUFFIX):
            raise DataError(f"{self.path}: '{name}' is no array", hint="Save it with numpy.savez(path, x_train=…, …).")
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(member) as stream:
                shape, dtype = _header_of(stream)
                promised = member.file_size - stream.tell()
        except _DAMAGE as error:
            raise self._damaged(name, error) from error
        if dtype.hasobject:
            raise DataError(
                f"{self.path}: {name} holds Python objects, which need pickle, and that is never loaded",
                hint=f"Save plain numbers or strings: {name}.astype(str), or .astype(float).",
            )
        nbytes = math.prod(shape) * dtype.itemsize
        if any(length < 0 for length in shape) or nbytes != promised:
            raise DataError(
                f"{self.path} is damaged: the header of {name} promises {nbytes:,} bytes, and the file has "
                f"{promised:,}",
                hint="Fetch or save it again.",
            )
        return ArrayHeader(dtype, shape, nbytes, member.compress_size)

    def demand_room(self, names: Collection[str], copies: int = 1) -> None:
        """Raise `DataError` where these arrays, unpacked ``copies`` times, are larger than the memory that is left."""
        headers = {name: self.header(name) for name in names if name in self and name not in self._read}
        total, left = sum(header.nbytes for header in headers.values()), available_memory()
        if left is None or copies * total <= left:
            return
        name = max(headers, key=lambda name: headers[name].nbytes)
        largest = headers[name]
        raise DataError(
            f"{self.path} unpacks to {total / 1e9:,.1f} GB{' twice' if copies == 2 else ''}, and {left / 1e9:,.1f} "
            f"GB of memory are left: {name} is {largest.dtype} {list(largest.shape)} ({largest.packed:,} bytes packed)",
            hint="Save fewer samples, or smaller numbers (uint8 for images, float32), or take a machine with more "
            "memory.",
        )

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        if name not in self._read:
            self.header(name)
            self.demand_room([name])
            try:
                with zipfile.ZipFile(self.path) as archive, archive.open(self._members[name]) as stream:
                    array: npt.NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
                    if stream.read(1):
                        raise ValueError("there is more than its header promises")
            except _DAMAGE as error:
                raise self._damaged(name, error) from error
            self._read[name] = array
        return self._read[name]

    def _damaged(self, name: str, error: BaseException) -> DataError:
        return DataError(
            f"{self.path} is damaged: {name} can't be read ({type(error).__name__}: {error})",
            hint="Fetch or save it again.",
        )


def _header_of(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Read shape and kind of an array from the start of its stream."""
    with warnings.catch_warnings():
        # Headers that Python 2 wrote are read all the same.
        warnings.simplefilter("ignore", UserWarning)
        version = np.lib.format.read_magic(stream)
        if version == (1, 0):
            shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
        else:
            # Versions 2 and 3 differ in the encoding of field names alone.
            shape, _, dtype = np.lib.format.read_array_header_2_0(stream)
    return shape, dtype


def read_npz(path: Path) -> NpzFile:
    """Open an ``.npz`` file: its arrays are read one by one, when they are asked for."""
    return NpzFile(path)
