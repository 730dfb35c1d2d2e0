"""What names a purge without naming anybody: a digest of its samples' ids under a salt that lives as long as it does.

A plain hash of ids can be undone by hashing every id there might be. The salt lies in the store while a purge is under
way, so that one which was cut short knows itself again, and is deleted when it is done: then nobody can.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from privaudit.artifacts import PURGE_SALT
from privaudit.results.purge_record import SampleIdentifier
from privaudit.runtime import files
from privaudit.runtime.identity import digest_of


def digests(folder: Path, ids: Iterable[SampleIdentifier], *, begin: bool = False) -> list[str]:
    """Return what the purge of these samples that is under way may be called.

    Parameters
    ----------
    folder
        Of the audit in the store.
    ids
        The samples.
    begin
        Make a salt where there is none: the purge begins.

    Returns
    -------
    list of str
        16 hexadecimal digits each: as an earlier version called it, unsalted; and, where there is a salt, as this one
        does: HMAC-SHA-256 of the sorted ids.
    """
    salt, names = PURGE_SALT.at(folder), list(ids)
    if begin and not files.is_whole(salt):
        files.write_text(salt, secrets.token_hex(32) + "\n")
        files.seal(salt)
    found = [digest_of_earlier_version(names)]
    if files.is_whole(salt):
        text = json.dumps(sorted(map(str, names))).encode()
        found.append(hmac.new(salt.read_bytes().strip(), text, hashlib.sha256).hexdigest()[:16])
    return found


def digest_of_earlier_version(ids: Iterable[SampleIdentifier]) -> str:
    """The unsalted digest by which an earlier version named a purge that may still be under way."""
    return digest_of(np.array(sorted(one for one in ids if isinstance(one, int)), np.int64))[:16]
