"""The house: imports run only downwards, and help loads no torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGE = ROOT / "privaudit"

#: From the roof to the ground. A room may import rooms of lower floors and of its own room, nothing above.
FLOORS = [
    ["cli"],
    ["api"],
    ["experiments"],
    ["workflow"],
    ["testing"],
    ["report"],
    ["evaluation"],
    ["unlearning"],
    ["ranking"],
    ["scoring"],
    ["controls"],
    ["attacks", "inversion"],
    ["statistics"],
    ["shadow"],
    ["signals"],
    ["engines"],
    ["training"],
    ["networks", "data"],
    ["progress", "config", "registry", "files", "scratch", "seeds", "torch_globals", "version"],
    ["seals"],
    ["links", "foreign"],
    ["errors"],
]
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    rooms: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write imports in full"
            module = node.module or ""
            names = [f"{module}.{alias.name}" for alias in node.names] if module == "privaudit" else [module]
        rooms |= {name.split(".")[1] for name in names if name.startswith("privaudit.")}
    return rooms - {"__version__"}


MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.stem[0] != "_")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_downwards(path: Path) -> None:
    own = room_of(path)
    for room in imported_rooms(path) - {own}:
        assert FLOOR_OF[room] > FLOOR_OF[own], f"{own} imports {room}, which is on its own floor or above"


def test_every_room_has_a_floor() -> None:
    assert {room_of(path) for path in MODULES} == set(FLOOR_OF)


@pytest.mark.parametrize(
    "code",
    [
        "import privaudit",
        "import sys; sys.argv = ['privaudit', '--help']\n"
        "import privaudit.cli.main as m\ntry: m.main()\nexcept SystemExit: pass",
        "import privaudit.report.model, privaudit.report.html, privaudit.report.pdf, privaudit.report.figures",
        "import privaudit.attacks.suite, privaudit.statistics.roc, privaudit.signals",
        "import privaudit.cli.score, privaudit.workflow.signals",
        "import privaudit; [getattr(privaudit, name) for name in privaudit.__all__ if name != 'load_dataset']",
        "import privaudit.cli.report, privaudit.cli.compare, privaudit.workflow.compare, privaudit.workflow.render",
    ],
    ids=["import", "help", "report", "attacks", "signals", "api", "report commands"],
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
