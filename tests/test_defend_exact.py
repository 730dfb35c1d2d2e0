"""What `privaudit defend` computes, against oracles: the front, the price, the halving, the attacker who adapts."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import softmax

from privaudit.artifacts import DEFENCE_FILES, LEFT_OUT, artifact_at
from privaudit.attacks.lira import online
from privaudit.attacks.released_outputs import (
    ALL,
    MEASURES,
    Answers,
    adaptive,
    derivable_from,
    readable_logits,
    unadapted,
)
from privaudit.commands.defence import defend, output_measures, variation_audits
from privaudit.commands.defence.variation_audits import most_exposed_ids
from privaudit.commands.defence.variations import Variation
from privaudit.config import AuditSettings
from privaudit.errors import StoreError
from privaudit.report.defence.defence_wording import sentence
from privaudit.results.defence_results import (
    CONTROL_FAILED,
    DefenceResults,
    Halving,
    OutputMeasure,
    OutputMeasures,
    Variant,
)
from privaudit.results.measures import Attack, Difference
from privaudit.scoring.defence.accuracy_price import accuracy_change, accuracy_of
from privaudit.scoring.defence.pareto_front import pareto_front
from privaudit.scoring.defence.recommendation import corrected, decide, halve
from privaudit.shadow.design import paired_design
from privaudit.signals import signals_of
from privaudit.statistics.audit_difference import Estimate
from privaudit.statistics.roc import auc

BY_NAME = {one.name: one for one in MEASURES}
PAIRS, SAMPLES, CLASSES = 6, 1500, 5


def answers_of(leak: float, seed: int = 0) -> Answers:
    """Shadow models whose true class is further ahead where they saw the sample."""
    random = np.random.default_rng(seed)
    keep = paired_design(SAMPLES, 2 * PAIRS, seed)
    labels = random.integers(0, CLASSES, SAMPLES)
    logits = random.normal(size=(2 * PAIRS, SAMPLES, CLASSES))
    logits += random.normal(size=(SAMPLES, CLASSES))
    logits[:, np.arange(SAMPLES), labels] += 1 + leak * keep
    right = np.stack([logits.argmax(axis=2) == labels for _ in range(3)], axis=2)
    return Answers(logits, right, labels, keep)


# The front and the price.


@pytest.mark.parametrize("seed", range(20))
def test_the_front_is_what_nothing_beats(seed: int) -> None:
    random = np.random.default_rng(seed)
    accuracy, risk = (random.integers(0, 6, 12) / 6 for _ in range(2))
    accuracy[random.random(12) < 0.1] = np.nan
    expected = [
        bool(np.isfinite(a))
        and not any((b >= a and s <= r) and (b > a or s < r) for b, s in zip(accuracy, risk, strict=True))
        for a, r in zip(accuracy, risk, strict=True)
    ]
    assert pareto_front(accuracy, risk).tolist() == expected


def test_a_price_is_zero_between_equals_and_its_interval_covers() -> None:
    random = np.random.default_rng(0)
    right = random.random((16, 90)) < 0.8
    same = accuracy_change(right, right)
    assert (same.difference, same.ci) == (0, (0, 0))
    assert accuracy_of(np.ones((4, 9), np.bool_))[1] is None  # two pairs are too few
    covered = 0
    for _ in range(300):
        hard, moved = random.normal(0.9, 1, 90), random.normal(0.03, 0.1)
        sides = [
            (hard + shift + random.normal(size=(16, 90)) + random.normal(0, 0.1, (16, 1))) > 0 for shift in (0, moved)
        ]
        truth = stats.norm.cdf((0.9 + moved) / np.sqrt(2.01)) - stats.norm.cdf(0.9 / np.sqrt(2.01))
        low, high = accuracy_change(*sides).ci or (1, 0)
        covered += low <= truth <= high
    assert covered >= 0.93 * 300


def test_halving_is_the_paired_t_test_against_half() -> None:
    random = np.random.default_rng(1)
    before, after = random.normal(0.2, 0.03, 8), random.normal(0.07, 0.03, 8)
    first, second = (Estimate(float(one.mean()), (one - one.mean()) / 8) for one in (before, after))
    found = halve(first, second, paired=True)
    expected = stats.ttest_rel(after, before / 2, alternative="less")
    assert found.p == pytest.approx(expected.pvalue)
    assert found.goal == pytest.approx(before.mean() / 2)
    assert found.difference.difference == pytest.approx(after.mean() - before.mean() / 2)
    (alone,) = corrected([found])
    many = corrected([found, *(found.model_copy(update={"p": 0.9}) for _ in range(9))])
    assert alone.p_corrected == found.p
    assert many[0].p_corrected == pytest.approx(min(1.0, 10 * expected.pvalue))


# The rule.


def halving(p: float | None, lower: bool = True) -> Halving:
    change = Difference(a=0.1, b=0.05, difference=-0.05 if lower else 0.05, ci=None)
    return corrected([Halving(goal=0.1, difference=change, p=p, halves="not shown")])[0]


def variant(name: str, tpr: float | None, price: float = 0.0, p: float | None = None) -> Variant:
    fields: dict[str, Any] = dict.fromkeys(("auc_ci", "accuracy", "shadow_accuracy_ci", "told_right", "most_exposed"))
    change = Difference(a=0.9, b=0.9 + price, difference=price, ci=None)
    return Variant(
        **fields, name=name, title=name, changes={}, audit=name, samples=1, shadows=8, auc=0.6, mean_risk=0.6,
        tpr_at_fpr={"0.01": tpr}, tpr_ci={"0.01": None}, shadow_accuracy=0.9, most_exposed_ci=None,
        accuracy_change=change, halving=None if p is None else halving(p),
    )  # fmt: skip


def output(name: str, tpr: float, helps: bool) -> OutputMeasure:
    attack = Attack(auc=0.6, auc_ci=None, tpr_at_fpr={"0.01": tpr}, tpr_ci={"0.01": None}, smallest_fpr=0.001)
    return OutputMeasure(
        name=name, title=name, unadapted=attack, adaptive=attack, attack="margin", attacks={}, helps=helps,
        halving=halving(0.001),
    )  # fmt: skip


def test_the_cheapest_that_is_shown_to_halve_is_recommended() -> None:
    audited = variant("baseline", 0.2)
    dear, cheap = variant("dear", 0.01, -0.05, 0.001), variant("cheap", 0.05, -0.01, 0.01)
    free = variant("free", 0.09, 0.0, 0.2)
    assert decide([audited, dear, cheap, free], []).recommended == "cheap"
    assert decide([audited, dear, cheap, free], [], max_accuracy_loss=0.005).verdict == "nothing helped"
    assert decide([audited, free], []).recommended is None


def test_a_measure_at_the_output_counts_only_by_the_attack_that_adapts() -> None:
    audited, free = variant("baseline", 0.2), variant("free", 0.09, 0.0, 0.2)
    assert decide([audited, free], [output("obscure", 0.05, helps=False)]).verdict == "nothing helped"
    found = decide([audited, free], [output("obscure", 0.01, helps=False), output("label", 0.05, helps=True)])
    assert (found.recommended, found.at_output) == ("label", True)
    trained = variant("trained", 0.05, -0.1, 0.001)
    assert decide([audited, trained], [output("label", 0.01, helps=True)]).recommended == "trained"


def test_what_guessing_finds_can_not_be_halved_and_what_is_not_resolved_not_told() -> None:
    better = variant("better", 0.005, 0.0, 0.001)
    assert decide([variant("baseline", 0.015), better], []).verdict == "nothing to halve"
    assert decide([variant("baseline", None), better], []).verdict == "too little evidence"
    few = variant("few", 0.01).model_copy(update={"halving": halving(None)})
    assert decide([variant("baseline", 0.2), few], []).verdict == "too little evidence"


def test_an_audit_whose_control_failed_is_no_evidence() -> None:
    def failed(one: Variant) -> Variant:
        return one.model_copy(update={"warnings": (CONTROL_FAILED,)})

    audited, dear, cheap = (
        variant("baseline", 0.2),
        variant("dear", 0.01, -0.05, 0.001),
        variant("cheap", 0.05, 0, 0.01),
    )
    assert decide([failed(audited), dear, cheap], []).verdict == "too little evidence"
    assert decide([audited, dear, failed(cheap)], []).recommended == "dear"
    assert decide([audited, failed(cheap)], []).verdict == "nothing helped"
    assert "A negative control of the audited" in told([failed(audited), cheap])
    assert "Not counted, as a negative control failed: cheap." in told([audited, failed(cheap)])


def test_what_costs_too_much_is_not_said_not_to_halve() -> None:
    audited, dear = variant("baseline", 0.2), variant("dear", 0.01, -0.05, 0.001)
    label = output("label", 0.05, helps=True)
    assert "is shown to halve the members found for at most 1 points of accuracy. Showing label is" in told(
        [audited, dear], [label], max_accuracy_loss=0.01
    )


def told(variants: list[Variant], outputs: list[OutputMeasure] | None = None, **limit: float) -> str:
    """The sentence on what the rule decides."""
    found, listed = decide(variants, outputs or [], **limit), outputs or []
    results = DefenceResults(
        audit="audit", fpr=0.01, variants=variants, outputs=OutputMeasures(samples=1, copies=1, measures=listed),
        skipped=[], tests=len(variants), max_accuracy_loss=limit.get("max_accuracy_loss"), verdict=found.verdict,
        recommended=found.recommended, sentence="",
    )  # fmt: skip
    return sentence(results)


# The attacker.


def test_a_temperature_leaves_an_attacker_who_knows_it_as_he_was() -> None:
    answers = answers_of(1.5)
    release = BY_NAME["temperature-5"]
    everything = adaptive(answers.statistics(ALL), answers.keep)
    softened = adaptive(answers.statistics(release), answers.keep)
    for name in ("margin", "scaled-logit"):
        assert softened[name] == pytest.approx(everything[name], rel=1e-3, abs=1e-3)
    # And any scale, known or not, leaves LiRA's ratio as it is: mean and spread go with it.
    margins = answers.statistics(ALL)["margin"].astype(np.float64)
    assert online(7 * margins, answers.keep) == pytest.approx(online(margins, answers.keep), rel=1e-6, abs=1e-9)
    of_adaptive = auc(everything["margin"].ravel(), answers.keep.ravel())
    unaware = unadapted(margins, answers.shown_margins(release), answers.keep)
    assert auc(unaware.ravel(), answers.keep.ravel()) < of_adaptive - 0.05


def test_who_does_not_know_and_need_not_finds_the_same() -> None:
    answers = answers_of(1.0)
    margins = answers.statistics(ALL)["margin"].astype(np.float64)
    found = unadapted(margins, margins, answers.keep)
    assert found == pytest.approx(online(margins, answers.keep), rel=0.05, abs=0.02)


def test_who_sees_more_has_every_attack_of_who_sees_less() -> None:
    found = {name: {one.name for one in derivable_from(BY_NAME[name], MEASURES)} for name in BY_NAME}
    assert found["temperature-5"] == {"rounded-2", "rounded-1", "top-3", "top-1"}
    assert (found["rounded-2"], found["top-3"], found["label"]) == ({"rounded-1"}, {"top-1"}, set())


def test_labels_of_random_models_say_nothing() -> None:
    random = np.random.default_rng(3)
    answers = answers_of(0.0)
    right = random.random((2 * PAIRS, SAMPLES, 7)) < 0.6
    blind = Answers(answers.logits, right, answers.labels, answers.keep)
    for scores in adaptive(blind.statistics(BY_NAME["label"]), answers.keep).values():
        assert auc(scores.ravel(), answers.keep.ravel()) == pytest.approx(0.5, abs=0.02)


def test_less_that_is_shown_leaves_less_to_whoever_adapts() -> None:
    answers = answers_of(1.5)
    found = {
        one.name: max(auc(scores.ravel(), answers.keep.ravel()) for scores in tried.values())
        for one in (ALL, BY_NAME["rounded-1"], BY_NAME["label"])
        for tried in [adaptive(answers.statistics(one), answers.keep)]
    }
    assert found["logits"] > found["rounded-1"] > found["label"] > 0.52


def test_what_is_hidden_is_filled_in_as_the_release_allows() -> None:
    logits = np.log([[0.6, 0.25, 0.1, 0.05], [0.01, 0.02, 0.03, 0.94]])
    top = softmax(readable_logits(logits, BY_NAME["top-1"]), axis=1)
    assert top == pytest.approx(np.array([[0.6, *[0.4 / 3] * 3], [0.02, 0.02, 0.02, 0.94]]))
    told = readable_logits(logits, BY_NAME["top-3"])
    assert signals_of(told, np.array([1, 0])) == pytest.approx(signals_of(logits, np.array([1, 0])), rel=1e-5)
    rounded = np.exp(readable_logits(logits, BY_NAME["rounded-1"]))
    assert rounded[1] == pytest.approx([0.025, 0.025, 0.025, 0.9])
    # A sure model's rest is far below what 1 − p can say, and is told all the same.
    sure = np.array([[60.0, 1.0, 0.0, 0.0]])
    assert readable_logits(sure, BY_NAME["top-1"])[0, 1] == pytest.approx(-60 + np.log((np.e + 2) / 3), rel=1e-6)


def test_no_class_is_emptied_of_its_most_exposed() -> None:
    table = pd.DataFrame({"sample_id": np.arange(100), "label": [0] * 10 + [1] * 90, "lira": 0.0})
    table["risk"] = np.where(table["label"] == 0, 0.9, np.linspace(0.5, 0.8, 100))
    chosen = most_exposed_ids(table, 0.1)
    assert len(chosen) == 10
    assert sum(int(str(one)) < 10 for one in chosen) == 5
    assert [one for one in chosen if int(str(one)) >= 10] == [95, 96, 97, 98, 99]


def test_another_list_of_the_most_exposed_is_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = pd.DataFrame({"sample_id": np.arange(100), "label": 0, "lira": 0.0, "canary": False})
    table["risk"] = np.linspace(0.5, 0.8, 100)
    tables = iter([table, table, table.assign(risk=table["risk"][::-1].to_numpy())])
    monkeypatch.setattr(variation_audits, "read_table", lambda _: next(tables))
    baseline: Any = SimpleNamespace(settings=SimpleNamespace(out=tmp_path), name="audit")
    left_out = Variation("without-most-exposed", "", {})
    first, same, other = (
        Path(str(variation_audits.leave_out_most_exposed(baseline, left_out).changes["without"])) for _ in range(3)
    )
    assert first == same != other
    assert first.read_text("utf-8").split() == ["sample_id", "95", "96", "97", "98", "99"]
    assert artifact_at(first.name, DEFENCE_FILES) is artifact_at("most-exposed-0.csv", DEFENCE_FILES) is LEFT_OUT


@pytest.mark.parametrize("is_head", [False, True])
def test_embeddings_of_images_are_not_turned(is_head: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def logits_of(_: object, samples: object, __: object = None, seen_as: object = (0, 0, False)) -> Any:
        asked.append(seen_as)
        return np.zeros((3, 2))

    monkeypatch.setattr(output_measures, "load_model", lambda *_: None)
    monkeypatch.setattr(output_measures, "logits_of", logits_of)
    specification = SimpleNamespace(is_head=is_head, hardware=SimpleNamespace(device="cpu"), statistics=((0,), (1,)))
    plan: Any = SimpleNamespace(
        arrays=SimpleNamespace(pool_labels=np.zeros(3, np.int64), pool_inputs=np.zeros((3, 4), np.float32)),
        data=SimpleNamespace(is_image=True),
        settings=SimpleNamespace(seed=0),
        specification=specification,
        store=SimpleNamespace(model=lambda key: key),
    )
    monkeypatch.setattr(output_measures, "one_thread", lambda _: nullcontext())
    output_measures._ask(plan, ["0000"], np.arange(3), np.ones((1, 3), np.bool_))
    assert (set(asked) == {(0, 0, False)}) == is_head


def test_nothing_is_planned_upon_a_purged_audit(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise StoreError("purged")

    baseline = SimpleNamespace(store=SimpleNamespace(demand_not_purged=refuse))
    monkeypatch.setattr(defend, "open_baseline", lambda *_: baseline)
    with pytest.raises(StoreError, match="purged"):
        defend.plan_defence(AuditSettings(dataset="digits"), set(), None, None)


def test_a_purged_variation_is_refused_before_anything_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise StoreError("purged of 3 samples", hint="Take them out.")

    baseline = SimpleNamespace(store=SimpleNamespace(demand_not_purged=lambda: None), name="audit")
    purged = SimpleNamespace(store=SimpleNamespace(demand_not_purged=refuse), name="other")
    monkeypatch.setattr(defend, "open_baseline", lambda *_: baseline)
    monkeypatch.setattr(defend, "default_variations", lambda _: ([Variation("fewer", "", {"epochs": 3})], []))
    monkeypatch.setattr(defend, "plan_variation", lambda *_: purged)
    monkeypatch.setattr(defend, "why_unmeasured", lambda _: None)
    monkeypatch.setattr(defend, "cost_of", lambda *_, **__: None)
    with pytest.raises(StoreError, match="variation 'fewer': purged of 3 samples"):
        defend.plan_defence(AuditSettings(dataset="digits"), set(), None, None)
