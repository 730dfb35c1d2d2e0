"""What tells a function or a class of a notebook from another: its source, and that of all it refers to beside it.

A class is what its methods, its attributes and its bases are. A function is its source, without comments, its default
values, and what it takes from around it: other functions and classes of the same module the same way, numbers and texts
by their value, arrays by their content, and what can be imported by its name. Where the source can't be read (Python's
own prompt keeps none), the compiled code stands for it.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
import linecache
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import CodeType, FunctionType, ModuleType
from typing import Any

#: Values that say all of themselves.
_PLAIN = (type(None), bool, int, float, complex, str, bytes, type(Ellipsis))

#: What every class has, or notes of itself.
_NOT_OF_CODE = (
    *("__module__", "__dict__", "__weakref__", "__doc__", "__annotations__", "__parameters__", "__qualname__"),
    *("__firstlineno__", "__static_attributes__", "__abstractmethods__", "_abc_impl"),
)


@dataclass
class CodeIdentity:
    """What a function or a class is known by.

    Parameters
    ----------
    parts
        All that was found, in an order that the code alone decides.
    compiled
        Functions whose source can't be read.
    unread
        What it refers to that can't be looked into: a change of it is not noticed.
    """

    parts: list[str] = field(default_factory=list)
    compiled: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)

    @property
    def digest(self) -> str:
        """SHA-256 over all of it."""
        return hashlib.sha256("\0".join(self.parts).encode("utf-8", "surrogatepass")).hexdigest()

    def sentences(self) -> list[str]:
        """Say by what it is known, and what is not noticed."""
        said = [f"it lives in no file: it is known by its source (SHA-256 {self.digest[:16]}…), and not stored"]
        if self.compiled:
            said = [
                f"it lives in no file, and the source of {', '.join(sorted(set(self.compiled)))} can't be read: it is "
                f"known by its compiled code (SHA-256 {self.digest[:16]}…), which another Python makes otherwise"
            ]
        if self.unread:
            said.append(
                f"what {', '.join(sorted(set(self.unread)))} is can't be looked into: if it changes, the audit does "
                "not notice"
            )
        return said


def identify_code(value: Any) -> CodeIdentity:
    """Find what a function, a class or a partial is known by."""
    found = CodeIdentity()
    _Walk(found, _home_of(value)).visit("it", value)
    return found


def _home_of(value: Any) -> str:
    while isinstance(value, functools.partial):
        value = value.func
    return str(getattr(value, "__module__", None) or type(value).__module__)


class _Walk:
    """Goes through what code refers to, each object once."""

    def __init__(self, found: CodeIdentity, home: str) -> None:
        self.found, self.home = found, home
        self.seen: dict[int, int] = {}
        self.kept: list[Any] = []  # An object that is gone would give its number to another.

    def visit(self, name: str, value: Any) -> None:
        """Note one object, and what it refers to."""
        if isinstance(value, _PLAIN):
            self._note(name, repr(value))
        elif isinstance(value, ModuleType):
            self._note(name, f"module {value.__name__}")
        elif id(value) in self.seen:
            self._note(name, f"as {self.seen[id(value)]}")
        else:
            self.seen[id(value)] = len(self.seen)
            self.kept.append(value)
            self._look_into(name, value)

    def _note(self, name: str, said: str) -> None:
        self.found.parts.append(f"{name}: {said}")

    def _look_into(self, name: str, value: Any) -> None:
        if isinstance(value, staticmethod | classmethod):
            self.visit(name, value.__func__)
        elif isinstance(value, property):
            self._each(name, "property", [("get", value.fget), ("set", value.fset)])
        elif isinstance(value, functools.partial):
            keywords = [(key, value.keywords[key]) for key in sorted(value.keywords)]
            self._each(name, "partial", [("function", value.func), ("arguments", value.args), *keywords])
        elif isinstance(value, FunctionType | type):
            self._code(name, value)
        elif isinstance(value, tuple | list):
            self._each(name, type(value).__name__, [(str(at), one) for at, one in enumerate(value)])
        elif isinstance(value, Mapping):
            self._each(name, type(value).__name__, [(repr(key), value[key]) for key in sorted(value, key=repr)])
        elif isinstance(value, set | frozenset):
            self._each(name, type(value).__name__, [(str(at), one) for at, one in enumerate(sorted(value, key=repr))])
        elif (content := _content_of(value)) is not None:
            self._note(name, content)
        elif hasattr(value, "state_dict"):
            self._each(name, "module", [("kind", type(value)), ("text", repr(value)), ("state", value.state_dict())])
        elif hasattr(value, "__qualname__") and hasattr(value, "__module__"):
            self._note(name, f"{value.__module__}.{value.__qualname__}")
        else:
            self._note(name, f"a {type(value).__module__}.{type(value).__qualname__}")
            self.found.unread.append(name)

    def _each(self, name: str, kind: str, parts: list[tuple[str, Any]]) -> None:
        self._note(name, f"{kind} of {len(parts)}")
        for part, value in parts:
            self.visit(f"{name}.{part}", value)

    def _code(self, name: str, value: Any) -> None:
        if value.__module__ != self.home and "<locals>" not in value.__qualname__:
            self._note(name, f"{value.__module__}.{value.__qualname__}")
        elif isinstance(value, type):
            bases = [(f"base {at}", base) for at, base in enumerate(value.__bases__)]
            held = [(key, one) for key, one in sorted(vars(value).items()) if key not in _NOT_OF_CODE]
            held = [(key, one) for key, one in held if not inspect.isgetsetdescriptor(one)]
            self._each(name, f"class {value.__qualname__}", [*bases, *held])
        else:
            self._function(name, value)

    def _function(self, name: str, function: FunctionType) -> None:
        text = source_of(function)
        if text is None:
            self.found.compiled.append(function.__qualname__)
        self._note(name, text or _compiled(function.__code__))
        around = [("default", function.__defaults__), ("keyword default", function.__kwdefaults__)]
        cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        around += [(variable, cell.cell_contents) for variable, cell in cells if not _is_empty(cell)]
        used = sorted({one for code in _codes(function.__code__) for one in code.co_names})
        around += [(one, function.__globals__[one]) for one in used if one in function.__globals__]
        for part, value in around:
            self.visit(part if part in used else f"{name}.{part}", value)


def _is_empty(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return True
    return False


def _content_of(value: Any) -> str | None:
    """An array or a tensor by its content; None for anything else."""
    try:
        array = value.detach().cpu().numpy() if hasattr(value, "detach") and hasattr(value, "cpu") else value
        if not (hasattr(array, "tobytes") and hasattr(array, "dtype") and hasattr(array, "shape")):
            return None
        if array.dtype.hasobject:
            return None
        return f"{array.dtype} {tuple(array.shape)} {hashlib.sha256(array.tobytes()).hexdigest()}"
    except (TypeError, RuntimeError, AttributeError):
        return None


def source_of(function: Callable[..., Any]) -> str | None:
    """Return the source of a function or a lambda without comments and layout; None where it can't be read."""
    code = inspect.unwrap(function).__code__
    lines = linecache.getlines(code.co_filename, function.__globals__)
    try:
        tree = ast.parse("".join(lines))
    except (SyntaxError, ValueError):
        return None
    fitting = [node for node in ast.walk(tree) if _begins_as(node, code)]
    if code.co_name == "<lambda>" and len(fitting) > 1:
        # Of several in one line the one that compiles to the same.
        fitting = [node for node in fitting if _compiled(code) in map(_compiled, _compiled_lambdas(node))]
    return ast.unparse(fitting[0]) if fitting else None


def _begins_as(node: ast.AST, code: CodeType) -> bool:
    if isinstance(node, ast.Lambda):
        return code.co_name == "<lambda>" and node.lineno == code.co_firstlineno
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return False
    first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
    return node.name == code.co_name and first == code.co_firstlineno


def _compiled_lambdas(node: ast.AST) -> Iterator[CodeType]:
    if isinstance(node, ast.Lambda):
        outer = compile(ast.Expression(node), "<lambda>", "eval")
        yield from (constant for constant in outer.co_consts if isinstance(constant, CodeType))


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _compiled(code: CodeType) -> str:
    """What the compiler made of a function, without where it stood."""
    constants = [
        _compiled(one)
        if isinstance(one, CodeType)
        else repr(sorted(one, key=repr) if isinstance(one, frozenset) else one)
        for one in code.co_consts
    ]
    version = ".".join(map(str, sys.version_info[:2]))
    return f"{version} {code.co_code.hex()} {code.co_names} {code.co_varnames} {constants}"
