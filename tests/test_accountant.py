"""Opacus's accountant as it is used here: against closed forms, and in a whole audit. Needs ``privaudit[dp]``."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from privaudit.audit.plan import plan_audit
from privaudit.audit.privacy.private_recipe import private_recipe
from privaudit.config import AuditSettings, read_settings
from privaudit.data import load_dataset
from privaudit.report.content.command_flags import training_flags
from privaudit.training.private.accountant import epsilon_of, noise_for
from privaudit.training.private.mechanism import steps_of
from tests.conftest import Run
from tests.private_canaries import DELTA, EPOCHS, NOISE, RATE

pytest.importorskip("opacus")


def smallest_epsilon(noise: float, delta: float) -> float:
    """Of one Gaussian mechanism, exactly (Balle and Wang 2018)."""
    grid = np.linspace(0, 30, 300_001)
    shift = 1 / noise
    spent = stats.norm.cdf(shift / 2 - grid / shift) - np.exp(grid) * stats.norm.cdf(-shift / 2 - grid / shift)
    return float(grid[np.argmax(spent <= delta)])


@pytest.mark.parametrize(("noise", "steps"), [(1.0, 1), (4.0, 1), (8.0, 16), (20.0, 100)])
def test_without_sampling_it_is_the_gaussian_mechanism(noise: float, steps: int) -> None:
    """n steps of noise σ are one of σ/√n: never less than its ε, and by Rényi's detour at most a fifth more."""
    exact = smallest_epsilon(noise / math.sqrt(steps), 1e-5)
    found = epsilon_of(noise, 1.0, steps, 1e-5)
    assert exact <= found <= 1.2 * exact


def test_sampling_amplifies_and_steps_add_up() -> None:
    whole, sampled, longer = (
        epsilon_of(2.0, rate, steps, 1e-5) for rate, steps in [(1, 100), (0.02, 100), (0.02, 400)]
    )
    assert sampled < longer < whole
    # As few are drawn, ε grows with the root of the number of steps, and a little faster.
    assert 1.5 < longer / sampled < 4


@pytest.mark.parametrize("epsilon", [0.2, 1.0, 8.0])
def test_the_noise_that_is_found_keeps_the_promise_and_less_would_not(epsilon: float) -> None:
    noise = noise_for(epsilon, 0.05, 200, 1e-5)
    assert epsilon_of(noise, 0.05, 200, 1e-5) <= epsilon < epsilon_of(noise * 0.998, 0.05, 200, 1e-5)


def test_the_broken_trainings_are_held_to_a_promise_that_is_one() -> None:
    assert epsilon_of(NOISE, RATE, steps_of(EPOCHS, RATE), DELTA) <= 1.01


def test_noise_that_is_given_promises_the_same() -> None:
    data = load_dataset("digits")
    asked = private_recipe(AuditSettings(recipe="dp-sgd", epsilon=3.0), data)
    assert asked.privacy is not None
    given = private_recipe(AuditSettings(recipe="dp-sgd", noise_multiplier=asked.privacy.noise_multiplier), data)
    assert given.identity() == asked.identity()
    assert asked.privacy.epsilon <= 3.0


def test_a_report_repeats_noise_and_norm_and_nothing_that_the_recipe_has_not(tmp_path: Path) -> None:
    asked = {"dataset": "digits", "samples": 200, "network": "mlp", "recipe": "dp-sgd", "epsilon": 3.0, "epochs": 2}
    plan = plan_audit(read_settings(asked | {"store": tmp_path, "out": tmp_path}, None))
    flags = training_flags(plan.identity)
    assert flags["recipe"] == "dp-sgd"
    assert not {"augment", "label-smoothing"} & flags.keys()
    # The same training, from what is repeated.
    again = {name.replace("-", "_"): value for name, value in flags.items()}
    again |= {name: asked[name] for name in ("dataset", "samples", "network")} | {"store": tmp_path, "out": tmp_path}
    assert plan_audit(read_settings(again, None)).identity.recipe == plan.identity.recipe


@pytest.mark.slow
def test_an_audit_of_dp_sgd_holds_its_own_promise_against_canaries(
    privaudit: Run, small_npz: Path, tmp_path: Path
) -> None:
    """Scored, opened again without an accountant, and held by a gate; the same again trains nothing."""
    places = ("--store", tmp_path / "store", "--out", tmp_path / "out")
    asked: tuple[str | Path, ...] = (
        "score",
        "--dataset",
        small_npz,
        "--recipe",
        "dp-sgd",
        "--epsilon",
        "2",
        "--epochs",
        "2",
        "--shadows",
        "4",
    )
    asked = (*asked, "--canaries", "40", "--network", "mlp", "--invert", "0", "--device", "cpu", *places, "--json")
    done = privaudit(*asked)
    assert done.returncode == 0, done.stderr
    assert "for an audit, not for deployment" in done.stderr
    results = json.loads(done.stdout)
    promised = results["about"]["identity"]["recipe"]["privacy"]
    claim = results["promise"]["claim"]
    assert (claim["claimant"], claim["epsilon"], claim["delta"]) == ("recipe", promised["epsilon"], 1e-5)
    assert claim["epsilon"] <= 2 < claim["epsilon"] + 0.05
    assert claim["bound"] <= claim["refutable"]
    again = privaudit(*asked)
    assert json.loads(again.stdout)["trained"] == 0
    gate = privaudit("gate", "--max-epsilon", "0.9", *places, "--json")
    assert gate.returncode in (0, 3, 4), gate.stderr
    assert json.loads(gate.stdout)["checks"][0]["quantity"] == "epsilon"
    forgot = privaudit("unlearn", "--method", "ga", "--forget", "random:5", *places, "--json")
    assert forgot.returncode in (0, 3), forgot.stderr
