"""How the report says what an unlearning run did: sentences that claim no more than the run shows."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from privaudit.report.content import wording
from privaudit.report.content.outcome_wording import sentence_of_run
from privaudit.report.content.wording import flags_of, number, percent
from privaudit.results.audit.audit_description import AuditIdentity
from privaudit.results.unlearning.ledger import GuardRecord, SequencingRecord
from privaudit.results.unlearning.run import Forgotten, UnlearnResults
from privaudit.runtime.progress import readable_time

LIMITS = (
    "The re-audit attacks the unlearned model with shadow models that unlearned nothing. An attacker who runs the same "
    "unlearning on shadow models of their own (U-LiRA, Hayes et al. 2024) is stronger: the re-audit understates what "
    "is left.",
    "Shadow models trained on half of the data, the retrained model on nearly all of it: compare rows with the "
    "retrained row, not with ½.",
)


def summary(run: UnlearnResults) -> list[str]:
    """What a run did, in sentences; the last one is the finding."""
    paragraphs = [f"{run.forget:,} samples were to be forgotten ({run.forget_specification}). {_spent(run)}"]
    paragraphs += [f"Note: {note}." for note in run.notes]
    if run.reference is None:
        paragraphs.append(
            "Nothing says how a model without these samples would see them: shadow models saw half of every class. "
            "Fidelity and shift need --reference retrain."
        )
    else:
        paragraphs.append(f"Fidelity and shift are measured against this reference: {run.reference}.")
    if run.judging_shadows is not None and run.judging_shadows < run.shadows:
        paragraphs.append(
            f"{run.shadows - run.judging_shadows} shadow models taught and took no part in judging; the other "
            f"{run.judging_shadows} judged."
        )
    if run.stopped:
        paragraphs.append(f"It stopped early: {run.stopped}.")
    if (guarded := of_guard(run)) is not None:
        paragraphs.append(guarded)
    if run.forgotten is not None:
        paragraphs += [_when(run, run.forgotten), *_retained(run)]
    paragraphs += _relations(run)
    if (proxy := run.loss_as_proxy) is not None:
        paragraphs.append(
            f"The paper ranks by loss in place of risk. Of the forgotten, they {wording.correlation(proxy)}"
            + ("." if wording.is_good_proxy(proxy) else ": loss is a poor stand-in here.")
        )
    paragraphs.append(finding(run))
    return paragraphs


def of_promise(identity: AuditIdentity | None, run: UnlearnResults, *, is_given: bool) -> list[str]:
    """Return a warning that a promise of differential privacy is gone: one was made, and the method adds no noise.

    Parameters
    ----------
    identity
        Of the audit; None of one that trained nothing, which promises nothing.
    run
        What was done to its target.
    is_given
        Whether the user brought the target: the recipe then says nothing of how that was trained.
    """
    recipe = None if identity is None or is_given else identity.recipe
    if recipe is None or recipe.privacy is None or run.is_exact:
        return []
    return [
        f"the audited model keeps a promise of differential privacy (ε {recipe.privacy.epsilon:.4g} at δ "
        f"{recipe.privacy.delta:g}); {run.method} took steps without noise, so the unlearned model keeps none. "
        "--method retrain trains by the recipe again"
    ]


def _spent(run: UnlearnResults) -> str:
    time = f"It took {_took(run.seconds.unlearning)}"
    if run.seconds.retraining is not None and run.parameters is not None:
        share = run.seconds.unlearning / max(run.seconds.retraining, 1e-9)
        time += f"; retraining took {_took(run.seconds.retraining)} ({percent(share)})"
    if run.parameters is None:
        return f"The model was trained from scratch on what remains. {time}."
    rate = run.parameters.get("learning_rate")
    beside = "" if rate is None else f" (learning rate {rate:g})"
    if run.sequencing is None:
        return f"{run.method}{beside} ran once and used {run.retain_steps_run:,} retain-sample gradients. {time}."
    return (
        f"{run.method}{beside} was given {run.forget_steps:,} forget-sample gradients, spent "
        f"{run.forget_steps_run:,} of them, and used {run.retain_steps_run:,} retain-sample gradients. {time}."
    )


def _when(run: UnlearnResults, found: Forgotten) -> str:
    if run.is_exact:
        called = {} if run.exposure is None else run.exposure.called_members
        before, after = (called[name].forget if name in called else None for name in ("original", "unlearned"))
        if before is None or after is None:
            return (
                "This model never saw them. What shadow models, which saw half of every class, say of it means little."
            )
        return (
            f"LiRA takes {percent(1 - after)} of them for never seen, and took {percent(1 - before)} before: of a "
            "model that never saw them every error is the attack's."
        )
    return (
        f"{percent(found.share)} of them count as forgotten at the end, {percent(found.before)} did before "
        f"anything was done: {found.means}. The step at which each one was forgotten is in forgetting.parquet."
    )


def _retained(run: UnlearnResults) -> list[str]:
    changes = {} if run.exposure is None else run.exposure.retained_change
    if "unlearned" not in changes:
        return []
    found = changes["unlearned"]
    beside = changes.get("retrained")
    low, high = found.ci or (0.0, 0.0)
    again = "another retraining" if run.is_exact else "retraining"
    direction = "more" if low > 0 else "less" if high < 0 else "neither more nor less"
    return [
        f"Retained samples are {direction} exposed on average than before: LiRA's ratio moved by {found.mean:+.3f} "
        f"({signed(found.ci)}), and rose for {percent(found.rose)} of them"
        + ("" if beside is None else f"; by {again} it moved by {beside.mean:+.3f}")
        + "."
    ]


def signed(bounds: Sequence[float] | None) -> str:
    """An interval of differences."""
    return "no interval" if bounds is None else f"{bounds[0]:+.3f} to {bounds[1]:+.3f}"


def _took(seconds: float) -> str:
    return f"{seconds:.2g} s" if seconds < 10 else readable_time(seconds)


def _relations(run: UnlearnResults) -> list[str]:
    """Which sense of difficulty rises with risk: what the data of this run supports, no more."""
    rising, falling = [], []
    for name, (title, _) in wording.DIFFICULTIES.items():
        bounds = run.risk_vs_difficulty.by_sense[name].ci
        if bounds is not None and bounds[0] > 0:
            rising.append(title.lower())
        elif bounds is not None and bounds[1] < 0:
            falling.append(title.lower())
    said = [f"{name} rises with risk" for name in rising] + [f"{name} falls with it" for name in falling]
    if not said:
        return ["In this run no sense of difficulty clearly rises or falls with risk."]
    rest = "" if len(said) == len(wording.DIFFICULTIES) else "; of the other senses no clear relation was found"
    return [f"In this run {', '.join(said)}{rest}."]


def of_guard(run: UnlearnResults) -> str | None:
    """What the guard saw and did, in a sentence; None where an earlier version had none, and of retraining."""
    found = run.guard
    if run.is_exact or (found is None and run.outcome is None):
        return None
    if found is None:
        return "No guard watched the run (--guard off): nothing was taken back."
    watched = " and ".join(f"{count:,} {name}" for name, count in found.watched.items())
    own = "" if found.held_out else " (the retained among them are taught by the method too, the others are not)"
    said = f"A guard watched {watched} samples{own} and looked {found.looks:,} times"
    if not found.undone:
        return f"{said}: nothing had to be taken back."
    times = len(found.undone)
    said += (
        f": it took the model back {times:,} {'time' if times == 1 else 'times'}, {found.forget_steps_undone:,} "
        f"forget-sample gradients in all, and halved the learning rate {found.halvings:,} "
        f"{'time' if found.halvings == 1 else 'times'} (first because {found.undone[0].why})"
    )
    return f"{said}. {_ended(found)}"


def _ended(found: GuardRecord) -> str:
    if found.stopped is None:
        return "The run went on to its end."
    return f"It ended the run at its last good state: {found.stopped}."


def can_tell(run: UnlearnResults) -> bool:
    """Whether ToW has anything to tell: doing nothing ends further from a retrained model than a second one does.

    The second retrained model's ToW against the first is the noise floor: as far apart as two models are that differ
    in nothing but chance. Where even doing nothing is no further away, no method can be told from it.
    """
    floor, nothing = run.noise_floor, run.tow_do_nothing
    return floor is None or nothing is None or nothing < floor


def finding(run: UnlearnResults) -> str:
    """What became of the run, in words; what ToW says of it where an earlier version decided nothing."""
    if (outcome := sentence_of_run(run)) is not None:
        return outcome
    nothing = "" if run.tow is None else number(run.tow_do_nothing)
    if run.is_exact:
        said = (
            f"Retraining without the {run.forget:,} samples is exact by construction: this model never saw them, "
            "whatever a measure says of it"
        )
        if run.tow is None:
            return f"{said}."
        said += f". Another retrained model has a ToW of {number(run.tow)} to it: that is the noise floor"
        if can_tell(run):
            return f"{said}; doing nothing is further away (ToW {nothing})."
        return (
            f"{said}, and doing nothing is no further away (ToW {nothing}), so that here ToW can't tell methods apart."
        )
    if run.tow is None or run.tow_do_nothing is None:
        return "There is no retrained model to hold the result against, so there is no tug of war."
    floor = run.noise_floor
    beside = "" if floor is None else f", two retrained models {number(floor)}"
    measured = f"(ToW {number(run.tow)}, doing nothing {nothing}{beside}; one run, no interval)"
    if not can_tell(run):
        return (
            f"Whether unlearning {run.forget:,} samples with {run.method} brought the model closer to a "
            "retrained one can't be told: doing nothing is as close to one as two of them are to each other "
            f"{measured}."
        )
    verdict = "closer" if run.tow > run.tow_do_nothing else "no closer"
    return (
        f"Unlearning {run.forget:,} samples with {run.method} left the model {verdict} to a retrained model than "
        f"doing nothing {measured}."
    )


def shown_name(run: UnlearnResults) -> str:
    """A run's name; an earlier version put the name of a list of requests, and its folder, into it."""
    name, digest = str(run.run), str(run.run).rsplit("-", 1)[-1]
    if run.forget_specification != "ids:FILE" or name.endswith(f"-ids-{digest}"):
        return name
    return f"{run.method}-…-{digest}"


def order(run: UnlearnResults) -> str:
    """An order in words."""
    if run.order == "none":
        return "all at once"
    if run.order == "random":
        return f"in {run.groups} random groups"
    return f"in order of {'falling' if run.descending else 'rising'} {run.order}"


def _choices(sequencing: SequencingRecord) -> list[tuple[str, str, str]]:
    """Flag, default and value of every choice of the sequence."""
    return [
        ("rank-by", "sample", sequencing.unit),
        ("grouping", "cumulative", sequencing.kind),
        ("pace", "linear", sequencing.pace),
        ("rerank", "static", sequencing.rerank),
        ("stage-retain", "fixed", sequencing.retain),
        ("optimizer-state", "carry", sequencing.state),
        ("budget", "matched", sequencing.budget),
    ]


_COMMON = {"passes": "passes", "learning_rate": "learning-rate", "batch_size": "batch-size"}


def command(run: UnlearnResults) -> str:
    """The command that repeats an unlearning run."""
    flags: dict[str, str | float | None] = {
        "audit": run.audit,
        "method": run.method,
        "forget": run.forget_specification,
    }
    more: list[str] = []
    if (sequencing := run.sequencing) is not None:
        flags |= {"order": run.order, "groups": run.groups}
        flags |= {flag: value for flag, usual, value in _choices(sequencing) if value != usual}
        if sequencing.pace == "self-paced":
            flags.pop("rerank", None)
        more = ["--descending"] if run.descending else []
    for name, value in (run.parameters or {}).items():
        if name in _COMMON:
            flags[_COMMON[name]] = value
        else:
            more += ["--parameter", f"{name}={value:g}"]
    flags |= {"reference": run.reference_asked, "seed": run.seed}
    if run.parameters is not None and run.outcome is not None and run.guard is None:
        flags["guard"] = "off"
    if run.skipped:
        more.append("--skip-unknown")
    if run.u_lira is not None:
        flags["u-lira"] = run.u_lira.models
    return shlex.join(["privaudit", "unlearn", *flags_of(flags), *more])
