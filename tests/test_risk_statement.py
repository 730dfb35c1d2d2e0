"""The risk statement: Bayes' rule, held against counting people."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privaudit.results.measures import Attack
from privaudit.results.score_results import Exposure, GroupExposure
from privaudit.scoring.risk_statement import PRIORS, accusation, accusations, risk_statement


def attack(tpr: float | None = 0.046) -> Attack:
    rates = {"0.01": tpr, "0.001": None}
    bounds = {"0.01": None if tpr is None else (tpr / 2, 2 * tpr), "0.001": None}
    return Attack(auc=0.6, auc_ci=(0.55, 0.65), tpr_at_fpr=rates, tpr_ci=bounds, smallest_fpr=0.005)


def test_an_accusation_is_right_as_often_as_counting_people_says() -> None:
    random = np.random.default_rng(0)
    member = random.random(2_000_000) < 0.2
    named = random.random(len(member)) < np.where(member, 0.08, 0.01)
    found = accusation(0.2, 0.01, 0.08, None, int(member.sum()))
    assert found.precision == pytest.approx(member[named].mean(), abs=0.006)
    assert found.right == pytest.approx((named & member).sum(), rel=0.02)
    assert found.wrong == pytest.approx((named & ~member).sum(), rel=0.02)


def test_the_same_attack_is_right_often_or_seldom_by_whom_it_asks_of() -> None:
    found = accusations(attack(), 1_000)
    assert [one.prior for one in found] == list(PRIORS)
    assert [round(one.precision or 0, 3) for one in found] == [0.821, 0.338, 0.044, 0.005]
    assert {one.right for one in found} == {46.0}
    assert [round(one.wrong) for one in found] == [10, 90, 990, 9990]


@given(
    prior=st.floats(0.001, 0.999), fpr=st.floats(0, 1), low=st.floats(0, 1), tpr=st.floats(0, 1), high=st.floats(0, 1)
)
def test_the_interval_holds_the_estimate_and_a_coin_gives_the_prior_back(
    prior: float, fpr: float, low: float, tpr: float, high: float
) -> None:
    low, tpr, high = sorted([low, tpr, high])
    found = accusation(prior, fpr, tpr, (low, high), 100)
    if found.precision is not None and found.precision_ci is not None:
        assert found.precision_ci[0] - 1e-12 <= found.precision <= found.precision_ci[1] + 1e-12
    chance = accusation(prior, max(fpr, 1e-6), max(fpr, 1e-6), None, 100)
    assert chance.precision == pytest.approx(prior)


def test_where_nobody_is_named_there_is_no_precision() -> None:
    assert accusation(0.5, 0.0, 0.0, (0.0, 0.1), 10).precision is None
    assert accusation(0.5, 0.0, 0.0, (0.0, 0.1), 10).precision_ci is None


def test_groups_with_an_attack_have_a_statement_of_their_own_and_a_declared_prior_is_the_only_one() -> None:
    exposure = Exposure(
        p=None,
        groups=[
            GroupExposure(name="a", samples=40, mean=0.6, ci=None, high=1, attack=attack()),
            GroupExposure(name="b", samples=2, mean=0.6, ci=None, high=0),
        ],
    )
    found = risk_statement(attack(), 100, {"class": exposure}, [0.25])
    assert found.declared
    assert [one.prior for one in found.accusations] == [0.25]
    assert list(found.groups) == ["class: a"]
    assert found.groups["class: a"][0].right == pytest.approx(40 * 0.046)
    assert not risk_statement(attack(None), 100, {}).accusations
