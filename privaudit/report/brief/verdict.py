"""The answer in one sentence: held against the declared limits or, without any, against guessing."""

from __future__ import annotations

from dataclasses import dataclass

from privaudit.report.brief import plain
from privaudit.report.brief.limit_checks import distrust, hold, limits_of
from privaudit.report.brief.plain import of_whom, percent, share_of, span
from privaudit.report.content import comparability, wording
from privaudit.report.content.claim_wording import claim_on
from privaudit.report.content.elements import Table
from privaudit.report.content.wording import interval
from privaudit.results.audit.score_results import ScoreResults
from privaudit.results.gate_results import Check, Verdict
from privaudit.results.measures import Attack
from privaudit.results.statement.declaration import Declaration


@dataclass(frozen=True)
class Judgement:
    """The verdict, its sentence, what it was held against, and every declared limit."""

    verdict: Verdict
    answer: str
    basis: list[str]
    checks: list[Check]

    @property
    def word(self) -> str:
        """The verdict on page 1."""
        return (plain.VERDICTS if self.checks else plain.AGAINST_GUESSING)[self.verdict]


def judge(results: ScoreResults, declared: Declaration | None) -> Judgement:
    """Hold an audit against what was declared."""
    limits = [] if declared is None else limits_of(declared.limits)
    # Of an audit of another version, which stored other rates.
    limits = [one for one in limits if one.rate is None or f"{one.rate:g}" in plain.subject(results).tpr_at_fpr]
    checks = hold(results, limits, None, declared, of_target=False) if limits else []
    verdict = _of_checks(checks) if checks else _against_guessing(results)
    basis = [*_basis(results, declared, checks), *_of_claim(results, declared)]
    return Judgement(verdict, _answer(results, verdict, checks), basis, checks)


def _of_claim(results: ScoreResults, declared: Declaration | None) -> list[str]:
    """A promise of differential privacy, and what planted records say of it."""
    found = claim_on(results, declared)
    if found is None or distrust(results):
        return []
    whose = {"flags": "claimed", "declaration": "declared", "recipe": "promised by the training"}[found.claimant]
    said = f"Differential privacy with ε {found.epsilon:g} at δ {found.delta:g} is {whose}; planted records show that "
    reach = f"ε is at least {found.bound:.2f} (95% confidence), and would show {found.refutable:.2f} if all were found"
    head = {
        "refuted": "that claim is refuted",
        "not refuted": "that claim is not refuted",
        "too little evidence": "they are too few to refute that claim",
    }[found.verdict]
    return [f"{said}{reach}: {head}."]


def table_of_limits(judgement: Judgement, results: ScoreResults) -> Table | None:
    """Every declared limit, what was measured, and the verdict."""
    if not judgement.checks:
        return None
    rows = []
    for check in judgement.checks:
        said = plain.VERDICTS[check.verdict]
        if check.verdict == "too little evidence":
            said += f": {plain.why_untold(check, distrust(results))}"
        if check.quantity == "epsilon" and check.verdict == "holds":
            said = "not refuted"
        measured = plain.measured(check)
        rows.append([plain.limit_in_words(check), measured + ("" if check.ci is None else f" ({_range(check)})"), said])
    return Table("Declared limits", ["Limit", "Measured (95% range)", "Verdict"], rows)


def _range(check: Check) -> str:
    return interval(check.ci, percent)


def _of_checks(checks: list[Check]) -> Verdict:
    verdicts = [check.verdict for check in checks]
    if "breached" in verdicts:
        return "breached"
    return "too little evidence" if "too little evidence" in verdicts else "holds"


def _against_guessing(results: ScoreResults) -> Verdict:
    attack = plain.subject(results)
    if distrust(results) or attack.auc_ci is None:
        return "too little evidence"
    if plain.is_own_target(results) and comparability.unlike(results):
        return "too little evidence"
    return "breached" if beats_guessing(attack) else "holds"


def beats_guessing(attack: Attack) -> bool:
    """Whether the whole interval of the AUC, or of the members found at a rate, lies above guessing."""
    if attack.auc_ci is None:
        return False
    found = [bounds[0] > float(rate) for rate, bounds in attack.tpr_ci.items() if bounds is not None]
    return attack.auc_ci[0] > 0.5 or any(found)


def _answer(results: ScoreResults, verdict: Verdict, checks: list[Check]) -> str:
    if why := distrust(results):
        unlike = "the models are unlike each other"
        cause = unlike if why == wording.UNLIKE else "a check that must find nothing found something"
        return f"Nothing can be decided on this audit: {cause}."
    deciding = [check for check in checks if check.verdict == verdict]
    head = _head(verdict, checks)
    if deciding and deciding[0].quantity != "tpr" and deciding[0].value is not None:
        # Not of how many are named: that stands behind it.
        one = deciding[0]
        measured = plain.measured(one) + ("" if one.ci is None else f" ({_range(one)})")
        head += f" ({plain.limit_in_words(one)}: it is {measured})"
    attack = plain.subject(results)
    rate = plain.told_rate(attack, [*deciding, *checks])
    if rate is None:
        return (
            f"{head}; how many, at which error, cannot be told: {results.shadows} comparison models "
            "are too few to measure it."
        )
    found = attack.tpr_at_fpr[rate] or 0.0
    named = (
        f"from {of_whom(results)}, an attacker who wrongly names {share_of(float(rate))} outsiders rightly names "
        f"{percent(found)} of the people in the training data{span(attack.tpr_ci[rate])}; guessing names "
        f"{percent(float(rate))}"
    )
    return f"{head}: {named}.{_by_pairs(attack, rate, verdict, checks)}"


def _by_pairs(attack: Attack, rate: str, verdict: Verdict, checks: list[Check]) -> str:
    """Say what the verdict rests on where the rate alone may be chance."""
    bounds = attack.tpr_ci[rate]
    if checks or verdict != "breached" or bounds is None or bounds[0] > float(rate):
        return ""
    return (
        " That rate alone may be chance. But of two people, one in the training data and one not, the attacker tells "
        f"which is which in {percent(attack.auc)} of tries{span(attack.auc_ci)}; guessing in 50%."
    )


def _head(verdict: Verdict, checks: list[Check]) -> str:
    if not checks:
        return {
            "breached": "People can be named better than by guessing",
            "holds": "The attack that was fixed beforehand was not seen to do better than guessing",
            "too little evidence": "Whether people can be named cannot be told",
        }[verdict]
    over = [check for check in checks if check.verdict == "breached"]
    many = "The declared limit" if len(checks) == 1 else "Every declared limit"
    return {
        "breached": "The declared limit is exceeded"
        if len(checks) == 1
        else f"{len(over)} of {len(checks)} declared limits are exceeded",
        "holds": f"{many} holds",
        "too little evidence": f"Whether {many[0].lower()}{many[1:]} holds cannot be told",
    }[verdict]


def _basis(results: ScoreResults, declared: Declaration | None, checks: list[Check]) -> list[str]:
    said = []
    if not checks:
        limits = None if declared is None else declared.limits
        said.append(
            "No limit was declared, so this is held against guessing; whether it is acceptable is yours to decide."
            if limits is None or not limits_of(limits)
            else "The declared limits name rates that this audit does not store, so this is held against guessing."
        )
    attack = plain.subject(results)
    if not checks and not distrust(results) and not beats_guessing(attack):
        above = sum(beats_guessing(one) for one in results.attacks.values())
        if above:
            said.append(
                f"Of the {len(results.attacks)} attacks that were run, {above} did better than guessing: see the annex."
            )
    if not checks and distrust(results) == "" and attack.auc_ci is None:
        said.append(f"{results.shadows} comparison models are too few to say how sure any figure is.")
    if plain.is_own_target(results):
        said += _of_target(results)
    return said + _of_purges(results)


def _of_purges(results: ScoreResults) -> list[str]:
    """Who is no longer in an audit that was purged, though its figures still count them."""
    if not results.purges:
        return []
    samples = sum(purge.samples for purge in results.purges)
    who = "One record has" if samples == 1 else f"{samples:,} records have"
    them = "it was" if samples == 1 else "they were"
    return [
        f"{who} been purged from this audit since (last on {results.purges[-1].date}): figures over everybody were "
        f"measured before {them}, and nothing can be trained or unlearned with it any more."
    ]


def _of_target(results: ScoreResults) -> list[str]:
    """How models trained here compare with the one that was handed in."""
    said, accuracy = [], results.accuracy
    if comparability.unlike(results):
        said.append(
            "Training and test data differ by themselves, and that alone may be what tells people apart in this model."
        )
    others = results.attacks["lira"]
    if (rate := plain.told_rate(plain.subject(results), [])) is not None and others.tpr_at_fpr.get(rate) is not None:
        said.append(
            f"Of models trained here for comparison it is {percent(others.tpr_at_fpr[rate] or 0.0)}"
            f"{span(others.tpr_ci[rate])}."
        )
    if accuracy is not None and comparability.fits_unlike(accuracy):
        said.append(
            "The models trained for comparison fit differently: right on "
            f"{percent(accuracy.shadow_members)} of what they were trained on and "
            f"{percent(accuracy.shadow_others)} of the rest, the model handed in on "
            f"{percent(accuracy.target_train or 0.0)} and {percent(accuracy.target_test or 0.0)}. What they say of "
            "single people may not hold for it."
        )
    return said
