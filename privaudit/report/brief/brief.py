"""The first two pages, put together: what was audited, the answer, and what it means, without a term of the field."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from privaudit.report.brief import pictures, plain
from privaudit.report.brief.limit_checks import distrust, limits_of
from privaudit.report.brief.next_steps import Situation, next_steps
from privaudit.report.brief.people import of_people
from privaudit.report.brief.plain import percent, share_of, span
from privaudit.report.brief.rebuilding import of_rebuilding
from privaudit.report.brief.verdict import Judgement, judge, table_of_limits
from privaudit.report.content import comparability, wording
from privaudit.report.content.elements import Brief
from privaudit.report.content.inferred import attribute_wording, class_wording
from privaudit.report.content.pretrained_wording import headline
from privaudit.report.content.wording import clip
from privaudit.report.exposure import most_exposed
from privaudit.results.audit.realistic_inversion import RealisticInversion
from privaudit.results.audit.score_results import ScoreResults
from privaudit.results.statement.declaration import Declaration
from privaudit.results.unlearning.run import UnlearnResults
from privaudit.runtime.progress import readable_time
from privaudit.scoring.risk_statement import accusation

NOT_DECLARED = "not declared"

#: A declared text on page 1 is cut here; the annex has all of it.
LONGEST = 90

#: How many of the most exposed are named, and of how large a part of the askable people page 1 tells.
NAMED = 3

#: How many sentences say who is exposed.
MOST_EXPOSED = 4

TOLD_PRIORS = (0.5, 0.01)

NAMING = (
    "To name somebody is to tell, from what the model answers about their record, that it was trained on it. "
    "It finds out nothing else of them."
)

SIGN_OFF = ["Reviewed by", "Decision", "Date and signature"]


def build_brief(
    results: ScoreResults,
    table: pd.DataFrame,
    runs: Sequence[UnlearnResults],
    declared: Declaration | None,
    realistic: RealisticInversion | None = None,
) -> Brief:
    """Build the brief from stored results; ``table`` is the score table without canaries."""
    judgement = judge(results, declared)
    limits = [] if declared is None else limits_of(declared.limits)
    prior = None if declared is None else declared.people.prior
    return Brief(
        declared=_declared(results, declared),
        verdict=judgement.word,
        answer=judgement.answer,
        basis=judgement.basis,
        limits=table_of_limits(judgement, results),
        pictures=[] if distrust(results) else pictures.of_naming(results, limits, prior or TOLD_PRIORS[0]),
        distribution=[pictures.of_risk(table), *pictures.of_unlearning(runs)],
        meaning=[] if distrust(results) else _meaning(results, judgement, prior),
        exposed=_exposed(results, table),
        unlearned=[] if runs else ["Nobody was unlearned in this audit."],
        runs=pictures.table_of_runs(runs),
        steps=next_steps(Situation(results, judgement, runs, declared)),
        checks=checks_in_words(results),
        reach=_reach(results, table, runs, realistic),
        numbers=_numbers(results),
        sign_off=SIGN_OFF,
    )


def _declared(results: ScoreResults, declared: Declaration | None) -> list[list[str]]:
    told = declared or Declaration()
    model = " ".join(filter(None, (told.model.name, told.model.version)))
    rows: list[tuple[str, str | None]] = [
        ("For", told.organisation),
        ("Made by", told.author and told.author + (f" ({told.independence})" if told.independence else "")),
        ("Date", None if told.date is None else told.date.isoformat()),
        ("Deployed model", model and model + (f", {told.model.deployed}" if told.model.deployed else "")),
        ("Whose data", told.people.who and told.people.who + _records(told)),
        ("To decide", told.purpose),
    ]
    said = [[name, NOT_DECLARED if not value else clip(value, LONGEST)] for name, value in rows]
    return [*said, ["Audited", _audited(results)]]


def _records(told: Declaration) -> str:
    return f" ({told.people.records} records a person)" if told.people.records else ""


def _audited(results: ScoreResults) -> str:
    about = results.about
    if about.given is not None:
        return f"{results.samples:,} records, by what {results.shadows} models trained elsewhere say of them"
    identity = wording.known(about.identity, "identity")
    is_head = identity.pretrained is not None and identity.pretrained.is_head
    whose = (
        f"the model handed in as {clip(about.target.file, 40)}"
        if about.target is not None
        else f"{'the head alone of ' if is_head else ''}{clip(identity.network, 40)} as trained here"
    )
    return f"{whose} on {results.samples:,} records of {clip(identity.dataset, 40)}"


def _meaning(results: ScoreResults, judgement: Judgement, prior: float | None) -> list[str]:
    attack = plain.subject(results)
    rate = plain.told_rate(attack, list(judgement.checks))
    if rate is None or (tpr := attack.tpr_at_fpr[rate]) is None:
        return ["Too few comparison models: how often an accusation would be right cannot be told."]
    said = [NAMING]
    for one in TOLD_PRIORS if prior is None else (prior,):
        found = accusation(one, float(rate), tpr, attack.tpr_ci[rate], results.samples)
        if found.precision is not None:
            who = "half" if one == 0.5 else share_of(one)
            verb = "was" if who.startswith("1 ") else "were"
            said.append(
                f"If {who} of those whom an attacker asks about {verb} in the training data, "
                f"{percent(found.precision)} of the people so named were{span(found.precision_ci)}."
            )
    found = accusation(0.5, float(rate), tpr, attack.tpr_ci[rate], results.samples)
    bounds = "" if found.right_ci is None else f" (95% range {found.right_ci[0]:,.0f}–{found.right_ci[1]:,.0f})"
    said.append(f"Of the {results.samples:,} in the training data about {found.right:,.0f} are rightly named{bounds}.")
    said.append(
        "That share of askable people was declared."
        if prior is not None
        else "How likely an outsider is to be asked about decides what an accusation is worth; it was not declared."
    )
    return said


def _exposed(results: ScoreResults, table: pd.DataFrame) -> list[str]:
    if distrust(results):
        return ["Nobody is named: a check of this measurement failed."]
    said = []
    worst = most_exposed.leaders(table, results, NAMED)
    if len(worst):
        named = "; ".join(
            f"{row['sample_id']} (class {clip(str(row['class_name']), 30)})" for row in worst.to_dict("records")
        )
        said.append(
            f"Records {named}: two halves of the comparison models, each without knowledge of the other, single them "
            "out. The annex lists more."
        )
    else:
        nobody = "Single people" if results.subjects is None else "People by a single record"
        said.append(
            f"{nobody} cannot be told: whom one half of the comparison models singles out, the other half does not "
            "confirm, so any name would be luck."
            if results.told_right is not None and results.told_right.leaders_confirmed is not None
            else f"{nobody} cannot be told: there are too few comparison models to confirm any name."
        )
    said += of_people(results, table)
    for name, found in results.groups.items():
        # A group of a few is a person or two, and by chance the highest: only what was tested counts.
        tested = (one for one in found.groups if one.p is not None and one.p < 0.05 and one.mean > results.mean_risk)
        if (top := next(tested, None)) is not None:
            said.append(
                f"By {clip(name, 30)}, most exposed are those of “{clip(top.name, 30)}”: the attacker is right about "
                f"them in {percent(top.mean)} of tries{span(top.ci)}, against {percent(results.mean_risk)} overall."
            )
    return said[:MOST_EXPOSED]


def checks_in_words(results: ScoreResults) -> str:
    """Say how the experiments with a known answer came out."""
    found = wording.negative_controls(results)
    if distrust(results):
        return "FAILED: do not rely on this audit."
    if not found:
        said = "No experiment with a known answer could be run, since the models were trained elsewhere."
    else:
        said = f"All {len(found)} experiments in which there is nothing to find found nothing, as it must be."
    if (positive := results.controls.positive) is not None:
        said += f" {positive.count:,} planted records were found in {percent(positive.mean_asr)} of tries."
    if comparability.unlike(results):
        said += " But training and test data differ by themselves."
    return said


def _reach(
    results: ScoreResults,
    table: pd.DataFrame,
    runs: Sequence[UnlearnResults],
    realistic: RealisticInversion | None,
) -> str:
    by_record = "inversion_success" in table and bool(table["inversion_success"].notna().any())
    inverted = by_record or realistic is not None
    not_tried = [
        *([] if inverted else ["rebuilding records from gradients"]),
        *(["attacks that imitate the unlearning"] if runs and all(run.u_lira is None for run in runs) else []),
        *(["what the frozen network below the head was trained on before"] if headline(results) else []),
        *([] if results.inferred.classes else ["rebuilding what a whole class looks like"]),
        "tampering with the training",
        *([] if results.inferred.attributes else ["guessing a person's unknown properties"]),
    ]
    said = " ".join([*of_rebuilding(results, realistic), f"Not tried: {', '.join(not_tried)}."])
    if (classes := results.inferred.classes) is not None:
        said = f"{class_wording.in_brief(classes)} {said}"
    if (attributes := results.inferred.attributes) is not None:
        said = f"{attribute_wording.in_brief(attributes)} {said}"
    return f"{said} A stronger attack may find more."


def _numbers(results: ScoreResults) -> str:
    half = "trained elsewhere" if results.about.given is not None else "each trained on half of them"
    said = [f"{results.samples:,} records", f"{results.shadows:,} comparison models, {half}"]
    training, accuracy = results.training, results.accuracy
    if training is not None and training.parameters:
        a_record = training.parameters / results.samples
        said.append(f"{training.parameters:,} adjustable numbers in the model, {a_record:,.3g} a record")
    if accuracy is not None:
        seen, new = accuracy.target_train, accuracy.target_test
        if seen is None or new is None:
            seen, new = accuracy.shadow_members, accuracy.shadow_others
        said.append(
            f"right on {percent(seen)} of the training data and {percent(new)} of new data (a gap of "
            f"{100 * (seen - new):.1f} points)"
        )
    if training is not None:
        said.append(f"the attack took {readable_time(training.seconds)} of training")
    return "; ".join(said) + "."
