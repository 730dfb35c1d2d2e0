"""How a forget set was handed over, and what a method spent on it, in gradients of samples."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from privaudit.results.base import Result
from privaudit.results.unlearning.calibration import CalibrationCost


class SequencingRecord(Result):
    """How the forget set was handed over (`privaudit.unlearning.schedule.stages.Sequencing`)."""

    order: str
    descending: bool
    unit: str = "sample"
    groups: int = 5
    kind: str = "cumulative"
    pace: str = "linear"
    rerank: str = "static"
    retain: str = "fixed"
    state: str = "carry"
    budget: str = "matched"


class StageEntry(Result):
    """One line of the ledger, in samples.

    ``samples`` were handed over, of ``planned`` that were meant to be (with dynamic re-ranking or a self-paced λ they
    may differ); ``allowed`` is the budget of forget-sample gradients.
    """

    samples: int
    planned: int
    allowed: int
    forget_steps: int
    retain_steps: int
    seconds: float


class Look(Result):
    """What shadow models that did not teach say of the forget set before a cycle, or after the last.

    Parameters
    ----------
    at
        Forget-sample gradients spent before.
    known
        Share of D_u that looks as if the model had been trained on it.
    expected, within
        The same share among models that never saw the sample, and by how much it may differ by chance.
    handed
        Forget samples that were handed over in the cycle that followed.
    """

    at: int
    known: float
    expected: float
    within: float
    handed: int = 0

    @property
    def never_seen(self) -> bool:
        """Whether D_u looks as never-seen samples do."""
        return self.known <= self.expected + self.within


class Evidence(Result):
    """Who decided when to stop, and what was seen before every cycle and after the last."""

    by: str
    looks: tuple[Look, ...] = ()


class Undone(Result):
    """One time that a guard took the model back: when, why, and what was lost by it, in forget-sample gradients."""

    at: float
    why: str
    forget_steps: int
    halved: bool = False


class GuardRecord(Result):
    """What a guard saw and did; it writes its record as it goes.

    Parameters
    ----------
    watched
        Samples by slice.
    held_out
        Whether the watched retained samples took no part in the method's own training; the validation samples never do.
    looks, halvings
        How often it looked, and halved the learning rate.
    undone, forget_steps_undone
        What was taken back, and its gradients in all.
    lowest
        By slice, the lowest accuracy seen, as a share of that of the start.
    stopped
        Why the run ended, where the guard ended it.
    """

    model_config = ConfigDict(frozen=False)

    watched: dict[str, int]
    held_out: bool = True
    looks: int = 0
    halvings: int = 0
    undone: list[Undone] = Field(default_factory=list)
    lowest: dict[str, float] = Field(default_factory=dict)
    stopped: str | None = None
    forget_steps_undone: int = 0


class Spent(Result):
    """What a method was allowed to spend and spent, in gradients of samples, and why it stopped early if it did."""

    forget_steps: int
    forget_steps_run: int
    retain_steps_run: int
    stopped: str | None = None


class Ledger(Spent):
    """The same by stage.

    ``forget_steps_beside`` are forget-sample gradients outside the sequence: those of a method that runs once, or of a
    method's preparations. ``guard`` is what a guard saw and took back, where there was one: spent all the same.
    ``evidence`` is what decided when to stop, where something did.
    ``calibration`` is what choosing the method took, which is part of neither.
    """

    stages: tuple[StageEntry, ...] = ()
    forget_steps_beside: int = 0
    guard: GuardRecord | None = None
    evidence: Evidence | None = None
    calibration: CalibrationCost | None = None
