"""Data that was given as an object, and what it is called."""

from __future__ import annotations

import re

from privaudit.config.object_options import ScoreObjectOptions
from privaudit.errors import UsageError
from privaudit.objects.held import held_data, hold_data

#: Options that say where data lies, or how it is read from files.
OF_FILES = ("signals", "data_dir", "image_size")

_TITLE = re.compile(r"\w[\w .-]*")


def named_data(options: ScoreObjectOptions) -> str:
    """Return the name by which data is held: by what ``dataset`` says that it is called, or else by its type.

    Raises
    ------
    UsageError
        Where ``dataset`` names other data, or another option says where data lies.
    """
    held, given = str(options.data), options.given()
    for name in OF_FILES:
        if name in given:
            raise UsageError(
                f"data= is at hand, and {name}= is of data in files: which is meant?", hint="Leave one of them out."
            )
    if "dataset" not in given:
        return held
    from privaudit.data.formats.load import DATASETS, is_folder

    title = str(given["dataset"])
    is_file = is_folder(title) or title.lower().endswith((".npz", ".csv", ".tsv", ".parquet"))
    if title in DATASETS or is_file or _TITLE.fullmatch(title) is None:
        raise UsageError(
            f"data= and dataset={title!r} are two sets of data: which is meant?",
            hint="Beside data=, dataset= is what to call it: dataset='customers'. Else leave one of them out.",
        )
    return hold_data(title, held_data(held))
