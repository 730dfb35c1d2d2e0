"""What was declared, beside what was measured of it; and what an accusation is worth."""

from __future__ import annotations

from privaudit.report.content.claim_wording import claim_on, sentence
from privaudit.report.content.elements import Section, Table
from privaudit.report.content.wording import interval, percent, rate, share
from privaudit.results.audit.controls import Epsilon
from privaudit.results.audit.score_results import ScoreResults
from privaudit.results.measures import Attack
from privaudit.results.statement.declaration import Declaration
from privaudit.results.statement.risk_statement import Accusation
from privaudit.scoring.risk_statement import risk_statement

NOT = "not declared"

#: The most groups in the table of groups.
MOST_GROUPS = 20


def sections(results: ScoreResults, declared: Declaration | None) -> list[Section]:
    """Both sections; of accusations none where no rate is resolved."""
    return [_declared(results, declared or Declaration()), *_accusations(results, declared)]


def _declared(results: ScoreResults, told: Declaration) -> Section:
    model, people, privacy, limits = told.model, told.people, told.privacy, told.limits
    rows: list[tuple[str, object]] = [
        ("Title", told.title),
        ("For whom", told.organisation),
        ("Made by", told.author),
        ("Independence", told.independence),
        ("Date", told.date),
        ("Purpose", told.purpose),
        ("Deployed model", " ".join(filter(None, (model.name, model.version)))),
        ("Where it is in use", model.deployed),
        ("Data subjects", people.who),
        ("Records a person", people.records),
        ("Share of askable people trained on (prior)", None if people.prior is None else percent(people.prior)),
        ("Claimed differential privacy", None if privacy.epsilon is None else f"ε {privacy.epsilon:g}"),
        ("Its δ, unit, accountant", _joined(privacy.delta, privacy.unit, privacy.accountant)),
        ("Measures taken", "; ".join(told.measures)),
        ("Limits", _limits(limits.tpr, limits.auc, limits.asr, limits.epsilon)),
        ("Valid until", told.valid_until),
        ("Void before, on", told.retest_when),
    ]
    said = ["The owner of the audit says this; nothing here was measured, and nothing vouches for it."]
    if (claim := claim_on(results, told)) is not None and privacy.epsilon is not None:
        said.append(f"{sentence(claim)} It is a claim about datasets with one record more or less.")
    elif privacy.epsilon is not None:
        said.append(_beside(privacy.epsilon, results.epsilon))
    if people.records:
        said.append(
            "Where a person has several records, that person's risk is at least that of the most exposed of them; "
            + (
                "what all of them give away together is told below, under “People with several records”."
                if results.subjects is not None
                else "this report counts records, since the audit was not told whose each is (a column subject_id in "
                "--metadata, or --subject of a table)."
            )
        )
    table = Table("Declared", ["What", "Declared, not measured"], [[what, str(value or NOT)] for what, value in rows])
    return Section("declared", "What was declared", said, [table])


def _joined(*values: object) -> str:
    return ", ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in values if value is not None)


def _limits(tpr: dict[str, float] | None, auc: float | None, asr: float | None, epsilon: float | None) -> str:
    said = [f"TPR at {rate(one)} FPR at most {percent(most)}" for one, most in (tpr or {}).items()]
    said += [] if auc is None else [f"AUC at most {auc:g}"]
    said += [] if asr is None else [f"mean risk of the most exposed at most {percent(asr)}"]
    said += [] if epsilon is None else [f"ε at most {epsilon:g}"]
    return "; ".join(said)


def _beside(claimed: float, bounds: Epsilon | None) -> str:
    if bounds is None:
        return "Of the claimed ε nothing was measured: planted records (--canaries) would bound it from below."
    found = max(bounds.one_run.epsilon, 0.0 if bounds.trials is None else bounds.trials.epsilon)
    verdict = (
        "above the claim, which asks for an explanation" if found > claimed else "below the claim, which proves nothing"
    )
    return (
        f"Measured beside it: ε ≥ {found:.2f} at δ = {bounds.one_run.delta:g} (the larger of the bounds, each with 95% "
        f"confidence), {verdict}. It is of models trained here, and of data that differ in one replaced record: a "
        "claim at another δ, of added or removed records, or of another training is another promise."
    )


def _accusations(results: ScoreResults, declared: Declaration | None) -> list[Section]:
    own = results.about.target is not None and results.target is not None
    attack: Attack = results.target if own and results.target is not None else results.attacks["lira"]
    prior = None if declared is None else declared.people.prior
    found = risk_statement(attack, results.samples, results.groups, None if prior is None else [prior])
    if not found.accusations:
        return []
    columns = ["Asked about who were trained on", "False alarms", "Accusations that are right (95%)"]
    columns += ["Rightly named (95%)", "Wrongly named"]
    tables = [Table("Accusations by prior and rate of false alarms", columns, list(map(_row, found.accusations)))]
    groups = [
        [name, *_row(next(one for one in of_group if one.prior == found.accusations[0].prior))]
        for name, of_group in list(found.groups.items())[:MOST_GROUPS]
        if of_group and not own  # Of groups the shadow models alone are attacked.
    ]
    if groups:
        tables.append(Table("The same within groups", ["Group", *columns], groups))
    whence = "is as declared" if found.declared else "was not declared, so the table goes from a coin to one in 1,000"
    return [
        Section(
            "accusations",
            "What an accusation is worth",
            [
                "An attacker names everybody whom the attack scores above one threshold. How often that is right "
                f"depends on the share of those asked about who were trained on (the prior), which {whence}. Numbers "
                f"are expectations: of {results.samples:,} training samples, and of as many outsiders beside them as "
                "the prior says.",
                f"The attack is {'that on the target itself' if own else 'LiRA on the shadow models'}.",
            ],
            tables,
        )
    ]


def _row(one: Accusation) -> list[str]:
    bounds = "" if one.precision_ci is None else f" ({interval(one.precision_ci, percent)})"
    right = "" if one.right_ci is None else f" ({one.right_ci[0]:,.0f}–{one.right_ci[1]:,.0f})"
    return [
        percent(one.prior),
        rate(one.fpr),
        f"{share(one.precision)}{bounds}",
        f"{one.right:,.0f}{right}",
        f"{one.wrong:,.0f}",
    ]
