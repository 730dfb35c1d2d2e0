"""The sections that say how far to trust it: controls, limits, and how to do it again."""

from __future__ import annotations

from collections.abc import Sequence

from privaudit.report.content import claim_wording, comparability, pretrained_wording, unlearning_wording, wording
from privaudit.report.content.claim_wording import claim_on
from privaudit.report.content.elements import Section, Table
from privaudit.report.content.texts import text, texts
from privaudit.report.content.wording import interval, known, percent, warned
from privaudit.results.audit.promise import ClaimFound, Promise
from privaudit.results.audit.score_results import ScoreResults
from privaudit.results.statement.declaration import Declaration

COLUMNS = ["Experiment", "Must read", "Read", "Verdict"]


def controls(results: ScoreResults) -> Section:
    """The experiments with a known answer, and what they read."""
    of_sides = comparability.control_rows(results)
    unlike = warned(comparability.unlike(results))
    if not wording.negative_controls(results):
        if not of_sides:
            return Section("controls", "Controls", [text("controls.no-models")])
        said = [text("controls.population-alone"), *unlike]
        return Section("controls", "Controls", said, [Table("Controls", COLUMNS, of_sides)])
    rows = [
        [
            what,
            "AUC ½",
            f"{control.auc:.4f} ({interval(control.ci, lambda value: f'{value:.4f}')})",
            "holds" if control.holds else "FAILED",
        ]
        for control, what in (
            (results.controls.negative, "Samples that no model saw, with made-up membership (200 redraws)"),
            (results.controls.untrained, "Models that were never trained, with the real membership"),
        )
        if control is not None
    ]
    if (positive := results.controls.positive) is not None:
        read = f"{percent(positive.mean_asr)}, others {percent(positive.others_mean_asr)}"
        what = f"{positive.count} planted samples in the shadow pool"
        rows.append([what, "risk near 100%", read, "see value"])
    said = [text("controls.meaning")]
    if of_sides:
        said += [text("controls.of-sides"), *unlike, *([f"{comparability.POPULATION}."] if unlike else [])]
    return Section(
        "controls",
        "Controls",
        said + comparability.said_of_duplicates(results),
        [Table("Controls", COLUMNS, rows + of_sides), *comparability.tables_of_duplicates(results)],
    )


def epsilon(results: ScoreResults, declared: Declaration | None) -> list[Section]:
    """Lower bounds on ε, where canaries were trained on."""
    if (bounds := results.epsilon) is None:
        return _of_steps(results.promise, claim_on(results, declared))
    trials, one = bounds.trials, bounds.one_run
    counted = "–"
    if trials is not None:
        counted = (
            f"{trials.hits} of {trials.trials} trainings with it were named, {trials.alarms} of {trials.trials} "
            "without it"
        )
    guessed = f"{one.correct} of {one.canaries} inclusion coins were guessed right"
    rows = [
        ["Many trainings, one canary", wording.bound_from_trials(bounds), counted],
        ["One training, many canaries", f"ε ≥ {one.epsilon:.2f}", guessed],
    ]
    said = (
        f"No training like this one is (ε, δ)-differentially private with a smaller ε: each bound holds with "
        f"{100 * one.confidence:g}% confidence, for δ = {one.delta:g}. What is not found is not proved: the true "
        "ε may be far larger, and is infinite for training without noise."
    )
    table = Table("Bounds", ["From", "Bound", "Evidence"], rows)
    found = claim_on(results, declared)
    claimed = [] if found is None else [claim_wording.sentence(found), text("epsilon.claim")]
    tables = [table, *([] if found is None or results.promise is None else [_claim(results.promise, found)])]
    return [Section("epsilon", "Lower bounds on ε", [*claimed, said, text("epsilon.how")], tables)]


def _of_steps(promise: Promise | None, found: ClaimFound | None) -> list[Section]:
    """What an attacker who reads every step finds of a claim; nothing where no step was read."""
    if promise is None or promise.steps is None or found is None:
        return []
    said = [claim_wording.sentence(found), claim_wording.of_steps(promise.steps), text("epsilon.steps")]
    return [Section("epsilon", "Lower bounds on ε", said, [_claim(promise, found)])]


def _claim(promise: Promise, found: ClaimFound) -> Table:
    """Each test of the claim, and what it counted."""
    coins, trainings = promise.one_run, promise.trials
    rows = [
        [
            "One training, many canaries",
            f"ε ≥ {found.one_run:.2f}",
            f"{coins.correct} of the {coins.guesses} surest guesses were right, of {coins.canaries} coins",
        ]
    ]
    if trainings is not None and found.trials is not None:
        counted = f"{trainings.hits} of {trainings.trials} were named, and {trainings.alarms} of {trainings.trials}"
        rows.append(["Many trainings, one canary or another record", f"ε ≥ {found.trials:.2f}", counted])
    if (steps := promise.steps) is not None and found.steps is not None:
        counted = f"{steps.hits} of {steps.inside} that were in were told so, and {steps.alarms} of {steps.outside}"
        rows.append(["Every step read, its noise Gaussian", f"ε ≥ {found.steps:.2f}", counted])
    rows.append(["A perfect attack on as many", f"ε ≥ {found.refutable:.2f}", "what this design could show at most"])
    rows.append(["The claim", f"ε = {found.epsilon:g}", f"at δ = {found.delta:g}: {found.verdict}"])
    return Table("The claim", ["From", "ε", "Evidence"], rows)


def limits(results: ScoreResults, *, unlearned: bool) -> Section:
    """What this audit does not say."""
    paragraphs = [
        *(texts("limits.few-models") if results.shadows < 8 else []),
        *texts("limits"),
        *pretrained_wording.limits(results),
        *(texts("limits.given-target") if results.about.target is not None else []),
        *(unlearning_wording.LIMITS if unlearned else []),
    ]
    return Section("limits", "Limits", paragraphs)


def how_to_reproduce(results: ScoreResults, commands: Sequence[str], hashes: list[list[str]]) -> Section:
    """Commands (beside the audit's own, those of unlearning), fingerprints, versions, and what the report is from."""
    about = results.about
    rows = [["Command", command] for command in (wording.command(results), *commands)]
    said = []
    if about.given is not None:
        rows = [*rows[:1], ["SHA-256 of the file", about.given.sha256]]
    else:
        identity, training = known(about.identity, "identity"), known(results.training, "training")
        said = [text("reproduce.data")]
        if any("ids:FILE" in command for _, command in rows):
            said.append(text("reproduce.list-of-ids"))
        rows += [
            ["Check", f"privaudit verify {about.audit}"],
            ["Data fingerprint", identity.fingerprint],
            ["Seed", str(identity.seed)],
            ["Device and precision", f"{identity.device}, {identity.precision}"],
            ["Versions", ", ".join(f"{name} {value}" for name, value in known(about.versions, "versions").items())],
            ["Training time", wording.training_time(training)],
        ]
        if about.target is not None:
            rows.append([f"SHA-256 of {wording.clip(about.target.file)}", about.target.sha256])
    tables = [
        Table("Reproduction", ["What", "Which"], rows),
        Table("The report was made from", ["File", "SHA-256"], hashes),
    ]
    return Section("reproduce", "How to reproduce this", said, tables)
