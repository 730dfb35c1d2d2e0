"""The paper's tables and figures as commands: groups, arms, verdicts, and all of them at the smallest scale."""

from __future__ import annotations

import importlib.util
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter, ValidationError

from privaudit.errors import EvidenceError, UsageError
from privaudit.report.reproduction.reproduction_document import build_reproduction
from privaudit.report.reproduction.reproduction_methods import answers
from privaudit.report.reproduction.write_reproduction import render_reproduction
from privaudit.reproduction.claims.arms import ARMS, default_parameters, is_for, request
from privaudit.reproduction.claims.catalogue import BY_NAME, EXPERIMENTS
from privaudit.reproduction.claims.experiment import (
    ATTACKED,
    CLASSES,
    INVERTIBLE,
    LEAST_ATTACKED,
    LEAST_INVERTIBLE,
    ONE_SHOT,
    RANDOM,
    TUNING_SEED,
    TUNING_SEEDS,
    Contrast,
    Experiment,
    Side,
)
from privaudit.reproduction.claims.experiment_size import audit_settings, scale_of
from privaudit.reproduction.claims.independent_units import (
    choose_classes,
    drawn_with_repetition,
    forget_classes,
    with_units,
)
from privaudit.reproduction.claims.printed_figures import printed
from privaudit.reproduction.claims.sample_groups import PARTS, choose_group, choose_set, part_of
from privaudit.reproduction.from_scores import corrected, correlation, intervals_of_loss, inversion_of_audit
from privaudit.reproduction.reproduce import chosen, demand_inversions, list_experiments
from privaudit.reproduction.verdicts.decide import without_former_reliability
from privaudit.reproduction.verdicts.experiment_results import answer, read_runs
from privaudit.reproduction.verdicts.family import verdicts_from, with_family
from privaudit.reproduction.verdicts.gaps import against_nothing
from privaudit.reproduction.verdicts.verdict import (
    CLAIMED,
    decide,
    decide_alone,
    family_of,
    measure_contrast,
    p_of_claim,
)
from privaudit.reproduction.worlds.world import WORLDS
from privaudit.results.audit.inversion_results import InversionResults, PairedCorrelation, Tier
from privaudit.results.audit.score_results import ScoreResults
from privaudit.results.base import Result, read_result
from privaudit.results.measures import Share
from privaudit.results.reproduction_results import (
    AboutExperiment,
    ExperimentFacts,
    ExperimentResults,
    PairedContrast,
    Spread,
    StudyResults,
    StudyVerdicts,
    TableRow,
)
from privaudit.runtime import files
from privaudit.statistics.paired_tests import paired_difference
from privaudit.trials.order_comparison import FEWEST_SEEDS
from privaudit.trials.treatment import Treatment
from privaudit.unlearning.requests.forget_set import choose_forget_set
from privaudit.unlearning.schedule.stages import plan_stages, sequence_of
from tests.conftest import ROOT, Run

SMOKE = ("--scale", "smoke", "--workers", "2")


def score_table(samples: int = 400, measured: int = 400) -> pd.DataFrame:
    random = np.random.default_rng(5)
    risk = random.random(samples)
    psnr = random.normal(20, 3, samples)
    psnr[measured:] = np.nan
    return pd.DataFrame(
        {
            "label": random.integers(0, 4, samples),
            "risk": risk,
            "rank": (-risk).argsort().argsort() + 1,
            "t1_psnr": psnr,
        }
    )


def test_groups_hold_whom_they_say() -> None:
    table = score_table()
    for high, low, column in ((INVERTIBLE, LEAST_INVERTIBLE, "t1_psnr"), (ATTACKED, LEAST_ATTACKED, "risk")):
        best, worst = choose_group(high, table, 3), choose_group(low, table, 3)
        assert len(best) == len(worst) == 4
        assert not set(best) & set(worst)
        assert table[column].to_numpy()[best].min() > table[column].to_numpy()[worst].max()
        assert sorted(table["label"].to_numpy()[best]) == sorted(table["label"].to_numpy()[worst])
        assert np.array_equal(best, choose_group(high, table, 3))
        assert not np.array_equal(best, choose_group(high, table, 4))
    # The random group knows nothing of either score.
    drawn = np.concatenate([choose_group(RANDOM, table, seed) for seed in range(200)])
    assert abs(table["risk"].to_numpy()[drawn].mean() - table["risk"].mean()) < 0.02


def test_no_sample_is_in_the_groups_of_two_seeds() -> None:
    table = score_table(900, 900)
    parts = [part_of(900, seed) for seed in range(PARTS)]
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(900))
    for name in (ATTACKED, LEAST_ATTACKED, INVERTIBLE, RANDOM):
        groups = [choose_group(name, table, seed) for seed in range(PARTS)]
        together = np.concatenate(groups)
        assert len(np.unique(together)) == len(together) == 10 * PARTS
        assert all(np.isin(group, part).all() for group, part in zip(groups, parts, strict=True))
    # The most attacked are those of the part, and more seeds than there are parts draw no new ones.
    risk = table["risk"].to_numpy()
    assert risk[choose_group(ATTACKED, table, 0)].min() == np.sort(risk[parts[0]])[-10]
    assert np.array_equal(choose_group(ATTACKED, table, PARTS), choose_group(ATTACKED, table, 0))


def test_unmeasured_inversion_is_told() -> None:
    with pytest.raises(EvidenceError, match="--invert groups"):
        choose_group(INVERTIBLE, score_table(measured=0), 0)
    assert choose_set(RANDOM, score_table(), ("a", "b", "c", "d"), 0).scattered


@pytest.mark.parametrize("method", ["ga", "rl", "bad-teacher"])
def test_budgets_of_the_arms(method: str) -> None:
    rows = np.arange(50)

    def budget(arm: str) -> int:
        parameters = default_parameters(method, ARMS[arm])
        wanted = request(method, ARMS[arm], parameters)
        stages = sequence_of(
            lambda model: (rows, rows.astype(float)), None, wanted.sequencing, parameters.passes  # type: ignore[arg-type]
        )  # fmt: skip
        return sum(stage.budget for stage in stages)

    orders = ("rising risk", "falling risk", "random groups")
    (once,) = {
        budget(arm) for arm in (ONE_SHOT, "one-shot, best settings", "risk", *orders[:2], f"{orders[2]} at one budget")
    }
    (third,) = {budget(f"{order}, a third") for order in orders}
    (threefold,) = {budget(f"{order}, threefold") for order in orders}
    assert third == pytest.approx(once / 3, abs=1)
    assert threefold == 3 * once
    for arm in ("RSU as written", "RSU as written, best settings", "one-shot, longer", "reverse as written"):
        assert budget(arm) == threefold
    assert plan_stages([rows], 1)[0].budget == 50


def test_evidence_ends_a_run_of_the_method_that_has_cycles() -> None:
    arm = ARMS["until never-seen"]
    assert [method for method in BY_NAME["methods"].methods if is_for(arm, method)] == ["shadow-teacher"]
    wanted = request("shadow-teacher", arm, default_parameters("shadow-teacher", arm))
    assert wanted.by_evidence
    assert wanted.parameters.describe().count("cycles=3") == 1
    # It names another trial than the same without it, whose name did not change.
    usual = replace(wanted, by_evidence=False)
    assert Treatment(wanted).identity() == Treatment(usual).identity() | {"by_evidence": True}


def runs_of(differences: list[float], seeds: int | None = None) -> pd.DataFrame:
    """Two methods in two arms whose mean ToW differs by so much on each seed."""
    rows = []
    for seed, difference in enumerate(differences[:seeds]):
        for method, share in (("ga", 0.5), ("rl", 1.5)):
            rows.append({"seed": seed, "set": "s", "method": method, "arm": "RSU", "tow": 0.5 + share * difference})
            rows.append({"seed": seed, "set": "s", "method": method, "arm": ONE_SHOT, "tow": 0.5})
        rows.append({"seed": seed, "set": "s", "method": "", "arm": "do-nothing", "tow": 0.4})
    return pd.DataFrame(rows)


CONTRAST = Contrast("tow", "how much", Side("s", "RSU"), Side("s"), ("ga", "rl"))


def test_a_contrast_is_a_paired_difference_of_means_over_methods() -> None:
    differences = [0.1, 0.2, 0.3, 0.4]
    found = measure_contrast(runs_of(differences), CONTRAST)
    assert found is not None
    assert found.mean == pytest.approx(0.25)
    assert found.p == pytest.approx(2 / 16)
    assert (found.wins, found.pairs) == (4, 4)
    assert (found.first, found.second) == ("RSU", ONE_SHOT)
    # What is no method's counts for each of them.
    nothing = Contrast("tow", "how much", Side("s", "RSU"), Side("s", "do-nothing"), ("ga", "rl"))
    over_nothing = measure_contrast(runs_of(differences), nothing)
    assert over_nothing is not None
    assert over_nothing.mean == pytest.approx(0.35)
    # A seed that lacks a method does not count, and a side that was not run is no contrast.
    part = runs_of(differences).drop(index=0)
    fewer = measure_contrast(part, CONTRAST)
    assert fewer is not None
    assert fewer.pairs == 3
    assert measure_contrast(part, Contrast("tow", "", Side("elsewhere"), None, ("ga",))) is None


def verdict_of(differences: list[float]) -> str:
    found = measure_contrast(runs_of(differences), CONTRAST)
    assert found is not None
    return decide_alone(found, "controlled", "table6").verdict


def test_verdicts() -> None:
    nine = [0.03, 0.04, 0.05, 0.04, 0.03, 0.05, 0.04, 0.03, 0.02]
    assert verdict_of(nine) == "supported"
    assert verdict_of(nine[:8]) == "descriptive"
    assert verdict_of([-value for value in nine]) == "not supported"
    assert verdict_of([0.001, -0.001, 0.002, 0.0, 0.001, -0.002, 0.001, 0.0, 0.001]) == "not supported"
    assert verdict_of([0.2, -0.2, 0.3, 0.1, -0.1, 0.2, -0.3, 0.1, 0.2]) == "inconclusive"
    assert verdict_of([0.0] * 9) == "not supported"
    # As sure as can be, and less than is worth having.
    assert verdict_of([0.001] * 8 + [0.002]) == "not supported"


def test_correction_is_over_every_claim_of_the_catalogue() -> None:
    found = measure_contrast(runs_of([0.03] * 8 + [0.02]), CONTRAST)
    assert found is not None
    smallest = 1 / 2**9
    assert found.p == pytest.approx(2 * smallest)
    assert p_of_claim(found) == pytest.approx(smallest)
    assert decide_alone(found, "controlled", "table6").p_corrected == pytest.approx(10 * smallest)
    every = {experiment.name for experiment in EXPERIMENTS} - {"figure1"}
    assert set(CLAIMED["as_in_paper"]) == set(CLAIMED["controlled"]) == every
    assert set(CLAIMED["third"]) == set(CLAIMED["threefold"]) == {"table5", "table6", "figure7"}


def test_an_undefined_correlation_is_no_evidence() -> None:
    """A seed whose losses are all alike says nothing, and is not counted against the claim."""
    assert np.isnan(correlation(np.ones(20), np.arange(20.0)))
    assert correlation(np.arange(20.0), np.arange(20.0)) == 1
    runs = pd.DataFrame({"seed": [0, 1, 2], "set": "all", "method": "", "arm": ONE_SHOT, "rho": [0.6, np.nan, 0.4]})
    found = measure_contrast(runs, Contrast("rho", "", Side("all"), None))
    assert found is not None
    assert found.pairs == 2
    assert found.mean == pytest.approx(0.5)


def test_correction_for_attenuation_finds_what_noise_hides() -> None:
    """Risk of two audits with as much noise as signal: each agrees with the loss less than the truth does."""
    random = np.random.default_rng(3)
    truth, noises = random.normal(size=20_000), random.normal(size=(2, 20_000))
    loss = 0.6 * truth + 0.8 * random.normal(size=20_000)
    first, second = truth + noises
    observed, reliability = correlation(loss, first), correlation(first, second)
    assert observed < 0.45
    assert corrected(observed, reliability) == pytest.approx(correlation(loss, truth), abs=0.03)
    assert np.isnan([corrected(0.5, nothing) for nothing in (None, 0.0, -0.2)]).all()


Some = TypeVar("Some", bound=Result)


def partly(kind: type[Some], **fields: Any) -> Some:
    """Of a result the fields that a test is about."""
    made: Some = kind.model_construct(None, **fields)  # type: ignore[assignment]
    return made


def audit_of(inversion: InversionResults | None) -> ScoreResults:
    """Of an audit's results the part that experiments are answered by."""
    return partly(ScoreResults, audit="a", inversion=inversion)


def test_what_no_inversion_answers_is_told_before_the_work() -> None:
    features = partly(
        InversionResults, features=partly(Tier), matching=None, notes=("gradient matching (T2) is left out",)
    )
    demand_inversions(BY_NAME["figure2"], audit_of(features))
    with pytest.raises(EvidenceError, match="figure1 needs gradient matching") as raised:
        demand_inversions(BY_NAME["figure1"], audit_of(features))
    assert raised.value.hint is not None
    assert "T2" in raised.value.hint
    with pytest.raises(EvidenceError, match="needs inversions"):
        demand_inversions(BY_NAME["figure2"], audit_of(None))
    demand_inversions(BY_NAME["table6"], audit_of(None))


def test_null_data_are_rarely_called_support() -> None:
    """Ten claims without any effect: the chance that even one is called supported is at most 5%."""
    random = np.random.default_rng(11)
    families = 400
    wrong = 0
    for _ in range(families):
        differences = random.normal(0, 0.1, (10, 9))
        contrasts = {
            name: PairedContrast(**paired_difference(row, 0 * row).to_json(), says="", first="", worth_having=0.01)
            for name, row in zip(CLAIMED["controlled"], differences, strict=True)
        }
        family = family_of("controlled", contrasts)
        wrong += any(decide(one, name, family).verdict == "supported" for name, one in contrasts.items())
    assert wrong / families < 0.05 + 3 * np.sqrt(0.05 * 0.95 / families)


def test_holm_is_over_what_is_claimed_whatever_was_run() -> None:
    """Step by step by hand; and fewer claims make nothing easier."""

    def contrast(p: float, mean: float = 0.1) -> PairedContrast:
        return PairedContrast(mean=mean, ci=(mean - 1, mean + 1), p=p, wins=9, pairs=9, says="", first="")

    found = {"table1": contrast(2 / 512), "table2": contrast(4 / 512), "figure2": contrast(8 / 512, -0.1)}
    family = family_of("controlled", found)
    decided = {name: decide(one, name, family) for name, one in found.items()}
    # One-sided 1/512, 2/512 and, the other way, 4/512: ten, nine and ten times.
    assert decided["table1"].p_corrected == pytest.approx(10 / 512)
    assert decided["table2"].p_corrected == pytest.approx(18 / 512)
    assert decided["figure2"].p_corrected == pytest.approx(1.0)
    assert [one.verdict for one in decided.values()] == ["supported", "supported", "inconclusive"]
    assert decide_alone(found["table2"], "controlled", "table2").p_corrected == pytest.approx(20 / 512)
    few = contrast(2 / 128).model_copy(update={"pairs": 7})
    overlapping = contrast(2 / 512).model_copy(update={"unit": "overlapping"})
    assert {decide_alone(one, "controlled", "table2").verdict for one in (few, overlapping)} == {"descriptive"}
    assert decide(None, "table2", family).verdict == "not run"


def test_a_claim_that_must_hold_in_two_ways_counts_by_the_lesser() -> None:
    rows = [
        {
            **{"seed": seed, "set": name, "method": "ga", "arm": ONE_SHOT},
            **{"fall": fall, "past": 0.1 * seed, "past_most": 0.01},
        }
        for seed in range(3)
        for name, fall in (("high", 0.25), ("low", 0.1))
    ]  # fmt: skip
    asked = Contrast("fall", "", Side("high"), Side("low"), ("ga",), also="past", worth_having=0.02)
    found = measure_contrast(pd.DataFrame(rows), asked)
    assert found is not None
    assert found.mean == pytest.approx((0 + 0.1 + 0.15) / 3)
    # A seed of which the second measure is not known does not count: no number is no evidence against a claim.
    unknown = pd.DataFrame(rows)
    fewer = measure_contrast(unknown.assign(past=unknown["past"].where(unknown["seed"] != 2)), asked)
    assert fewer is not None
    assert fewer.pairs == 2
    assert fewer.mean == pytest.approx((0 + 0.1) / 2)
    assert measure_contrast(unknown.drop(columns="past"), asked) is None
    # Where there is no way to go, that none was gone speaks for nothing.
    assert found.most == pytest.approx(0.01)
    nine = found.model_copy(update={"pairs": 9, "mean": 0.0, "ci": (-0.01, 0.01), "p": 1.0})
    assert decide_alone(nine, "share", "table2").verdict == "inconclusive"
    assert decide_alone(nine.model_copy(update={"most": 0.3}), "share", "table2").verdict == "not supported"


def test_one_run_in_ruins_counts_a_tenth() -> None:
    differences = [0.04] * 8 + [-0.9]
    capped = measure_contrast(runs_of(differences), replace(CONTRAST, cap=0.1))
    assert capped is not None
    # By method half and one and a half of the difference, the last two of which are cut off.
    assert capped.mean == pytest.approx((8 * 0.04 - 0.1) / 9)


GALLERY = ROOT / "reports" / "gallery" / "reproduction"
STUDIES = sorted(path.parent for path in GALLERY.glob("*/verdicts.json"))


def test_a_verdict_follows_from_its_own_results_alone(tmp_path: Path) -> None:
    """From a copy of results.json with nothing beside it, for every committed one."""
    for study in STUDIES:
        verdicts = json.loads((study / "verdicts.json").read_text("utf-8"))
        for path in study.glob("*/results.json"):
            shutil.copy(path, tmp_path / "results.json")
            name, found = verdicts_from(tmp_path / "results.json")
            assert {protocol: one.to_json() for protocol, one in found.items()} == verdicts.get(name, {})


def test_a_class_that_several_seeds_drew_counts_once() -> None:
    """Nine seeds of six classes: six differences, of which none decides anything."""
    drawn = [1, 2, 6, 4, 4, 7, 4, 6, 0]
    assert [int(drawn_with_repetition(10, seed)[0]) for seed in range(9)] == drawn
    of_class = {0: 0.1, 1: 0.2, 2: 0.3, 4: 0.4, 6: 0.5, 7: 0.6}
    runs = runs_of([of_class[label] for label in drawn]).replace({"set": {"s": CLASSES}})
    contrast = Contrast("tow", "how much", Side(CLASSES, "RSU"), Side(CLASSES), ("ga", "rl"))
    found = measure_contrast(with_units(runs, "mnist"), contrast)
    assert found is not None
    assert (found.pairs, found.seeds, found.unit, found.wins) == (6, 9, "class", 6)
    assert found.mean == pytest.approx(0.35)
    assert found.p == pytest.approx(2 / 64)
    assert decide_alone(found, "controlled", "table5").verdict == "descriptive"
    with pytest.raises(EvidenceError, match="do not say which classes"):
        with_units(runs, "mine.npz")
    # A random set is a draw of its seed.
    assert with_units(runs_of([0.1] * 3), "mine.npz")["unit"].nunique() == 3


@pytest.mark.parametrize(("classes", "seeds"), [(10, 9), (10, 10), (3, 3), (100, 9)])
def test_seeds_draw_classes_without_repetition(classes: int, seeds: int) -> None:
    labels = np.repeat(np.arange(classes), 3)
    drawn = [choose_classes(labels, seed) for seed in range(seeds)]
    together = np.concatenate(drawn)
    assert len(np.unique(together)) == len(together)
    assert {len(of_seed) for of_seed in drawn} == {max(1, classes // 10)}
    # Arms are tuned on the classes that come last, and those did not change.
    tuned = choose_classes(labels, TUNING_SEED)
    assert np.array_equal(tuned, drawn_with_repetition(classes, TUNING_SEED))
    assert all(np.array_equal(choose_classes(labels, seed), tuned) for seed in TUNING_SEEDS)
    if seeds * len(tuned) < classes:
        assert not set(tuned) & set(together)
    # Once they are used up the same draws come again, so that no two overlap in part.
    again = choose_classes(labels, classes // len(tuned))
    assert np.array_equal(again, drawn[0])


def test_the_tuning_draw_is_that_of_forget() -> None:
    table, names = score_table(), ("a", "b", "c", "d")
    for seed in (0, 3, TUNING_SEED):
        rows = choose_forget_set(CLASSES, table, names, seed).rows
        labels = np.unique(table["label"].to_numpy()[rows])
        assert np.array_equal(labels, drawn_with_repetition(4, seed))
    found = forget_classes(table, names, TUNING_SEED)
    assert np.array_equal(found.rows, choose_forget_set(CLASSES, table, names, TUNING_SEED).rows)
    assert not found.scattered


def test_what_was_closed_is_held_against_doing_nothing() -> None:
    rows = [
        {"seed": seed, "set": name, "method": method, "arm": arm, "forget_gap": gap}
        for seed in (0, 1)
        for name, method, arm, gap in (
            ("high", "", "do-nothing", 0.8), ("high", "ga", ONE_SHOT, 0.2 + 0.2 * seed), ("high", "rl", ONE_SHOT, 0.8),
            ("low", "", "do-nothing", 0.01), ("low", "ga", ONE_SHOT, 0.06), ("low", "rl", ONE_SHOT, 0.01),
        )
    ]  # fmt: skip
    found = against_nothing(pd.DataFrame(rows))
    high = found[found["set"] == "high"]
    assert high["gap_change"].tolist() == pytest.approx([0, 0.6, 0, 0, 0.4, 0])
    assert high["gap_closed"].tolist() == pytest.approx([0, 0.75, 0, 0, 0.5, 0])
    # There is no way to speak of a share of.
    assert found[found["set"] == "low"]["gap_closed"].isna().all()
    change = measure_contrast(found, Contrast("gap_change", "", Side("high"), Side("low"), ("ga", "rl")))
    contrast, nothing = (
        measure_contrast(found, Contrast("forget_gap", "", Side("low", arm), Side("high", arm), methods))
        for arm, methods in ((ONE_SHOT, ("ga", "rl")), ("do-nothing", ()))
    )
    assert change is not None
    assert contrast is not None
    assert nothing is not None
    assert change.mean == pytest.approx(contrast.mean - nothing.mean)


def test_the_committed_answer_follows_from_the_committed_runs() -> None:
    """Seed by seed, in every study, of a claim over seeds and of one over classes; but for the other claims' p."""
    for study in STUDIES:
        for name in ("table2", "figure7"):
            stored = read_result(study / name / "results.json", ExperimentResults)
            alone = answer(BY_NAME[name], read_runs(study / name / "results.csv"), stored)
            assert stored.family is not None
            assert with_family(alone, stored.family) == stored


def lost(before: Any, after: Any) -> list[object]:
    """What one JSON holds and the other does not, or otherwise; what is null in the other alone counts as absent."""
    if isinstance(before, dict) and isinstance(after, dict):
        added = [after[key] for key in after.keys() - before.keys() if after[key] is not None]
        return added + [one for key in before for one in lost(before[key], after.get(key))]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return [one for pair in zip(before, after, strict=True) for one in lost(*pair)]
    return [] if before == after else [before]


def test_stored_results_come_back_without_loss() -> None:
    """Every experiment of every committed study, and its verdicts."""
    for study in STUDIES:
        for path in (*study.glob("*/results.json"), study / "verdicts.json"):
            kind = StudyVerdicts if path.name == "verdicts.json" else ExperimentResults
            assert lost(json.loads(path.read_text("utf-8")), read_result(path, kind).to_json()) == [], path


def test_the_report_of_stored_results_is_the_committed_one() -> None:
    """The document follows from the results alone: every word, table and figure of it."""
    studies = [
        StudyResults(
            name=study.name,
            experiments=[read_result(path, ExperimentResults) for path in sorted(study.glob("*/results.json"))],
            verdicts=read_result(study / "verdicts.json", StudyVerdicts),
        )
        for study in STUDIES
    ]
    committed = json.loads((GALLERY / "report.json").read_text("utf-8"))
    made = json.loads(json.dumps(build_reproduction(studies, {}).to_json()))
    assert {name for name in committed if made[name] != committed[name]} <= {"made_by"}


def test_both_sides_of_table_2_are_told_where_its_verdict_is() -> None:
    report = json.loads((GALLERY / "report.json").read_text("utf-8"))
    said = " ".join(report["finding"])
    for place in (said, (ROOT / "README.md").read_text("utf-8"), (ROOT / "docs" / "findings.md").read_text("utf-8")):
        flat = " ".join(place.split()).replace("+0.", ".").replace("+.", ".")
        for figure in (".811", ".031", ".147"):
            assert figure in flat


def test_stored_results_are_decided_again(privaudit: Run, tmp_path: Path) -> None:
    study = STUDIES[-1]
    place = tmp_path / "reproduction" / study.name
    for name in ("table1", "figure1"):
        shutil.copytree(study / name, place / name)
        path = place / name / "results.json"
        old = json.loads(path.read_text("utf-8"))
        del old["verdicts"]  # as an earlier version left it
        path.write_text(json.dumps(old))
    old_verdicts = {"table1": {"controlled": {"verdict": "supported", "p_holm": 0.039}}}
    (place / "verdicts.json").write_text(json.dumps(old_verdicts))
    done = privaudit("reproduce", "--decide", "--out", tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    verdicts = json.loads(done.stdout)["studies"][study.name]
    assert verdicts["table1"]["controlled"]["verdict"] == "descriptive"
    assert verdicts["figure1"]["as_in_paper"] == {"verdict": "supported", "p_corrected": None}
    assert json.loads((place / "table1" / "results.json").read_text("utf-8"))["verdicts"] == verdicts["table1"]
    assert Path(json.loads(done.stdout)["report"]["html"]).is_file()
    nothing = privaudit("reproduce", "--decide", "--out", tmp_path / "empty")
    assert nothing.returncode == 2
    assert "there are no results below" in nothing.stderr
    alone = privaudit("reproduce", place / "table1" / "results.json", "--decide", "--json")
    assert alone.returncode == 0, alone.stderr
    assert [*json.loads(alone.stdout)["studies"].values()] == [{"table1": verdicts["table1"]}]
    named = privaudit("reproduce", "table1", "--decide", "--out", tmp_path)
    assert named.returncode == 2
    assert "Leave the names out" in named.stderr


def test_what_a_former_reliability_corrected_is_not_decided_again() -> None:
    """Spearman and Brown's forecast has no interval; what is over its root goes with it, and nothing else."""
    runs = pd.DataFrame({"correlation": [0.3, 0.4], "corrected_correlation": [0.6, 0.8]})
    about = partly(AboutExperiment, audit="a", reliability=0.25)
    former = partly(ExperimentFacts, about=about)
    found, kept = without_former_reliability(former, runs)
    assert found == partly(ExperimentFacts, about=about.model_copy(update={"reliability": None}))
    assert kept["corrected_correlation"].isna().all()
    assert kept["correlation"].tolist() == [0.3, 0.4]
    present = former.model_copy(update={"about": about.model_copy(update={"reliability_ci": (0.2, 0.3)})})
    assert without_former_reliability(present, runs) == (present, runs)
    # In the committed results no reliability lacks its interval.
    for path in GALLERY.glob("*/*/results.json"):
        stored = json.loads(path.read_text("utf-8"))["about"]
        assert stored.get("reliability") is None or stored.get("reliability_ci") is not None, path


def test_the_report_says_what_was_run_elsewhere() -> None:
    """A study whose Figure 5 was run again on another machine: the table of studies names both."""
    study = STUDIES[0]
    answers = [json.loads(path.read_text("utf-8")) for path in sorted(study.glob("*/results.json"))]
    for one in answers:
        one["about"] |= {"date": "2030-01-01", "hardware": "abacus"}
        if one["name"] == "figure1":  # the first of them
            one["about"] |= {"date": "2031-01-01", "hardware": "slide rule"}
    verdicts = json.loads((study / "verdicts.json").read_text("utf-8"))
    results = StudyResults.model_validate({"name": study.name, "experiments": answers, "verdicts": verdicts})
    report = build_reproduction([results], {})
    run = next(section for section in report.sections if section.anchor == "what-was-run").tables[0].rows[0][-1]
    assert run == "2030-01-01, abacus; Figure 1: 2031-01-01, slide rule"


def test_verdicts_of_the_former_rule_are_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr("privaudit.report.reproduction.write_reproduction.talk", said.append)
    monkeypatch.setattr("privaudit.report.reproduction.write_reproduction.write_report", lambda report, folder: {})
    monkeypatch.setattr(
        "privaudit.report.reproduction.write_reproduction.build_reproduction", lambda studies, _: studies
    )
    study = tmp_path / STUDIES[0].name
    shutil.copytree(STUDIES[0] / "table1", study / "table1")
    (study / "verdicts.json").write_text('{"table1": {"controlled": {"verdict": "supported", "p_holm": 0.0}}}')
    for path in tmp_path.rglob("*.json"):
        files.seal(path)
    render_reproduction(tmp_path)
    assert "privaudit reproduce --decide" in said[0]


def test_intervals_of_loss() -> None:
    loss = np.linspace(0, 1, 100)
    found = intervals_of_loss(loss, loss**2)
    assert len(found.loss) == 10
    assert found.loss[0] == pytest.approx(loss[:10].mean())
    assert found.asr[-1] == pytest.approx((loss[90:] ** 2).mean())


@pytest.mark.parametrize(
    ("share", "bounds", "agreement", "expected"),
    [
        (0.5, (0.4, 0.6), (0.2, 0.1, 0.3), ("supported", "supported")),
        (0.99, (0.97, 1.0), (0.0, -0.09, 0.09), ("not supported", "not supported")),
        (0.93, (0.9, 0.97), (0.1, -0.1, 0.3), ("inconclusive", "inconclusive")),
    ],
)
def test_figure_1_is_answered_by_one_audit(
    share: float, bounds: tuple[float, float], agreement: tuple[float, float, float], expected: tuple[str, str]
) -> None:
    rho, *ci = agreement
    matching = partly(
        Tier,
        outcomes={"recovered": Share(rate=share, ci=bounds, n=100)},
        reliability={"models": PairedCorrelation(spearman=rho, ci=(ci[0], ci[1]), n=100, pairs=1)},
    )
    found = inversion_of_audit(audit_of(partly(InversionResults, matching=matching)))
    assert (found["as_in_paper"].verdict, found["controlled"].verdict) == expected


def table_of_methods(tows: dict[tuple[str, str], float], nothing: float = 0.5) -> list[TableRow]:
    every = {("", "do-nothing"): nothing, ("retrain", ONE_SHOT): 0.98} | tows
    return [
        TableRow(
            set="random:10%",
            method=method,
            arm=arm,
            seeds=1,
            tow=Spread(mean=tow),
            **({"risk_and_forgettability": Spread(mean=tow - 0.5)} if method else {}),
        )
        for (method, arm), tow in every.items()
    ]


def test_methods_are_told_on_page_one() -> None:
    tows = {
        ("ga", "at once"): 0.6, ("ga", "risk"): 0.5, ("ga", "random order"): 0.7,
        ("rl", "at once"): 0.9, ("rl", "risk"): 0.95, ("rl", "random order"): 0.9,
        ("scrub", "at once"): 0.3, ("scrub", "risk"): 0.301, ("scrub", "random order"): 0.3,
        ("ft", "at once"): 0.97,
    }  # fmt: skip
    closest, order, difficulty = (answer.answer[0] for answer in answers([("here", table_of_methods(tows))]))
    assert "FT (at once) comes closest, with a ToW of 0.970; a second retraining has 0.980" in closest
    assert "better than random groups for 1 of 3 methods, worse for 1" in order
    assert "+0.48 when the model is retrained, and from -0.20 (SCRUB) to +0.47 (FT)" in difficulty
    # Where doing nothing is as close as a second retraining, ToW has nothing to tell.
    (told, *_) = answers([("here", table_of_methods(tows, nothing=0.99))])
    assert "ToW tells nothing here" in told.answer[0]
    assert "tells nothing" not in closest


def test_the_papers_own_figures() -> None:
    """Transcribed right: known cells, and what is known of the whole of Table 6."""
    of_cifar = {(row.method, row.arm, row.measure): row.value for row in printed("table6", "cifar10")}
    assert of_cifar["ga", ONE_SHOT, "tow"] == 0.89
    assert of_cifar["rl", "RSU as written", "mia_gap"] == 0.2456
    rises = 0
    for dataset in ("mnist", "cifar10", "cifar100", "tiny-imagenet"):
        cells = {(row.method, row.arm): row.value for row in printed("table6", dataset)
                 if row.measure == "forget"}  # fmt: skip
        rises += sum(
            cells[method, "RSU as written"] > cells[method, ONE_SHOT] for method in ("ga", "rl", "bad-teacher")
        )
    assert rises == 12
    of_mnist = [row for row in printed("table1", "mnist") if row.method == "ga" and row.measure == "forget"]
    assert {row.set: row.value for row in of_mnist} == {RANDOM: 1.0, INVERTIBLE: 0.89}
    assert printed("table6", "digits") == []


def test_the_catalogue_is_whole() -> None:
    tables, figures = (1, 2, 3, 5, 6), (1, 2, 3, 4, 5, 7)
    wanted = {f"table{number}" for number in tables} | {f"figure{number}" for number in figures}
    assert {experiment.name for experiment in EXPERIMENTS} == wanted
    for experiment in EXPERIMENTS:
        assert [*experiment.contrasts()][:2] == ["as_in_paper", "controlled"]
        assert set(experiment.contrasts()) == set(WORLDS[experiment.name])
        for contrast in (*experiment.contrasts().values(), *experiment.secondary):
            for side in (contrast.first, contrast.second):
                if side is not None and experiment.methods:
                    assert side.set in experiment.sets
                    assert side.arm in (*experiment.arms, "do-nothing")
            assert set(contrast.methods) <= {*experiment.methods, "retrain"}
    assert len(list_experiments()) == len(BY_NAME)


def test_a_misspelt_key_of_the_catalogue_is_an_error() -> None:
    entry = {"name": "a", "title": "A", "claim": "", "protocol": "", "control": ""}
    assert TypeAdapter(Experiment).validate_python(entry).arms == (ONE_SHOT,)
    with pytest.raises(ValidationError, match="relaern"):
        TypeAdapter(Experiment).validate_python(entry | {"relaern": True})


def test_names_and_scales() -> None:
    assert chosen(("table6", "all"))[0].name == "table6"
    assert len(chosen(("all",))) == 11
    with pytest.raises(UsageError, match="Did you mean table1"):
        chosen(("tabel1",))
    with pytest.raises(UsageError, match="reproduce what"):
        chosen(())
    with pytest.raises(UsageError, match="unknown --scale"):
        scale_of("huge")
    from privaudit.config import AuditSettings

    assert scale_of("small").seeds == scale_of("paper").seeds == FEWEST_SEEDS
    assert audit_settings(scale_of("paper"), AuditSettings(dataset="cifar10")).network == "resnet18"
    assert audit_settings(scale_of("paper"), AuditSettings(dataset="cifar10")).recipe == "paper"
    assert audit_settings(scale_of("small"), AuditSettings(dataset="mnist")).samples == 10_000
    assert audit_settings(scale_of("small"), AuditSettings(dataset="mnist", samples=500)).samples == 500
    assert audit_settings(scale_of("small"), AuditSettings(dataset="cifar10")).network == "airbench-narrow"
    assert audit_settings(scale_of("small"), AuditSettings(dataset="cifar10")).samples == 20_000
    assert [scale_of("small").seeds_for(name) for name in ("cifar10", "tiny-imagenet")] == [FEWEST_SEEDS, 3]
    assert audit_settings(scale_of("small"), AuditSettings(dataset="cifar10", network="mlp")).network == "mlp"


@pytest.fixture(scope="module")
def reproduced(privaudit: Run, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """All eleven at the smallest scale."""
    root = tmp_path_factory.mktemp("reproduced")
    places = ("--store", root / "store", "--out", root / "out")
    done = privaudit("reproduce", "all", *SMOKE, *places, "--json")
    assert done.returncode == 0, done.stderr
    return {"root": root, "places": places, "results": json.loads(done.stdout), "stderr": done.stderr}


def test_all_eleven_run(reproduced: dict[str, Any]) -> None:
    results = reproduced["results"]
    assert set(results["experiments"]) == {experiment.name for experiment in EXPERIMENTS}
    for name, one in results["experiments"].items():
        answer = json.loads(Path(one["results"]).read_text("utf-8"))
        for protocol in ("as_in_paper", "controlled"):
            contrast, decided = answer["contrasts"][protocol], one["verdicts"][protocol]
            if contrast is None:
                # Six shadow models do not tell how reliable their ranking is.
                assert (name, protocol, decided["verdict"]) == ("figure5", "controlled", "not run")
                continue
            assert np.isfinite(contrast["mean"])
            # Two seeds prove nothing; Figure 1 is answered without seeds.
            assert decided["verdict"] == "descriptive" or name == "figure1"
        if name == "figure1":
            continue
        runs = pd.read_csv(Path(one["results"]).with_name("results.csv"), keep_default_na=False)
        assert set(runs["seed"]) == {0, 1}
    runs = pd.read_csv(
        Path(results["experiments"]["table6"]["results"]).with_name("results.csv"), keep_default_na=False
    )
    allowed = runs[runs["method"] == "rl"].groupby("arm")["forget_steps"].unique().map(list)
    assert allowed["rising risk"] == allowed["random groups at one budget"] == allowed[ONE_SHOT]
    # The smoke scale leaves the arms of other budgets out; RSU as it is written takes three times the others'.
    assert allowed["RSU as written"] == [3 * allowed[ONE_SHOT][0]]


def test_its_contrasts_follow_from_its_runs(reproduced: dict[str, Any]) -> None:
    path = Path(reproduced["results"]["experiments"]["table2"]["results"])
    answer, runs = (
        json.loads(path.read_text("utf-8")),
        pd.read_csv(path.with_name("results.csv"), keep_default_na=False),
    )
    six = ("ga", "rl", "ft", "bad-teacher", "l1-sparse", "retrain")
    one_shot = runs[(runs["arm"] == ONE_SHOT) & runs["method"].isin(six)]
    wide = one_shot.groupby(["seed", "set"])["forget"].mean().unstack()
    assert answer["contrasts"]["as_in_paper"]["mean"] == pytest.approx((wide[RANDOM] - wide[ATTACKED]).mean())
    # The controlled one is the mean of its methods, none of which is retraining, its reference.
    alone = {one["methods"][0]: one["mean"] for one in answer["by_method"]}
    assert set(alone) == set(six) - {"retrain"}
    assert answer["contrasts"]["controlled"]["mean"] == pytest.approx(np.mean(list(alone.values())))
    untouched = runs[runs["arm"] == "do-nothing"].groupby("set")["forget"].mean()
    fall = untouched - runs[(runs["method"] == "ga") & (runs["arm"] == ONE_SHOT)].groupby("set")["forget"].mean()
    assert alone["ga"] == pytest.approx(fall[ATTACKED] - fall[LEAST_ATTACKED])
    nothing = runs[runs["arm"] == "do-nothing"].groupby("set")["forget_gap"].mean()
    assert answer["secondary"][-1]["mean"] == pytest.approx(nothing[LEAST_ATTACKED] - nothing[ATTACKED])


def test_the_same_again_runs_nothing(reproduced: dict[str, Any], privaudit: Run) -> None:
    again = privaudit("reproduce", "table5", "figure7", *SMOKE, *reproduced["places"], "--json")
    assert again.returncode == 0, again.stderr
    assert "retraining" not in again.stderr
    assert "unlearning," not in again.stderr
    before = reproduced["results"]["experiments"]["figure7"]["verdicts"]
    assert json.loads(again.stdout)["experiments"]["figure7"]["verdicts"] == before


def test_its_report_draws_every_verdict_before_it_tabulates_it(reproduced: dict[str, Any]) -> None:
    report = json.loads((reproduced["root"] / "out" / "reproduction" / "report.json").read_text("utf-8"))
    assert "glance" not in report
    first = report["sections"][0]
    assert (first["anchor"], {figure["kind"] for figure in first["figures"]}) == ("verdicts", {"forest"})
    (verdicts,) = first["tables"]
    claims = [row[0].split(":")[0] for row in verdicts["rows"] if ":" in row[0]]
    assert sorted(claims) == sorted(experiment.title for experiment in EXPERIMENTS)
    drawn = [row for figure in first["figures"] for row in figure["data"]["rows"]]
    # What was run nowhere, other budgets at this scale, is in the table alone.
    told = [row[0] for row in verdicts["rows"] if any(":" in cell for cell in row[1:])]
    assert [row["name"] for row in drawn] == told
    assert [column.split(", ")[-1] for column in verdicts["columns"][1:]] == ["as in the paper", "controlled"]
    for row in verdicts["rows"]:
        # One audit answers Figure 1; the others would need more seeds.
        words = {"descriptive", "not run", ""}
        if row[0].startswith("Figure 1:"):
            words = {"supported", "not supported", "inconclusive"}
        assert {cell.split(":")[0] for cell in row[1:]} <= words
    html = Path(reproduced["results"]["report"]["html"]).read_text("utf-8")
    assert "Where this departs from the paper" in html
    assert Path(reproduced["results"]["report"]["pdf"]).stat().st_size > 10_000


def test_list_and_mistakes(privaudit: Run, tmp_path: Path) -> None:
    listed = privaudit("reproduce", "--list")
    assert listed.returncode == 0
    assert "table6: Unlearning a random tenth" in listed.stdout
    for arguments, message in (
        (("tabel6",), "Did you mean table6?"),
        (("table6", "--scale", "vast"), "unknown --scale 'vast'"),
        ((), "reproduce what?"),
    ):
        done = privaudit("reproduce", *arguments, "--store", tmp_path / "s", "--out", tmp_path / "o")
        assert done.returncode == 2, done.stderr
        assert message in done.stderr
        assert "Traceback" not in done.stderr


def page_tables() -> Any:
    """The module that prints the pages' tables."""
    specification = importlib.util.spec_from_file_location("tables", ROOT / "docs" / "tables.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_the_page_of_findings_has_every_verdict() -> None:
    """Every table of docs/findings.md, line by line, from the committed results."""
    page = (ROOT / "docs" / "findings.md").read_text("utf-8")
    assert len(STUDIES) == 3
    for study in STUDIES:
        assert page_tables().verdict_table(study) in page, study
    assert page.count("\n| claim | draws |") == 3
    of_table_2 = [json.loads((study / "table2" / "results.json").read_text("utf-8")) for study in STUDIES]
    assert page_tables().by_method(of_table_2) in page


def test_the_page_of_results_says_what_was_measured() -> None:
    """Every table of docs/unlearning-results.md, line by line, from the committed results."""
    module = page_tables()
    page = (ROOT / "docs" / "unlearning-results.md").read_text("utf-8")
    results = sorted((ROOT / "reports" / "gallery" / "reproduction").glob("*/methods/results.json"))
    assert len(results) == 3
    for path in results:
        for table in module.tables(json.loads(path.read_text("utf-8"))):
            assert table in page, path
    assert page.count("\n| method | order |") == 9
