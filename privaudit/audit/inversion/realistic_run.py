"""Runs the threat models that the store has not finished, and says what they came to: ``inversion-settings.json``."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from privaudit import artifacts
from privaudit.audit.inversion.inversion_plan import MATCHING_PAIR
from privaudit.audit.inversion.realistic_plan import RealisticPlan, plan_realistic
from privaudit.audit.plan import AuditPlan
from privaudit.engines.base import run_jobs
from privaudit.engines.kept_results import is_done
from privaudit.inversion.inversion_jobs import AttackSetting, read_result
from privaudit.inversion.threat_models.client_updates import ClientUpdates
from privaudit.inversion.threat_models.group_jobs import DRAWS, GroupJob, attack_groups
from privaudit.inversion.threat_models.group_judgement import rebuilt
from privaudit.inversion.threat_models.group_matching import Shared, objective
from privaudit.inversion.threat_models.ladder import LOCAL_RATE
from privaudit.results.audit.inversion_results import AttackParameters
from privaudit.results.audit.realistic_inversion import RealisticInversion, SettingOutcome, ThreatModel
from privaudit.results.base import write_result
from privaudit.runtime import files
from privaudit.runtime.identity import Identity, digest_of
from privaudit.runtime.progress import progress, readable_time, talk
from privaudit.shadow.store import shadow_key
from privaudit.shadow.trainer import one_thread

#: Part of what names results in the store. Raise it whenever the same configuration would come to others.
FORMAT = 1

MEASURES = ("psnr", "recovered", "identified")


@dataclass(frozen=True)
class RealisticStage:
    """The jobs of all threat models: which there are, which are finished, what they came to."""

    plan: AuditPlan
    realistic: RealisticPlan

    @property
    def models(self) -> list[str]:
        """Keys of the attacked models: those of gradient matching, so that the best case can be held against it."""
        return [shadow_key(2 * MATCHING_PAIR), shadow_key(2 * MATCHING_PAIR + 1)]

    def jobs(self, threat: ThreatModel) -> list[GroupJob]:
        """Every job of a threat model; one half of its groups is attacked on either model."""
        rows, setting = self.realistic.rows(threat), self.setting()
        what = Identity.of(
            format=FORMAT,
            threat=threat.to_json(),
            at=setting.at,
            attack=setting.attack.model_dump(mode="json"),
            rate=LOCAL_RATE,
            draws=DRAWS,
            reference=setting.reference,
        ).digest()
        folder = self.plan.store.folder / "inversion" / what
        size = self.realistic.at_once if threat.evaluations == 1 else 1
        jobs = []
        for model, half in zip(self.models, np.array_split(np.arange(len(rows)), len(self.models)), strict=True):
            for first in range(0, len(half), size):
                some = half[first : first + size]
                name = f"groups-{model}-{digest_of(rows[some])[:16]}.npz"
                jobs.append(GroupJob(threat, model, rows[some], int(some[0]), folder / name))
        return jobs

    def setting(self) -> AttackSetting:
        """What all jobs have in common."""
        plan, realistic = self.plan, self.realistic
        return AttackSetting(
            inputs=plan.data.x_train,
            labels=plan.data.y_train,
            reference=realistic.reference,
            store=plan.store,
            specification=plan.specification,
            at=plan.settings.invert_at,
            attack=realistic.attack,
            pixels=realistic.pixels,
        )

    def unfinished(self) -> list[GroupJob]:
        """The jobs that are yet to be run, the dearest first."""
        missing = [job for threat in self.realistic.groups for job in self.jobs(threat) if not files.is_whole(job.path)]
        return sorted(missing, key=lambda job: -job.work)

    def seconds(self) -> float:
        """What the unfinished jobs will take: a step of the attack, measured, times their number."""
        missing = self.unfinished()
        if not missing:
            return 0.0
        alone = sum(job.work for job in missing if job.threat.together == 1)
        mixed = sum(job.work for job in missing) - alone
        # A record alone costs a large network several times what it costs as one of a batch.
        shapes = ((alone, self.realistic.at_once, 1), (mixed, 1, 8))
        step = sum(work * self._seconds_of_record(groups, records) for work, groups, records in shapes if work)
        return step * self.realistic.attack.steps / min(self.plan.workers, len(missing))

    def _seconds_of_record(self, groups: int, records: int) -> float:
        """Seconds that a step takes a record, of so many groups on a fresh network: the better of two."""
        setting, threat = self.setting(), ThreatModel(name="measured", records=records)
        model = setting.specification.build("calibrate").eval()
        device = setting.specification.hardware.torch_device
        height, width, channels = setting.specification.input_shape
        generator = torch.Generator().manual_seed(0)
        images = torch.rand(groups, records, channels, height, width, generator=generator).to(device)
        labels = torch.zeros(groups, records, setting.specification.classes, device=device)
        labels[..., 0] = 1
        taken = []
        with one_thread(setting.specification.hardware):
            for parameter in model.parameters():
                parameter.requires_grad_(False)
            updates = ClientUpdates(model, threat, LOCAL_RATE)
            seen, _ = updates(setting.pixels.to_input(images.flip(-1)), labels)
            shared = Shared(seen, (), labels, False)
            for _ in range(3):
                start = time.perf_counter()
                objective(updates, shared, images, setting.attack, setting.pixels)
                if device.type == "cuda":
                    torch.cuda.synchronize(device)
                taken.append(time.perf_counter() - start)
        return min(taken[1:]) / (groups * records)

    def run(self) -> list[SettingOutcome]:
        """Run what is missing, and read all of it."""
        missing = [job for job in self.unfinished() if not is_done(job.path)]
        if missing:
            title, steps = "inverting: realistic settings", self.realistic.attack.steps
            with progress(title, sum(job.work for job in missing) * steps) as bar:
                run_jobs(attack_groups, missing, self.setting(), self.plan.engine, bar)
        return [self._outcome(threat) for threat in self.realistic.groups]

    def _outcome(self, threat: ThreatModel) -> SettingOutcome:
        parts = [read_result(job.path) for job in self.jobs(threat)]
        found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        own = {name: found[name] for name in MEASURES}
        # The same reconstructions in every draw: a record counts by its share of them.
        null = {name: found[f"null_{name}"].mean(axis=1) for name in MEASURES}
        return SettingOutcome(
            setting=threat,
            groups=len(own["psnr"]),
            attacked=rebuilt(own, found.get("labels")),
            null=rebuilt(null, found.get("null_labels")),
        )


def realistic_stage(plan: AuditPlan) -> RealisticStage | None:
    """What ``--invert-settings`` asks for; None where that is the best case alone."""
    realistic = plan_realistic(plan)
    return None if realistic is None else RealisticStage(plan, realistic)


def run_realistic(stage: RealisticStage, folder: Path) -> RealisticInversion:
    """Run every threat model; write ``inversion-settings.json`` below ``<out>/<audit>``."""
    start, plan, realistic = time.monotonic(), stage.plan, stage.realistic
    outcomes = stage.run()
    found = RealisticInversion(
        audit=plan.name,
        at=plan.settings.invert_at,
        models=len(stage.models),
        attack=AttackParameters.model_validate(realistic.attack.model_dump()),
        labels_read=any(one.attacked.labels is not None for one in outcomes),
        local_rate=LOCAL_RATE,
        reference=len(realistic.reference),
        draws=DRAWS,
        outcomes=tuple(outcomes),
        left_out=realistic.left_out,
        seconds=round(time.monotonic() - start, 1),
    )
    write_result(artifacts.INVERSION_SETTINGS.at(folder), found)
    return found


def say_plan(stage: RealisticStage) -> float:
    """Say what will be tried and how long it will take; return the seconds."""
    realistic, seconds = stage.realistic, stage.seconds()
    records = sum(one.together * count for one, count in realistic.groups.items())
    how_long = f"about {readable_time(seconds)}" if seconds else "every one is finished already"
    talk(f"  realistic settings: {len(realistic.groups)} threat models, {records:,} records in groups; {how_long}")
    for name, reason in realistic.left_out.items():
        talk(f"  {name} is left out: {reason}")
    return seconds
