"""Groups of records attacked under one threat model, as a job that leaves its results in the store, sealed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from privaudit.engines.base import Report
from privaudit.inversion.inversion_jobs import AttackSetting, keep_result
from privaudit.inversion.network_structure import find_structure
from privaudit.inversion.threat_models.client_updates import ClientUpdates
from privaudit.inversion.threat_models.gradient_defences import defended
from privaudit.inversion.threat_models.group_judgement import References, assigned, judge, others
from privaudit.inversion.threat_models.group_labels import class_signal, recover_batch_labels, share_right
from privaudit.inversion.threat_models.group_matching import Shared, match_updates
from privaudit.inversion.threat_models.ladder import LOCAL_RATE
from privaudit.results.audit.realistic_inversion import ThreatModel
from privaudit.runtime.seeds import derive_seed, generator
from privaudit.shadow.trainer import one_thread

#: How often images that took no part are drawn for the null.
DRAWS = 4

#: How often labels are.
LABEL_DRAWS = 32

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class GroupJob:
    """Groups ``rows [G, n]`` of the pool, searched for together on one model; ``number`` is the first group's."""

    threat: ThreatModel
    model: str
    rows: npt.NDArray[np.int64]
    number: int
    path: Path

    @property
    def work(self) -> float:
        """Gradients of records that a step computes."""
        return float(len(self.rows) * self.threat.evaluations)


def attack_groups(job: GroupJob, setting: AttackSetting, report: Report) -> None:
    """Run one job and seal what it came to: measures of every record, and no image."""
    with one_thread(setting.specification.hardware):
        found = _Groups(job, setting).run(report)
    keep_result(job.path, found)
    report(job.work * setting.attack.steps)


class _Groups:
    """One job with its model and data on the device."""

    def __init__(self, job: GroupJob, setting: AttackSetting) -> None:
        self.job, self.setting = job, setting
        specification = setting.specification
        device = specification.hardware.torch_device
        self.model = setting.model(job.model)
        for parameter in self.model.parameters():
            parameter.requires_grad_(False)
        self.updates = ClientUpdates(self.model, job.threat, LOCAL_RATE)
        self.unit = setting.pixels.to_unit(setting.inputs[job.rows])
        images = torch.from_numpy(self.unit).permute(0, 1, 4, 2, 3).to(device)
        self.inputs = setting.pixels.to_input(images)
        self.truth = setting.labels[job.rows]
        self.last = find_structure(self.model, self._example(images)).last
        self.seeds = [
            derive_seed(specification.seed, "realistic-inversion", job.threat.name, job.model, job.number + group)
            for group in range(len(job.rows))
        ]

    def run(self, report: Report) -> Arrays:
        """``psnr``, ``recovered`` and ``identified`` ``[G, n]``, their nulls ``[G, draws, n]``, and labels ``[G]``."""
        setting, threat = self.setting, self.job.threat
        with torch.no_grad():
            sent, statistics = self.updates(self.inputs, self._distribution(self.truth))
        sent = defended(sent, threat, self.seeds)
        labels = self._labels(sent)
        searched = self._distribution(self.truth if labels is None else labels)
        done = 0.0

        def count() -> None:
            nonlocal done
            done += self.job.work
            report(done)

        found = match_updates(
            self.updates,
            Shared(sent, statistics, searched, threat.keep < 1),
            self._starts(),
            setting.attack,
            setting.pixels,
            count,
        )
        judged = self._judged(found.images.permute(0, 1, 3, 4, 2).cpu().numpy())
        judged["objective"] = found.objective.cpu().numpy()
        if labels is not None:
            judged["labels"] = np.array([share_right(*pair) for pair in zip(labels, self.truth, strict=True)])
            judged["null_labels"] = np.array(
                [self._right_by_chance(*pair) for pair in zip(self.truth, self.seeds, strict=True)]
            )
        return judged

    def _labels(self, sent: tuple[torch.Tensor, ...]) -> npt.NDArray[np.int64] | None:
        """Labels read off the update, ``[G, n]``; None where there is no last layer to read."""
        if self.last is None:
            return None
        shapes = {name: weight.shape for name, weight in self.model.named_parameters()}
        parts = dict(zip(shapes, sent, strict=True))
        name = f"{self.last}.weight"
        weight = parts[name].reshape(-1, *shapes[name])
        signal = class_signal(parts.get(f"{self.last}.bias"), weight)
        return recover_batch_labels(signal, self.job.rows.shape[1])

    def _right_by_chance(self, truth: npt.NDArray[np.int64], seed: int) -> float:
        """The share that is right of as many labels, those of records drawn at random."""
        random, labels = np.random.default_rng(seed), self.setting.labels
        guesses = [random.choice(labels, len(truth), replace=False) for _ in range(LABEL_DRAWS)]
        return float(np.mean([share_right(guess, truth) for guess in guesses]))

    def _judged(self, images: npt.NDArray[Any]) -> Arrays:
        """Hold each group's reconstructions against its own images, and against others of the same classes."""
        setting, (groups, size) = self.setting, self.job.rows.shape
        held = References(*setting.held_against())
        # Whom each reconstruction is held against: first its own group, then those drawn for the null.
        rows = np.array(
            [
                [own, *(others(own, setting.labels, generator(seed, "others", draw)) for draw in range(DRAWS))]
                for own, seed in zip(self.job.rows, self.seeds, strict=True)
            ]
        )
        truths = setting.pixels.to_unit(setting.inputs[rows])
        taken = np.stack(
            [
                np.stack([of_group[assigned(of_group, against)] for against in whom])
                for of_group, whom in zip(images, truths, strict=True)
            ]
        )
        flat = (-1, *truths.shape[3:])
        found = judge(taken.reshape(flat), truths.reshape(flat), setting.positions(rows.reshape(-1)), held)
        shaped = {name: values.reshape(groups, 1 + DRAWS, size) for name, values in found.items()}
        return {name: values[:, 0] for name, values in shaped.items()} | {
            f"null_{name}": values[:, 1:] for name, values in shaped.items()
        }

    def _distribution(self, labels: npt.NDArray[np.int64]) -> torch.Tensor:
        return self.setting.distribution(torch.from_numpy(labels).to(self.inputs.device))

    def _starts(self) -> torch.Tensor:
        """Uniform noise that depends on the seed, the threat model, the model and the group alone."""
        shape = self.inputs.shape[1:]
        drawn = [
            torch.rand(shape, generator=torch.Generator().manual_seed(derive_seed(seed, "start")))
            for seed in self.seeds
        ]
        return torch.stack(drawn).to(self.inputs.device)

    def _example(self, images: torch.Tensor) -> torch.Tensor:
        """Two images that differ."""
        noise = torch.rand(2, *images.shape[2:], generator=torch.Generator().manual_seed(0)).to(images.device)
        return self.setting.pixels.to_input(0.5 * images.flatten(0, 1)[:1] + 0.5 * noise)
