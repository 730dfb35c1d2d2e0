"""Page 1: the questions that every reviewer has, each with its answer or with the words that it was not measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from privaudit.report.content import comparability, wording
from privaudit.report.content.elements import Answer, Fact
from privaudit.report.content.method_names import method
from privaudit.report.content.texts import text
from privaudit.report.content.wording import area, clip, interval, known, number, percent, rate, warned
from privaudit.report.exposure import most_exposed
from privaudit.results.audit.score_results import ScoreResults
from privaudit.results.measures import Attack, Interval
from privaudit.results.unlearning.run import UnlearnResults
from privaudit.results.unlearning.trials import OrderResults
from privaudit.scoring.reliability.confirmation import is_certain

#: How many of the most exposed page 1 names, and how many unlearning runs it tells of.
NAMED = 3
TOLD_RUNS = 3


def headline_facts(results: ScoreResults, table: pd.DataFrame) -> list[Fact]:
    """The numbers of page 1."""
    lira = results.attacks["lira"]
    facts = [_members_found(lira, fpr) for fpr in ("0.001", "0.01")]
    facts.append(Fact("AUC (½ is guessing)", number(lira.auc), _bounds(lira.auc_ci)))
    told, by_other_half = results.told_right, ""
    if told is not None and told.confirmed is not None and told.chance_confirmed is not None:
        by_other_half = (
            f"of those that one half of the models so tells, the other half confirms {percent(told.confirmed)} "
            f"(chance {percent(told.chance_confirmed)})"
        )
    parts = (
        f"of {len(table):,}",
        most_exposed.by_chance(results, len(table)),
        by_other_half,
        f"a typical one is told right in {percent(float(table['risk'].median()))}",
    )
    certain = int(is_certain(table["risk"].to_numpy(np.float64)).sum())
    return [*facts, Fact("Samples told right in ≥ 90% of models", f"{certain:,}", "; ".join(filter(None, parts)))]


def _members_found(lira: Attack, fpr: str) -> Fact:
    label, tpr, hits = f"Members found at {rate(fpr)} false alarms", lira.tpr_at_fpr[fpr], lira.true_positives
    if tpr is None:
        return Fact(label, "too little evidence", f"this run resolves {percent(lira.smallest_fpr)} and above")
    counted = f"{known(hits, 'true_positives')[fpr]:,} of {known(lira.positives, 'positives'):,} memberships"
    return Fact(label, percent(tpr), f"guessing finds {rate(fpr)}; {_bounds(lira.tpr_ci[fpr], percent)}; {counted}")


def _bounds(found: Interval | None, say: Callable[[float], str] = number) -> str:
    return interval(found, say) if found is None else f"95% interval {interval(found, say)}"


def answers(
    results: ScoreResults, table: pd.DataFrame, runs: Sequence[UnlearnResults], orders: Sequence[OrderResults]
) -> list[Answer]:
    """Every question of page 1; whatever was not measured says so.

    Parameters
    ----------
    results, table
        The audit's, and its score table without canaries.
    runs, orders
        Every unlearning run, and every comparison of orders.
    """
    return [
        _who_is_exposed(results, table),
        _what_was_attacked(results, table, runs),
        Answer("What must an attacker have?", [text("overview.attacker")], "audited"),
        *_utility(results),
        *_before_and_after(results, runs),
        *_orders(runs, orders),
        _inversion(results, table),
        *_difficulty(results, runs),
        _controls(results),
        *_warnings(results),
        _check(results),
    ]


def _who_is_exposed(results: ScoreResults, table: pd.DataFrame) -> Answer:
    worst = most_exposed.leaders(table, results, NAMED)
    named = "; ".join(
        f"{row['sample_id']} (class {clip(str(row['class_name']), 30)}, {percent(row['risk'])})"
        for row in worst.to_dict("records")
    )
    said = [
        f"By risk, and confirmed by either half of the shadow models, samples {named}."
        if named
        else most_exposed.nobody(results),
        *most_exposed.confirmed(results),
    ]
    for name, found in results.groups.items():
        top = found.groups[0]
        if found.p is not None and found.p < 0.05:
            said.append(
                f"By {clip(name, 30)}, {clip(top.name, 30)} most, with a mean of {percent(top.mean)} "
                f"({interval(top.ci, percent)}) against {percent(results.mean_risk)} overall."
            )
        else:
            said.append(f"By {clip(name, 30)} no difference shows.")
    return Answer("Who is most exposed?", said, "exposed")


def _what_was_attacked(results: ScoreResults, table: pd.DataFrame, runs: Sequence[UnlearnResults]) -> Answer:
    models = f"{results.shadows} shadow models" + ("" if results.target is None else " and the target model")
    told = [f"{models}, by {len(results.attacks)} membership attacks."]
    if results.about.target is not None:
        told.append(text("overview.given-target"))
    if results.warnings is None:
        told += wording.warnings(results)  # Earlier results: what was doubted of a given target, said nowhere else.
    not_tried = {
        "RMIA": "rmia" not in results.attacks,
        "gradient inversion": not _was_inverted(table),
        "attacks that imitate the unlearning itself (U-LiRA)": bool(runs) and all(run.u_lira is None for run in runs),
        "reconstruction of classes": results.inferred.classes is None,
        "attribute inference": results.inferred.attributes is None,
        "poisoning and attacks on the training process": True,
    }
    left_out = ", ".join(name for name, is_left_out in not_tried.items() if is_left_out)
    return Answer("What was attacked, and what was not?", [*told, f"Not tried: {left_out}."], "attacks")


def _utility(results: ScoreResults) -> list[Answer]:
    if (accuracy := results.accuracy) is None:
        return []
    if accuracy.target_test is not None and accuracy.target_train is not None:
        was = "was" if results.about.target is None else "is taken to have been"
        said = (
            f"The target model is right on {percent(accuracy.target_test)} of the test samples and on "
            f"{percent(accuracy.target_train)} of those it {was} trained on."
        )
    else:
        said = (
            f"The models are right on {percent(accuracy.shadow_others)} of the samples that they did not see and on "
            f"{percent(accuracy.shadow_members)} of those that they saw."
        )
    return [Answer("What is the model good for?", [said], "audited")]


def _before_and_after(results: ScoreResults, runs: Sequence[UnlearnResults]) -> list[Answer]:
    if not runs:
        return [Answer("Was anything unlearned?", ["No: no unlearning was run on this audit."])]
    forgotten, retained, came_to = [], [], []
    for run in runs[-TOLD_RUNS:]:
        if run.outcome_evidence is not None:
            came_to.append(f"{_capital(method(run))}. {run.outcome_evidence.sentence}")
        what = f"{_capital(method(run))}, {run.forget:,} samples"
        of_retained = {name: found.retain for name, found in run.reaudit.items()}
        retained.append(_change(what, of_retained, exact=run.is_exact))
        of_forgotten = {name: found.forget for name, found in run.reaudit.items()}
        forgotten.append(_exactly(what, of_forgotten) if run.is_exact else _change(what, of_forgotten, exact=False))
    more = [f"The last {TOLD_RUNS} of {len(runs)} runs."] if len(runs) > TOLD_RUNS else []
    more += warned(comparability.of_unlearning(results))
    last = f"unlearning-{len(runs)}"
    return [
        *([Answer("Was anything unlearned?", came_to, last)] if came_to else []),
        Answer("How exposed are the forgotten, before and after?", forgotten + more, last),
        Answer("And the retained?", retained + more, last),
    ]


def _orders(runs: Sequence[UnlearnResults], orders: Sequence[OrderResults]) -> list[Answer]:
    question = "Did the order of unlearning matter?"
    if orders:
        return [Answer(question, [orders[-1].verdict.sentence], f"orders-{len(orders)}")]
    return [Answer(question, ["Not compared: one run of each order can't tell."])] if runs else []


def _capital(said: str) -> str:
    return said[:1].upper() + said[1:]


def _exactly(what: str, again: Mapping[str, Attack | None]) -> str:
    """The re-audit of those whom retraining left out.

    Of an exact method nothing has to be shown: whatever is read of the forgotten afterwards is the attack's error, as
    with the other retrained model.
    """
    what += ": exact by construction, since the new model never saw them"
    before, after = again.get("original"), again.get("unlearned")
    if before is None or after is None:
        return f"{what}; the shadow models can't tell, since they saw half of every class."
    return f"{what}. LiRA AUC {area(before)} before, {area(after)} after{_beside(again, exact=True)}."


def _beside(again: Mapping[str, Attack | None], *, exact: bool) -> str:
    if (retrained := again.get("retrained")) is None:
        return ""
    return f"; {'retrained once more' if exact else 'retrained without them'} {number(retrained.auc)}"


def _change(what: str, again: Mapping[str, Attack | None], *, exact: bool) -> str:
    """The AUC of the re-audit on the same samples, under the model before, after, and without them."""
    before, after = again.get("original"), again.get("unlearned")
    if before is None or after is None:
        return f"{what}: the shadow models can't tell, since they saw half of every class."
    verdict = ""
    if before.auc_ci is not None and after.auc_ci is not None:
        apart = before.auc_ci[0] > after.auc_ci[1] or before.auc_ci[1] < after.auc_ci[0]
        verdict = (
            f", {'lower' if after.auc < before.auc else 'higher'} than before beyond the intervals"
            if apart
            else " (the intervals overlap, so a change is not shown)"
        )
    return f"{what}: LiRA AUC {area(before)} before, {area(after)} after{verdict}{_beside(again, exact=exact)}."


def _was_inverted(table: pd.DataFrame) -> bool:
    return "inversion_success" in table and bool(table["inversion_success"].notna().any())


def _inversion(results: ScoreResults, table: pd.DataFrame) -> Answer:
    question = "Can inputs be rebuilt from gradients?"
    if results.inversion is not None and (tier := results.inversion.drawn) is not None:
        recovered = tier.outcomes["recovered"]
        said = f"{wording.share(recovered.rate)} of randomly drawn samples were recovered "
        bounded = [f"{said}(95% {interval(recovered.ci, percent)}).", text("inversion.upper-bound")]
        return Answer(question, bounded, "inversion")
    if not _was_inverted(table):
        return Answer(question, ["Not measured: no inversion was run on this audit."])
    tried = table[table["inversion_success"].notna()]
    rebuilt = int((tried["inversion_success"] >= 0.5).sum())
    said = (
        f"Of {len(tried):,} samples that were attacked, {rebuilt:,} ({percent(rebuilt / len(tried))}) came back in at "
        "least half of the attempts."
    )
    return Answer(question, [said, text("inversion.upper-bound")], "inversion")


def _difficulty(results: ScoreResults, runs: Sequence[UnlearnResults]) -> list[Answer]:
    question = "Are samples at high risk harder to unlearn?"
    intrinsic = results.risk_vs_difficulty.intrinsic_shift
    if runs:
        run, related = runs[-1], runs[-1].risk_vs_difficulty
        senses = {"forgettability": related.forgettability, "fidelity": related.fidelity, "shift": related.shift}
        said = f"{_capital(method(run))}: {run.forget:,} forgotten samples are too few to tell."
        if any(found.ci is not None for found in senses.values()):
            told = [f"{wording.DIFFICULTIES[key][0].lower()} {wording.spearman(one)}" for key, one in senses.items()]
            said = f"{_capital(method(run))}: Spearman's correlation of risk with {', '.join(told)}."
        return [Answer(question, [said], f"unlearning-{len(runs)}")]
    if intrinsic is None:
        return []
    said = f"Before any unlearning: risk and intrinsic shift {wording.correlation(intrinsic)}."
    return [Answer(question, [said], "intrinsic")]


def _controls(results: ScoreResults) -> Answer:
    question, found = "Do the controls hold?", wording.negative_controls(results)
    if not found:
        said = ["None could be run: the models were trained elsewhere.", *comparability.on_page_one(results)]
        return Answer(question, said, "controls")
    held = sum(control.holds for control in found)
    said = [
        f"Yes: {held} of {len(found)} experiments in which there is nothing to find found nothing."
        if held == len(found)
        else f"NO: {len(found) - held} of {len(found)} failed. Do not rely on this audit."
    ]
    if (positive := results.controls.positive) is not None:
        said.append(f"{positive.count} planted samples read a risk of {percent(positive.mean_asr)}.")
    return Answer(question, said + comparability.on_page_one(results), "controls")


def _warnings(results: ScoreResults) -> list[Answer]:
    """What the command warned of, but for what the answers above say already."""
    more = [one for one in results.warnings or () if one not in comparability.unlike(results)]
    return [Answer("What else was warned of?", warned(more), "controls")] if more else []


def _check(results: ScoreResults) -> Answer:
    about = results.about
    if about.given is not None:
        said = [f"The signals file's SHA-256 begins {about.given.sha256[:16]}: privaudit score --signals repeats it."]
    else:
        identity, versions = known(about.identity, "identity"), known(about.versions, "versions")
        said = [
            f"privaudit verify {about.audit} holds every file against its checksum.",
            f"Data fingerprint {identity.fingerprint[:16]}…, seed {identity.seed}, privaudit "
            f"{versions.get('privaudit', '?')}, torch {versions.get('torch', '?')}.",
        ]
    return Answer("How can this be checked?", said, "reproduce")
