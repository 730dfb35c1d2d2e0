"""The version is the source tree's, installed or not."""

from __future__ import annotations

import importlib.metadata
import tomllib
from typing import Any

import pytest

import privaudit
from privaudit.audit.plan import library_versions
from privaudit.runtime.version import version_of
from tests.conftest import ROOT


def test_the_package_says_what_its_metadata_will_say() -> None:
    metadata = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert version_of("privaudit") == privaudit.__version__ == metadata["project"]["version"]


def test_a_source_tree_that_was_never_installed_knows_its_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = importlib.metadata.version

    def lacking(name: str) -> Any:
        if name == "privaudit":
            raise importlib.metadata.PackageNotFoundError(name)
        return installed(name)

    monkeypatch.setattr("importlib.metadata.version", lacking)
    monkeypatch.setattr("privaudit.runtime.version.version", lacking)
    assert library_versions()["privaudit"] == privaudit.__version__
    assert library_versions()["numpy"] == installed("numpy")


def test_a_package_without_metadata_is_no_error() -> None:
    assert version_of("there-is-no-package-of-this-name") == "none"
