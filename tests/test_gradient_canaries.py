"""Canaries that are gradients: what a step does to them, what is told of it, and an audit that asks for them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from torch import nn

import privaudit
from privaudit.audit.plan import plan_audit
from privaudit.audit.reopening import reopen_plan
from privaudit.config import AuditSettings
from privaudit.errors import UsageError
from privaudit.report.content.claim_wording import of_steps
from privaudit.results.audit.promise import CountedSteps, Promise
from privaudit.scoring.promise.judgement import judge_claim
from privaudit.scoring.promise.steps import counts_of_steps, guesses_to_make, log_odds, measured_noise
from privaudit.shadow.trainer import one_thread
from privaudit.statistics.privacy.gaussian import epsilon_of_mu, mu_of_trials
from privaudit.training.loop import Samples, train
from privaudit.training.private.canary_gradients import CanaryGradients
from privaudit.training.private.loop import train_privately
from tests.test_private_training import HARDWARE, privacy, recipe


def samples() -> Samples:
    random = np.random.default_rng(0)
    return Samples.from_arrays(random.normal(size=(40, 6)).astype(np.float32), np.arange(40) % 3, "cpu")


def read(inside: np.ndarray[Any, Any], **changes: Any) -> tuple[np.ndarray[Any, Any], nn.Module]:
    """What is read of a training on 40 samples with these canaries, and its model."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    planted = CanaryGradients(np.arange(len(inside)) * 3, inside)
    with one_thread(HARDWARE):
        train_privately(model, samples(), np.arange(40), recipe(**changes), 7, HARDWARE, None, planted)
    return planted.observed(), model


def test_what_is_read_is_the_noise_where_nobody_is_in() -> None:
    """And the training is what it is without canaries, to the bit."""
    found, model = read(np.zeros(15, np.bool_), noise_multiplier=2.0, max_grad_norm=0.5, epochs=150)
    assert found.shape == (300, 15)
    assert found.std() == pytest.approx(1.0, rel=0.05)
    assert measured_noise(found) == pytest.approx(1.0, rel=0.06)
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    settings = recipe(noise_multiplier=2.0, max_grad_norm=0.5, epochs=150)
    with one_thread(HARDWARE):
        train(plain, samples(), np.arange(40), settings, 7, HARDWARE)
    for one, other in zip(model.parameters(), plain.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("steps", [2, 3, 4, 5, 8, 9, 160])
def test_noise_is_told_of_few_steps_too(steps: int) -> None:
    """The median of a few distances from their own median is up to half too small."""
    values = np.random.default_rng(5).normal(scale=2.0, size=(steps, 8000)).astype(np.float32)
    assert measured_noise(values) == pytest.approx(2.0, rel=0.04)


def test_one_step_tells_no_noise_and_none_is_named() -> None:
    told = CountedSteps(steps=1, noise=0.0, hits=5, inside=6, alarms=1, outside=7)
    assert measured_noise(np.ones((1, 10), np.float32)) == 0
    assert "noise" not in of_steps(told)
    assert "is 2 times the clipping norm" in of_steps(told.model_copy(update={"steps": 2, "noise": 2.0}))


def test_a_canary_is_drawn_and_clipped_as_a_sample_is() -> None:
    """Next to no noise: 0 where it was not drawn, and the clipping norm where it was, in half of the steps."""
    inside = np.arange(15) % 2 == 0
    found, _ = read(inside, noise_multiplier=1e-4, max_grad_norm=0.5, epochs=40)
    assert np.abs(found[:, ~inside]).max() < 1e-3
    drawn = np.abs(found[:, inside] - 0.5) < 1e-3
    assert (drawn | (np.abs(found[:, inside]) < 1e-3)).all()
    assert drawn.mean() == pytest.approx(0.5, abs=0.08)


def test_the_odds_are_those_of_a_mixture() -> None:
    setting, values = privacy(noise_multiplier=1.3, sample_rate=0.2), np.array([[0.3, -1.0], [2.5, 0.1]])
    out = stats.norm.pdf(values, 0, 1.3)
    ratio = (0.8 * out + 0.2 * stats.norm.pdf(values, 1, 1.3)) / out
    np.testing.assert_allclose(log_odds(values, setting), np.log(ratio).sum(axis=0), rtol=1e-10)


@pytest.mark.parametrize(("mu", "delta"), [(1.0, 1e-5), (0.2, 1e-3), (4.0, 1e-6)])
def test_a_gaussian_s_epsilon_is_where_its_excess_is_delta(mu: float, delta: float) -> None:
    """δ is ∫ max(0, p − e^ε q), of two Gaussians μ apart."""
    epsilon = epsilon_of_mu(mu, delta)

    def excess(x: float) -> float:
        return max(0.0, float(stats.norm.pdf(x, mu) - math.exp(epsilon) * stats.norm.pdf(x)))

    start = epsilon / mu + mu / 2
    assert integrate.quad(excess, start, start + 12)[0] == pytest.approx(delta, rel=1e-4)


def test_hits_and_alarms_bound_mu_from_below() -> None:
    tpr, fpr = stats.norm.cdf(0.75), stats.norm.cdf(-0.75)
    assert 1.3 < mu_of_trials(round(4000 * tpr), 4000, round(4000 * fpr), 4000) < 1.5
    assert mu_of_trials(30, 60, 30, 60) == epsilon_of_mu(0.0, 1e-5) == 0
    assert mu_of_trials(0, 0, 3, 10) == 0


def test_a_bound_on_mu_is_above_it_in_one_of_twenty_at_most() -> None:
    """Every count of 60 and 40 trials, by its chance under μ = 1: half of the error at either rate is enough."""
    chances = np.outer(
        stats.binom.pmf(np.arange(61), 60, stats.norm.cdf(0.5)),
        stats.binom.pmf(np.arange(41), 40, stats.norm.cdf(-0.5)),
    )
    likely = np.argwhere(chances > 1e-6)
    wrong = sum(chances[hits, alarms] for hits, alarms in likely if mu_of_trials(hits, 60, alarms, 40) > 1)
    assert 0.0005 < wrong < 0.05


def simulated(noise: float, random: np.random.Generator, scale: float = 1.0) -> Promise:
    """What is counted of 300 canaries over 12 steps of a noise that may be another than is said, or be divided."""
    setting = privacy(noise_multiplier=2.0, sample_rate=0.5)
    coins = random.random(300) < 0.5
    drawn = coins & (random.random((12, 300)) < 0.5)
    values = scale * (noise * random.normal(size=drawn.shape) + drawn)
    return counts_of_steps(values.astype(np.float32), coins, setting, 0)


def test_a_promise_that_is_kept_is_rarely_refuted_and_half_the_noise_is() -> None:
    """ε = 4.75 at δ = 10⁻⁵ by Opacus's accountant of Rényi privacy; 5% of 40 at most, and three deviations."""
    random = np.random.default_rng(0)
    verdicts = [judge_claim(simulated(2.0, random), 4.75, 1e-5, "recipe").verdict for _ in range(40)]
    assert verdicts.count("refuted") <= 6
    half = judge_claim(simulated(0.5, random), 4.75, 1e-5, "recipe")
    assert half.verdict == "refuted"
    assert half.steps is not None
    assert half.bound == max(half.one_run, half.steps)
    # A sum that was divided by something else is told as well.
    divided = simulated(0.5, np.random.default_rng(1), 0.1), simulated(0.5, np.random.default_rng(1))
    assert divided[0].one_run == divided[1].one_run


def test_how_many_to_guess_follows_from_what_the_training_says() -> None:
    few = guesses_to_make(privacy(noise_multiplier=1.3, sample_rate=0.125), 160, 1000, 0)
    assert few < guesses_to_make(privacy(noise_multiplier=6.6, sample_rate=0.125), 160, 1000, 0)
    assert guesses_to_make(privacy(), 5, 4, 0) == 4


def test_gradients_are_refused_where_no_step_can_be_read() -> None:
    asked: dict[str, Any] = {"dataset": "digits", "samples": 200, "network": "mlp-narrow", "canary_kind": "gradient"}
    for more, said in (
        ({}, "recipe 'fast' takes no such steps"),
        ({"estimator": "random-forest", "network": None}, "this training"),
    ):
        with pytest.raises(UsageError, match=said) as caught:
            plan_audit(AuditSettings(**asked | {"canaries": 50} | more))
        assert "dp-sgd" in str(caught.value.hint)


def test_gradients_name_an_audit_of_their_own_and_join_no_pool() -> None:
    pytest.importorskip("opacus")
    asked: dict[str, Any] = {"dataset": "digits", "samples": 200, "network": "mlp-narrow", "recipe": "dp-sgd"}
    asked |= {"noise_multiplier": 1.0, "delta": 1e-4, "device": "cpu"}
    plain, planted = (
        plan_audit(AuditSettings(**asked | more)) for more in ({}, {"canaries": 50, "canary_kind": "gradient"})
    )
    assert (planted.identity.canaries, planted.identity.canary_kind) == (50, "gradient")
    assert plain.name != planted.name
    assert np.array_equal(plain.design(4), planted.design(4))
    jobs = planted.jobs(planted.design(4))
    assert [job.key for job in jobs if job.planted is not None] == ["gradients"]
    assert len(plain.jobs(plain.design(4))) + 1 == len(jobs)
    with pytest.raises(UsageError, match="has a number of the network to itself"):
        plan_audit(AuditSettings(**asked | {"canaries": 30_000, "canary_kind": "gradient"}))


@pytest.mark.slow
def test_an_audit_with_gradients(small_npz: Any, tmp_path: Any) -> None:
    pytest.importorskip("opacus")
    places = {"store": tmp_path / "store", "out": tmp_path / "out"}
    asked: dict[str, Any] = {"dataset": small_npz, "network": "mlp-narrow", "recipe": "dp-sgd", "noise_multiplier": 1.0}
    asked |= {"delta": 1e-4, "epochs": 3, "shadows": 4, "workers": 1, "canaries": 400, "canary_kind": "gradient"}
    found = privaudit.score(**asked, **places)
    promise = found.promise
    assert promise is not None
    assert promise.claim is not None
    assert promise.steps is not None
    assert (found.controls.positive, found.epsilon, promise.one_run.canaries) == (None, None, 400)
    assert promise.steps.noise == pytest.approx(1.0, rel=0.1)
    assert promise.claim.verdict != "refuted"
    assert found.trained == 6  # the target, four shadow models, and the training that is read
    page = (places["out"] / found.audit / "report.html").read_text("utf-8")
    assert "an attacker read what each of" in page
    assert "--canary-kind gradient" in page
    checked = privaudit.verify(found.audit, **places)
    assert not checked.damaged + checked.missing
    # It is an audit of its own, and is opened again without an accountant.
    settings = AuditSettings(store=places["store"])
    stored = reopen_plan(plan_audit(AuditSettings(**asked, **places)).store, settings)
    assert stored.name == found.audit
    assert stored.identity.canary_kind == "gradient"
    (step_file,) = (places["store"] / found.audit / "canaries").glob("*.npy")
    step_file.write_bytes(b"damaged")
    again = privaudit.score(**asked, **places)
    assert (again.trained, again.promise) == (1, promise)


@pytest.mark.parametrize(
    ("noise", "rate", "steps", "spent"), [(1.291, 0.125, 160, 7.286), (0.5, 0.5, 2, 13.16), (1.0, 1.0, 1, 4.388)]
)
def test_what_is_taken_for_gaussian_is_less_than_what_is_spent(
    noise: float, rate: float, steps: int, spent: float
) -> None:
    """ε at δ = 10⁻⁵ by Opacus's PRV accountant, of sampled noise; without sampling it is the Gaussian's own."""
    random, setting = np.random.default_rng(0), privacy(noise_multiplier=noise, sample_rate=rate)
    told = []
    for inside in (1, 0):
        drawn = (inside * (random.random(20_000) < rate) for _ in range(steps))
        told.append(sum(log_odds((noise * random.normal(size=20_000) + one)[None], setting) for one in drawn) > 0)
    tpr, fpr = (float(np.mean(one)) for one in told)
    taken = epsilon_of_mu(float(stats.norm.ppf(tpr) - stats.norm.ppf(fpr)), 1e-5)
    assert taken < spent + 0.1
    assert taken > spent - 0.1 or rate < 1
