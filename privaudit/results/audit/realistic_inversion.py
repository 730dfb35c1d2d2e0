"""What inversion achieves under named threat models: ``inversion-settings.json``."""

from __future__ import annotations

from typing import Literal

from privaudit.results.audit.inversion_results import AttackParameters
from privaudit.results.base import Result
from privaudit.results.measures import Share


class ThreatModel(Result):
    """What an attacker sees, and of how many records at once.

    Parameters
    ----------
    name
        ``one-record``, ``batch-8`` and so on.
    records
        That a client computes on at once.
    clients
        Of whose updates the attacker sees nothing but the mean.
    local_steps
        Of gradient descent that a client takes on its records before it answers; 1 is a plain gradient.
    statistics
        What BatchNorm normalises by: ``running`` statistics (eval mode), or those of the client's batch (train mode),
        which the attacker is told (``known``) or not (``unknown``).
    keep
        The share of coordinates, those of largest magnitude, that is sent; the others are zero.
    bits
        That each coordinate is sent in; None for all.
    clip, noise
        The norm that an update is clipped to, and the deviation of the noise on each coordinate as a multiple of it.
    """

    name: str
    records: int = 1
    clients: int = 1
    local_steps: int = 1
    statistics: Literal["running", "known", "unknown"] = "running"
    keep: float = 1.0
    bits: int | None = None
    clip: float | None = None
    noise: float = 0.0

    @property
    def together(self) -> int:
        """How many records stand behind what the attacker sees."""
        return self.records * self.clients

    @property
    def evaluations(self) -> int:
        """Gradients of records that one step of the attack computes."""
        return self.together * self.local_steps


class Rebuilt(Result):
    """How often reconstructions, each assigned to one image, meet the criteria; intervals are over groups of records.

    Parameters
    ----------
    recovered
        20 dB or better, and nearer to its image than to any other.
    identified
        Nearer to its image than to any other.
    psnr
        Mean, in dB.
    labels
        The share of labels that is right; None where they were not read off.
    """

    recovered: Share
    identified: Share
    psnr: float
    labels: float | None = None


class SettingOutcome(Result):
    """One threat model: what came back, and what the same reconstructions are worth against images that took no part.

    Parameters
    ----------
    groups
        Of ``setting.together`` records each, attacked one by one.
    attacked, null
        Assigned to the true images, and to as many others of the same classes.
    """

    setting: ThreatModel
    groups: int
    attacked: Rebuilt
    null: Rebuilt


class RealisticInversion(Result):
    """Every threat model that was measured, from the attacker's best case down.

    Parameters
    ----------
    at
        ``trained`` models or fresh ones at ``init``.
    models
        How many were attacked, each by its share of the groups.
    labels_read
        Whether labels were read off the update; else the attacker was given them.
    local_rate
        The step length of local steps.
    reference, draws
        How many images a reconstruction is held against, and how often other images were drawn for the null.
    left_out
        By threat model, why it was not measured.
    """

    audit: str
    at: str
    models: int
    attack: AttackParameters
    labels_read: bool
    local_rate: float
    reference: int
    draws: int
    outcomes: tuple[SettingOutcome, ...]
    left_out: dict[str, str]
    seconds: float | None = None

    def outcome(self, name: str) -> SettingOutcome | None:
        """Return the outcome of one threat model, where it was measured."""
        return next((one for one in self.outcomes if one.setting.name == name), None)
