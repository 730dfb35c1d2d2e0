"""What is installed is whole: wheel and sdist hold every file of the package, and what they install runs."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT

PACKAGE = ROOT / "privaudit"


def files_beside_the_code() -> set[str]:
    """Every file of the package that is no Python and no one's cache, as git would have it."""
    return {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc") and "__pycache__" not in path.parts
    }


def metadata() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def test_every_file_beside_the_code_is_packaged() -> None:
    (patterns,) = metadata()["tool"]["setuptools"]["package-data"].values()
    packaged = {path.relative_to(PACKAGE).as_posix() for one in patterns for path in PACKAGE.glob(one)}
    assert files_beside_the_code() - packaged == set(), "name them in [tool.setuptools.package-data]"
    assert all(list(PACKAGE.glob(one)) for one in patterns), "a pattern names nothing"


def test_every_folder_with_code_is_a_package() -> None:
    """Else setuptools leaves it out, and only an installation that is not editable would miss it."""
    folders = {path.parent for path in PACKAGE.rglob("*.py")}
    assert [str(folder) for folder in sorted(folders) if not (folder / "__init__.py").is_file()] == []


def test_the_citation_is_about_this_version() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    project = metadata()["project"]
    assert cited["cff-version"] == "1.2.0"
    assert (cited["title"], str(cited["version"]), cited["license"]) == (
        "privaudit",
        project["version"],
        project["license"],
    )
    assert {"message", "authors", "type", "abstract"} <= set(cited)
    (paper,) = cited["references"]
    assert paper["title"] == "Machine Unlearning in Forgetting Sequence"
    assert len(paper["authors"]) == 6


def test_the_workflow_runs_what_a_developer_runs() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text("utf-8"))
    runs = [step.get("run", "") for job in workflow["jobs"].values() for step in job["steps"]]
    assert "make test" in runs
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for run in filter(None, runs):
        assert f"\n{run.removeprefix('make ')}:" in makefile, f"there is no {run}"
    assert workflow["permissions"] == {"contents": "read"}


@pytest.mark.slow
def test_a_wheel_and_an_sdist_install_and_run(tmp_path: Path) -> None:
    pytest.importorskip("build")
    if int(importlib.metadata.version("setuptools").partition(".")[0]) < 77:
        pytest.skip("builds with setuptools 77 or later: pip install -e '.[dev]'")
    # Both from a copy, as building leaves traces; the wheel from the sdist, as an index would serve them.
    source = tmp_path / "source"
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    for name in names:
        if (ROOT / name).is_file() and name.startswith(("privaudit/", "pyproject", "setup", "README", "LICENSE")):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    run([sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path / "dist"), str(source)], tmp_path)
    (wheel,), (sdist,) = (tmp_path / "dist").glob("*.whl"), (tmp_path / "dist").glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as opened:
        packed = {name.removeprefix("privaudit/") for name in opened.namelist()}
    with tarfile.open(sdist) as tar:
        sent = {name.partition("/privaudit/")[2] for name in tar.getnames()}
    code = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py")}
    assert files_beside_the_code() | code <= packed & sent
    assert not any(name.startswith(("tests/", "docs/", "benchmarks/")) for name in packed)

    # Empty but for the packages that it depends on, which are this Python's own: nothing is downloaded.
    run([sys.executable, "-m", "venv", str(tmp_path / "venv")], tmp_path)
    python = tmp_path / "venv" / "bin" / "python"
    run([str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel)], tmp_path)
    places = run([str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], tmp_path).strip()
    # A .pth of a .pth is not read: an editable installation of this very project is not seen.
    (Path(places) / "dependencies.pth").write_text("\n".join(dependencies()) + "\n", "utf-8")
    where = run([str(python), "-c", "import privaudit; print(privaudit.__file__)"], tmp_path).strip()
    assert Path(where).is_relative_to(tmp_path), where

    command = str(python.parent / "privaudit")
    small = ["--samples", "200", "--shadows", "4", "--epochs", "2", "--invert", "8", "--workers", "1"]
    done = json.loads(run([command, "score", "--dataset", "digits", *small, "--json"], tmp_path))
    assert (done["samples"], done["trained"]) == (200, 5)
    assert all(Path(tmp_path / done["report"][kind]).stat().st_size > 10_000 for kind in ("html", "pdf"))
    run([command, "export", done["audit"], "--out", "served"], tmp_path)
    assert (tmp_path / "served" / "load.py").is_file()
    run([command, "report", "--attest"], tmp_path)
    assert "table6" in run([command, "reproduce", "--list"], tmp_path)
    run([command, "init", "files"], tmp_path)


def dependencies() -> list[str]:
    """Folders of installed packages of this Python, its own and those that a .pth of it adds."""
    return [path for path in sys.path if path.endswith("site-packages")] or [sysconfig.get_path("purelib")]


def run(words: list[str], cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PRIVAUDIT"))}
    done = subprocess.run(words, capture_output=True, text=True, cwd=cwd, env=environment, check=False)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
    return done.stdout
