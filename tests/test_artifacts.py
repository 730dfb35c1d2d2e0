"""The manifest: every file that commands leave is of one kind, and docs/store.md tells of each."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from privaudit import artifacts
from privaudit.artifacts import About, Artifact, Purge, artifact_at
from privaudit.runtime import seals
from tests.conftest import ROOT

MANIFESTS = {
    "store": artifacts.STORE,
    "out": artifacts.OUTPUT,
    "comparison": artifacts.COMPARISON,
    "experiments": artifacts.EXPERIMENTS,
    "defence": artifacts.DEFENCE_FILES,
}
EVERY = [artifact for manifest in MANIFESTS.values() for artifact in manifest]


def test_every_file_of_an_audit_is_in_the_manifest(small_audit: dict[str, Any]) -> None:
    found = set()
    for part in ("store", "out"):
        folder = small_audit["root"] / part / small_audit["results"]["audit"]
        for path in (path for path in folder.rglob("*") if path.is_file() and path.name not in artifacts.MARKERS):
            artifact = artifact_at(seals.sealed_by(path).relative_to(folder).as_posix(), MANIFESTS[part])
            assert artifact is not None, path
            assert artifact.finished, path
            found.add(artifact)
    assert {artifacts.MODEL, artifacts.DESIGN, artifacts.SCORES, artifacts.REPORT} <= found


@pytest.mark.parametrize("artifact", [one for one in EVERY if one.finished], ids=lambda one: one.path)
def test_the_reference_tells_of_every_kind(artifact: Artifact) -> None:
    """By its name, or by that of its folder where names are hashes."""
    text = (ROOT / "docs" / "store.md").read_text("utf-8")
    name = Path(artifact.path).name
    parts = [part for part in re.split(r"\{[^}]*\}", name) if len(part) > 1] or [Path(artifact.path).parent.name]
    assert all(part in text for part in parts), parts


@pytest.mark.parametrize("artifact", EVERY, ids=lambda one: one.path)
def test_a_path_that_a_kind_makes_is_of_that_kind(artifact: Artifact) -> None:
    if "**" in artifact.path:
        return
    choices = {name: choice.split("|")[0] for name, choice in re.findall(r"\{(\w+):?([^}]*)\}", artifact.path)}
    names = {name: choice if choice and choice != ".+" else "0003" for name, choice in choices.items()}
    path = artifact.at(Path("a"), **names).relative_to("a").as_posix()
    manifest = next(one for one in MANIFESTS.values() if artifact in one)
    assert artifact.pattern.fullmatch(path)
    assert artifact_at(path, manifest) in (artifact, *(one for one in manifest if one.kind == artifact.kind))


def test_what_is_about_somebody_is_never_kept_unlooked_at() -> None:
    """Only a file about nobody stays whatever it says."""
    assert {one.about for one in EVERY if one.purge is Purge.KEEP} == {About.NOBODY}
    assert all(one.kind for one in EVERY if one.purge in (Purge.REMOVE, Purge.KEEP_IF_WHOLE, Purge.KEEP_IF_PROVEN))


@pytest.mark.parametrize(
    ("path", "keys", "found"),
    [
        ("models/0001.json", None, artifacts.MODEL_RECORD),
        ("models/0001.json", ["0001"], artifacts.MODEL_RECORD),
        ("coin.json", ["target", "coin"], artifacts.WHOLE_MODEL_RECORD),
        ("audit.json", [], artifacts.DESCRIPTION),
        ("inversion/ab/matching-0000-cd.npz", [], artifacts.INVERSIONS[0]),
        ("notes.txt", None, None),
        ("models/README", None, None),
        ("deep/audit.json", None, None),
    ],
)
def test_a_path_is_told_by_its_kind(path: str, keys: list[str] | None, found: Artifact | None) -> None:
    assert artifact_at(path, artifacts.STORE, keys) is found


def test_a_model_that_the_design_does_not_know_is_a_stray() -> None:
    stray = artifact_at("models/0099.safetensors", artifacts.STORE, ["0001"])
    assert stray is not None
    assert (stray.finished, stray.purge) == (False, Purge.REMOVE)
