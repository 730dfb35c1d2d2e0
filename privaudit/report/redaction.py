"""What a report shows of single people: ids replaced by salted hashes, images only where they were asked for."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from privaudit.config import AuditSettings
from privaudit.errors import StoreError, UsageError
from privaudit.report.content.texts import text
from privaudit.report.sample_ids import hashes_of
from privaudit.results.purge_record import SampleIdentifier
from privaudit.runtime import files
from privaudit.runtime.progress import talk
from privaudit.unlearning.requests.request_cells import plain

#: Kept beside the results by their owner: whoever holds it can tell which hash is whose.
SALT = "redaction.salt"

REDACTED = text("privacy.redacted")
SHOWN = text("privacy.shown")


@dataclass(frozen=True)
class Privacy:
    """How a report treats single people.

    Parameters
    ----------
    redact_ids
        Whether ids are replaced; None: as in the last report of this audit.
    show_samples
        Whether training images are shown. Never a default: it is asked for each time.
    """

    redact_ids: bool | None = None
    show_samples: bool = False


def privacy_of(settings: AuditSettings) -> Privacy:
    """What was asked for with ``--redact`` and ``--show-samples``."""
    return Privacy({None: None, "ids": True, "none": False}[settings.redact], settings.show_samples)


def salt_of(folder: Path, privacy: Privacy) -> bytes | None:
    """The salt to redact ids with; None where they are shown.

    An audit that was redacted once stays so until ``--redact none`` removes its salt: a later command that renews the
    report must not undo what an earlier one was asked for.
    """
    path = folder / SALT
    if privacy.redact_ids is False:
        if path.exists():
            talk(f"  {SALT} is gone: ids in reports that were redacted with it can't be revealed any more")
        files.remove(path)
        return None
    if not path.exists():
        if privacy.redact_ids is None:
            return None
        files.write_text(path, secrets.token_hex(32) + "\n")
        files.seal(path)
    # With another salt the hashes of an earlier report would name nobody, without a word.
    files.demand_whole(path, "privaudit report --redact none removes it; --redact ids then makes a new one.")
    try:
        return bytes.fromhex(path.read_text("ascii"))
    except ValueError as error:
        raise StoreError(f"cannot read {path}: {error}", hint="Remove it and redact again.") from error


def reveal(folder: Path, redacted: str) -> SampleIdentifier:
    """Which sample a redacted id stands for."""
    path = folder / SALT
    if not path.exists():
        raise UsageError(
            f"{folder} holds no {SALT}: its ids are not redacted",
            hint="If they once were, --redact none removed the salt, and what it hid can't be revealed any more.",
        )
    salt = salt_of(folder, Privacy(redact_ids=True)) or b""
    ids = pd.read_parquet(folder / "scores.parquet", columns=["sample_id"])["sample_id"].to_numpy()
    wanted = redacted.strip().lower()
    found = [one for one, name in zip(ids, hashes_of(ids, salt), strict=True) if name == wanted]
    if not found:
        raise UsageError(f"no sample of {folder.name} has the redacted id '{redacted}'")
    return plain(found[0])
