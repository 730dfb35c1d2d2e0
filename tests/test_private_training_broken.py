"""DP-SGD as it is, and broken in three ways that were made: what canaries say of a promise of ε = 1. Slow."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from privaudit.results.audit.promise import Promise
from privaudit.scoring.promise.judgement import judge_claim
from tests.private_canaries import DELTA, everybody, guess_coins, private_recipe, twice_divided, unclipped

CLAIM = 1.0


@pytest.mark.slow
def test_a_promise_that_is_kept_is_rarely_refuted() -> None:
    """Twenty seeds: more than three refutations would have a chance of 1.6% at an error of 5%."""
    refuted = 0
    for seed in range(1, 21):
        found = judge_claim(Promise(one_run=guess_coins(seed, private_recipe())), CLAIM, DELTA, "flags")
        refuted += found.verdict == "refuted"
        assert found.refutable > 5
    assert refuted <= 3


@pytest.mark.slow
@pytest.mark.parametrize("broken", [unclipped, everybody, twice_divided], ids=lambda one: one.__name__)
def test_a_promise_that_is_broken_is_refuted(broken: Callable[[], AbstractContextManager[None]]) -> None:
    """Noise on the mean of an unclipped batch; a forgotten sampling rate; noise divided by the batch once more."""
    with broken():
        coins = guess_coins(21, private_recipe())
    found = judge_claim(Promise(one_run=coins), CLAIM, DELTA, "flags")
    assert found.verdict == "refuted", found
