"""What trials found out: one treatment of one model and forget set, and arms of an order held against each other."""

from __future__ import annotations

from typing import Literal

from privaudit.results.base import Result
from privaudit.results.measures import Interval
from privaudit.results.report_paths import ReportPaths
from privaudit.results.unlearning.ledger import SequencingRecord, Spent
from privaudit.results.unlearning.run import Numbers

Claim = Literal["supported", "not supported", "inconclusive", "descriptive"]


class TrialResult(Spent):
    """One treatment, held against the first retrained model: figures of `privaudit.evaluation.evaluate`, in a row.

    Parameters
    ----------
    seed, n
        The trial's seed, and samples of D_u.
    forget, retain, test, validation
        Accuracy of the model; ``retrained_*`` that of the retrained one.
    tow, tow_validation
        ToW, with accuracy on the reported half of the test set, and on the validation half.
    mia_efficacy, mia_gap, mia_gap_to_original
        MIA-efficacy, and how far it is from the retrained model's and from the original's.
    jensen_shannon
        Mean distance on D_u to the retrained model.
    called_members
        Share of D_u that LiRA calls trained-on; None where shadow models can't say.
    risk_and_forgettability, risk_and_fidelity, risk_and_shift, risk_and_loss
        Spearman's ρ; None where a side does not vary.
    relearn_steps, retrained_relearn_steps, relearn_limit
        Relearn time (None: not within the limit); the limit is None where it was not asked for.
    """

    seed: int
    n: int
    forget: float
    retain: float
    test: float
    validation: float
    retrained_forget: float
    retrained_retain: float
    retrained_test: float
    tow: float
    tow_validation: float
    mia_efficacy: float
    mia_gap: float | None
    mia_gap_to_original: float
    jensen_shannon: float
    called_members: float | None = None
    risk_and_forgettability: float | None = None
    risk_and_fidelity: float | None = None
    risk_and_shift: float | None = None
    risk_and_loss: float | None = None
    relearn_steps: int | None = None
    retrained_relearn_steps: int | None = None
    relearn_limit: int | None = None
    seconds: float
    processor_seconds: float = 0.0

    def row(self) -> dict[str, str | float | None]:
        """Return the same as a row of a table, without relearn time where it was not asked for."""
        left_out = set() if self.relearn_limit is not None else {name for name in self.keys() if "relearn" in name}
        return self.model_dump(mode="json", exclude=left_out)


class Arm(Result):
    """One arm over seeds: means, the standard deviation of its ToW, sums of gradients, and how many runs stopped."""

    tow: float
    forget: float
    retain: float
    test: float
    mia_efficacy: float
    mia_gap: float
    jensen_shannon: float
    seconds: float
    tow_sd: float | None
    forget_steps: int
    forget_steps_run: int
    stopped: int


class Contrast(Result):
    """One arm less another in ToW, over seeds: mean, 95% interval, p by sign flips, and p after Holm."""

    first: str
    second: str
    primary: bool
    mean: float
    ci: Interval | None
    p: float | None
    p_holm: float
    wins: int
    pairs: int


class OrderVerdict(Result):
    """What may be said of the claim that the order beats random groups, of the one-shot run, and both in words."""

    claim: Claim
    over_one_shot: Claim
    sentence: str


class OrderComparison(Result):
    """Arms by name, the ordered one less each other (the first contrast is the primary), and the verdict."""

    seeds: int
    arms: dict[str, Arm]
    contrasts: tuple[Contrast, ...]
    verdict: OrderVerdict


class OrderResults(OrderComparison):
    """``results.json`` of ``unlearn --compare-orders``."""

    audit: str | None = None
    comparison: str | None = None
    method: str
    order: str
    descending: bool = False
    parameters: Numbers | None = None
    sequencing: SequencingRecord | None = None
    forget: int
    forget_specification: str
    seed: int = 0
    own_target: bool
    same_forget_set: bool
    same_budget: bool


class OrderAnswer(OrderResults):
    """What ``unlearn --compare-orders --json`` prints: the results, and where they and the report are."""

    report: ReportPaths
    folder: str
