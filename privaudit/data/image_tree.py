"""Images in folders: one folder a class, and Tiny-ImageNet's own layout."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from privaudit.data.dataset import IntArray, Split
from privaudit.errors import DataError

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}


def has_class_folders(root: Path) -> bool:
    """Whether ``root`` holds ``train`` and ``test``, each with at least one folder."""
    return all((root / part).is_dir() and _folders(root / part) for part in ("train", "test"))


def describe(root: Path) -> str:
    """What the tree is, for the report: recompressed images are not the published ones."""
    first = next((path for name in _folders(root / "train") for path in _images(root / "train" / name)), None)
    kind = "" if first is None else f" ({'JPEG' if first.suffix.lower() in ('.jpg', '.jpeg') else first.suffix[1:]})"
    return f"class-per-folder image tree '{root.name}'{kind}"


def read_class_folders(root: Path, image_size: int | None) -> tuple[Split, Split, tuple[str, ...]]:
    """Index ``root/{train,test}/<class>/*`` in sorted path order."""
    class_names = tuple(_folders(root / "train"))
    unknown = sorted(set(_folders(root / "test")) - set(class_names))
    if unknown:
        raise DataError(f"{root / 'test' / unknown[0]}: the training set has no class '{unknown[0]}'")
    listings = []
    for part in ("train", "test"):
        files, labels = [], []
        for label, name in enumerate(class_names):
            found = _images(root / part / name)
            files += found
            labels += [label] * len(found)
        listings.append((files, np.asarray(labels, np.int64)))
    return (*_splits(root, listings, image_size), class_names)


def has_tiny_imagenet(root: Path) -> bool:
    """Whether ``root`` is laid out as Tiny-ImageNet is."""
    return (root / "train").is_dir() and (root / "val" / "val_annotations.txt").is_file()


def read_tiny_imagenet(root: Path, image_size: int | None) -> tuple[Split, Split, tuple[str, ...]]:
    """Index ``train/<wnid>/images`` and ``val/images`` by ``val_annotations.txt``; classes in sorted wnid order."""
    wnids = _folders(root / "train")
    label_of = {wnid: label for label, wnid in enumerate(wnids)}
    train_files: list[Path] = []
    train_labels: list[int] = []
    for wnid in wnids:
        found = _images(root / "train" / wnid / "images")
        train_files += found
        train_labels += [label_of[wnid]] * len(found)
    annotations = root / "val" / "val_annotations.txt"
    test: list[tuple[Path, int]] = []
    for number, line in enumerate(annotations.read_text("utf-8").splitlines(), start=1):
        fields = line.split("\t")
        if len(fields) < 2 or fields[1] not in label_of:
            raise DataError(f"{annotations}, line {number}: no file name and known class: {line[:80]!r}")
        test.append((root / "val" / "images" / fields[0], label_of[fields[1]]))
    test.sort()
    listings = [
        (train_files, np.asarray(train_labels, np.int64)),
        ([path for path, _ in test], np.asarray([label for _, label in test], np.int64)),
    ]
    return (*_splits(root, listings, image_size), _readable_names(root / "words.txt", wnids))


def _readable_names(words: Path, wnids: Sequence[str]) -> tuple[str, ...]:
    if not words.is_file():
        return tuple(wnids)
    lines = (line.split("\t", 1) for line in words.read_text("utf-8").splitlines())
    names = {fields[0]: fields[1].split(",")[0] for fields in lines if len(fields) == 2}
    found = [names.get(wnid, wnid) for wnid in wnids]
    # WordNet has two cranes and two bows.
    return tuple(
        name if found.count(name) == 1 else f"{name} ({wnid})" for name, wnid in zip(found, wnids, strict=True)
    )


def _folders(root: Path) -> list[str]:
    return sorted(entry.name for entry in os.scandir(root) if entry.is_dir() and not entry.name.startswith("."))


def _images(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    for path in files:
        try:
            str(path).encode("utf-8")
        except UnicodeEncodeError:
            raise DataError(
                f"the file name {str(path)!r} is not UTF-8", hint="Rename the file or its folder."
            ) from None
        if path.suffix.lower() not in IMAGE_SUFFIXES:
            raise DataError(f"{path} is not an image file", hint="Move it out of the class folder.")
    return files


def _splits(root: Path, listings: Sequence[tuple[list[Path], IntArray]], image_size: int | None) -> tuple[Split, Split]:
    decoder = _Decoder(image_size, [path for files, _ in listings for path in files])
    first, second = (
        Split(labels, decoder.of(files), tuple(str(path.relative_to(root)) for path in files))
        for files, labels in listings
    )
    return first, second


class _Decoder:
    """Decodes files into one uint8 array; all must have one size, and grey or colour is decided once for all."""

    def __init__(self, image_size: int | None, files: list[Path]) -> None:
        self.image_size = image_size
        self._files = files
        self._reference: tuple[Path, tuple[int, int]] | None = None
        self._mode: str | None = None
        self._lock = threading.Lock()

    def of(self, files: list[Path]) -> Any:
        def take(rows: IntArray) -> npt.NDArray[Any]:
            return self.decode([files[row] for row in rows])

        return take

    def decode(self, files: list[Path]) -> npt.NDArray[Any]:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            with self._lock:
                if self._mode is None:
                    # One colour image makes the whole dataset colour.
                    grey = all(pool.map(_is_grey, self._files, chunksize=256))
                    self._mode = "L" if grey else "RGB"
            images = list(pool.map(self._decode_one, files, chunksize=64))
        stack = np.stack(images) if images else np.empty((0, 0, 0), np.uint8)
        return stack[..., np.newaxis] if self._mode == "L" else stack

    def _decode_one(self, path: Path) -> npt.NDArray[Any]:
        with _opened(path) as image:
            picture = image.convert(self._mode)
        if self.image_size is not None:
            picture = picture.resize((self.image_size, self.image_size), Image.Resampling.BILINEAR)
        with self._lock:
            reference = self._reference = self._reference or (path, picture.size)
        if picture.size != reference[1]:
            raise DataError(
                f"mixed image sizes: {path} is {picture.size[0]}×{picture.size[1]}, "
                f"{reference[0]} is {reference[1][0]}×{reference[1][1]}",
                hint="Resize them all with --image-size 64 (or another number of pixels).",
            )
        return np.asarray(picture)


def _is_grey(path: Path) -> bool:
    with _opened(path) as image:
        return image.mode in ("L", "1", "LA")


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    try:
        with Image.open(path) as image:
            if image.mode.startswith(("I", "F")):
                # Converting to 8 bits would clip, not scale.
                raise DataError(
                    f"{path} has more than 8 bits a channel (mode {image.mode})",
                    hint="Convert the images to 8 bits, or bring them as float arrays in an .npz file.",
                )
            yield image
    except Image.DecompressionBombError as error:
        raise DataError(f"{path} is too large to be decoded safely: {error}") from error
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError) as error:
        raise DataError(f"{path} is truncated or not an image: {error}", hint="Replace it or remove it.") from error
