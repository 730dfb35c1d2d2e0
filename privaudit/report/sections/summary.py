"""Page 1: the questions that every reviewer has, each with its answer or with the words that it was not measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pandas as pd

from privaudit.report.content import comparability, most_exposed, wording
from privaudit.report.content.elements import Answer, Fact
from privaudit.report.content.method_names import method
from privaudit.report.content.outcome_wording import sentence_of_run
from privaudit.report.content.wording import interval, number, percent, rate
from privaudit.results.unlearning.run import Reaudit, UnlearnResults
from privaudit.results.unlearning.trials import OrderResults
from privaudit.scoring.reliability.confirmation import is_certain

#: How many of the most exposed page 1 names, and how many unlearning runs it tells of.
NAMED = 3
TOLD_RUNS = 3


def headline_facts(results: dict[str, Any], table: pd.DataFrame) -> list[Fact]:
    """The numbers of page 1."""
    lira = results["attacks"]["lira"]
    facts = []
    for fpr in ("0.001", "0.01"):
        tpr, hits = lira["tpr_at_fpr"][fpr], lira["true_positives"][fpr]
        note = (
            f"this run resolves {percent(lira['smallest_fpr'])} and above"
            if tpr is None
            else f"guessing finds {rate(fpr)}; {_bounds(lira['tpr_ci'][fpr], percent)}; {hits:,} of "
            f"{lira['positives']:,} memberships"
        )
        value = "too little evidence" if tpr is None else percent(tpr)
        facts.append(Fact(f"Members found at {rate(fpr)} false alarms", value, note))
    facts.append(Fact("AUC (½ is guessing)", number(lira["auc"]), _bounds(lira["auc_ci"])))
    facts.append(
        Fact(
            "Samples told right in ≥ 90% of models",
            f"{int(is_certain(table['risk'].to_numpy(np.float64)).sum()):,}",
            "; ".join(
                part
                for part in (
                    f"of {len(table):,}",
                    most_exposed.by_chance(results, len(table)),
                    _by_other_half(results),
                    f"a typical one is told right in {percent(float(table['risk'].median()))}",
                )
                if part
            ),
        )
    )
    return facts


def _bounds(found: list[float] | None, say: Callable[[float], str] = number) -> str:
    return interval(found, say) if found is None else f"95% interval {interval(found, say)}"


def _by_other_half(results: dict[str, Any]) -> str:
    found = results.get("told_right")
    if found is None or found["confirmed"] is None:
        return ""
    return (
        f"of those that one half of the models so tells, the other half confirms {percent(found['confirmed'])} "
        f"(chance {percent(found['chance_confirmed'])})"
    )


def answers(
    results: dict[str, Any], table: pd.DataFrame, runs: list[UnlearnResults], orders: list[OrderResults]
) -> list[Answer]:
    """Every question of page 1; whatever was not measured says so.

    Parameters
    ----------
    results, table
        ``score.json`` and the score table without canaries.
    runs
        ``metrics.json`` of every unlearning run.
    orders
        ``results.json`` of every comparison of orders.
    """
    return [
        _who_is_exposed(results, table),
        _what_was_attacked(results, table, runs),
        _what_the_attacker_has(results),
        *_utility(results),
        *_before_and_after(results, runs),
        *_orders(runs, orders),
        _inversion(results, table),
        *_difficulty(results, runs),
        _controls(results),
        *_warnings(results),
        _check(results),
    ]


def _who_is_exposed(results: dict[str, Any], table: pd.DataFrame) -> Answer:
    worst = most_exposed.leaders(table, results, NAMED)
    said = [most_exposed.nobody(results)]
    if len(worst):
        named = "; ".join(
            f"{row['sample_id']} (class {wording.clip(str(row['class_name']), 30)}, {percent(row['risk'])})"
            for row in worst.to_dict("records")
        )
        said = [f"By risk, and confirmed by either half of the shadow models, samples {named}."]
    if confirmed := most_exposed.confirmed(results):
        said.append(confirmed)
    for name, found in results["groups"].items():
        top = found["groups"][0]
        if found["p"] is not None and found["p"] < 0.05:
            said.append(
                f"By {wording.clip(name, 30)}, {wording.clip(top['name'], 30)} most, with a mean of "
                f"{percent(top['mean'])} "
                f"({interval(top['ci'], percent)}) against {percent(results['mean_risk'])} overall."
            )
        else:
            said.append(f"By {wording.clip(name, 30)} no difference shows.")
    return Answer("Who is most exposed?", said, "exposed")


def _what_was_attacked(results: dict[str, Any], table: pd.DataFrame, runs: list[UnlearnResults]) -> Answer:
    models = f"{results['shadows']} shadow models" + ("" if results["target"] is None else " and the target model")
    left_out = []
    if "rmia" not in results["attacks"]:
        left_out.append("RMIA")
    if not _was_inverted(table):
        left_out.append("gradient inversion")
    if runs and not any(run.u_lira for run in runs):
        left_out.append("attacks that imitate the unlearning itself (U-LiRA)")
    left_out.append("poisoning and attacks on the training process")
    said = f"{models}, by {len(results['attacks'])} membership attacks."
    told = [said]
    if wording.given_target(results) is not None:
        told.append(
            "The target model was given by the user; shadow models were trained by the recipe here, which may differ "
            "from how the target was trained (see Limits)."
        )
    if "warnings" not in results:
        told += wording.warnings(results)  # Earlier results: what was doubted of a given target, said nowhere else.
    return Answer("What was attacked, and what was not?", [*told, f"Not tried: {', '.join(left_out)}."], "attacks")


def _what_the_attacker_has(results: dict[str, Any]) -> Answer:
    said = "The true labels, the logits of one model, and data of the same kind to train shadow models on."
    return Answer("What must an attacker have?", [said], "audited")


def _utility(results: dict[str, Any]) -> list[Answer]:
    accuracy = results["accuracy"]
    if accuracy is None:
        return []
    if "target_test" in accuracy:
        said = (
            f"The target model is right on {percent(accuracy['target_test'])} of the test samples and on "
            f"{percent(accuracy['target_train'])} of those it {_was(results)} trained on."
        )
    else:
        said = (
            f"The models are right on {percent(accuracy['shadow_others'])} of the samples that they did not see and on "
            f"{percent(accuracy['shadow_members'])} of those that they saw."
        )
    return [Answer("What is the model good for?", [said], "audited")]


def _was(results: dict[str, Any]) -> str:
    return "was" if wording.given_target(results) is None else "is taken to have been"


def _before_and_after(results: dict[str, Any], runs: list[UnlearnResults]) -> list[Answer]:
    if not runs:
        return [Answer("Was anything unlearned?", ["No: no unlearning was run on this audit."])]
    forgotten, retained = [], []
    told = [(method(run), sentence_of_run(run)) for run in runs[-TOLD_RUNS:]]
    came_to = [f"{_capital(name)}. {outcome}" for name, outcome in told if outcome is not None]
    for run in runs[-TOLD_RUNS:]:
        what = f"{_capital(method(run))}, {run.forget:,} samples"
        exact = run.is_exact
        forgotten.append(_change(what, run.reaudit, "forget", exact=exact))
        retained.append(_change(what, run.reaudit, "retain", exact=exact))
    more = [f"The last {TOLD_RUNS} of {len(runs)} runs."] if len(runs) > TOLD_RUNS else []
    more += [f"Warning: {one}." for one in comparability.of_unlearning(results)]
    last = f"unlearning-{len(runs)}"
    return [
        *([Answer("Was anything unlearned?", came_to, last)] if came_to else []),
        Answer("How exposed are the forgotten, before and after?", forgotten + more, last),
        Answer("And the retained?", retained + more, last),
    ]


def _orders(runs: list[UnlearnResults], orders: list[OrderResults]) -> list[Answer]:
    question = "Did the order of unlearning matter?"
    if orders:
        return [Answer(question, [orders[-1].verdict.sentence], f"orders-{len(orders)}")]
    return [Answer(question, ["Not compared: one run of each order can't tell."])] if runs else []


def _capital(said: str) -> str:
    return said[:1].upper() + said[1:]


def _change(what: str, again: dict[str, Reaudit], part: Literal["forget", "retain"], *, exact: bool) -> str:
    """The AUC of the re-audit on the same samples, under the model before, after, and without them.

    Of an exact method (retraining) nothing has to be shown: whatever is read of the forgotten afterwards is the
    attack's error, as with the other retrained model.
    """
    if exact and part == "forget":
        what += ": exact by construction, since the new model never saw them"
    attacks = {name: one.forget if part == "forget" else one.retain for name, one in again.items()}
    before, after, retrained = (attacks.get(name) for name in ("original", "unlearned", "retrained"))
    if before is None or after is None:
        untold = "the shadow models can't tell, since they saw half of every class."
        return f"{what}; {untold}" if exact and part == "forget" else f"{what}: {untold}"
    reference = ""
    if retrained is not None:
        reference = f"; {'retrained once more' if exact else 'retrained without them'} {number(retrained.auc)}"
    if exact and part == "forget":
        return f"{what}. LiRA AUC {wording.area(before)} before, {wording.area(after)} after{reference}."
    verdict = ""
    if before.auc_ci is not None and after.auc_ci is not None:
        apart = before.auc_ci[0] > after.auc_ci[1] or before.auc_ci[1] < after.auc_ci[0]
        fell = after.auc < before.auc
        verdict = (
            f", {'lower' if fell else 'higher'} than before beyond the intervals"
            if apart
            else " (the intervals overlap, so a change is not shown)"
        )
    return f"{what}: LiRA AUC {wording.area(before)} before, {wording.area(after)} after{verdict}{reference}."


def _was_inverted(table: pd.DataFrame) -> bool:
    return "inversion_success" in table and bool(table["inversion_success"].notna().any())


def _inversion(results: dict[str, Any], table: pd.DataFrame) -> Answer:
    question = "Can inputs be rebuilt from gradients?"
    found = results.get("inversion") or {}
    tier = found.get("matching") or found.get("features")
    if tier is not None:
        share = tier["outcomes"]["recovered"]
        said = (
            f"{percent(share['rate'])} of randomly drawn samples were recovered (95% {interval(share['ci'], percent)})."
        )
        return Answer(question, [said], "inversion")
    if not _was_inverted(table):
        return Answer(question, ["Not measured: no inversion was run on this audit."])
    tried = table[table["inversion_success"].notna()]
    rebuilt = int((tried["inversion_success"] >= 0.5).sum())
    said = (
        f"Of {len(tried):,} samples that were attacked, {rebuilt:,} ({percent(rebuilt / len(tried))}) came back in at "
        "least half of the attempts."
    )
    return Answer(question, [said], "inversion")


def _difficulty(results: dict[str, Any], runs: list[UnlearnResults]) -> list[Answer]:
    question = "Are samples at high risk harder to unlearn?"
    told = []
    for run in runs[-1:]:
        if all(one.ci is None for one in run.risk_vs_difficulty.by_sense.values()):
            told.append(f"{_capital(method(run))}: {run.forget:,} forgotten samples are too few to tell.")
            continue
        senses = [
            f"{wording.DIFFICULTIES[name][0].lower()} {wording.spearman(run.risk_vs_difficulty.by_sense[name])}"
            for name in wording.DIFFICULTIES
        ]
        told.append(f"{_capital(method(run))}: Spearman's correlation of risk with {', '.join(senses)}.")
    intrinsic = results["risk_vs_difficulty"]["intrinsic_shift"]
    if not told and intrinsic is not None:
        told.append(f"Before any unlearning: risk and intrinsic shift {wording.correlation(intrinsic)}.")
    return [Answer(question, told, f"unlearning-{len(runs)}" if runs else "intrinsic")] if told else []


def _controls(results: dict[str, Any]) -> Answer:
    question = "Do the controls hold?"
    found = wording.negative_controls(results)
    if not found:
        said = ["None could be run: the models were trained elsewhere.", *comparability.on_page_one(results)]
        return Answer(question, said, "controls")
    held = sum(control["holds"] for control in found)
    said = [
        f"Yes: {held} of {len(found)} experiments in which there is nothing to find found nothing."
        if held == len(found)
        else f"NO: {len(found) - held} of {len(found)} failed. Do not rely on this audit."
    ]
    positive = results["controls"]["positive"]
    if positive is not None:
        said.append(f"{positive['count']} mislabelled samples read a risk of {percent(positive['mean_asr'])}.")
    said += comparability.on_page_one(results)
    return Answer(question, said, "controls")


def _warnings(results: dict[str, Any]) -> list[Answer]:
    """What the command warned of, but for what the answers above say already."""
    warned = [one for one in results.get("warnings", []) if one not in comparability.unlike(results)]
    return [Answer("What else was warned of?", [f"Warning: {one}." for one in warned], "controls")] if warned else []


def _check(results: dict[str, Any]) -> Answer:
    about = results["about"]
    if "given" in about:
        said = [
            f"The signals file's SHA-256 begins {about['given']['sha256'][:16]}: privaudit score --signals repeats it."
        ]
    else:
        identity = about["identity"]
        said = [
            f"privaudit verify {about['audit']} holds every file against its checksum.",
            f"Data fingerprint {identity['fingerprint'][:16]}…, seed {identity['seed']}, "
            f"privaudit {about['versions'].get('privaudit', '?')}, torch {about['versions'].get('torch', '?')}.",
        ]
    return Answer("How can this be checked?", said, "reproduce")
