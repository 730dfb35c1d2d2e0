"""A user's torch Datasets: read once, sample by sample, into arrays."""

from __future__ import annotations

import traceback
from collections import Counter
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from privaudit.data.formats.image_modes import is_deep, sentences, upright
from privaudit.data.inputs import CHANNELS
from privaudit.data.sampling import held_out
from privaudit.data.validation import Given
from privaudit.errors import DataError, PrivauditError
from privaudit.runtime.user_code import user_code

#: Modes whose arrays are brightness or colour as they are.
_PLAIN = ("L", "LA", "RGB", "RGBA")


def is_dataset(value: Any) -> bool:
    """Whether this has a length and items."""
    return hasattr(value, "__getitem__") and hasattr(value, "__len__") and not isinstance(value, str | bytes | dict)


def place_of(error: BaseException) -> str:
    """Return the file and line, outside this package, at which an error arose."""
    frames = traceback.extract_tb(error.__traceback__)
    own = str(Path(__file__).parent.parent.parent)
    theirs = [frame for frame in frames if not frame.filename.startswith(own)] or list(frames)
    # What lies among the installed packages is no file of the user's, unless nothing else is there.
    written = [frame for frame in theirs if "site-packages" not in frame.filename] or theirs
    return f"{PurePath(written[-1].filename).name}, line {written[-1].lineno}" if written else "an unknown place"


class _Reader:
    """Reads the samples of one part, and counts what was peculiar about them."""

    def __init__(self, part: str, source: str) -> None:
        self.part, self.source = part, source
        self.pictures: Counter[str] = Counter()
        self.last_channels = 0

    def read(self, dataset: Any) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
        """Return inputs and labels of every sample."""
        inputs, labels = [], []
        with user_code():
            for row in range(self._length(dataset)):
                value, label = self._item(dataset, row)
                inputs.append(self._input(value, row))
                labels.append(self._label(label, row))
        if not inputs:
            return np.empty((0, 1)), np.empty(0, np.int64)
        odd = next((row for row, array in enumerate(inputs) if array.shape != inputs[0].shape), None)
        if odd is not None:
            raise DataError(
                f"{self.source}: inputs of the {self.part} dataset have different shapes: sample 0 is "
                f"{list(inputs[0].shape)}, sample {odd} {list(inputs[odd].shape)}",
                hint="Give all one size and one number of channels: transforms.Resize((64, 64)), image.convert('RGB').",
            )
        return np.stack(inputs), np.array(labels, np.int64)

    def _length(self, dataset: Any) -> int:
        try:
            return len(dataset)
        except Exception as error:
            raise DataError(
                f"{self.source}: the {self.part} dataset has no length: {type(error).__name__}: {error}",
                hint="Where it is a stream that ends, return (list(train), list(test)).",
            ) from error

    def _item(self, dataset: Any, row: int) -> tuple[Any, Any]:
        where = f"{self.source}: sample {row} of the {self.part} dataset"
        try:
            sample = dataset[row]
        except PrivauditError:
            raise
        except Exception as error:
            raise DataError(
                f"{where} can't be read: {type(error).__name__}: {error} ({place_of(error)})",
                hint="Mend that sample, or leave it out: torch.utils.data.Subset(dataset, rows).",
            ) from error
        if isinstance(sample, dict):
            raise DataError(
                f"{where} is no (input, label), but a dict of {', '.join(map(repr, list(sample)[:8]))}",
                hint="Return a pair of two of them: (item['image'], item['label']).",
            )
        try:
            value, label = sample
        except (TypeError, ValueError) as error:
            raise DataError(f"{where} is no (input, label): {error}", hint="Return exactly these two.") from error
        return value, label

    def _input(self, value: Any, row: int) -> npt.NDArray[Any]:
        where = f"{self.source}: the input of sample {row} of the {self.part} dataset"
        try:
            if isinstance(value, Image.Image):
                return self._picture(value)
            if not hasattr(value, "detach"):
                return np.asarray(value)
            tensor = value.detach().cpu()
            array: npt.NDArray[Any] = (tensor.float() if "bfloat16" in str(tensor.dtype) else tensor).numpy()
        except (TypeError, ValueError, RuntimeError, OSError) as error:
            raise DataError(f"{where} is no array: {type(error).__name__}: {error}") from error
        if array.ndim != 3:
            return array
        if array.shape[2] in CHANNELS and array.shape[0] not in CHANNELS:
            self.last_channels += 1
            return array
        return np.moveaxis(array, 0, -1)

    def _picture(self, image: Image.Image) -> npt.NDArray[Any]:
        """Return a PIL image as it is where its numbers are brightness or colour; a palette's are neither."""
        if image.mode in _PLAIN:
            return np.asarray(image)
        if is_deep(image):
            return np.asarray(image)[..., np.newaxis]
        plain, found = upright(image, "L" if image.mode == "1" else "RGB")
        self.pictures.update(found)
        return np.asarray(plain)

    def _label(self, label: Any, row: int) -> int:
        """Return a whole number as such; anything else is named, not cut."""
        where = f"{self.source}: the label of sample {row} of the {self.part} dataset is"
        value = label.detach().cpu().float().numpy() if "bfloat16" in str(getattr(label, "dtype", "")) else label
        try:
            array = np.asarray(value.detach().cpu().numpy() if hasattr(value, "detach") else value)
        except (TypeError, ValueError, RuntimeError) as error:
            raise DataError(f"{where} no number: {error}") from error
        if array.size != 1:
            cure = "One number a class: label.argmax(). Several classes at once are not audited."
            raise DataError(f"{where} {list(array.shape)}: it must be one integer", hint=cure)
        if array.dtype.kind not in "iubf":
            cure = "Number the classes 0 … C − 1: sorted(set(names)).index(name)."
            raise DataError(f"{where} {label!r}: it must be an integer", hint=cure)
        number = array.item()
        if not np.isfinite(number) or number != int(number) or abs(number) >= 2**63:
            cure = "A classifier is audited: cut measurements into classes 0 … C − 1 first."
            raise DataError(f"{where} {number}: it must be an integer", hint=cure)
        return int(number)


def given_by_datasets(returned: tuple[Any, Any], source: str) -> Given:
    """Read ``(train, test)`` into arrays.

    A sample is ``(input, label)``. A tensor of an image is ``[C, H, W]`` there and ``[H, W, C]`` here, unless its shape
    proves that the channels stand last already; a PIL image is kept as uint8. Transforms that draw at random should be
    left out: an audit asks every model about the same input.

    Raises
    ------
    DataError
        Names the sample that can't be read, and where it failed.
    """
    arrays: dict[str, npt.NDArray[Any]] = {}
    notes: list[str] = []
    for part, dataset in zip(("train", "test"), returned, strict=True):
        arrays[f"x_{part}"], arrays[f"y_{part}"], said = _read(dataset, part, source)
        notes += said
    return Given(arrays, tuple(notes), channels_last=True)


def given_by_dataset(dataset: Any, source: str) -> Given:
    """Read a dataset that has no other to test with into arrays: a fifth of each class is held out."""
    x, y, notes = _read(dataset, "train", source)
    arrays, said = held_out(x, y, source, "the dataset")
    return Given(arrays, (*notes, f"{said}; sample_id is the place in it"), channels_last=True)


def _read(dataset: Any, part: str, source: str) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64], list[str]]:
    """Inputs and labels of one part, and what was peculiar about them."""
    reader = _Reader(part, source)
    x, y = reader.read(dataset)
    notes = sentences(reader.pictures)
    if reader.last_channels:
        notes.append(
            f"{reader.last_channels:,} tensors of the {part} dataset have their channels last, and were read so"
        )
    return x, y, notes
