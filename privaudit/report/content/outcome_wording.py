"""An outcome in words first, then in figures: the same sentence in the terminal, the report and the record."""

from __future__ import annotations

from typing import TypeVar

from privaudit.report.content.wording import number, percent
from privaudit.results.unlearning.outcome import REJECTED, Fall, Figures, OutcomeEvidence, OutcomeName
from privaudit.results.unlearning.run import UnlearnRun

Run = TypeVar("Run", bound=UnlearnRun)

#: How the tool names each, at the head of its sentence.
HEADS: dict[OutcomeName, str] = {
    "exact": "Exact",
    "close": "Close to retraining",
    "partial": "Forgotten in part",
    "unchanged": "NOT forgotten",
    "ruined": "RUINED",
    "unclear": "Can't be told",
}

#: Of an unlearned model that an earlier version left.
UNDECIDED = "Can't be told: an earlier version made this run, and decided no outcome; remove its folder to run it again"

_PARTS = {"retain": "retained", "test": "test"}


def sentence(name: OutcomeName, figures: Figures, method: str) -> str:
    """Say what became of the run."""
    what = f"{figures.forget:,} samples" if figures.forget != 1 else "1 sample"
    said = {
        "exact": f"the model was retrained without the {what}: it never saw them, whatever a measure says of it",
        "close": f"after {method} the model is as like a model without the {what} as two of those are to each other, "
        "on them, on retained and on test samples",
        "partial": _partial(figures, method, what),
        "unchanged": _unchanged(figures, method, what),
        "ruined": _ruined(figures, method),
        "unclear": f"doing nothing is as close to a model without the {what} as two of those are to each other, so no "
        f"figure here shows whether {method} made the model forget them; retraining alone is exact",
    }[name]
    end = " The model is rejected: nothing is removed." if name in REJECTED else ""
    return f"{HEADS[name]}: {said}{_measured(name, figures)}.{end}"


def _partial(figures: Figures, method: str, what: str) -> str:
    if figures.way is not None and figures.way >= 0.005:
        # Of a run that came past the reference and stands behind it again, the whole way would say too much.
        return (
            f"{method} took the model {percent(min(figures.way, 0.99))} of the way from doing nothing to a model "
            f"without the {what}"
        )
    return f"the model answers less surely on the {what} after {method}; how far a model without them is, can't be told"


def _unchanged(figures: Figures, method: str, what: str) -> str:
    if figures.identical:
        return f"{method} changed nothing: the model says of the {what} exactly what it said before"
    if figures.tow is None:
        return f"after {method} the model answers on the {what} as surely as before"
    if figures.way is not None and figures.way < -0.05:
        return f"after {method} the model is further from one without the {what} than doing nothing"
    return f"after {method} the model is no closer to one without the {what} than doing nothing"


def _ruined(figures: Figures, method: str) -> str:
    if not figures.finite:
        return f"after {method} the model answers in no numbers any more"
    falls = figures.falls or {}
    fallen = [_fallen(part, falls[part]) for part in _PARTS if part in falls and falls[part].ruined]
    return f"{method} destroyed what the model is to keep: {'; '.join(fallen)}"


def _fallen(part: str, fall: Fall) -> str:
    if fall.of_accuracy:
        return (
            f"{_PARTS[part]} accuracy is {percent(fall.accuracy)} where a model without them keeps "
            f"{percent(fall.kept)} ({percent(fall.before)} before)"
        )
    return (
        f"on {_PARTS[part]} samples its mean margin is {fall.margin:.3g} where a model without them keeps "
        f"{fall.margin_kept:.3g}"
    )


def _measured(name: OutcomeName, figures: Figures) -> str:
    """The figures in brackets."""
    if figures.tow is None or figures.tow_do_nothing is None or figures.noise_floor is None:
        return "" if name == "exact" else f" (held against {figures.basis})"
    if name == "exact":
        # What is measured of it is chance: how like each other two models are that never saw them.
        return (
            f" (ToW {number(figures.tow)}, doing nothing {number(figures.tow_do_nothing)}; held against "
            f"{figures.basis}: that distance is chance, the noise floor)"
        )
    floor = "a second retraining" if figures.floor_measured else "by chance"
    gain = "" if figures.gain_ci is None else f", gain {figures.gain_ci[0]:+.3f} to {figures.gain_ci[1]:+.3f}"
    return (
        f" (ToW {number(figures.tow)}, doing nothing {number(figures.tow_do_nothing)}{gain}, {floor} "
        f"{number(figures.noise_floor)}; held against {figures.basis})"
    )


def with_outcome(run: Run) -> Run:
    """Return the results of a run, with an outcome where an earlier version left none."""
    if run.outcome is not None:
        return run
    name: OutcomeName = run.outcome_or_exact or "unclear"
    said = sentence("exact", Figures(forget=run.forget), "retrain") if name == "exact" else f"{UNDECIDED}."
    evidence = OutcomeEvidence(forget=run.forget, name=name, sentence=said)
    return run.model_copy(update={"outcome": name, "outcome_evidence": evidence})


def sentence_of_run(run: UnlearnRun) -> str | None:
    """Return the outcome in words; None where an earlier version decided none."""
    return None if run.outcome_evidence is None else run.outcome_evidence.sentence
