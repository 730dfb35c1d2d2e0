"""Image files: listed with nothing left out unsaid, and decoded into one array."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from privaudit.config import available_cores
from privaudit.data.dataset import IntArray
from privaudit.data.formats.image_modes import is_deep, is_grey, made_square, sentences, upright, upright_size
from privaudit.errors import DataError

IMAGE_SUFFIXES = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm"),
}

#: What file managers, archivers and notebooks leave behind; so do names that begin with a dot.
JUNK = {"thumbs.db", "desktop.ini", "__macosx", "__pycache__", "@eadir", "$recycle.bin", "lost+found", "icon\r"}


def is_junk(name: str) -> bool:
    """Whether a file or folder is none of the user's making."""
    return name.startswith(".") or name.lower() in JUNK


def folders_in(root: Path) -> list[str]:
    """Return the names of the folders in ``root`` in sorted order, links to folders included.

    Raises
    ------
    DataError
        Where a link leads nowhere, or ``root`` can't be read.
    """
    try:
        entries = [entry for entry in os.scandir(root) if not is_junk(entry.name)]
    except OSError as error:
        raise DataError(f"cannot read the folder {root}: {error.strerror or error}") from error
    for entry in entries:
        _demand_target(Path(entry.path))
        _demand_utf8(Path(entry.path))
    return sorted(entry.name for entry in entries if entry.is_dir())


def stray_files(root: Path) -> list[str]:
    """Return the names of files that lie in ``root`` itself, where only folders are expected."""
    return sorted(entry.name for entry in os.scandir(root) if not entry.is_dir() and not is_junk(entry.name))


def image_files(folder: Path) -> list[Path]:
    """Return every image file in a folder and the folders below it, in sorted path order.

    Raises
    ------
    DataError
        Names what is no image file, and every link that leads nowhere.
    """
    if not folder.is_dir():
        return []
    files = sorted(_walk(folder, ()))
    strange = [path for path in files if path.suffix.lower() not in IMAGE_SUFFIXES]
    if strange:
        more = f", nor are {len(strange) - 1:,} others" if len(strange) > 1 else ""
        raise DataError(
            f"{strange[0]} is not an image file{more}",
            hint=f"Move it out of the class folder. Images end in {', '.join(sorted(IMAGE_SUFFIXES))}.",
        )
    return files


def _walk(folder: Path, above: tuple[Path, ...]) -> Iterator[Path]:
    real = folder.resolve()
    if real in above:
        raise DataError(f"{folder} is a link to a folder that holds it", hint="Remove the link.")
    try:
        entries = [Path(entry.path) for entry in os.scandir(folder) if not is_junk(entry.name)]
    except OSError as error:
        raise DataError(f"cannot read the folder {folder}: {error.strerror or error}") from error
    dead = sorted(path for path in entries if path.is_symlink() and not path.exists())
    if dead:
        more = f" ({len(dead):,} such links in that folder)" if len(dead) > 1 else ""
        raise DataError(f"{dead[0]} is a link that leads nowhere{more}", hint="Restore what it leads to, or remove it.")
    for path in entries:
        _demand_utf8(path)
        if path.is_dir():
            yield from _walk(path, (*above, real))
        elif path.is_file():
            yield path
        else:
            raise DataError(f"{path} is no regular file", hint="Move it out of the class folder.")


def _demand_target(path: Path) -> None:
    if path.is_symlink() and not path.exists():
        raise DataError(f"{path} is a link that leads nowhere", hint="Restore what it leads to, or remove it.")


def _demand_utf8(path: Path) -> None:
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        raise DataError(f"the file name {str(path)!r} is not UTF-8", hint="Rename the file or its folder.") from None


@dataclass(frozen=True)
class Resizing:
    """How images in files become images of one size.

    Parameters
    ----------
    size
        Pixels a side; None leaves sizes as they are.
    fit
        How one that is not square becomes so: ``stretch``, ``crop`` its longer side about the middle, ``pad`` its
        shorter one with black.
    mixed
        Pixels a side where no ``size`` is given and files are of several sizes; None makes these an error.
    """

    size: int | None = None
    fit: str = "stretch"
    mixed: int | None = None


class Decoder:
    """Decodes files into one uint8 array; all must have one size, and grey or colour is decided once for all.

    Parameters
    ----------
    images
        How they are resized.
    files
        Every file of the dataset: one colour image makes all of it colour.
    """

    def __init__(self, images: Resizing, files: list[Path]) -> None:
        self.images = images
        self._size: int | None = None
        self._files = files
        self._reference: tuple[Path, tuple[int, int]] | None = None
        self._mode: str | None = None
        self._grey = 0
        self._peculiarities: Counter[str] = Counter()
        self._lock = threading.Lock()

    def of(self, files: list[Path]) -> Any:
        """Return a function that decodes the given rows of these files."""

        def take(rows: IntArray) -> npt.NDArray[Any]:
            return self.decode([files[row] for row in rows])

        return take

    def notes(self) -> tuple[str, ...]:
        """Say what was converted, of what was decoded so far."""
        mixed = self._mode == "RGB" and 0 < self._grey < len(self._files)
        first = (
            [f"images: {self._grey:,} of {len(self._files):,} are grey and were turned into colour"] if mixed else []
        )
        if self._size is not None and self.images.size is None:
            first.append(
                f"images are of several sizes and were resized to {self._size}×{self._size}, the network's own"
            )
        return (*first, *sentences(self._peculiarities))

    def decode(self, files: list[Path]) -> npt.NDArray[Any]:
        """Return uint8 images ``[n, H, W, C]`` with one channel or three."""
        with self._lock:
            if self._mode is None:
                self._grey = sum(chain.from_iterable(_on_every_core(_are_grey, self._files)))
                self._mode = "L" if self._grey == len(self._files) else "RGB"
                self._size = self.images.size or self._size_of_mixed()
            images: list[npt.NDArray[Any]] = []
            for pictures, peculiarities in _on_every_core(
                _decode_files, files, self._mode, self._size, self.images.fit
            ):
                self._demand_one_size(files[len(images) :], pictures)
                self._peculiarities.update(peculiarities)
                images += pictures
        stack = np.stack(images) if images else np.empty((0, 0, 0), np.uint8)
        return stack[..., np.newaxis] if self._mode == "L" else stack

    def _size_of_mixed(self) -> int | None:
        """The size that files of several sizes get; None where they have one, or are to have one."""
        if self.images.mixed is None:
            return None
        sizes = set(chain.from_iterable(_on_every_core(_sizes, self._files)))
        return self.images.mixed if len(sizes) > 1 else None

    def _demand_one_size(self, files: list[Path], pictures: list[npt.NDArray[Any]]) -> None:
        for path, picture in zip(files, pictures, strict=False):
            size = (picture.shape[1], picture.shape[0])
            reference = self._reference = self._reference or (path, size)
            if size != reference[1]:
                raise DataError(
                    f"mixed image sizes: {path} is {size[0]}×{size[1]}, "
                    f"{reference[0]} is {reference[1][0]}×{reference[1][1]}",
                    hint="Resize them all with --image-size 64 (or another number of pixels).",
                )


#: Files that a thread or a process is handed at a time, and below how many files starting processes does not pay.
FEW, MANY, WORTH_PROCESSES = 16, 500, 4000


def _on_every_core(function: Callable[..., Any], files: list[Path], *arguments: Any) -> Iterable[Any]:
    """Apply a function to portions of the files; return what it returns, in order.

    Many files by processes: opening a small picture is mostly Python, which threads can't do side by side.
    """
    processes = len(files) >= WORTH_PROCESSES and available_cores() > 1
    size = MANY if processes else FEW
    portions = [files[start : start + size] for start in range(0, len(files), size)]
    if processes:
        from joblib import Parallel, delayed

        pool = Parallel(n_jobs=min(available_cores(), len(portions)), backend="loky", return_as="generator")
        yield from pool(delayed(function)(portion, *arguments) for portion in portions)
        return
    with ThreadPoolExecutor(available_cores()) as threads:
        yield from threads.map(lambda portion: function(portion, *arguments), portions)


def _decode_files(
    files: list[Path], mode: str, size: int | None, fit: str
) -> tuple[list[npt.NDArray[Any]], Counter[str]]:
    """Return the pictures of some files and how many of them were peculiar in which way."""
    pictures, peculiarities = [], Counter[str]()
    for path in files:
        with _opened(path) as image:
            picture, found = upright(image, mode)
        if size is not None:
            picture, how = made_square(picture, size, fit)
            found += how
        peculiarities.update(found)
        pictures.append(np.asarray(picture))
    return pictures, peculiarities


def _sizes(files: list[Path]) -> list[tuple[int, int]]:
    """The sizes of pictures as they are meant to be seen."""
    found = []
    for path in files:
        with _opened(path) as image:
            found.append(upright_size(image))
    return found


def _are_grey(files: list[Path]) -> list[bool]:
    return [_is_grey_file(path) for path in files]


def _is_grey_file(path: Path) -> bool:
    with _opened(path) as image:
        return is_grey(image)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    try:
        with Image.open(path) as image:
            if is_deep(image):
                raise DataError(
                    f"{path} has more than 8 bits a channel (mode {image.mode})",
                    hint="Convert the images to 8 bits, or bring them as float arrays in an .npz file.",
                )
            yield image
    except Image.DecompressionBombError as error:
        raise DataError(f"{path} is too large to be decoded safely: {error}") from error
    except PermissionError as error:
        raise DataError(f"{path} can't be read: {error.strerror}", hint="Allow it to be read.") from error
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError) as error:
        raise DataError(f"{path} is truncated or not an image: {error}", hint="Replace it or remove it.") from error
