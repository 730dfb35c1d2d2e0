"""One run of unlearning: the method, everything it is judged by, and its results on disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from torch import nn

from privaudit.audit.result_files import MODELS, model_file, write_table
from privaudit.commands.unlearning.run_files import EXPOSURE, FORGETTING, METRICS_FILE, numbers_of
from privaudit.commands.unlearning.unlearn_request import (
    ResolvedRequest,
)
from privaudit.evaluation.answers import Answers
from privaudit.evaluation.evaluate import UnlearningEvaluation, evaluate
from privaudit.evaluation.outcome_of_run import decide
from privaudit.evaluation.shadow_evidence import ShadowEvidence
from privaudit.evaluation.u_lira import choose_models, remove_working_files, u_lira
from privaudit.report.content.unlearning_wording import of_promise
from privaudit.results.base import write_result
from privaudit.results.unlearning.ledger import Ledger
from privaudit.results.unlearning.outcome import REJECTED, OutcomeEvidence
from privaudit.results.unlearning.run import Seconds, UnlearningFigures, UnlearnResults
from privaudit.runtime import files
from privaudit.runtime.progress import progress, talk
from privaudit.shadow.store import TARGET
from privaudit.shadow.trainer import one_thread, read_record, save_model
from privaudit.trials.tuning import tune
from privaudit.unlearning.application.problem import UnlearningProblem
from privaudit.unlearning.application.removal_record import RECORD, record_of
from privaudit.unlearning.application.retrained_models import retrained_models
from privaudit.unlearning.application.run_method import ForgetRun, Request, judges, run_method, will_teach


def make_run(wanted: ResolvedRequest, folder: Path) -> UnlearnResults:
    """Unlearn, judge, and write the results into ``folder``, whose name is the run's."""
    audit, settings, request, forget = wanted.audit, wanted.settings, wanted.request, wanted.forget
    plan = audit.plan
    _announce(wanted, folder)
    attackers = settings.u_lira
    if request is not None and attackers is not None:
        # Too few shadow models are told before anything is trained.
        attackers = len(choose_models(judges(audit.bench, will_teach(request)), attackers))
    paths, retraining = retrained_models(
        plan, forget, settings.reference, settings.seed, is_method=request is None, noise_floor=True
    )
    problem, tuning = wanted.problem, None
    if settings.tune and request is not None:
        request, tuning = tune(plan, problem, request, wanted.given)
    models, run = unlearn(problem, request, paths, folder, wanted.handed)
    evaluation = evaluate(problem, models, run, wanted.method)
    of_request = None
    if wanted.earlier is not None and run is not None:
        alone = problem.going_on(wanted.asked, wanted.earlier.model)
        of_request = outcome_of_request(alone, evaluation, run, wanted.method)
        evaluation = replace(evaluation, figures=with_request(evaluation.figures, of_request))
    if request is not None and request.sequencing.order == "loss":
        _warn_of_proxy(evaluation.figures)
    judging = judges(audit.bench, run is not None and run.taught)
    attacked = None
    if request is not None and attackers is not None:
        attacked = u_lira(
            plan, problem, request, evaluation.answers_but_second, choose_models(judging, attackers), folder
        )
    ledger = Ledger(forget_steps=0, forget_steps_run=0, retain_steps_run=0) if run is None else run.ledger
    if (calibration := wanted.chosen.calibration) is not None:
        ledger = ledger.model_copy(update={"calibration": calibration.cost})
    results = UnlearnResults(
        **evaluation.figures,
        **ledger,
        **wanted.as_result(request),
        run=folder.name,
        number=1 + max(numbers_of(folder.parent), default=0),
        outcome_of_request=of_request,
        judging_shadows=int(judging.sum()),
        tuning=tuning,
        details={} if run is None else run.details,
        u_lira=attacked,
        seconds=Seconds(
            unlearning=round(retraining[0] if run is None else run.seconds, 3),
            retraining=round(retraining[-1], 3) if retraining else None,
            training=read_record(plan.store, TARGET).seconds,
        ),
    )
    write_run(folder, results, evaluation, models["unlearned"], wanted)
    return results


def _announce(wanted: ResolvedRequest, folder: Path) -> None:
    plan = wanted.audit.plan
    talk(f"unlearning {len(wanted.asked.rows):,} of {len(plan.data):,} samples of {plan.name}: {folder.name}")
    if (link := wanted.link) is not None:
        talk(
            f"  going on from {link.run}, which forgot {link.forgotten:,}: everybody, {len(wanted.forget.rows):,}, is "
            "held against retraining without them"
        )
        if wanted.request is not None and link.began_as != link.run:
            talk(
                f"  {wanted.method} begins with {link.began_as or 'the target'} and is handed everybody since: as "
                "cheap as going on, and it does not add up"
            )
    for note in wanted.forget.notes:
        talk(f"  {note}")


def unlearn(
    problem: UnlearningProblem,
    request: Request | None,
    retrained: list[Path],
    folder: Path,
    handed: UnlearningProblem | None = None,
) -> tuple[dict[str, nn.Module], ForgetRun | None]:
    """Return the models to compare by name, and what the method did; None where the first retrained model is it.

    ``handed`` is what the method is to solve of the problem [all of it].
    """
    hardware = problem.bench.specification.hardware
    with one_thread(hardware):
        models, run = {"original": problem.load()}, None
        if request is None:
            models["unlearned"], retrained = problem.load(retrained[0]), retrained[1:]
        else:
            with progress(f"unlearning with {request.method}", 1.0) as bar:
                models["unlearned"], run = run_method(
                    handed or problem,
                    request,
                    folder=folder,
                    report=lambda done, total: bar.advance(done / max(total, 1) - bar.done),
                )
            if run.ledger.stopped:
                talk(f"  stopped: {run.ledger.stopped}")
        for name, path in zip(("retrained", "second_retrained"), retrained, strict=False):
            models[name] = problem.load(path)
    return models, run


def outcome_of_request(
    alone: UnlearningProblem, evaluation: UnlearningEvaluation, run: ForgetRun, method: str
) -> OutcomeEvidence:
    """Decide what became of those alone whom a request on an earlier run asked for, doing nothing being its model."""
    with one_thread(alone.bench.specification.hardware):
        before = Answers.of(alone, alone.load())
    answers = {name: one.answers for name, one in evaluation.measured.items()} | {"original": before}
    return decide(answers, ShadowEvidence(alone, judges(alone.bench, run.taught)), method, exact=False)


def with_request(figures: UnlearningFigures, of_request: OutcomeEvidence) -> UnlearningFigures:
    """Return the figures of everybody, rejected where the request itself came to nothing.

    Earlier requests may have taken a model far from its target: that says nothing of those who were asked for now.
    """
    whole = figures.outcome_evidence
    if whole is None or whole.name in REJECTED or of_request.name not in REJECTED:
        return figures
    said = f"{of_request.sentence} That is of those whom this request asked for; of everybody so far: {whole.sentence}"
    found = whole.model_copy(update={"name": of_request.name, "sentence": said})
    return figures.model_copy(update={"outcome": of_request.name, "outcome_evidence": found})


def _warn_of_proxy(figures: UnlearningFigures) -> None:
    """Say where an order by loss says little of risk."""
    proxy = figures.loss_as_proxy
    if proxy is not None and proxy.ci is not None and proxy.ci[0] < 0.5:
        talk(
            "  warning: the order goes by loss, which is a poor stand-in for risk in this forget set (Spearman "
            f"{proxy.spearman:+.2f}); --order risk ranks by risk itself"
        )


def write_run(
    folder: Path, results: UnlearnResults, evaluation: UnlearningEvaluation, model: nn.Module, wanted: ResolvedRequest
) -> None:
    """Write tables, model, record and, last, the results; then delete what a finished run needs no more."""
    write_table(evaluation.forgetting, folder / FORGETTING)
    write_table(evaluation.exposure, folder / EXPOSURE)
    for name in MODELS:
        # Of a run that was cut short, or made again because it was damaged.
        files.remove(folder / name)
    path = folder / model_file(results)
    save_model(model, path)
    plan = wanted.audit.plan
    gone = of_promise(plan.identity, results, is_given=plan.given is not None)
    write_result(folder / RECORD, record_of(results, wanted.forget, evaluation.exposure, path, gone))
    write_result(folder / METRICS_FILE, results)
    remove_working_files(folder)
