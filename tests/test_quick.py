"""`privaudit quick`: one command, few or no models trained, an answer that says what it is not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.conftest import Run
from tests.test_given_target import trained_target

#: What the small audit of the tests was trained with, but for how many models.
SAME = ("--epochs", "30", "--workers", "2", "--seed", "3")


def quick(privaudit: Run, *arguments: str | Path) -> Any:
    done = privaudit("quick", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def store(small_audit: dict[str, Any], tmp_path: Path) -> Path:
    shutil.copytree(small_audit["root"] / "store", tmp_path / "store")
    return tmp_path / "store"


def test_a_stored_audit_is_looked_at_without_training(privaudit: Run, small_audit: dict[str, Any], store: Path) -> None:
    flags = ("--dataset", small_audit["npz"], *SAME, "--store", store)
    none = privaudit("quick", *flags)
    assert none.returncode == 0, none.stderr
    assert none.stdout.startswith("one model, no shadow model: 300 members against 120 never-trained samples")
    for said in ("the answer: Margin against", "Loss threshold: AUC", "bounds nothing", "privaudit score"):
        assert said in none.stdout
    pair, audit = quick(privaudit, *flags, "--shadows", "1"), small_audit["results"]["audit"]
    assert (pair["audit"], pair["trained"], pair["shadows"], pair["attack"]) == (audit, 0, 2, "transferred")
    assert (pair["members"], pair["others"]) == (300, 120)
    # A fifth of the labels is noise that was learned by heart.
    assert pair["attacks"]["transferred"]["auc"] > 0.5
    assert pair["accuracy"]["members"] == pytest.approx(small_audit["results"]["accuracy"]["target_train"])
    # Nothing of the audit has changed.
    theirs = small_audit["root"] / "store" / audit
    for path in sorted(theirs.rglob("*.safetensors")):
        assert (store / audit / path.relative_to(theirs)).read_bytes() == path.read_bytes()


def test_a_given_model_is_attacked_by_the_shadow_models_that_its_audit_would_have(
    privaudit: Run, small_audit: dict[str, Any], tmp_path: Path
) -> None:
    network = {name.removeprefix("network."): w for name, w in trained_target(small_audit).items() if "network" in name}
    torch.save(network, tmp_path / "own.pt")
    flags = ("--dataset", small_audit["npz"], *SAME, "--target", tmp_path / "own.pt", "--store", tmp_path / "s")
    two = quick(privaudit, *flags, "--shadows", "2")
    assert (two["trained"], list(two["attacks"])) == (2, ["loss", "conditional", "rmia-offline", "transferred"])
    kept = tmp_path / "s" / two["audit"]
    theirs = small_audit["root"] / "store" / small_audit["results"]["audit"]
    for name in ("target.safetensors", "models/0000.safetensors", "models/0001.safetensors"):
        assert (kept / name).read_bytes() == (theirs / name).read_bytes()
    assert privaudit("verify", two["audit"], "--store", tmp_path / "s").returncode == 0


def test_a_model_is_attacked_by_its_logits_alone(privaudit: Run, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    labels, member = random.integers(0, 4, 600), random.random(600) < 0.5
    logits = random.normal(size=(600, 4))
    logits[np.arange(600), labels] += 1 + 2 * member
    np.savez(tmp_path / "answers.npz", logits=logits, labels=labels, member=member)
    found = quick(privaudit, "--signals", tmp_path / "answers.npz")
    assert (found["audit"], found["members"]) == (None, int(member.sum()))
    assert found["attacks"]["loss"]["auc"] > 0.7
    assert "logits alone" in found["warnings"][0]
    np.savez(tmp_path / "answers.npz", logits=logits, labels=labels, member=member.astype(int))
    done = privaudit("quick", "--signals", tmp_path / "answers.npz")
    assert done.returncode == 1
    assert "member is int64 [600]: it must be bool [600]" in done.stderr
    done = privaudit("quick", "--signals", tmp_path / "answers.npz", "--epochs", "3")
    assert (done.returncode, "--epochs means nothing with --signals" in done.stderr) == (2, True)
