"""One dataset, one audit, many experiments: their models and trials, made once and shared."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import pandas as pd

from privaudit.audit.plan import AuditPlan
from privaudit.commands.unlearning.unlearn_estimate import estimate_scenes
from privaudit.errors import EvidenceError, UsageError
from privaudit.reproduction.claims.arms import ARMS, arms_of, default_parameters, request
from privaudit.reproduction.claims.experiment import CLASSES, ONE_SHOT, TUNING_SEEDS, Experiment
from privaudit.reproduction.claims.experiment_size import Scale
from privaudit.reproduction.claims.independent_units import choose_classes, forget_classes
from privaudit.reproduction.claims.sample_groups import GROUPS, choose_set, name_of_part
from privaudit.results.audit.score_results import ScoreResults
from privaudit.results.reproduction_results import (
    AboutExperiment,
    Area,
    CellParameters,
    ExperimentFacts,
    NotApplicable,
    ShownData,
)
from privaudit.runtime.progress import talk
from privaudit.training.hardware import hardware_in_words
from privaudit.trials.order_comparison import DO_NOTHING, RETRAIN
from privaudit.trials.run_trials import prepare_scene, run_trials
from privaudit.trials.treatment import FOLDER, Scene, Treatment
from privaudit.trials.trial_evaluation import as_row
from privaudit.trials.tuning import candidates
from privaudit.unlearning.application.problem import Bench
from privaudit.unlearning.application.retrained_models import RetrainJob, train_missing
from privaudit.unlearning.application.teacher_models import check_applicable
from privaudit.unlearning.base import UNLEARNERS
from privaudit.unlearning.parameters import Parameters, with_changes
from privaudit.unlearning.requests.forget_set import ForgetSet

#: Set, method and arm.
Cell = tuple[str, str, str]
Choices = dict[Cell, Parameters]

#: The arm whose parameters others take.
BEST_SETTINGS = "one-shot, best settings"


@dataclass(frozen=True)
class Study:
    """An audit and how its experiments are run.

    Parameters
    ----------
    plan, table
        The audit, and its score rows without canaries.
    out
        ``<out>/<audit>``.
    scale
        Sizes.
    seeds
        How many.
    audit
        The audit's results.
    """

    plan: AuditPlan
    table: pd.DataFrame
    out: Path
    scale: Scale
    seeds: int
    audit: ScoreResults

    @cached_property
    def about(self) -> AboutExperiment:
        """On what, how large, when and where this is run."""
        plan, lira = self.plan, self.audit.attacks["lira"]
        stability = self.audit.stability
        # What earlier versions wrote has no interval and was too high: it is not taken.
        known = stability if stability is not None and "ci" in stability.model_fields_set else None
        return AboutExperiment(
            audit=plan.name,
            dataset=plan.data.name,
            source=plan.data.source,
            network=plan.network_name,
            samples=len(plan.data),
            shadows=plan.shadows,
            epochs=plan.specification.recipe.epochs,
            scale=self.scale.name,
            tuned=self.scale.tuned,
            tuning_seed=TUNING_SEEDS[0] if self.scale.tuned else None,
            tuning_seeds=TUNING_SEEDS if self.scale.tuned else (),
            seeds=self.seeds,
            date=datetime.now(UTC).date().isoformat(),
            hardware=hardware_in_words(plan.specification.hardware, plan.workers),
            accuracy=self.audit.accuracy,
            lira=Area(auc=lira.auc, auc_ci=lira.auc_ci),
            reliability=None if known is None else known.reliability,
            reliability_ci=None if known is None else known.ci,
        )

    def facts(self, experiment: Experiment, choices: Choices, shown: ShownData) -> ExperimentFacts:
        """What neither the catalogue nor the runs say of an experiment."""
        return ExperimentFacts(
            about=self.about,
            parameters=[
                CellParameters(set=name, method=method, arm=arm, values=choices[name, method, arm].describe())
                for name, method, arm in self.cells(experiment)
            ],
            not_applicable=[
                NotApplicable(set=name, method=method, why=why)
                for (name, method), why in self.not_applicable(experiment).items()
            ],
            figures=shown,
        )

    @cached_property
    def bench(self) -> Bench:
        """What methods are run with."""
        return Bench.of(self.plan, self.table)

    def forget_set(self, name: str, seed: int) -> ForgetSet:
        """A set of an experiment, of one seed."""
        if name == CLASSES:
            return forget_classes(self.table, self.plan.data.class_names, seed)
        return choose_set(name, self.table, self.plan.data.class_names, seed)

    def unit(self, name: str, seed: int) -> str:
        """What a set of a seed is an independent draw of: the seed, its part, or its classes (`independent_units`)."""
        if name in GROUPS:
            return name_of_part(seed)
        if name != CLASSES:
            return str(seed)
        names = self.plan.data.class_names
        return "+".join(names[label] for label in choose_classes(self.table["label"].to_numpy(), seed))

    def cells(self, experiment: Experiment) -> list[Cell]:
        """Set, method and arm of everything that is unlearned; what can't be applied is left out."""
        left_out = self.not_applicable(experiment)
        found = []
        for name in experiment.sets:
            for method in experiment.methods:
                if (name, method) not in left_out:
                    arms = arms_of(experiment, method, all_budgets=self.scale.all_budgets)
                    found += [(name, method, arm) for arm in arms]
        return found

    def not_applicable(self, experiment: Experiment) -> dict[tuple[str, str], str]:
        """Sets and methods that do not go together, and why."""
        found = {}
        for name in experiment.sets:
            forget = self.forget_set(name, 0)
            for method in experiment.methods:
                parameters = default_parameters(method, ARMS[experiment.arms[0]])
                try:
                    check_applicable(method, forget, self.plan.shadows, parameters)
                except (EvidenceError, UsageError) as error:
                    found[name, method] = error.message
        return found

    def run(self, experiments: list[Experiment]) -> Choices:
        """Train and unlearn whatever is missing for these experiments; return the parameters of every cell."""
        cells = {cell: None for experiment in experiments for cell in self.cells(experiment)}
        relearned = {name for experiment in experiments if experiment.relearn for name in experiment.sets}
        choices = self._parameters(list(cells))
        scenes, trainings = [], []
        for seed in range(self.seeds):
            for name in dict.fromkeys(cell[0] for cell in cells):
                scene, needed = self._scene(name, seed)
                treatments = dict.fromkeys(_treatment(cell, choices[cell]) for cell in cells if cell[0] == name)
                every = (Treatment(DO_NOTHING), Treatment(RETRAIN), *treatments)
                scenes.append(replace(scene, treatments=every, relearn=name in relearned))
                trainings += needed
        self._do("", scenes, trainings)
        return choices

    def _scene(self, name: str, seed: int) -> tuple[Scene, list[RetrainJob]]:
        return prepare_scene(
            self.plan, self.bench, self.forget_set(name, seed), seed, own_target=True, folder=self.out / FOLDER
        )

    def _parameters(self, cells: list[Cell]) -> Choices:
        """The parameters of every cell; those of tuned arms are chosen, on seeds of their own, where that is due."""
        sources = {cell: _tuned_in(cell) for cell in cells if self.scale.tuned and ARMS[cell[2]].tuned != "none"}
        tried = {source: _tried(source) for source in sources.values()}
        scenes, trainings = self.tuning_scenes(tried)
        if tried:
            # Scenes with many treatments are run in as many parts as there are workers.
            workers = range(self.plan.workers)
            parts = [
                replace(scene, treatments=scene.treatments[part :: len(workers)])
                for of_set in scenes.values()
                for scene in of_set
                for part in workers
            ]
            self._do(f"tuning {len(tried)} arms on {len(TUNING_SEEDS)} seeds of their own: ", parts, trainings)

        def score(cell: Cell, one: Parameters) -> float:
            return sum(scene.results(_treatment(cell, one)).tow_validation for scene in scenes[cell[0]])

        # Of equal ones the first is taken.
        best = {cell: max(tried[cell], key=lambda one: score(cell, one)) for cell in tried}
        return {cell: best[sources[cell]] if cell in sources else _defaults(cell) for cell in cells}

    def tuning_scenes(self, tried: dict[Cell, list[Parameters]]) -> tuple[dict[str, list[Scene]], list[RetrainJob]]:
        """By set, the scene of every seed that arms are tuned on, and the models that these need."""
        scenes: dict[str, list[Scene]] = {}
        trainings = []
        for name in dict.fromkeys(cell[0] for cell in tried):
            every = (_treatment(cell, one) for cell, of_cell in tried.items() if cell[0] == name for one in of_cell)
            treatments = tuple(dict.fromkeys(every))
            for seed in TUNING_SEEDS:
                scene, needed = self._scene(name, seed)
                scenes.setdefault(name, []).append(replace(scene, treatments=treatments))
                trainings += needed
        return scenes, trainings

    def _do(self, what: str, scenes: list[Scene], trainings: list[RetrainJob]) -> None:
        """Train the missing models and run the missing trials, once it is said what they will cost."""
        cost = estimate_scenes(self.plan, scenes, trainings)
        if cost is not None:
            first, *rest = cost.sentences(is_exact=True)
            for sentence in (f"{what}{sum(len(scene.missing()) for scene in scenes)} trials; {first}", *rest):
                talk(f"  {sentence}")
        # Scenes of a seed share their original.
        train_missing(list({job.path: job for job in trainings}.values()), self.plan)
        run_trials(scenes, self.plan)

    def runs(self, experiment: Experiment, choices: Choices) -> pd.DataFrame:
        """Everything that was found for an experiment, a row a run; what is no method's has an empty method."""
        cells = self.cells(experiment)
        rows = []
        for seed in range(self.seeds):
            for name in experiment.sets:
                scene = replace(self._scene(name, seed)[0], relearn=experiment.relearn)
                treatments = {
                    ("", DO_NOTHING): Treatment(DO_NOTHING),
                    (RETRAIN, ONE_SHOT): Treatment(RETRAIN),
                    **{cell[1:]: _treatment(cell, choices[cell]) for cell in cells if cell[0] == name},
                }
                rows += [
                    {
                        **{"set": name, "method": method, "arm": arm, "unit": self.unit(name, seed)},
                        **as_row(scene.results(treatment)),
                    }
                    for (method, arm), treatment in treatments.items()
                ]
        return pd.DataFrame(rows)


def _tuned_in(cell: Cell) -> Cell:
    """The cell of a tuned arm whose trials decide its parameters."""
    name, method, arm = cell
    return (name, method, BEST_SETTINGS) if ARMS[arm].tuned == "one-shot" else cell


def _treatment(cell: Cell, parameters: Parameters) -> Treatment:
    return Treatment(request(cell[1], ARMS[cell[2]], parameters))


def _defaults(cell: Cell) -> Parameters:
    return default_parameters(cell[1], ARMS[cell[2]])


def _tried(cell: Cell) -> list[Parameters]:
    """The parameters that are tried in a cell."""
    return [with_changes(_defaults(cell), changes) for changes in candidates(UNLEARNERS.load(cell[1]), set())]
