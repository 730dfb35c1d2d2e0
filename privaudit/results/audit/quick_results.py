"""What a quick look at one model found: what ``quick --json`` prints."""

from __future__ import annotations

from privaudit.results.audit.controls import BlindBaseline
from privaudit.results.base import Result
from privaudit.results.measures import Attack


class QuickSeconds(Result):
    """What it took: to train what was trained by this call, and to ask the models and attack."""

    training: float
    attacking: float


class TargetAccuracy(Result):
    """Shares of right answers of the attacked model: on its members, and on never-trained samples."""

    members: float
    others: float


class QuickAnswer(Result):
    """The low-cost answer about one model: neither an upper nor a lower bound of what can be found.

    Parameters
    ----------
    audit
        The audit that the same flags of ``score`` name: its models are shared. None of a file of logits.
    members, others
        How many samples the model was trained on, and how many never-trained ones they are told from.
    shadows, trained
        Shadow models that took part, and models that this call trained.
    attack
        Which of ``attacks`` is the answer: fixed beforehand, by how many shadow models there are.
    attacks
        By name; intervals are over samples, for this one model.
    forecast
        By FPR: what an attack with many shadow models is guessed to find there; None below 1,000 members.
    blind
        Members told from the others without the model; None where there are no inputs, or few samples.
    warnings
        What speaks against the figures, in sentences.
    """

    audit: str | None
    members: int
    others: int
    shadows: int
    trained: int
    attack: str
    attacks: dict[str, Attack]
    forecast: dict[str, float] | None
    accuracy: TargetAccuracy
    blind: BlindBaseline | None
    seconds: QuickSeconds
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
