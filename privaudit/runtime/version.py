"""Versions of what computes, from installed packages; our own from the source, which may not be installed at all."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from privaudit import __version__


def version_of(package: str) -> str:
    """Return the version of a package: ``"2.11.0"``, say.

    Parameters
    ----------
    package
        Its name at the registry. ``privaudit`` says its own version without metadata: it also runs from a source tree
        that was never installed, and from one that has moved on since.

    Returns
    -------
    str
        The version, or ``"none"`` for a package without metadata.
    """
    if package == "privaudit":
        return __version__
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
