"""DP-SGD as it is, and broken in three ways that were made: what whoever reads its steps says of its promise. Slow."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from privaudit.scoring.promise.judgement import judge_claim
from tests.canary_gradients import everybody, read_steps
from tests.private_canaries import DELTA, private_recipe, twice_divided, unclipped

#: Noise multipliers that Opacus's accountant names for ε = 1 and ε = 8 at the tests' rate and steps.
NOISES = {1.0: 6.568, 8.0: 1.291}


@pytest.mark.slow
@pytest.mark.parametrize("claim", [1.0, 8.0])
def test_a_promise_that_is_kept_is_rarely_refuted(claim: float) -> None:
    """Twenty seeds: more than three refutations would have a chance of 1.6% at an error of 5%."""
    found = [
        judge_claim(read_steps(seed, private_recipe(NOISES[claim])), claim, DELTA, "recipe") for seed in range(1, 21)
    ]
    assert sum(one.verdict == "refuted" for one in found) <= 3
    if claim == 8:
        # Canaries that are samples show 0.00 of it.
        assert min(one.bound for one in found) > 3
        assert min(one.one_run for one in found) > 1


@pytest.mark.slow
@pytest.mark.parametrize("claim", [1.0, 8.0])
@pytest.mark.parametrize("broken", [unclipped, everybody, twice_divided], ids=lambda one: one.__name__)
def test_a_promise_that_is_broken_is_refuted(broken: Callable[[], AbstractContextManager[None]], claim: float) -> None:
    """A batch that nobody clipped; a forgotten sampling rate; noise divided by the batch once more."""
    with broken():
        found = judge_claim(read_steps(21, private_recipe(NOISES[claim])), claim, DELTA, "recipe")
    assert found.verdict == "refuted", found
