"""What a gate answers: every limit, and what the audit says of it."""

from __future__ import annotations

from typing import Literal

from privaudit.results.base import Result
from privaudit.results.measures import Interval

Verdict = Literal["holds", "breached", "too little evidence"]


class Limit(Result):
    """The most that a quantity may be, 0 … 1; ``rate`` is the false positive rate of a ``tpr``.

    ``tpr`` is the share of members found at that rate; ``asr`` the mean risk of the most exposed, judged by models that
    did not pick them; ``epsilon``, 0 and more, is what canaries show that ε must at least be.
    """

    quantity: Literal["tpr", "auc", "asr", "epsilon"]
    rate: float | None = None
    most: float

    @property
    def name(self) -> str:
        """As people say it."""
        if self.quantity == "epsilon":
            return "ε"
        return self.quantity.upper() + ("" if self.rate is None else f" at {100 * self.rate:g}% false alarms")


class Check(Limit):
    """One limit, what the audit says of it, and why; ``sentence`` says so in one line.

    ``delta`` is that of an ε: the δ of the claim that the audit was held against, or 1e-5.
    """

    value: float | None
    ci: Interval | None
    delta: float | None = None
    verdict: Verdict
    reason: str
    sentence: str


class RunCheck(Result):
    """What an unlearning run came to."""

    run: str
    outcome: str
    verdict: Verdict
    sentence: str


class GateAnswer(Result):
    """What ``gate --json`` prints."""

    audit: str
    checks: list[Check]
    unlearned: RunCheck | None
