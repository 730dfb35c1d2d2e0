"""A claimed ε held against canaries: the bounds, the verdict, the gate and the report's words."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import optimize, stats

from privaudit.attacks import lira
from privaudit.commands.gate import check_audit
from privaudit.errors import UsageError
from privaudit.report.brief.limit_checks import limits_of
from privaudit.report.brief.verdict import judge, table_of_limits
from privaudit.report.content.claim_wording import claim_on, sentence
from privaudit.results.audit.promise import CountedTrainings, GuessedCoins, Promise
from privaudit.results.audit.score_results import ScoreResults
from privaudit.results.base import read_result, write_result
from privaudit.results.gate_results import Limit
from privaudit.results.statement.declaration import Declaration
from privaudit.scoring.promise.counts import counts_of_canaries, guesses_to_make
from privaudit.scoring.promise.judgement import judge_claim
from privaudit.shadow.design import paired_design
from privaudit.statistics.epsilon_bounds import epsilon_from_trials, epsilon_of_one_run
from privaudit.statistics.privacy.one_run import (
    best_of_one_run,
    epsilon_by_trade_off,
    epsilon_of_replaced,
    refutes,
)


def likeliest(correct: int, guesses: int, canaries: int, epsilon: float, delta: float) -> float:
    """The largest P(C ≥ correct) that the trade-off allows: a linear programme over the distribution of C."""
    grown = math.exp(epsilon)
    counts = np.arange(guesses + 1)
    rows, limits = [], []
    for others in range(guesses):
        right = np.where(counts >= others + 1, counts / canaries, 0.0)
        wrong = np.where(counts >= others, (guesses - counts) / canaries, 0.0)
        rows += [right - grown * wrong, right - wrong / grown]
        limits += [delta, 1 - (1 - delta) / grown]
    found = optimize.linprog(
        -(counts >= correct).astype(float),
        A_ub=np.array(rows),
        b_ub=limits,
        A_eq=np.ones((1, guesses + 1)),
        b_eq=[1.0],
        bounds=(0, 1),
    )
    assert found.fun is not None
    return -float(found.fun)


@pytest.mark.parametrize(
    ("correct", "guesses", "canaries", "epsilon", "delta"),
    [(9, 10, 10, 1.0, 0.0), (18, 20, 20, 1.0, 0.0), (18, 20, 30, 0.7, 1e-2), (14, 20, 40, 0.3, 1e-3)],
)
def test_the_trade_off_is_used_to_the_full(
    correct: int, guesses: int, canaries: int, epsilon: float, delta: float
) -> None:
    """What is refuted at an error is what no distribution of right guesses has a larger chance of."""
    largest = likeliest(correct, guesses, canaries, epsilon, delta)
    assert refutes(correct, guesses, canaries, epsilon, delta, 1.001 * largest)
    assert not refutes(correct, guesses, canaries, epsilon, delta, 0.999 * largest)


def test_many_canaries_pay_less_for_delta() -> None:
    assert epsilon_by_trade_off(450, 500, 1000, 1e-3) > 1.1 * epsilon_of_one_run(450, 500, 1000, 1e-3)
    for counts in [(40, 40, 40), (90, 100, 200), (10, 10, 500)]:
        both = epsilon_by_trade_off(*counts, 1e-5), epsilon_of_one_run(*counts, 1e-5)
        assert best_of_one_run(*counts, 1e-5) == max(both)
    assert epsilon_by_trade_off(0, 10, 20, 1e-5) == epsilon_by_trade_off(5, 10, 20, 1e-5) == 0


def test_a_replaced_record_is_two_steps() -> None:
    """The bound solves ε = ½ (the bound of replaced records at (1 + e^ε) δ)."""
    found = epsilon_of_replaced(60, 0, 60, 1e-5)
    both = (1 + math.exp(found)) * 1e-5
    assert 2 * found == pytest.approx(epsilon_from_trials(60, 60, 0, 60, both), abs=1e-4)
    assert epsilon_of_replaced(30, 30, 60, 1e-5) == 0


def claims_refuted(epsilon: float, delta: float, draw: Any) -> int:
    """In how many of 100 simulated audits a claim is refuted."""
    return sum(judge_claim(draw(), epsilon, delta, "flags").verdict == "refuted" for _ in range(100))


def test_a_true_claim_of_randomised_response_is_rarely_refuted() -> None:
    """Every canary is told rightly with e^ε/(1 + e^ε): a replaced one, told in two ways, with as much of 2ε."""
    random = np.random.default_rng(0)
    epsilon = 1.0
    truth, replaced = 1 / (1 + math.exp(-epsilon)), 1 / (1 + math.exp(-2 * epsilon))

    def draw() -> Promise:
        return Promise(
            one_run=GuessedCoins(correct=int(random.binomial(150, truth)), guesses=150, canaries=150),
            trials=CountedTrainings(
                hits=int(random.binomial(30, replaced)), alarms=int(random.binomial(30, 1 - replaced)), trials=30
            ),
        )

    # 5% of 100 at most, and three standard deviations.
    assert claims_refuted(epsilon, 0.0, draw) <= 11
    assert claims_refuted(epsilon / 3, 0.0, draw) >= 90


def test_a_true_claim_of_the_gaussian_mechanism_is_rarely_refuted() -> None:
    """Scores with noise on them, the surest half guessed: ε(δ) is known (Balle and Wang 2018)."""
    random = np.random.default_rng(1)
    delta, shift = 1e-5, 1.0
    grid = np.linspace(0, 20, 20_001)
    spent = stats.norm.cdf(shift / 2 - grid / shift) - np.exp(grid) * stats.norm.cdf(-shift / 2 - grid / shift)
    epsilon = float(grid[np.argmax(spent <= delta)])

    def draw() -> Promise:
        coins = random.random(300) < 0.5
        scores = shift * (coins - 0.5) + random.normal(size=300)
        surest = np.argsort(-np.abs(scores))[:150]
        right = int(((scores[surest] > 0) == coins[surest]).sum())
        return Promise(one_run=GuessedCoins(correct=right, guesses=150, canaries=300))

    assert claims_refuted(epsilon, delta, draw) <= 11
    assert claims_refuted(0.3, delta, draw) >= 90


def test_the_verdict_says_what_could_have_been_found() -> None:
    perfect = Promise(one_run=GuessedCoins(correct=100, guesses=100, canaries=100))
    chance = Promise(one_run=GuessedCoins(correct=52, guesses=100, canaries=100))
    reach = math.log(0.05**0.01 / (1 - 0.05**0.01))
    assert judge_claim(perfect, 1.0, 0.0, "flags").bound == pytest.approx(reach, abs=1e-4)
    assert judge_claim(chance, 1.0, 0.0, "flags").refutable == pytest.approx(reach, abs=1e-4)
    verdicts = [judge_claim(found, claim, 1e-5, "flags") for found in (perfect, chance) for claim in (1.0, 8.0)]
    assert [one.verdict for one in verdicts] == ["refuted", "too little evidence", "not refuted", "too little evidence"]
    assert "is refuted" in sentence(verdicts[0])
    assert "too little evidence" in sentence(verdicts[1])
    assert "proves nothing" in sentence(verdicts[2])
    # Two tests have half of the error each: neither reaches as far as alone.
    both = perfect.model_copy(update={"trials": CountedTrainings(hits=6, alarms=0, trials=6)})
    assert judge_claim(both, 1.0, 0.0, "flags").one_run < reach


def test_shadow_models_say_how_many_to_guess() -> None:
    """A tenth of the canaries is told apart: to guess all of them would drown it."""
    random = np.random.default_rng(2)
    keep = paired_design(200, 32, 0)
    shift = np.where(np.arange(200) < 20, 30.0, 0.0)
    few = random.normal(size=keep.shape) + shift * keep
    assert guesses_to_make(lira.online(few, keep), keep) <= 30
    coins = random.random(200) < 0.5
    found = counts_of_canaries(random.normal(size=200) + shift * coins, coins, few, keep, None)
    assert (found.one_run.canaries, found.trials) == (200, None)
    assert found.one_run.guesses <= 30
    assert found.one_run.correct >= 18


def test_coins_do_not_choose_the_number_of_guesses() -> None:
    """Noise against noise, 200 times: a claim of next to nothing is refuted in 5% at most, and three deviations."""
    random = np.random.default_rng(3)
    keep = paired_design(60, 8, 0)
    refuted = 0
    for _ in range(200):
        coins = random.random(60) < 0.5
        found = counts_of_canaries(random.normal(size=60), coins, random.normal(size=keep.shape), keep, None)
        refuted += judge_claim(found, 1e-3, 0.0, "flags").verdict == "refuted"
    assert refuted <= 19


@pytest.fixture
def folder(small_audit: dict[str, Any], tmp_path: Path) -> Path:
    """A copy of the small audit's results, with canaries of which 100 of 120 were told."""
    audit: str = small_audit["results"]["audit"]
    shutil.copytree(small_audit["root"] / "out" / audit, tmp_path / "out" / audit)
    results = read_result(tmp_path / "out" / audit / "score.json", ScoreResults)
    promise = Promise(one_run=GuessedCoins(correct=100, guesses=120, canaries=120))
    write_result(tmp_path / "out" / audit / "score.json", results.model_copy(update={"promise": promise}))
    return tmp_path / "out" / audit


def test_the_gate_holds_canaries_against_a_limit(folder: Path, small_audit: dict[str, Any]) -> None:
    bound = best_of_one_run(100, 120, 120, 1e-5)
    limits = [Limit(quantity="epsilon", most=most) for most in (bound - 0.01, bound + 0.01, 9.0)]
    checks = check_audit(folder, limits, None)
    assert [check.verdict for check in checks] == ["breached", "holds", "too little evidence"]
    assert checks[0].value == pytest.approx(bound)
    assert "at least" in checks[0].sentence
    assert "from below alone" in checks[1].sentence
    original = small_audit["root"] / "out" / folder.name
    (without,) = check_audit(original, limits[:1], None)
    assert (without.verdict, without.value) == ("too little evidence", None)
    assert "--canaries" in without.sentence


def test_a_limit_is_held_at_the_delta_of_the_claim(folder: Path) -> None:
    """That of the flags, else the declared one, else 1e-5: each says which."""
    limit = [Limit(quantity="epsilon", most=1.0)]
    declared = Declaration.model_validate({"privacy": {"delta": 1e-2}})
    for told, delta in ((None, 1e-5), (declared, 1e-2)):
        (check,) = check_audit(folder, limit, None, told)
        assert check.delta == delta
        assert check.value == pytest.approx(best_of_one_run(100, 120, 120, delta))
        assert f"at δ {delta:g}" in check.sentence
    results = read_result(folder / "score.json", ScoreResults)
    assert results.promise is not None
    flagged = results.promise.model_copy(update={"claim": judge_claim(results.promise, 3.0, 1e-3, "flags")})
    write_result(folder / "score.json", results.model_copy(update={"promise": flagged}))
    assert check_audit(folder, limit, None, declared)[0].delta == 1e-3


def test_a_declared_claim_and_limit_are_in_the_brief(folder: Path) -> None:
    results = read_result(folder / "score.json", ScoreResults)
    assert claim_on(results, None) is None
    declared = Declaration.model_validate({"privacy": {"epsilon": 0.5}, "limits": {"epsilon": 3.0}})
    found = claim_on(results, declared)
    assert found is not None
    assert (found.verdict, found.claimant, found.delta) == ("refuted", "declaration", 1e-5)
    # A flag's claim goes before the declared one.
    flagged = judge_claim(results.promise, 3.0, 1e-6, "flags") if results.promise else None
    promise = results.promise and results.promise.model_copy(update={"claim": flagged})
    assert claim_on(results.model_copy(update={"promise": promise}), declared) == flagged
    judgement = judge(results, declared)
    assert any("that claim is refuted" in said for said in judgement.basis)
    table = table_of_limits(judgement, results)
    assert table is not None
    assert [limit.quantity for limit in limits_of(declared.limits)] == ["epsilon"]
    assert table.rows[0][2] == "not refuted"
    assert table.rows[0][1].startswith("ε ≥ ")


def test_a_claim_needs_canaries(small_npz: Path) -> None:
    import privaudit

    with pytest.raises(UsageError, match="held against canaries"):
        privaudit.score(dataset=small_npz, claim_epsilon=1.0)
    with pytest.raises(UsageError, match="--claim-delta"):
        privaudit.score(dataset=small_npz, claim_delta=1e-5)
    with pytest.raises(UsageError, match="dp-sgd"):
        privaudit.score(dataset=small_npz, epsilon=1.0)
