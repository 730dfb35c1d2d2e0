"""What to do now: rules, in the order of their urgency, each from what was found to a command and what it changes.

A rule is a function of a `Situation` that returns a step, or None where it has nothing to say. The brief shows the
first `MOST`.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from privaudit.report.brief import plain
from privaudit.report.brief.limit_checks import distrust
from privaudit.report.brief.verdict import Judgement
from privaudit.report.content import comparability, wording
from privaudit.report.content.claim_wording import claim_on
from privaudit.report.content.elements import Step
from privaudit.report.content.python_call import repeated
from privaudit.report.exposure import most_exposed
from privaudit.results.audit.score_results import ScoreResults
from privaudit.results.statement.declaration import Declaration
from privaudit.results.unlearning.run import UnlearnResults

MOST = 5

#: Models beyond which the advice of more of them is not given.
MOST_MODELS = 512


@dataclass(frozen=True)
class Situation:
    """What the rules look at: results, verdict, unlearning runs (the latest last) and what was declared."""

    results: ScoreResults
    judgement: Judgement
    runs: Sequence[UnlearnResults]
    declared: Declaration | None

    @property
    def audit(self) -> str:
        """Its name, as it is typed."""
        return shlex.quote(self.results.audit)

    @property
    def is_distrusted(self) -> bool:
        """Whether a check failed that settles everything."""
        return bool(distrust(self.results))


Rule = Callable[[Situation], Step | None]


def failed_check(now: Situation) -> Step | None:
    """Nothing counts before the checks hold."""
    if not now.is_distrusted:
        return None
    return Step(
        "Do not decide on this audit",
        [f"privaudit verify {now.audit}"],
        "A check that must find nothing found something, or the comparison models are unlike each other. It shows "
        "whether a file is damaged; if none is, the training or the data is not what it was taken for.",
    )


def rejected_unlearning(now: Situation) -> Step | None:
    """An unlearned model that forgot nothing, or is ruined, must not be used."""
    if not now.runs or now.runs[-1].outcome not in ("ruined", "unchanged"):
        return None
    why = "it no longer answers well" if now.runs[-1].outcome == "ruined" else "it forgot nothing"
    return Step(
        "Do not use the latest unlearned model; train anew instead",
        [_retrain(now)],
        f"That model was rejected: {why}. Training anew without those people is exact.",
    )


def partial_unlearning(now: Situation) -> Step | None:
    """What was forgotten in part, or can't be told, is exact after training anew."""
    if not now.runs or now.runs[-1].outcome_or_exact not in ("partial", "unclear", None):
        return None
    partly = now.runs[-1].outcome == "partial"
    return Step(
        "Train anew without the people to be forgotten",
        [_retrain(now)],
        ("The latest unlearning removed a part of the traces" if partly else "Whether they were forgotten is not known")
        + "; a model that never saw them needs no measurement.",
    )


def _retrain(now: Situation) -> str:
    run = now.runs[-1]
    words = ["privaudit", "unlearn", "--audit", now.results.audit, "--method", "retrain", "--forget", _forget(run)]
    return repeated([*words, "--seed", str(run.seed)], now.results.about)


def _forget(run: UnlearnResults) -> str:
    return "ids:FILE" if run.forget_specification.startswith("ids:") else run.forget_specification


def refuted_claim(now: Situation) -> Step | None:
    """A promise that planted records refute is none."""
    found = claim_on(now.results, now.declared)
    if now.is_distrusted or found is None or found.verdict != "refuted":
        return None
    return Step(
        "Do not rely on the claim of differential privacy, and look for the fault",
        [],
        f"Planted records show an ε of at least {found.bound:.2f}, and {found.epsilon:g} was claimed. Look at how "
        "samples are drawn, at whether each gradient is clipped by itself, and at what the noise is scaled by.",
    )


def leak(now: Situation) -> Step | None:
    """What leaks too much is trained otherwise, and held against this audit."""
    if now.is_distrusted or now.judgement.verdict != "breached":
        return None
    compare = f"privaudit compare {now.audit} NEW"
    identity = now.results.about.identity
    title = "Train a model that remembers less, and compare"
    effect = "Fewer epochs, stronger regularisation or less detail in the data narrow the gap between training and new "
    effect += "data, which is what gives people away; the comparison says what that costs in right answers."
    if plain.is_own_target(now.results):
        given = now.results.about.target
        new = None if given is None else given.model_copy(update={"file": "NEW.safetensors"})
        about = now.results.about.model_copy(update={"target": new})
        return Step(title, [wording.command(now.results.model_copy(update={"about": about})), compare], effect)
    if identity is None:
        return Step(title, [compare], effect)
    effect = "It holds fewer epochs, stronger regularisation, a smaller network and more against this audit, and names "
    effect += "the cheapest in right answers that halves the people given away, or says that none is shown to."
    return Step(title, [f"privaudit defend {now.audit}", compare], effect)


def more_models(now: Situation) -> Step | None:
    """More comparison models where something can't be told for want of them."""
    results = now.results
    wants = [
        "the answer above" if now.judgement.verdict == "too little evidence" else "",
        "who stands out" if most_exposed.why_nobody(results) is not None else "",
    ]
    if now.is_distrusted or not any(wants) or 2 * results.shadows > MOST_MODELS:
        return None
    if (
        plain.is_own_target(results)
        and now.judgement.verdict == "too little evidence"
        and comparability.unlike(results)
    ):
        wants[0] = ""
        if not any(wants):
            return None
    count = max(2 * results.shadows, 16)
    commands = (
        [f"privaudit score --signals {shlex.quote(results.about.given.file)}"]
        if results.about.given is not None
        else [wording.command(results.model_copy(update={"shadows": count}))]
    )
    return Step(
        f"Use {count:,} comparison models in place of {results.shadows:,}",
        commands,
        f"It may settle {' and '.join(filter(None, wants))}: twice as many make every range narrower by about 30%. "
        + ("Put their answers into the file." if results.about.given is not None else "Those that are there are kept."),
    )


def duplicates(now: Situation) -> Step | None:
    """Inputs that are there twice belong out of the training data, or out of the test data."""
    found = now.results.duplicates
    if found is None or found.ordinary:
        return None
    near = 0 if found.near is None else found.near.training + found.near.test
    if not (found.test_in_training or found.within_training or near):
        return None
    counts = [
        f"{found.within_training:,} records of the training data are there twice" if found.within_training else "",
        f"{found.test_in_training:,} of the test data are in the training data too" if found.test_in_training else "",
        f"{near:,} of those looked at have a near-copy" if near else "",
    ]
    return Step(
        "Take out records that are there twice, and audit again",
        [wording.command(now.results)],
        f"{'; '.join(filter(None, counts))}. Copies are remembered best, and those in the test data hide a leak.",
    )


def unlike_sides(now: Situation) -> Step | None:
    """Test data must be drawn as training data were."""
    if now.is_distrusted or now.results.about.given is not None or not comparability.unlike(now.results):
        return None
    return Step(
        "Give test data that were drawn as the training data were",
        [wording.command(now.results)],
        "Training and test data differ by themselves: what is said of the model in use may be that difference.",
    )


def purge(now: Situation) -> Step | None:
    """Where a model has forgotten, what the audit itself still holds goes too."""
    if not now.runs or now.runs[-1].outcome_or_exact not in ("exact", "close") or now.results.purges:
        return None
    forget = shlex.quote(_forget(now.runs[-1]))
    return Step(
        "Remove what this audit itself still holds of the forgotten",
        [f"privaudit purge --audit {now.audit} --forget {forget} --seed {now.runs[-1].seed} --dry-run"],
        "The model has forgotten them; comparison models and tables of this audit have not. It says what would go; "
        "--yes in place of --dry-run removes it.",
    )


def gate(now: Situation) -> Step | None:
    """Declared limits can stop a pipeline; without any there is nothing to decide by."""
    if now.judgement.checks:
        return Step(
            "Hold every new version against the same limits",
            [f"privaudit gate {now.audit}"],
            "It stops a pipeline (exit code 3) where a limit is exceeded, and says so (4) where that cannot be told.",
        )
    return Step(
        "Declare for whom, by whom, and which limits hold",
        ["privaudit init", f"privaudit report {now.audit} --declare declared.toml"],
        "With limits the answer above is held against what is acceptable to you, not against guessing.",
    )


#: In the order in which they are advised.
RULES: tuple[Rule, ...] = (
    failed_check,
    rejected_unlearning,
    partial_unlearning,
    refuted_claim,
    leak,
    more_models,
    unlike_sides,
    duplicates,
    purge,
    gate,
)


def nothing_to_do(now: Situation) -> Step:
    """What is said where no other rule but the gate's speaks."""
    when = None if now.declared is None else now.declared.retest_when
    until = None if now.declared is None else now.declared.valid_until
    again = f"after: {wording.clip(when, 120)}" if when else "when the data, the training or the model changes"
    return Step(
        "Nothing to do now",
        [],
        f"Nothing that was measured asks for it. Audit again {again}"
        + ("." if until is None else f"; this audit is declared to hold until {until.isoformat()}."),
    )


def next_steps(now: Situation) -> list[Step]:
    """Return what to do now, the most urgent first."""
    found = [step for rule in RULES if (step := rule(now)) is not None]
    if len(found) == 1 and not now.is_distrusted and now.judgement.verdict == "holds":
        found.insert(0, nothing_to_do(now))
    return found[:MOST]
