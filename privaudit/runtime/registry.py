"""Names that users type, and what they stand for.

Datasets, networks and unlearners are found by entry points, so that another package adds one without
editing this one. Nothing is imported until it is asked for.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterator
from functools import cached_property
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from privaudit.errors import PrivauditError, UsageError
from privaudit.runtime.user_code import user_code

#: Endings of files that Python runs.
CODE = (".py", ".so", ".pyd")

#: How a network is named that a folder holds: ``transformers:FOLDER``.
OF_A_FOLDER = "transformers:"

HOW = "Write it as module:function or path/to/file.py:function."


def import_reference(reference: str, what: str) -> Any:
    """Import ``module:attribute`` or ``path/to/file.py:attribute``; `UsageError` says why it can't be done.

    Modules are looked for in the current folder too.

    Parameters
    ----------
    reference
        As typed.
    what
        What it stands for in messages, e.g. ``"network"``.
    """
    module_name, _, attribute = reference.rpartition(":")
    is_file = module_name.endswith(".py")
    named = is_file or all(part.isidentifier() for part in module_name.split("."))
    if not named or not attribute.isidentifier():
        raise UsageError(f"'{reference}' names no {what}", hint=HOW)
    file, here = Path(module_name).absolute(), working_folder()
    try:
        with user_code():
            module = _module_of_file(file) if is_file else _module_named(module_name, here)
    except ImportError as error:
        # A module that the user's file imports is missing, not the file.
        lacking = getattr(error, "name", None)
        hint = f"{module_name} imports it: install it, or mend that line." if is_file and lacking else HOW
        raise UsageError(f"cannot find {what} '{reference}': {error}", hint=hint) from error
    except PrivauditError:
        raise
    except Exception as error:
        raise UsageError(f"importing {module_name} failed: {type(error).__name__}: {error}") from error
    found = getattr(module, attribute, None)
    if found is None:
        raise UsageError(f"cannot find {what} '{reference}': {module_name} has no '{attribute}'", hint=HOW)
    if not callable(found):
        raise UsageError(f"{reference} is a {type(found).__name__}: it must be a function")
    return found


def absolute_reference(reference: str) -> str:
    """The same reference from whatever folder it is read: ``own.py:net`` becomes ``/…/own.py:net``."""
    if reference.startswith(OF_A_FOLDER):
        return OF_A_FOLDER + str(Path(reference.removeprefix(OF_A_FOLDER)).absolute())
    file, _, attribute = reference.rpartition(":")
    return f"{Path(file).absolute()}:{attribute}" if file.endswith(".py") else reference


def without_folder(reference: str) -> str:
    """A reference as it is shown: a file's folder is its owner's business, and tells no function from another."""
    if reference.startswith(OF_A_FOLDER):
        return OF_A_FOLDER + Path(reference.removeprefix(OF_A_FOLDER)).absolute().name
    file, _, attribute = reference.rpartition(":")
    return f"{Path(file).name}:{attribute}" if file.endswith(".py") else reference


def defining_file(function: Any) -> str | None:
    """The file that defines a function, a class or an instance's class; None where there is none."""
    function = inspect.unwrap(getattr(function, "func", function))
    for found in (function, type(function)):
        try:
            return inspect.getsourcefile(found)
        except TypeError:
            continue
    return None


def source_digest(function: Any) -> str | None:
    """SHA-256 of the file that defines a user's function: other code, other weights. What it imports is not in it."""
    file = defining_file(function)
    return None if file is None or not Path(file).is_file() else hashlib.sha256(Path(file).read_bytes()).hexdigest()


def package_digest(module: str) -> str | None:
    """SHA-256 over every source file of the regular package that a module belongs to, names included.

    None where the module is a single file, or lies in no package that has a folder.
    """
    parts = module.split(".")
    for depth in range(1, len(parts)):
        # The outermost package with code of its own: a namespace is shared by packages that do not belong together.
        package = sys.modules.get(".".join(parts[:depth]))
        if package is not None and getattr(package, "__file__", None) is not None:
            return _digest_below(Path(str(package.__file__)).parent)
    package = sys.modules.get(module)
    file = getattr(package, "__file__", None)
    return _digest_below(Path(file).parent) if file is not None and hasattr(package, "__path__") else None


def _digest_below(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.suffix in CODE and path.is_file()):
        digest.update(
            f"{file.relative_to(folder).as_posix()}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\0".encode()
        )
    return digest.hexdigest()


def working_folder() -> str | None:
    """The folder that relative paths start from; None where it was deleted under us."""
    try:
        return str(Path.cwd())
    except FileNotFoundError:
        return None


def _module_named(name: str, here: str | None) -> ModuleType:
    if here is not None and here not in sys.path:
        # As python -m does: a user's own module lies beside them.
        sys.path.insert(0, here)
    return importlib.import_module(name)


def _module_of_file(path: Path) -> ModuleType:
    """Import a file under a name of its own: a file called random.py must not hide Python's."""
    if not path.is_file():
        raise UsageError(f"there is no file {path}", hint=HOW)
    name = f"privaudit_user_{hashlib.sha256(str(path).encode()).hexdigest()[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    if (beside := str(path.parent)) not in sys.path:
        sys.path.append(beside)  # what it imports lies beside it
    found = importlib.util.spec_from_file_location(name, path)
    if found is None or found.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module
    try:
        found.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


class Registry:
    """A family of named things, ours and those of installed packages.

    Parameters
    ----------
    family
        What one entry is called in messages, e.g. ``"network"``.
    builtin
        Our own entries, as ``name -> "module:attribute"``. Entries of other packages come from the entry-point
        group ``privaudit.<family>s``.
    """

    def __init__(self, family: str, builtin: dict[str, str]) -> None:
        self.family = family
        self._builtin = builtin

    @cached_property
    def _targets(self) -> dict[str, str]:
        targets = dict(self._builtin)
        for entry in entry_points(group=f"privaudit.{self.family}s"):
            if entry.name in targets and targets[entry.name] != entry.value:
                raise PrivauditError(
                    f"two {self.family}s are called '{entry.name}': {targets[entry.name]} and {entry.value}",
                    hint="Rename one of them, or uninstall the package that brings it.",
                )
            targets[entry.name] = entry.value
        return targets

    def names(self) -> list[str]:
        """Every known name, sorted."""
        return sorted(self._targets)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __contains__(self, name: object) -> bool:
        return name in self._targets

    def is_ours(self, name: str) -> bool:
        """Whether ``name`` is one of our own entries."""
        return name in self._builtin

    def check(self, name: str, besides: tuple[str, ...] = ()) -> None:
        """Raise `UsageError` unless ``name`` is known (or one of ``besides``), saying what was meant."""
        known = sorted({*self.names(), *besides})
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            meant = f"Did you mean '{near[0]}'? " if near else ""
            if name.endswith(".py"):
                meant = f"Of a file a function is named too: {name}:function. "
            raise UsageError(
                f"unknown {self.family} '{name}'", hint=f"{meant}Known {self.family}s: {', '.join(known) or 'none'}."
            )

    def load(self, name: str) -> Any:
        """Import and return what ``name`` stands for; `UsageError` if it is unknown, or can't be imported."""
        self.check(name)
        module, _, attribute = self._targets[name].partition(":")
        if name in self._builtin:
            return getattr(importlib.import_module(module), attribute)
        try:
            with user_code():
                found = importlib.import_module(module)
                for part in attribute.split("."):
                    found = getattr(found, part)
        except PrivauditError:
            raise
        except Exception as error:
            raise UsageError(
                f"{self.family} '{name}' can't be loaded from {self._targets[name]}: {type(error).__name__}: {error}",
                hint="Mend or remove the package that brings it.",
            ) from error
        return found

    def source(self, name: str) -> str | None:
        """SHA-256 of the code that brings ``name``: of its whole package; None for our own, whose version is on record.

        Other code makes other results. What that package imports from others, and files of data, are not in it.
        """
        if name in self._builtin or name not in self:
            return None
        found = self.load(name)
        return package_digest(self._targets[name].partition(":")[0]) or source_digest(found)
