"""A user's torch Datasets: read once, sample by sample, into arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.errors import DataError


def is_pair_of_datasets(returned: Any) -> bool:
    """Whether a factory returned ``(train, test)``, two things with a length and items."""
    return (
        isinstance(returned, tuple)
        and len(returned) == 2
        and all(hasattr(part, "__getitem__") and hasattr(part, "__len__") for part in returned)
    )


def arrays_of_datasets(returned: tuple[Any, Any], source: str) -> dict[str, npt.NDArray[Any]]:
    """Read ``(train, test)`` into arrays.

    A sample is ``(input, label)``. A tensor of an image is ``[C, H, W]`` there and ``[H, W, C]`` here; a PIL image is
    kept as uint8. Transforms that draw at random should be left out: an audit asks every model about the same input.
    """
    arrays: dict[str, npt.NDArray[Any]] = {}
    for part, dataset in zip(("train", "test"), returned, strict=True):
        inputs, labels = [], []
        for row in range(len(dataset)):
            try:
                sample = dataset[row]
                value, label = sample
                inputs.append(_input(value))
                labels.append(int(label))
            except (TypeError, ValueError, IndexError) as error:
                raise DataError(
                    f"{source}: sample {row} of the {part} dataset is no (input, label): {error}"
                ) from error
        shapes = {array.shape for array in inputs}
        if len(shapes) > 1:
            raise DataError(f"{source}: inputs of the {part} dataset have different shapes: {sorted(shapes)[:3]}")
        arrays[f"x_{part}"] = np.stack(inputs) if inputs else np.empty((0, 1))
        arrays[f"y_{part}"] = np.array(labels, np.int64)
    return arrays


def _input(value: Any) -> npt.NDArray[Any]:
    if hasattr(value, "detach"):
        array: npt.NDArray[Any] = value.detach().cpu().numpy()
        return np.moveaxis(array, 0, -1) if array.ndim == 3 else array
    return np.asarray(value)
