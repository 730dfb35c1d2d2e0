"""Each rule tried before it judges: a world in which the paper is right, and one in which there is nothing to find."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from privaudit.reproduction.claims.catalogue import BY_NAME
from privaudit.reproduction.claims.experiment import ATTACKED, CLASSES, LEAST_ATTACKED, ONE_SHOT, RANDOM, TENTH
from privaudit.reproduction.claims.experiment_size import scale_of
from privaudit.reproduction.claims.sample_groups import name_of_part, part_of
from privaudit.reproduction.reproduce import chosen
from privaudit.reproduction.reproduce_estimate import count_work
from privaudit.reproduction.verdicts.gaps import against_nothing
from privaudit.reproduction.verdicts.verdict import decide_alone, measure_contrast
from privaudit.reproduction.worlds.draws import DRAWS, Asked
from privaudit.reproduction.worlds.power import LEAST_RIGHT, MOST_NOTHING, contrasts_of, rates
from privaudit.reproduction.worlds.world import WORLDS
from privaudit.statistics.paired_tests import paired_difference
from tests.conftest import Run

ASKED = [(name, protocol) for name, protocols in WORLDS.items() for protocol in protocols]
RUNS = 100


@pytest.mark.parametrize(("name", "protocol"), ASKED)
def test_a_rule_tells_the_papers_world_from_that_of_nothing(name: str, protocol: str) -> None:
    # Samples are drawn of Figure 5, one by one: that takes longer.
    runs = RUNS // 2 if name == "figure5" else RUNS
    found = rates(name, protocol, runs=runs)
    assert found.right >= LEAST_RIGHT
    # With a chance of .05, two standard errors more.
    assert found.nothing < MOST_NOTHING + 2 * np.sqrt(0.05 * 0.95 / runs)
    world = WORLDS[name][protocol]
    assert all((world.supports, world.refutes, world.right, world.nothing))


def test_what_is_drawn_starts_from_what_the_paper_prints() -> None:
    """Table 2 on CIFAR-10: 95.2% of random ones and 79.2% of the highest are right, over six methods."""

    def mean_of(name: str, protocol: str, is_right: bool) -> float:
        asked = Asked(name, protocol, "cifar10", is_right, 200, np.random.default_rng(0))
        return float(DRAWS[asked.world.draws](asked).mean())

    printed = np.mean([100, 96, 94, 96, 95, 95]) - np.mean([80, 80, 78, 85, 74, 78])
    assert mean_of("table2", "as_in_paper", True) == pytest.approx(printed / 100, abs=0.01)
    assert mean_of("table2", "as_in_paper", False) == pytest.approx(0, abs=0.01)
    # Table 6: .89 to .91, .82 to .87, .87 to .88.
    assert mean_of("table6", "controlled", True) == pytest.approx(0.08 / 3, abs=0.002)
    assert mean_of("figure7", "controlled", True) == pytest.approx(0.05, abs=0.002)


def test_contrasts_of_many_draws_are_those_of_each() -> None:
    draws = np.random.default_rng(4).normal(0.1, 0.2, (5, 9))
    for own, found in zip(draws, contrasts_of(draws, 0.01), strict=True):
        wanted = paired_difference(own, 0 * own)
        assert (found.p, found.wins) == (wanted.p, wanted.wins)
        assert found.mean == pytest.approx(wanted.mean)
        assert found.ci == pytest.approx(wanted.ci)


def test_groups_that_seeds_share_would_call_nothing_something() -> None:
    """The most attacked against the least, where rank and accuracy have nothing to do with each other.

    From random halves of one ranking, as they were once drawn, chance among the same few samples comes back on every
    seed; from parts of their own it does not.
    """
    random, samples, runs = np.random.default_rng(8), 900, 300

    def supported(pools: list[npt.NDArray[np.int64]], size: int) -> float:
        found = np.empty((runs, 9))
        for run in range(runs):
            right, rank = random.random(samples), random.permutation(samples)
            for seed, pool in enumerate(pools):
                ordered = pool[np.argsort(rank[pool])]
                found[run, seed] = right[ordered[:size]].mean() - right[ordered[-size:]].mean()
        return float(np.mean([decide_alone(one, "controlled", "table2").verdict == "supported"
                              for one in contrasts_of(found, 0.02)]))  # fmt: skip

    halves = [np.random.default_rng(seed).permutation(samples)[: samples // 2] for seed in range(9)]
    assert supported(halves, 45) > 2 * MOST_NOTHING
    assert supported([part_of(samples, seed) for seed in range(9)], 10) < MOST_NOTHING


def table_of_runs(ways: tuple[float, float, float], gone: float | None, random: np.random.Generator) -> pd.DataFrame:
    """Nine seeds of Table 2, as trials are stored: of which share of each group a model retrained without it is wrong.

    Methods go a share of that way; None: every method gets a third of any group wrong.
    """
    rows = []
    for seed in range(9):
        for name, way in zip((ATTACKED, RANDOM, LEAST_ATTACKED), ways, strict=True):
            wrong = 1 / 3 if gone is None else gone * way
            shares = {("", "do-nothing"): 0.0, ("retrain", ONE_SHOT): way}
            shares |= {(method, ONE_SHOT): wrong for method in BY_NAME["table2"].methods}
            retrained = 1 - random.binomial(100, way) / 100
            for (method, arm), share in shares.items():
                forget = 1 - random.binomial(100, share) / 100
                rows.append(
                    {
                        **{"seed": seed, "set": name, "unit": name_of_part(seed), "method": method, "arm": arm},
                        **{"forget": forget, "retrained_forget": retrained, "forget_gap": abs(forget - retrained)},
                    }
                )
    return against_nothing(pd.DataFrame(rows))


@pytest.mark.parametrize(
    ("ways", "gone", "supported"),
    [
        ((0.4, 0.4, 0.4), 0.8, ()),  # the groups do not differ
        ((0.9, 0.4, 0.02), None, ("as_in_paper",)),  # harm alike: in the paper's way the retrained model is one of six
        ((0.9, 0.4, 0.02), 0.0, ("as_in_paper",)),  # nothing done: the same
        ((0.9, 0.4, 0.02), 0.2, ("as_in_paper", "controlled")),  # a fifth of the way, of everybody
        # What retraining itself does counts for the claim under every protocol: none tells "easier" from that.
        ((0.9, 0.4, 0.02), 1.0, ("as_in_paper", "controlled", "share")),
    ],
)
def test_the_three_verdicts_of_table_2_from_runs_whose_truth_is_known(
    ways: tuple[float, float, float], gone: float | None, supported: tuple[str, ...]
) -> None:
    """Through the table of runs, as `reproduce` decides: worlds draw differences, this draws what they are made of."""
    random = np.random.default_rng(6)
    protocols = BY_NAME["table2"].contrasts()
    found: dict[str, list[str]] = {protocol: [] for protocol in protocols}
    for _ in range(3):
        runs = table_of_runs(ways, gone, random)
        for protocol, contrast in protocols.items():
            measured = measure_contrast(runs, contrast)
            assert measured is not None
            found[protocol].append(decide_alone(measured, protocol, "table2").verdict)
    assert tuple(protocol for protocol, verdicts in found.items() if set(verdicts) == {"supported"}) == supported
    assert not any("supported" in verdicts for protocol, verdicts in found.items() if protocol not in supported)


def test_a_lottery_leaves_the_question_open() -> None:
    """One run in five in ruins, as gradient ascent on whole classes once was: not supported, nor refuted."""
    found = rates("figure7", "controlled", runs=RUNS, ruined=0.2)
    assert found.right < LEAST_RIGHT
    assert found.missed < MOST_NOTHING


def test_what_it_will_cost_is_said_and_nothing_is_done(privaudit: Run, tmp_path: Path) -> None:
    asked = ("reproduce", "table6", "--scale", "smoke", "--store", tmp_path / "s", "--out", tmp_path / "o", "--dry-run")
    done = privaudit(*asked, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    # Seven models of the audit; two seeds with an original and two without a random tenth, untuned.
    assert (found["to_train"], found["tuning_trials"], found["seeds"]) == (7 + 2 * 3, 0, 2)
    assert found["trials"] == 2 * (3 * 8 + 2)
    assert 0 < found["audit_seconds"] < found["seconds"]
    assert not list(tmp_path.rglob("*.safetensors"))
    both = privaudit(*asked, "--decide")
    assert both.returncode == 2
    assert "Leave one of them out" in both.stderr


def test_the_work_is_counted_by_hand() -> None:
    counted = count_work(chosen(("table2", "figure4")), scale_of("small"), 9, 9_000, 10)
    # Three groups: an original and two retrained models of each a seed; five methods, nothing and a second retraining.
    assert (counted.models, counted.trials, counted.tuning) == (9 * 7, 9 * 3 * 7, 0)
    assert counted.relearned == {100: 9 * 3 * 7}
    # Bad-T looks at 30% of D_r five times, RL, FT and L1-sparse at all of it ten times, GA at none.
    retained, forgotten = (3 * 10 + 5 * 0.3) * 8_900, (5 + 10 + 5) * 100
    assert counted.gradients == pytest.approx(9 * 3 * (retained + forgotten))
    orders = count_work(chosen(("table5", "table6", "figure7")), scale_of("small"), 3, 9_000, 10)
    # Eleven tuned arms of three methods on two sets, six trials on three seeds of their own.
    assert orders.tuning == 2 * 3 * 11 * 6 * 3
    assert orders.models == (3 + 3) * (2 * len({CLASSES, TENTH}) + 1)
    assert count_work(chosen(("figure5",)), scale_of("small"), 9, 9_000, 10).models == 9
