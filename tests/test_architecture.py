"""The house: imports run only downwards, folders stay small, its map is true, and help loads no torch."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGE = ROOT / "privaudit"

#: From the roof to the ground. A room is a folder, or a file of the top level; the rooms within it that are named here
#: are rooms of their own. A room may import rooms of lower floors and its own files, nothing above or beside it.
FLOORS = [
    ["cli.commands"],
    ["cli"],
    ["api"],
    ["notebook"],
    ["reproduction"],
    ["reproduction.worlds"],
    ["reproduction.verdicts"],
    ["reproduction.claims"],
    ["purging"],
    ["commands.defence", "commands.unlearning"],
    ["commands"],
    ["deployment"],
    ["trials"],
    ["evaluation"],
    ["unlearning.application"],
    ["audit.cost", "audit.external_signals"],
    ["audit.inversion"],
    ["audit"],
    ["audit.estimators"],
    ["testing"],
    ["report.defence", "report.reproduction"],
    ["report"],
    ["report.brief"],
    ["report.sections"],
    ["report.drawing"],
    ["report.exposure"],
    ["report.content"],
    ["unlearning.methods", "unlearning.requests", "unlearning.schedule"],
    ["unlearning"],
    ["evaluation.measures", "scoring"],
    ["scoring.reliability"],
    ["attacks", "inversion"],
    ["inversion.gradient_engines"],
    ["statistics"],
    ["shadow"],
    ["signals"],
    ["engines"],
    ["training"],
    ["data.objects"],
    ["data.formats", "networks", "estimators"],
    ["data.tables"],
    ["data"],
    ["config"],
    ["artifacts"],
    ["results"],
    ["objects"],
    ["runtime"],
    ["errors"],
]
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}

#: Lines of a file, and of a function without its docstring.
MOST_LINES, LONGEST_FUNCTION = 350, 60

#: A folder that takes longer than this to read through is two.
MOST_FILES = 12


def name_of(path: Path) -> str:
    """The module's name, without the package's: ``data.formats.load``."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


def room_of(module: str) -> str | None:
    parts = module.split(".")
    names = (".".join(parts[:depth]) for depth in range(len(parts), 0, -1))
    return next((name for name in names if name in FLOOR_OF), None)


def imported_modules(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write imports in full"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name.removeprefix("privaudit.") for name in found if name.startswith("privaudit.")} - {"__version__"}


MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.stem[0] != "_")


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_run_downwards(path: Path) -> None:
    own = room_of(name_of(path))
    assert own is not None, f"{name_of(path)} has no room: give it one in FLOORS"
    for module in imported_modules(path):
        room = room_of(module)
        assert room is not None, f"{module} has no room"
        # What a folder shows of itself, its __init__ takes from anywhere within it.
        if room == own or (path.name == "__init__.py" and room.startswith(f"{own}.")):
            continue
        assert FLOOR_OF[room] > FLOOR_OF[own], f"{own} imports {module}, which is on its own floor or above"


def test_every_floor_is_lived_on() -> None:
    assert {room_of(name_of(path)) for path in MODULES} == set(FLOOR_OF)


@pytest.mark.parametrize("folder", sorted({path.parent for path in MODULES}), ids=lambda path: path.name)
def test_a_folder_can_be_read_through(folder: Path) -> None:
    files = [path.name for path in folder.glob("*.py") if path.stem[0] != "_"]
    assert len(files) <= MOST_FILES, f"{folder.name} holds {len(files)} files: find what two things it is for"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_file_and_its_functions_can_be_read_at_once(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.count("\n") <= MOST_LINES
    for found in ast.walk(ast.parse(text)):
        if isinstance(found, ast.FunctionDef):
            said = ast.get_docstring(found, clean=False)
            lines = (found.end_lineno or 0) - found.lineno + 1 - (0 if said is None else said.count("\n") + 1)
            assert lines <= LONGEST_FUNCTION, found.name


@pytest.mark.parametrize("page", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_the_map_names_what_is_there(page: str) -> None:
    named = set(re.findall(r"`([\w./-]+(?:/|\.py|\.md))`", (ROOT / page).read_text("utf-8")))
    assert named
    assert {name for name in named if not ((PACKAGE / name).exists() or (ROOT / name).exists())} == set()


def test_the_map_names_every_folder() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    folders = {path.parent.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*/__init__.py")} - {"."}
    assert {folder for folder in folders if f"`{folder}/`" not in text} == set()


@pytest.mark.parametrize(
    "code",
    [
        "import privaudit",
        "import sys; sys.argv = ['privaudit', '--help']\n"
        "import privaudit.cli.main as m\ntry: m.main()\nexcept SystemExit: pass",
        "import sys, privaudit.cli.main as m\n"
        "for name in m.COMMANDS: m.cli.main([name, '--help'], standalone_mode=False)\n"
        "assert not {'scipy', 'pandas', 'matplotlib'} & set(sys.modules), 'what help does not need was loaded'",
        "import privaudit.report.document, privaudit.report.html, privaudit.report.pdf",
        "import privaudit.attacks.suite, privaudit.statistics.roc, privaudit.signals",
        "import privaudit.cli.commands.score, privaudit.cli.commands.defend, privaudit.commands.score_signals",
        "import privaudit; [getattr(privaudit, name) for name in privaudit.__all__ if name != 'load_dataset']",
        "import privaudit.cli.commands.report, privaudit.cli.commands.compare\n"
        "import privaudit.commands.compare, privaudit.report.write",
    ],
    ids=["import", "help", "help of commands", "report", "attacks", "signals", "api", "report commands"],
)
def test_no_torch_is_loaded(code: str) -> None:
    check = f"{code}\nimport sys\nassert 'torch' not in sys.modules, 'torch was loaded'"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_public_names_exist() -> None:
    import privaudit

    for name in privaudit.__all__:
        assert getattr(privaudit, name) is not None
    with pytest.raises(AttributeError):
        _ = privaudit.nothing
