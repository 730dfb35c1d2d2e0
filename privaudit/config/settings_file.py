"""Files of settings: TOML whose keys are an audit's options. Flags beat the file."""

from __future__ import annotations

import codecs
import tomllib
from pathlib import Path
from typing import Any

from privaudit.config.audit_options import AuditSettings
from privaudit.errors import UsageError

#: Byte-order marks that editors write, and the encodings that they announce. UTF-32's begins like UTF-16's.
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_settings(flags: dict[str, Any], file: Path | None) -> AuditSettings:
    """Merge the flags that were given (not None) over a TOML file; `UsageError` names a wrong entry."""
    given = {name: value for name, value in flags.items() if value is not None}
    if file is None:
        return AuditSettings(**given)
    try:
        written = tomllib.loads(decoded(file.read_bytes()))
    except (OSError, ValueError) as error:  # a path with a NUL too
        raise UsageError(f"cannot read --config {file}: {error}") from error
    written = {name.replace("-", "_"): value for name, value in written.items()}
    try:
        AuditSettings(**{name: value for name, value in written.items() if name not in given})
    except UsageError as error:
        raise UsageError(f"--config {file}: {error.message}", hint=error.hint) from None
    return AuditSettings(**written | given)


def decoded(content: bytes) -> str:
    """Return the text of a file by its byte-order mark, as UTF-8 without one, its lines ended by line feeds."""
    encoding = next((name for mark, name in MARKS if content.startswith(mark)), "utf-8")
    return content.decode(encoding).replace("\r\n", "\n")
