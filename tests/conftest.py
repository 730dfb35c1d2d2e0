"""Small data, small audits, and the command line without a shell."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.command_server import CommandServer

ROOT = Path(__file__).parent.parent
SHARED_DATA = Path(os.environ.get("PRIVAUDIT_TEST_DATA", ROOT.parent / "shared" / "data"))

Run = Callable[..., subprocess.CompletedProcess[str]]


#: Files that take longest, the longest first: begun last, one of them would keep a process busy while others wait.
LONGEST = ("reproduce", "unlearning", "store", "methods", "engines", "own_training", "given_target", "inversion_audit")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest; within a file nothing changes."""
    place = {f"test_{name}": number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(place)))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real datasets, where they are at hand."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no real data in {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture(scope="session")
def privaudit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Run the command line in a process of its own."""
    server, folder = CommandServer(), tmp_path_factory.mktemp("streams")

    def run(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return server.run([str(one) for one in arguments], cwd=cwd, folder=folder, timeout=1200)

    yield run
    server.close()


@pytest.fixture(scope="session")
def small_npz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 noisy images of 8×8 in 3 classes, 120 to test: a fifth of the labels noise."""
    path = tmp_path_factory.mktemp("data") / "noisy.npz"
    save_noisy_images(path)
    return path


def save_noisy_images(path: Path, **changes: Any) -> None:
    """Write the arrays of `small_npz`, some of them replaced (or removed, with None).

    A fifth of the training labels is drawn at random: there is something to memorise.
    """
    random = np.random.default_rng(0)
    pattern = random.integers(0, 256, (3, 8, 8))
    labels = np.arange(420) % 3
    images = np.clip(0.4 * pattern[labels] + 0.6 * random.integers(0, 256, (420, 8, 8)), 0, 255).astype(np.uint8)
    noisy = random.random(420) < 0.2
    noisy[300:] = False
    labels = np.where(noisy, random.integers(0, 3, 420), labels)
    arrays: dict[str, Any] = {
        "x_train": images[:300],
        "y_train": labels[:300],
        "x_test": images[300:],
        "y_test": labels[300:],
    } | changes
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})


#: What every small audit of the tests is trained with.
SMALL = ("--shadows", "8", "--epochs", "30", "--workers", "2", "--seed", "3", "--invert", "0")


@pytest.fixture(scope="session")
def small_audit(privaudit: Run, small_npz: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One finished audit of `small_npz`; read it, never change it."""
    root = tmp_path_factory.mktemp("audit")
    done = privaudit(
        "score", "--dataset", small_npz, *SMALL, "--store", root / "store", "--out", root / "out", "--json"
    )
    assert done.returncode == 0, done.stderr
    return {"results": json.loads(done.stdout), "root": root, "stderr": done.stderr, "npz": small_npz}


def unlearn(privaudit: Run, root: Path, *more: str) -> dict[str, Any]:
    """What ``unlearn --json`` prints for the audit below ``root``; by gradient ascent where no method is named.

    Its exit code is that of its outcome.
    """
    method = () if "--method" in more else ("--method", "ga")
    done = privaudit("unlearn", "--store", root / "store", "--out", root / "out", "--json", *method, *more)
    assert done.returncode in (0, 3), done.stderr
    results: dict[str, Any] = json.loads(done.stdout)
    rejected = results.get("outcome") in ("unchanged", "ruined")
    assert done.returncode == (3 if rejected else 0), done.stderr
    return results


def unlearn_anyway(call: Callable[[], Any]) -> Any:
    """What an unlearning run came to, as JSON, where its outcome is not what a test is about: rejected or not."""
    from privaudit.errors import UnlearningRejected

    try:
        return call().to_json()
    except UnlearningRejected as error:
        return error.results
