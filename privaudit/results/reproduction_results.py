"""What `privaudit reproduce` finds out: ``results.json`` of an experiment, ``verdicts.json`` of a study, ``--json``."""

from __future__ import annotations

from pathlib import Path

from pydantic import ConfigDict, Field

from privaudit.errors import StoreError
from privaudit.results.audit.inversion_results import Tier
from privaudit.results.audit.score_results import Accuracy
from privaudit.results.base import Result, read_result
from privaudit.results.measures import Interval
from privaudit.results.report_paths import ReportPaths

#: Of an experiment: its results and its runs, in a folder of its own; of a study, in the folder above: its verdicts.
RESULTS, RUNS, VERDICTS = "results.json", "results.csv", "verdicts.json"


class Area(Result):
    """The AUC of an attack, and its 95% interval."""

    auc: float
    auc_ci: Interval | None


class AboutExperiment(Result):
    """On what, how large, when and where an experiment was run."""

    audit: str
    dataset: str
    source: str
    network: str
    samples: int
    shadows: int
    epochs: int
    scale: str
    tuned: bool
    tuning_seed: int | None
    tuning_seeds: tuple[int, ...] = ()
    seeds: int
    date: str
    hardware: str
    accuracy: Accuracy
    lira: Area
    reliability: float | None = None
    reliability_ci: Interval | None = None


class CellParameters(Result):
    """A method's parameters in one arm, in words."""

    set: str
    method: str
    arm: str
    values: str


class NotApplicable(Result):
    """A set and a method that do not go together."""

    set: str
    method: str
    why: str


class PrintedFigure(Result):
    """A figure that the paper prints."""

    set: str
    method: str
    arm: str
    measure: str
    value: float


class LossIntervals(Result):
    """Mean loss and mean ASR of intervals of loss, of one seed."""

    loss: list[float]
    asr: list[float]


class ClassConfidences(Result):
    """True-label confidences of a class: its highest, where its tail begins, its lowest; and each group's mean."""

    name: str = Field(alias="class")
    highest: float
    edge: float
    lowest: float
    groups: dict[str, float | None]


class ShownData(Result):
    """What figures and tables show besides means over runs: of Figures 2 and 5 and Table 3, and of Figure 1."""

    intervals: list[LossIntervals] | None = None
    classes: list[ClassConfidences] | None = None
    matching: Tier | None = None
    at: str | None = None


class Effect(Result):
    """A difference (or a figure held against 0) whose sign is that of the claim, and its 95% interval."""

    mean: float
    ci: Interval | None
    says: str
    first: str
    second: str | None = None


class PairedContrast(Effect):
    """A contrast over draws: exact two-sided p of sign flips, and in how many draws (``wins``) it is positive.

    ``unit`` says what the draws are: seeds, classes, or parts of the training set; or groups that overlap, which are
    no independent draws.
    """

    p: float | None
    wins: int
    pairs: int
    seeds: int | None = None
    unit: str | None = None
    measure: str | None = None
    first_mean: float | None = None
    second_mean: float | None = None
    methods: tuple[str, ...] = ()
    worth_having: float = 0.01
    #: The mean were all done that can be done; None where that has no end.
    most: float | None = None


class AuditAnswer(Effect):
    """A contrast that one audit answers, over its ``n`` samples, and its verdict."""

    n: int
    verdict: str


class Decision(Result):
    """A verdict on a primary contrast, by p (one-sided, in the direction of the verdict) corrected for all claims.

    None where no p decides.
    """

    p_corrected: float | None
    verdict: str


#: By protocol and experiment one-sided p of the claim; None where it was not run, or decides nothing.
Family = dict[str, dict[str, float | None]]


class Spread(Result):
    """Mean and standard deviation over draws; None of one draw."""

    mean: float
    sd: float | None = None


class TableRow(Result):
    """Means over draws of one set, method and arm: every measure that was taken, in JSON beside the other fields."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Spread] = Field(init=False)

    set: str
    method: str
    arm: str
    seeds: int
    classes: int | None = None
    stopped: int = 0
    n: int | None = None

    @property
    def draws(self) -> int:
        """Of how many independent draws the means are: of classes where whole ones are forgotten, else of seeds."""
        return self.seeds if self.classes is None else self.classes

    def measure(self, name: str) -> Spread | None:
        """Return a measure by its name; None where it was not taken."""
        return self.__pydantic_extra__.get(name)

    def mean(self, name: str) -> float:
        """Return the mean of a measure that every run has."""
        return self.__pydantic_extra__[name].mean


class ExperimentFacts(Result):
    """What neither the catalogue nor the runs say of an experiment."""

    about: AboutExperiment
    parameters: list[CellParameters]
    not_applicable: list[NotApplicable]
    figures: ShownData


class ExperimentResults(ExperimentFacts):
    """``results.json``: the claim, what was done for it, and what follows from the runs."""

    name: str
    title: str
    claim: str
    protocol: dict[str, str]
    rule: str
    family: Family | None = None
    arms: dict[str, str]
    contrasts: dict[str, PairedContrast | AuditAnswer | None]
    verdicts: dict[str, Decision] | None = None
    secondary: list[PairedContrast]
    by_method: tuple[PairedContrast, ...] = ()
    table: list[TableRow]
    paper: list[PrintedFigure]

    def further(self, measure: str) -> PairedContrast | None:
        """Return the first of the further contrasts that is about a measure; None without one."""
        return next((one for one in self.secondary if one.measure == measure), None)


def read_experiment(path: Path) -> ExperimentResults | None:
    """Read ``results.json``; None where it is of an earlier version that can't be read."""
    try:
        return read_result(path, ExperimentResults)
    except StoreError:
        return None


class StudyVerdicts(Result):
    """``verdicts.json``: the decisions of every experiment that claims something, under its name and by protocol."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, dict[str, Decision]] = Field(init=False)

    @property
    def by_experiment(self) -> dict[str, dict[str, Decision]]:
        """The decisions by experiment and protocol."""
        return self.__pydantic_extra__


class StudyResults(Result):
    """One audit and scale: its name, its experiments, at least one, and their verdicts."""

    name: str
    experiments: list[ExperimentResults]
    verdicts: StudyVerdicts

    @property
    def about(self) -> AboutExperiment:
        """Of its first experiment."""
        return self.experiments[0].about

    def experiment(self, name: str) -> ExperimentResults | None:
        """Return an experiment by name; None where it was not run."""
        return next((one for one in self.experiments if one.name == name), None)


class ExperimentSummary(Result):
    """An experiment as ``reproduce --json`` tells it: its claim, its verdicts, and where its results are."""

    claim: str
    verdicts: dict[str, Decision] | None
    results: str


class ReproductionSummary(Result):
    """What ``reproduce --json`` prints."""

    audit: str
    scale: str
    seeds: int
    folder: str
    experiments: dict[str, ExperimentSummary]
    seconds: float
    report: ReportPaths


class ReproductionEstimate(Result):
    """What ``reproduce --dry-run --json`` prints: what is yet to be done, and what it will cost, all of it about.

    ``seconds`` are of the clock on this machine as busy as it is, ``core_seconds`` of all cores together.
    """

    audit: str
    scale: str
    seeds: int
    experiments: tuple[str, ...]
    samples: int
    to_train: int
    trials: int
    tuning_trials: int
    audit_seconds: float
    model_seconds: float
    trial_seconds: float
    seconds: float
    seconds_on_an_idle_machine: float
    core_seconds: float


class DecisionSummary(Result):
    """What ``reproduce --decide --json`` prints: verdicts by study."""

    studies: dict[str, StudyVerdicts]
    report: ReportPaths
