"""The brief: a verdict that follows the limits, people counted, plain words, and what now chosen by rules."""

from __future__ import annotations

import io
import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pypdf import PdfReader

from privaudit.api import gate, init, write_report
from privaudit.audit.declaration import keep_declaration, read_declaration
from privaudit.cli.main import COMMANDS
from privaudit.commands.gate import check_audit
from privaudit.config import read_settings
from privaudit.errors import GateBreached, UsageError
from privaudit.report.brief import next_steps, plain
from privaudit.report.brief.brief import _exposed as exposed
from privaudit.report.brief.next_steps import Situation
from privaudit.report.brief.pictures import people
from privaudit.report.brief.verdict import judge
from privaudit.report.html import _whole
from privaudit.report.write import render_report
from privaudit.results.audit.controls import Duplicates, NegativeControl
from privaudit.results.audit.score_results import (
    Exposure,
    GivenTarget,
    GroupExposure,
    PurgeEntry,
    ScoreResults,
    TargetAttack,
    ToldRight,
)
from privaudit.results.base import read_result
from privaudit.results.gate_results import Limit
from privaudit.results.measures import Attack
from privaudit.results.statement.declaration import Declaration, DeclaredLimits
from privaudit.runtime import files
from tests.pages import command_of
from tests.test_unlearning_words import run_of

#: What a reader of the brief would have to look up.
TERMS = re.compile(r"\b(ToW|AUC|TPR|FPR|ASR|ROC|Spearman|LiRA|RMIA|T1|T2|memberships?|shadow models?)\b", re.IGNORECASE)

HOSTILE = "<script>alert(1)</script>\u202e$x$ {{7*7}} #let " + "w" * 300


@pytest.fixture
def folder(small_audit: dict[str, Any], tmp_path: Path) -> Path:
    """A copy of the small audit's results."""
    audit: str = small_audit["results"]["audit"]
    shutil.copytree(small_audit["root"] / "out" / audit, tmp_path / "out" / audit)
    return tmp_path / "out" / audit


@pytest.fixture
def results(folder: Path) -> ScoreResults:
    return read_result(folder / "score.json", ScoreResults)


def limits(**most: Any) -> Declaration:
    return Declaration(limits=DeclaredLimits(**most))


def words_of(brief: Any) -> str:
    """Everything that the brief says but its commands, which are typed, and the user's own names."""
    content = json.loads(json.dumps(brief))
    for step in content["steps"]:
        del step["commands"]
    for figure in (*content["pictures"], *content["distribution"]):
        del figure["data"], figure["kind"]
    del content["declared"]
    return json.dumps(content)


def test_the_verdict_is_that_of_the_interval(results: ScoreResults) -> None:
    low, high = results.attacks["lira"].auc_ci or (0, 0)
    for most, said in ((max(0.5, low - 0.01), "exceeded"), (high, "holds"), ((low + high) / 2, "cannot be told")):
        assert judge(results, limits(auc=most)).word == said
    assert judge(results, limits(auc=high, tpr={"0.01": 0.001})).word == "exceeded"
    assert judge(results, None).word == "better than guessing"
    assert "held against guessing" in judge(results, None).basis[0]


def with_lira(results: ScoreResults, **changed: Any) -> ScoreResults:
    attacks = results.attacks | {"lira": results.attacks["lira"].model_copy(update=changed)}
    return results.model_copy(update={"attacks": attacks})


def test_the_sentence_tells_the_figure_that_decides(results: ScoreResults) -> None:
    tpr, bounds = {"0.01": 0.05, "0.001": 0.02}, {"0.01": (0.04, 0.06), "0.001": (0.01, 0.03)}
    found = with_lira(results, tpr_at_fpr=tpr, tpr_ci=bounds)
    answer = judge(found, limits(tpr={"0.01": 0.1, "0.001": 0.005})).answer
    assert answer.startswith("1 of 2 declared limits are exceeded")
    assert "1 in 1,000" in answer
    low, _ = found.attacks["lira"].auc_ci or (0, 0)
    answer = judge(found, limits(tpr={"0.01": 0.1}, auc=max(0.5, low - 0.01))).answer
    assert "the right one is picked at most" in answer


def test_where_the_attack_fixed_beforehand_sees_nothing_another_is_not_hidden(results: ScoreResults) -> None:
    nothing = {"auc": 0.5, "auc_ci": (0.45, 0.55), "tpr_at_fpr": {"0.01": 0.01}, "tpr_ci": {"0.01": (0.0, 0.03)}}
    quiet = with_lira(results, **nothing)
    rmia = quiet.attacks["lira"].model_copy(update={"auc": 0.7, "auc_ci": (0.69, 0.71)})
    found = judge(quiet.model_copy(update={"attacks": {"lira": quiet.attacks["lira"], "rmia": rmia}}), None)
    assert "was not seen to do better than guessing" in found.answer
    assert "Of the 2 attacks that were run, 1 did better than guessing" in found.basis[-1]


def test_a_group_of_one_is_not_called_the_most_exposed(results: ScoreResults) -> None:
    one = GroupExposure(name="ward 7", samples=1, mean=1.0, ci=None, high=1)
    many = GroupExposure(name="ward 2", samples=90, mean=0.9, ci=(0.8, 0.95), high=9, p=0.01)
    found = results.model_copy(update={"groups": {"ward": Exposure(p=0.01, groups=[one, many])}})
    said = " ".join(exposed(found, pd.DataFrame({"risk": [], "sample_id": [], "class_name": []})))
    assert "ward 7" not in said
    assert "ward 2" in said


def test_a_failed_check_leaves_nothing_to_decide(results: ScoreResults) -> None:
    failed = NegativeControl(auc=0.7, ci=(0.65, 0.75), standard_error=0.02, holds=False)
    wrong = results.model_copy(update={"controls": results.controls.model_copy(update={"negative": failed})})
    for declared in (None, limits(auc=1.0)):
        found = judge(wrong, declared)
        assert found.word == "cannot be told"
        assert "Nothing can be decided" in found.answer
        steps = next_steps.next_steps(Situation(wrong, found, [], declared))
        assert steps[0].title == "Do not decide on this audit"


def test_a_target_of_one_s_own_comes_first_and_an_unlike_fit_is_told(results: ScoreResults, folder: Path) -> None:
    tpr = {"0.01": 0.77, "0.001": None, "0.0001": None}
    of_target = TargetAttack(
        auc=0.9, auc_ci=(0.88, 0.92), tpr_at_fpr=tpr, tpr_ci=tpr | {"0.01": (0.7, 0.8)}, smallest_fpr=0.01
    )
    accuracy = results.accuracy and results.accuracy.model_copy(update={"target_train": 0.5})
    about = results.about.model_copy(update={"target": GivenTarget(file="own.pt", sha256="0" * 64)})
    controls = results.controls.model_copy(update={"blind": None, "shift": None})
    own = results.model_copy(
        update={"about": about, "target": of_target, "accuracy": accuracy, "controls": controls, "duplicates": None}
    )
    found = judge(own, limits(auc=0.87))
    assert found.word == "exceeded"
    assert "from the model that was handed in" in found.answer
    assert "77% of the people" in found.answer
    assert "fit differently" in " ".join(found.basis)
    files.write_json(folder / "score.json", own.to_json())
    files.seal(folder / "score.json")
    limit = [Limit(quantity="auc", most=0.87)]
    assert check_audit(folder, limit, None)[0].value == 0.9
    assert check_audit(folder, limit, "lira")[0].value == own.attacks["lira"].auc


@given(
    tpr=st.floats(0, 1), prior=st.floats(0.001, 0.999), rate=st.sampled_from(["0.0001", "0.001", "0.01"]),
    shown=st.sampled_from([100, 1_000]),
)  # fmt: skip
def test_people_add_up_and_each_count_is_within_one_of_what_is_expected(
    tpr: float, prior: float, rate: str, shown: int
) -> None:
    attack = Attack(auc=0.6, auc_ci=None, tpr_at_fpr={rate: tpr}, tpr_ci={rate: None}, smallest_fpr=0.001)
    hit, miss, part, none = (group.count for group in people(attack, rate, prior, shown))
    assert hit + miss + part + none == shown
    fpr = float(rate)
    expected = (prior * tpr, (1 - prior) * fpr, prior * (1 - tpr), (1 - prior) * (1 - fpr))
    for count, share in zip((hit, miss, part, none), expected, strict=True):
        assert abs(count - shown * share) <= 1


def test_percentages_are_short_and_never_round_to_certainty() -> None:
    said = [plain.percent(value) for value in (0, 0.00123, 0.01, 0.0459, 0.5, 0.9999, 1)]
    assert said == ["0%", "0.12%", "1%", "4.6%", "50%", ">99.9%", "100%"]
    assert plain.span((0.041, 0.052)) == " (95% range 4.1–5.2%)"
    assert plain.share_of(0.001) == "1 in 1,000"


def test_an_interval_stays_in_one_line_and_everything_is_escaped() -> None:
    assert _whole("a (4.1–5.2%) <b>") == 'a (<span class="whole">4.1–5.2%</span>) &lt;b&gt;'
    assert "whole" not in _whole("2019–x <script>")


def test_the_brief_is_two_pages_in_plain_words_and_says_what_was_not_declared(folder: Path) -> None:
    render_report(folder)
    report = json.loads((folder / "report.json").read_text())
    assert not TERMS.search(words_of(report["brief"]))
    assert not TERMS.search(report["subtitle"])
    assert [value for _, value in report["brief"]["declared"]][:-1] == ["not declared"] * 6
    pages = [page.extract_text() for page in PdfReader(io.BytesIO((folder / "report.pdf").read_bytes())).pages]
    assert "Answer:" in pages[0]
    assert "Date and signature" in pages[1]
    assert "In the field's terms" in pages[2].replace("’", "'")


def test_a_hostile_declaration_is_told_in_both_renderings_and_does_nothing(folder: Path) -> None:
    declared = Declaration.model_validate(
        {"title": HOSTILE, "organisation": HOSTILE, "author": HOSTILE, "retest_when": HOSTILE}
        | {"model": {"name": HOSTILE}, "people": {"who": HOSTILE, "prior": 0.1}, "limits": {"auc": 1.0}}
    )
    keep_declaration(declared, folder)
    render_report(folder)
    html = (folder / "report.html").read_text()
    assert "<script>alert" not in html
    assert "\u202e" not in html
    assert "{{7*7}}" in html
    pages = PdfReader(io.BytesIO((folder / "report.pdf").read_bytes())).pages
    assert "Date and signature" in pages[1].extract_text()


def test_what_is_declared_stays_and_the_gate_reads_its_limits(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "declared.toml"
    file.write_text('title = "An audit"\ndate = 2026-01-31\n[limits]\nauc = 0.5', "utf-8")
    places: dict[str, Any] = {"out": folder.parent}
    with pytest.raises(UsageError, match="declare limits"):
        gate(folder.name, **places)
    write_report(folder.name, declare=file, **places)
    first = (folder / "report.pdf").read_bytes()
    write_report(folder.name, **places)
    assert (folder / "report.pdf").read_bytes() == first
    report = json.loads((folder / "report.json").read_text())
    assert report["title"] == "An audit"
    assert ["Date", "2026-01-31"] in report["brief"]["declared"]
    assert report["brief"]["verdict"] == "exceeded"
    with pytest.raises(GateBreached):
        gate(folder.name, **places)
    assert gate(folder.name, max_auc=1.0, **places).checks[0].verdict == "holds"


def test_init_writes_files_that_are_read_as_they_are_and_nothing_over_another(tmp_path: Path) -> None:
    written = init(tmp_path / "new")
    settings = read_settings({}, Path(written.settings))
    assert settings.declare == Path(written.declaration)
    assert read_declaration(Path(written.declaration)) == Declaration()
    every = tmp_path / "every.toml"
    every.write_text(re.sub(r"(?m)^#(?=\w)", "", Path(written.settings).read_text("utf-8")), "utf-8")
    assert read_settings({}, every).shadows == 32
    with pytest.raises(UsageError, match="is there already"):
        init(tmp_path / "new")


# What now.


def situation(results: ScoreResults, declared: Declaration | None = None, **run: Any) -> Situation:
    runs = [run_of("ga", None, None, None, forget=30, **run)] if run else []
    return Situation(results, judge(results, declared), runs, declared)


def titles(now: Situation) -> list[str]:
    return [step.title for step in next_steps.next_steps(now)]


def harmless(results: ScoreResults) -> ScoreResults:
    """The same audit, had it found nothing, been sure of it, and named nobody for no want of models."""
    tpr, ci = {"0.01": 0.01}, {"0.01": (0.005, 0.015)}
    lira = results.attacks["lira"].model_copy(
        update={"auc": 0.5, "auc_ci": (0.49, 0.51), "tpr_at_fpr": tpr, "tpr_ci": ci}
    )
    told = ToldRight(
        at_least=0.9, samples=0, chance=0.0, confirmed=0.0, chance_confirmed=0.0, leaders=10, leaders_confirmed=0.0,
        named=True, reason=None,
    )  # fmt: skip
    controls = results.controls.model_copy(update={"blind": None, "shift": None})
    changes = {"attacks": {"lira": lira}, "told_right": told, "controls": controls, "duplicates": None}
    return results.model_copy(update=changes)


def test_where_nothing_is_found_nothing_is_to_be_done(results: ScoreResults) -> None:
    declared = limits(auc=0.6)
    assert titles(situation(harmless(results), declared)) == [
        "Nothing to do now",
        "Hold every new version against the same limits",
    ]
    assert titles(situation(harmless(results)))[-1] == "Declare for whom, by whom, and which limits hold"


def test_a_leak_is_trained_away_and_doubt_takes_more_models(results: ScoreResults) -> None:
    assert titles(situation(results, limits(auc=0.5)))[0].startswith("Train a model that remembers less")
    low, high = results.attacks["lira"].auc_ci or (0, 0)
    unsure = situation(results, limits(auc=(low + high) / 2))
    assert "Use 16 comparison models in place of 8" in titles(unsure)
    (step,) = (one for one in next_steps.next_steps(unsure) if "comparison models" in one.title)
    assert "--shadows 16" in step.commands[0]


def test_where_the_rate_may_be_chance_the_answer_says_what_it_rests_on(results: ScoreResults) -> None:
    lira = results.attacks["lira"]

    def told(low: float, auc_low: float) -> str:
        rates = {
            "tpr_at_fpr": {"0.01": 0.03},
            "tpr_ci": {"0.01": (low, 0.11)},
            "auc": 0.592,
            "auc_ci": (auc_low, 0.645),
        }
        changed = lira.model_copy(update=rates)
        return judge(results.model_copy(update={"attacks": results.attacks | {"lira": changed}}), None).answer

    assert "which is which in 59.2% of tries (95% range 53.7–64.5%); guessing in 50%." in told(0.0076, 0.537)
    assert "chance" not in told(0.02, 0.537)
    # Neither is above guessing: nothing is claimed, and nothing is to be explained.
    assert "which is which" not in told(0.0076, 0.49)


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        ("ruined", "Do not use the latest unlearned model"),
        ("unchanged", "Do not use the latest unlearned model"),
        ("partial", "Train anew without the people"),
        ("unclear", "Train anew without the people"),
        ("close", "Remove what this audit itself still holds"),
        ("exact", "Remove what this audit itself still holds"),
    ],
)
def test_what_became_of_unlearning_decides_what_follows(results: ScoreResults, outcome: str, said: str) -> None:
    now = situation(harmless(results), limits(auc=0.6), outcome=outcome)
    assert any(title.startswith(said) for title in titles(now))
    entry = PurgeEntry(digest="0", date="2026-01-01", samples=30)
    purged = now.results.model_copy(update={"purges": (entry,)})
    again = titles(Situation(purged, now.judgement, now.runs, now.declared))
    assert not any(title.startswith("Remove what this audit") for title in again)
    # And page 1 says that its figures are of more people than the audit still has.
    assert judge(purged, None).basis[-1].startswith("30 records have been purged from this audit since (last on 2026")


def test_copies_are_to_be_taken_out_but_for_tables_that_repeat_by_nature(results: ScoreResults) -> None:
    found = Duplicates(
        training=300, test=120, test_in_training=3, test_in_training_share=0.025, same_label=3, within_training=5,
        ordinary=False, near=None,
    )  # fmt: skip
    title = "Take out records that are there twice, and audit again"
    assert title in titles(situation(harmless(results).model_copy(update={"duplicates": found})))
    ordinary = found.model_copy(update={"ordinary": True})
    assert title not in titles(situation(harmless(results).model_copy(update={"duplicates": ordinary})))


@pytest.mark.parametrize("outcome", ["ruined", "partial", "exact"])
def test_every_command_is_one_that_there_is(results: ScoreResults, outcome: str) -> None:
    for declared in (None, limits(auc=0.5), limits(auc=1.0)):
        for step in next_steps.next_steps(situation(results, declared, outcome=outcome)):
            for line in step.commands:
                name, *words = shlex.split(line)[1:]
                assert name in COMMANDS
                command_of(name).make_context(name, words)
