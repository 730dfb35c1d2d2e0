"""The sections that say what was audited, how well membership is told, and how risk goes with intrinsic shift."""

from __future__ import annotations

import pandas as pd

from privaudit.attacks.suite import ATTACKS
from privaudit.report.content import comparability, pretrained_wording, wording
from privaudit.report.content.elements import Figure, Section, Table, tabulate
from privaudit.report.content.figure_data import Curves, Scatter
from privaudit.report.content.texts import text, texts
from privaudit.report.content.wording import known, number, percent, warned
from privaudit.report.drawing import line_styles
from privaudit.report.drawing.figure_tables import dots
from privaudit.report.sections.sceptic import said_to_sceptics
from privaudit.results.audit.audit_description import AuditIdentity
from privaudit.results.audit.score_results import About, Accuracy, GivenSignals, ScoreResults
from privaudit.scoring.reliability.outliers import LISTED, of_kinds

#: Attacks whose curves are drawn.
DRAWN = ("lira", "rmia", "lira-logit-gap", "loss")


def title_of(attack: str, results: ScoreResults | None = None) -> str:
    """An attack's name for people, of RMIA with γ where its results are given."""
    title = ATTACKS[attack].title if attack in ATTACKS else attack
    return title if attack != "rmia" or results is None else f"{title} (γ = {wording.gamma_of(results):g})"


def curves_of(results: ScoreResults) -> Curves:
    """The ROC curves of the attacks that are drawn, by title."""
    drawn = {title_of(name, results): results.attacks[name] for name in DRAWN if name in results.attacks}
    return Curves(curves={title: known(attack.curve, "curve") for title, attack in drawn.items()})


def what_was_audited(results: ScoreResults) -> Section:
    """Data, network, training, attacker, and what stands out."""
    about = results.about
    said = [*wording.warnings(results)]
    notes = [f"Note: {note}." for note in about.notes]
    if about.given is not None:
        said += [*notes, text("audited.given-signals")]
        table = Table("What was given", ["What", "Which"], _rows_of_given(results, about.given))
    else:
        said += [*(texts("limits.given-target")[:1] if about.target is not None else []), *notes]
        table = Table("The audited system", ["What", "Which"], _rows_of_system(results))
    return Section("audited", "What was audited", said, [table, *_what_stands_out(results)])


def _rows_of_system(results: ScoreResults) -> list[list[str]]:
    about, accuracy = results.about, known(results.accuracy, "accuracy")
    identity, data = known(about.identity, "identity"), known(about.data, "data")
    on_train, on_test = known(accuracy.target_train, "target_train"), known(accuracy.target_test, "target_test")
    return [
        ["Data", f"{data.source}: {data.train:,} training and {data.test:,} test samples"],
        ["Inputs and classes", f"{'×'.join(map(str, data.input_shape))}, {len(data.classes)} classes"],
        ["Network" if identity.estimator is None else "Estimator", pretrained_wording.network_of(identity)],
        ["Training", _training(identity)],
        [
            "Target model",
            f"{_whence(about)}: right on {percent(on_train)} of its training samples and {percent(on_test)} of the "
            "test samples",
        ],
        ["Shadow models", f"{results.shadows}, each trained on half of the data: {_right(accuracy)}"],
        [
            "Attacker",
            "knows the labels and sees the logits of one model; trains shadow models on the same data; queries with "
            f"{', '.join(results.queries)} images",
        ],
    ]


def _rows_of_given(results: ScoreResults, given: GivenSignals) -> list[list[str]]:
    if given.design is not None:
        design = f"{given.design.sentence}; "
    else:
        design = "complementary pairs; " if given.paired else ""
    seen = (
        "each sample was seen by half of the models"
        if given.paired
        else f"every sample was seen by at least {given.fewest_in} models. With each target its complement is left out "
        "or, where it has none, a random model of the other side"
    )
    accuracy = results.accuracy
    return [
        ["File", f"{given.file}: what {results.shadows} models say of {results.samples:,} samples"],
        ["SHA-256", given.sha256],
        ["Queries", f"{given.queries} a sample and model"],
        ["Design", design + seen],
        *([] if accuracy is None else [["Models", f"{given.classes} classes: {_right(accuracy)}"]]),
    ]


def _right(accuracy: Accuracy) -> str:
    return (
        f"right on {percent(accuracy.shadow_members)} of the samples they saw and {percent(accuracy.shadow_others)} of "
        "those they did not"
    )


def _training(identity: AuditIdentity) -> str:
    if identity.estimator is not None:
        return wording.estimator(identity.estimator)
    if (recipe := identity.recipe) is None:
        return wording.training_function(known(identity.training_function, "training_function"))
    said = (
        f"recipe '{recipe.name}': {recipe.epochs} epochs, batch {recipe.batch_size}, highest learning "
        f"rate {recipe.learning_rate:g}, augmentation {recipe.augment}, {identity.precision}"
    )
    if (privacy := recipe.privacy) is None:
        return said
    return (
        f"{said}; differential privacy with ε {privacy.epsilon:g} at δ {privacy.delta:g} by {privacy.accountant}, "
        f"noise multiplier {privacy.noise_multiplier:g}, gradients clipped to {privacy.max_grad_norm:g}, sampling rate "
        f"{privacy.sample_rate:.4g}; the noise follows from the seed: for an audit, not for deployment"
    )


def _whence(about: About) -> str:
    """How the target came to be."""
    if (given := about.target) is None:
        return "trained on everything"
    scale = "scales inputs by a mean and deviation of its own" if given.scales_itself else "inputs standardised here"
    return (
        f"given by the user as {wording.clip(given.file)} (SHA-256 {given.sha256[:16]}…; {scale}), taken to have "
        "been trained on everything"
    )


def _what_stands_out(results: ScoreResults) -> list[Table]:
    """Models, values and samples that are far from all others; the first of each."""
    if (found := results.outliers) is None:
        return []
    rows = [
        (f"model {one.model}", "all", f"{one.times:,.3g} times as far from the median as its siblings")
        for one in found.models
    ]
    rows += [
        (f"model {one.model}", str(one.sample_id), f"{one.spreads:,.0f} spreads from the median of all models")
        for one in found.values[:LISTED]
    ]
    rows += [
        ("all", str(one.sample_id), f"models differ {one.times:,.0f} times as much as usual")
        for one in found.samples[:LISTED]
    ]
    for one in found.accuracies:
        right, others = known(one.accuracy, "accuracy"), known(one.siblings, "siblings")
        rows.append((f"model {one.model}", "all", f"right on {percent(right)}, others on {percent(others)}"))
    rows += [
        (f"model {one.model}", "all", f"rank correlation {one.correlation:.2f}, others {one.siblings:.2f}")
        for one in found.strangers
    ]
    if (kinds := found.kinds) is not None:
        rows.append((f"models {kinds.model}, {kinds.other}", "all", of_kinds(kinds)))
    return [Table("What stands out", ["Model", "Sample", "How far"], [list(row) for row in rows])] if rows else []


def how_well_attacked(results: ScoreResults) -> Section:
    """Every attack with its intervals, and the ROC."""
    doubts = comparability.doubts(results)
    attacks = [(title_of(name, results), one, results.agreement.get(name)) for name, one in results.attacks.items()]
    if results.target is not None:
        of_target = (wording.TARGET + (": see the warning" if doubts else ""), results.target, None)
        attacks.insert(len(attacks) if results.about.target is None else 0, of_target)
    drawn = [(title_of(name, results), results.attacks[name]) for name in DRAWN if name in results.attacks]
    areas = "; ".join(f"{title} {number(attack.auc)}" for title, attack in drawn)
    doubted, counted = said_to_sceptics(results)
    return Section(
        "attacks",
        "How well membership can be told",
        [
            *texts("attacks.how"),
            f"The first row was chosen beforehand and is the one to quote: of {len(results.attacks)} attacks the "
            "best looks better than it is. Agreement is Spearman's correlation with it, over samples, of the mean "
            "score where a sample was seen less that where it was not.",
            *warned(doubts),
            *doubted,
        ],
        [
            tabulate(
                "Attacks",
                attacks,
                {
                    "Attack": lambda row: row[0],
                    "AUC (95%)": lambda row: wording.area(row[1]),
                    "Found at 1% false alarms": lambda row: wording.found_at(row[1], "0.01"),
                    "At 0.1%": lambda row: wording.found_at(row[1], "0.001"),
                    "Balanced accuracy": lambda row: wording.share(row[1].balanced_accuracy),
                    "Agreement": lambda row: (
                        "–" if row[2] is None or row[2].spearman is None else f"{row[2].spearman:+.2f}"
                    ),
                },
            ),
            *counted,
        ],
        [
            Figure(
                "roc",
                f"Share of members found against share of false alarms, both logarithmic. {line_styles.at('roc')}",
                f"ROC curves, with AUC: {areas}.",
                curves_of(results),
            )
        ],
    )


def risk_and_shift(table: pd.DataFrame, results: ScoreResults) -> Section:
    """Risk against intrinsic shift and against its proxy, the loss."""
    found, proxy = results.risk_vs_difficulty.intrinsic_shift, results.risk_vs_difficulty.loss_as_proxy
    said = text("intrinsic.too-few-models")
    if found is not None:
        said = (
            "Risk, measured on one half of the shadow pairs, and intrinsic shift, measured on the other, "
            f"{wording.correlation(found)}."
        )
    paragraphs = [text("intrinsic.meaning"), said]
    if proxy is not None:
        poor = "" if wording.is_good_proxy(proxy) else " Loss is a poor proxy here; rank by risk itself."
        paragraphs.append(f"The target's loss as a stand-in for risk: they {wording.correlation(proxy)}.{poor}")
    title = "Risk and how much a model owes to a sample"
    return Section("intrinsic", title, paragraphs, [], [_scatter(table, said)])


def _scatter(table: pd.DataFrame, said: str) -> Figure:
    """Risk against shift, each from its own half of the models where the table holds that."""
    across, up = "risk", "shift"
    whence = "both from the same models, so that part of what they have in common is built in"
    if "risk_of_half" in table and bool(table["risk_of_half"].notna().any()):
        across, up = "risk_of_half", "shift_of_half"
        whence = "risk from one half of the shadow pairs, shift from the other"
    return Figure(
        "scatter",
        f"Risk against intrinsic shift, {whence}; a dot a sample (at most 3,000 drawn). {line_styles.at('scatter')}",
        f"Scatter of risk against intrinsic shift, {whence}. {said}",
        Scatter(panels=[dots("intrinsic shift (logits)", table, across, up)]),
    )
