"""Trees that were read from a file, held against what compiled code takes for granted of them.

scikit-learn walks from node to node without looking whether there is one: a damaged file would have it read memory that
is not its own, or walk in a circle.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from privaudit.errors import DataError

#: More features than any step of a pipeline makes.
SOME = 2**31


def demand_sound_trees(model: Any, features: int, what: str) -> None:
    """Raise `DataError` where a tree anywhere within a model leads outside itself, back, or to a feature not there."""
    for part, most in _parts(model, features, set()):
        if type(part).__name__ == "Tree":
            left, right = part.children_left, part.children_right
            inner = left != -1
            sound = np.array_equal(inner, right != -1) and _is_sound(left, right, part.feature, inner, most)
        elif type(part).__name__ == "TreePredictor":
            nodes = part.nodes
            sound = _is_sound(nodes["left"], nodes["right"], nodes["feature_idx"], nodes["is_leaf"] == 0, most)
        else:
            continue
        if not sound:
            raise DataError(f"{what} holds a decision tree that leads outside itself: it is damaged, and not used")


def _is_sound(left: Any, right: Any, feature: Any, inner: Any, features: int) -> bool:
    """Whether every inner node leads to later nodes that there are, by a feature that there is."""
    own = np.flatnonzero(inner)
    for child in (left[inner].astype(np.int64), right[inner].astype(np.int64)):
        if bool((child <= own).any()) or bool((child >= len(inner)).any()):
            return False
    asked = feature[inner].astype(np.int64)
    return not bool((asked < 0).any() or (asked >= features).any())


def _parts(found: Any, most: int, seen: set[int]) -> Iterator[tuple[Any, int]]:
    """Everything within an object, once, and how many features it is given at most."""
    if id(found) in seen or isinstance(found, str | bytes | int | float | type) or found is None:
        return
    seen.add(id(found))
    within: Any = getattr(found, "__dict__", {})
    if isinstance(found, np.ndarray):
        within = dict(enumerate(found.ravel().tolist() if found.dtype == object else ()))
    elif isinstance(found, dict | list | tuple | set):
        within = found if isinstance(found, dict) else dict(enumerate(found))
    # What is given to a step of a pipeline the step before decides, and not the data.
    own = within.get("n_features_in_", most)
    most = SOME if type(found).__name__ == "Pipeline" else min(most, own if isinstance(own, int) else most)
    yield found, most
    for part in within.values():
        yield from _parts(part, most, seen)
