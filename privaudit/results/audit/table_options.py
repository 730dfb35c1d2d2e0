"""What the columns of a table are for, as it was asked for and stands in ``audit.json``."""

from __future__ import annotations

from pathlib import PurePath

from privaudit.results.base import Result


class TableOptions(Result):
    """Which column of a table is what; every other one is a feature.

    Parameters
    ----------
    label
        The column of classes.
    id
        What the outside world calls each row.
    subject
        Whose row it is; several rows may be of one.
    group
        Columns by which exposure is told. They are features too, unless they are left out.
    leave_out
        Columns that are no features.
    category
        Columns whose values are words, numbers though they may look like.
    test
        What to test with: a file, a column that says so, or a share such as ``20%``.
    """

    label: str | None = None
    id: str | None = None
    subject: str | None = None
    group: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()
    category: tuple[str, ...] = ()
    test: str | None = None

    def without_folders(self) -> TableOptions:
        """Return the same with a file to test with by its name alone: a folder is its owner's business."""
        return self if self.test is None else self.model_copy(update={"test": PurePath(self.test).name})

    def given(self) -> list[str]:
        """Return the flags that were given."""
        return ["--" + name.replace("_", "-") for name in type(self).model_fields if getattr(self, name)]
