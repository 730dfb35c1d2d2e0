"""What jobs leave in a store, sealed: whether it is whole, and reading it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from privaudit.runtime import files
from privaudit.runtime.progress import talk

REMEDY = "Run the same privaudit score again: it makes anew what is missing or damaged."


def is_done(path: Path) -> bool:
    """Whether a job has left its result, whole; what is damaged is set aside, and said to be."""
    state = files.inspect_seal(path)
    if state.is_wrong:
        talk(f"  {files.set_aside_in_words(path)}; it is made again")
    return state is files.Seal.WHOLE


def read_kept(path: Path) -> npt.NDArray[np.float32]:
    """Return the array that a finished job left."""
    files.demand_whole(path, REMEDY)
    return np.asarray(files.read_array(path), np.float32)
