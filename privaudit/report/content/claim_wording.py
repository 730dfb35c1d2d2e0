"""A claim of differential privacy and what was found of it, in words."""

from __future__ import annotations

from privaudit.results.audit.promise import ClaimFound, CountedSteps
from privaudit.results.audit.score_results import ScoreResults
from privaudit.results.statement.declaration import Declaration
from privaudit.scoring.promise.judgement import DELTA, judge_claim
from privaudit.statistics.epsilon_bounds import LARGEST

WHOSE = {"flags": "Claimed", "declaration": "Declared", "recipe": "Promised by the training"}


def claim_on(results: ScoreResults, declared: Declaration | None) -> ClaimFound | None:
    """Return the claim that counts, held against the audit: that of the flags, else the declared one, else dp-sgd's.

    None where there is none, or nothing that it could be held against: canaries were trained on here, and say nothing
    of a model that was handed in.
    """
    if (promise := results.promise) is None or results.about.target is not None:
        return None
    made = promise.claim
    if made is not None and made.claimant == "flags":
        return made
    privacy = None if declared is None else declared.privacy
    if privacy is not None and privacy.epsilon is not None:
        return judge_claim(promise, privacy.epsilon, delta_of(results, declared), "declaration")
    return made


def delta_of(results: ScoreResults, declared: Declaration | None) -> float:
    """Return the δ that an ε is held against the audit at: the flags' claim's, else the declared one, else dp-sgd's."""
    made = None if results.promise is None else results.promise.claim
    told = None if declared is None else declared.privacy.delta
    if told is not None and (made is None or made.claimant != "flags"):
        return told
    return DELTA if made is None else made.delta


def sentence(found: ClaimFound) -> str:
    """The claim, the bound beside it, and the verdict."""
    said = (
        f"{WHOSE[found.claimant]}: ε {found.epsilon:g} at δ {found.delta:g}. Found: ε ≥ {found.bound:.2f} with "
        f"{100 * found.confidence:g}% confidence"
    )
    if found.verdict == "refuted":
        return f"{said}: the claim is refuted."
    # Beyond all bounds: nobody learns anything from its digits.
    most = "any ε" if found.refutable >= LARGEST else f"ε ≥ {found.refutable:.2f}"
    reach = f"a perfect attack on as many planted records would show {most}"
    if found.verdict == "too little evidence":
        return f"{said}. {reach[0].upper()}{reach[1:]}: too little evidence to refute the claim, were it wrong."
    return f"{said}, where {reach}: the claim is not refuted, which proves nothing beyond this attack."


def of_steps(steps: CountedSteps) -> str:
    """What was read of each step, by whom."""
    noise = f" The noise that was read is {steps.noise:.4g} times the clipping norm." if steps.steps > 1 else ""
    return (
        f"Canaries were gradients of one number each; an attacker read what each of {steps.steps:,} steps did to them, "
        f"and told {steps.hits:,} of {steps.inside:,} that were in, and {steps.alarms:,} of {steps.outside:,} that "
        f"were not.{noise}"
    )
