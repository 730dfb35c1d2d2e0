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

from privaudit.runtime import files
from privaudit.shadow.store import AuditStore
from privaudit.unlearning.requests.request_cells import SampleIdentifier

SALT = "purge.salt"


def salt_path(store: AuditStore) -> Path:
    """Where the salt of a purge under way lies."""
    return store.folder / SALT


def make_salt(store: AuditStore) -> bytes:
    """The salt of the purge that is under way, or of the one that begins now."""
    found = read_salt(store)
    if found is None:
        files.write_text(salt_path(store), secrets.token_hex(32) + "\n")
        files.seal(salt_path(store))
        found = read_salt(store)
    return found or b""


def read_salt(store: AuditStore) -> bytes | None:
    """The salt of the purge that is under way; None where there is none, or it was never finished."""
    path = salt_path(store)
    return path.read_bytes().strip() if files.is_whole(path) else None


def digest(ids: Iterable[SampleIdentifier], salt: bytes) -> str:
    """HMAC-SHA-256 of the sorted ids under the salt, 16 hexadecimal digits."""
    text = json.dumps(sorted(map(str, ids)))
    return hmac.new(salt, text.encode(), hashlib.sha256).hexdigest()[:16]


def digest_of_earlier_version(ids: Iterable[SampleIdentifier]) -> str:
    """The unsalted digest by which an earlier version named a purge that may still be under way."""
    whole = [one for one in ids if isinstance(one, int)]
    return hashlib.sha256(np.array(sorted(whole), np.int64).tobytes()).hexdigest()[:16]
