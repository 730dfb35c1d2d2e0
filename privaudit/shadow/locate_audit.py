"""From how a user names an audit (a name, its folder of models or of results) to its name and its places."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from privaudit import artifacts
from privaudit.config.audit_options import PlaceOptions
from privaudit.config.options import shown
from privaudit.errors import UsageError
from privaudit.runtime.links import absolute
from privaudit.shadow.store import LATEST, audits_in

#: The results of an audit, by which its folder of results is known.
RESULTS = "score.json"

Places = TypeVar("Places", bound=PlaceOptions)


def locate_audit(settings: Places, named: str | Path | None) -> tuple[Places, str | None]:
    """Find which audit is meant, and where its models and results are.

    Parameters
    ----------
    settings
        Where models and results are, if the audit is only named. A folder says itself where one of them is; the other
        is where the settings say, else in a folder beside.
    named
        A name, the audit's folder of models or of results, or ``latest``; None is the latest too.

    Returns
    -------
    settings, name
        The settings with the audit's places. Whether there is an audit of that name is for others to say.

    Raises
    ------
    UsageError
        Where a path leads to no audit.
    """
    if named is None:
        return settings, None
    if not str(named):
        raise UsageError("the audit's name is empty", hint="Leave it out for the latest one: privaudit list.")
    try:
        return _located(settings, named)
    except OSError as error:  # A name that no file can have, or a folder that nobody may look into.
        raise UsageError(f"cannot look for the audit {shown(str(named))}: {error.strerror}") from error


def _located(settings: Places, named: str | Path) -> tuple[Places, str | None]:
    store, out, name = Path(settings.store), Path(settings.out), str(named)
    if Path(name).name == name and (name in audits_in(store) or (out / name).is_dir()):
        return settings, name
    if name == LATEST:
        return settings, None
    path = absolute(Path(named))
    if _has_models(path):
        return settings.changed(store=path.parent, out=_place(out, path, _has_results)), path.name
    if _has_results(path):
        return settings.changed(store=_place(store, path, _has_models), out=path.parent), path.name
    if path.is_dir() or Path(name).name != name:
        raise UsageError(
            f"{'in ' if path.is_dir() else 'there is no folder '}{path}{' is no audit' if path.is_dir() else ''}",
            hint="Name an audit, its folder in the store, or its folder of results: privaudit list.",
        )
    return settings, name


def _has_models(folder: Path) -> bool:
    return (folder / artifacts.DESCRIPTION.path).is_file()


def _has_results(folder: Path) -> bool:
    return (folder / RESULTS).is_file()


def _place(usual: Path, known: Path, has_it: Callable[[Path], bool]) -> Path:
    """Where the other folder of an audit is: in the usual place, else in one beside that of the folder known."""
    if has_it(usual / known.name):
        return usual
    around = known.parent.parent
    beside = sorted(path for path in around.iterdir() if path.is_dir()) if around.is_dir() else []
    return next((place for place in beside if has_it(place / known.name)), usual)
