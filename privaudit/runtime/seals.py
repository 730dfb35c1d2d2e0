"""What a seal says of its file: checksum, name and, below a marked folder, its place from that folder on.

The first line is in the format of ``sha256sum --check``, to which the second, which begins with ``#``, is a comment.
Seals of earlier versions, and of files outside marked folders, have the first alone.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from privaudit.runtime.links import absolute, claimed_folder, kind_of, open_file

SUFFIX = ".sha256"

_FORMAT = re.compile(rb'([0-9a-f]{64})  ([^\0]*?)\n(?:# of (".*")\n)?', re.DOTALL)


@dataclass(frozen=True)
class Record:
    """What a seal says.

    Parameters
    ----------
    digest
        The file's SHA-256, in hexadecimal.
    name
        The file's name.
    place
        Where it lies, from the marked folder's name on (``AUDIT/signals/0003.npy``); None where that is not on record.
    """

    digest: str
    name: str
    place: str | None = None

    @classmethod
    def of(cls, path: Path, digest: str) -> Record:
        """What is to be put on record of a file."""
        folder = claimed_folder(path)
        if folder is None:
            return cls(digest, path.name)
        return cls(digest, path.name, (folder.name / absolute(path).relative_to(folder)).as_posix())

    def to_text(self) -> str:
        """As it stands in the seal."""
        bound = "" if self.place is None else f"# of {json.dumps(self.place)}\n"
        return f"{self.digest}  {self.name}\n{bound}"

    def belongs_to(self, path: Path) -> bool:
        """Whether the path has this name and ends in this place, as it was given or where links above it lead."""
        if self.name != path.name:
            return False
        if self.place is None:
            return True
        wanted, given = Path(self.place).parts, absolute(path)
        return any(found.parts[-len(wanted) :] == wanted for found in (given, given.parent.resolve() / given.name))


def seal_of(path: Path) -> Path:
    """Where the seal of ``path`` lies."""
    return path.with_name(path.name + SUFFIX)


def sealed_by(path: Path) -> Path:
    """The file that ``path`` is the seal of; ``path`` itself where it is none."""
    return path.with_name(path.name.removesuffix(SUFFIX))


def read_record(path: Path) -> Record | None:
    """Return what the seal of ``path`` says; None where there is none, or it is no seal."""
    record = seal_of(path)
    if kind_of(record) is not None or not record.exists():
        return None
    with open_file(record) as stream:
        found = _FORMAT.fullmatch(stream.read())
    try:
        return (
            None if found is None else Record(found[1].decode(), os.fsdecode(found[2]), json.loads(found[3] or "null"))
        )
    except ValueError:
        return None
