"""`privaudit compare A B`: what changed between two audits of the same samples. No torch, nothing is attacked again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from privaudit.artifacts import COMPARISONS
from privaudit.audit.result_files import RESULTS, SCORES, read_table, write_table
from privaudit.commands.compare_settings import differing_settings
from privaudit.config import AuditSettings
from privaudit.errors import DataError, StoreError, UsageError
from privaudit.report import redaction
from privaudit.report.audit_comparison import build_comparison
from privaudit.report.content import comparability, wording
from privaudit.report.redaction import privacy_of
from privaudit.report.sample_ids import Naming
from privaudit.report.write import write_report
from privaudit.results.audit.score_results import Clusters, ScoreResults
from privaudit.results.base import read_result, write_result
from privaudit.results.comparison_results import (
    ChangedSamples,
    ComparedAttack,
    ComparedAudit,
    ComparedGroup,
    ComparisonAnswer,
    ComparisonResults,
    GroupRisk,
    HighRisk,
    Verdict,
)
from privaudit.results.measures import Difference
from privaudit.runtime import files
from privaudit.scoring.score_table import demand_columns, demand_own
from privaudit.shadow.locate_audit import locate_audit
from privaudit.shadow.store import REMEDY, open_audit
from privaudit.statistics.audit_difference import Estimate, difference, newcombe
from privaudit.statistics.intervals import spearman

#: False alarm rates at which the two are compared.
RATES = ("0.01", "0.001")


@dataclass(frozen=True)
class Scored:
    """The stored results of one audit, without canaries, by ascending sample id."""

    folder: Path
    results: ScoreResults
    clusters: Clusters
    table: pd.DataFrame

    @property
    def name(self) -> str:
        """The audit's name."""
        return self.results.audit

    @property
    def fingerprint(self) -> str | None:
        """Of the data; None where only signals were given."""
        identity = self.results.about.identity
        return None if identity is None else identity.fingerprint

    def estimate_risk(self) -> Estimate:
        """Return the mean risk of all samples."""
        return Estimate(self.results.mean_risk, np.asarray(self.clusters.risk_influence))

    def estimate_auc(self, attack: str) -> Estimate:
        """Return an attack's AUC with what each cluster contributes."""
        found = self.results.attacks[attack]
        return Estimate(found.auc, np.asarray([] if found.influence is None else found.influence.auc))

    def estimate_rate(self, attack: str, rate: str) -> Estimate | None:
        """Return an attack's TPR; None where this audit does not resolve the rate."""
        found = self.results.attacks[attack]
        tpr, influence = found.tpr_at_fpr[rate], None if found.influence is None else found.influence.tpr.get(rate)
        return None if tpr is None or influence is None else Estimate(tpr, np.asarray(influence))


def run_compare(settings: AuditSettings, first: str, second: str) -> ComparisonAnswer:
    """Compare two audits; return what ``compare --json`` prints."""
    a, b = (read_scored(*_place(*locate_audit(settings, named))) for named in (first, second))
    demand_same_samples(a, b)
    results, samples = compare(a, b)
    salt = redaction.salt_of(a.folder, privacy_of(settings)) or redaction.salt_of(b.folder, redaction.Privacy())
    naming = Naming(samples["sample_id"], salt)
    entered = naming.enter_table(samples)
    samples = entered.assign(sample_id=naming.column(entered["sample_id"]))
    folder = settings.out / COMPARISONS / f"{a.name}--{b.name}"
    files.claim(folder.parent)
    write_table(samples, folder / "samples.parquet")
    write_result(folder / "comparison.json", results)
    notices = [] if salt is None else [redaction.REDACTED]
    report = build_comparison(results, entered, files.sha256_of(folder / "samples.parquet"), notices)
    paths = write_report(naming.resolve(report), folder, samples)
    return ComparisonAnswer(**dict(results), report=paths, folder=str(folder))


def _place(settings: AuditSettings, audit: str | None) -> tuple[Path, str]:
    """Where the results of an audit [the latest of the store] are, and its name."""
    return settings.out, audit or open_audit(settings.store, None).audit


def read_scored(out: Path, audit: str) -> Scored:
    """Read an audit's results."""
    folder = out / audit
    if not (folder / RESULTS).is_file():
        known = sorted(path.parent.name for path in out.glob(f"*/{RESULTS}")) if out.is_dir() else []
        raise UsageError(
            f"no results of an audit '{audit}' in {out.absolute()}",
            hint=f"There are: {', '.join(known) or 'none'}. privaudit score makes them.",
        )
    files.demand_whole(folder / RESULTS, REMEDY)
    files.demand_whole(folder / SCORES, REMEDY)
    results = read_result(folder / RESULTS, ScoreResults)
    demand_own(folder, results)
    if results.clusters is None:
        raise StoreError(
            f"{folder / RESULTS} was written by an earlier version, which kept no results by pair of models",
            hint="Run the same privaudit score again: it trains nothing.",
        )
    table = demand_columns(read_table(folder / SCORES), folder / SCORES)
    table = table[~table["canary"]].sort_values("sample_id").reset_index(drop=True)
    return Scored(folder, results, results.clusters, table)


def demand_same_samples(a: Scored, b: Scored) -> None:
    """Raise `DataError`, saying how they differ, unless both audits are of the same samples."""
    if a.name == b.name and a.folder.resolve() == b.folder.resolve():
        raise UsageError(f"{a.name} is compared with itself", hint="Name two audits: privaudit list.")
    ids = [side.table["sample_id"].to_numpy() for side in (a, b)]
    both = np.intersect1d(ids[0], ids[1])
    differences = []
    for own, other, name in ((ids[0], both, "first"), (ids[1], both, "second")):
        alone = np.setdiff1d(own, other)
        if len(alone):
            shown = ", ".join(map(str, alone[:5])) + (", …" if len(alone) > 5 else "")
            differences.append(f"{len(alone):,} ids are in the {name} alone ({shown})")
    if not differences:
        labels = [side.table["label"].to_numpy(np.int64) for side in (a, b)]
        changed = np.flatnonzero(labels[0] != labels[1])
        if len(changed):
            one = changed[0]
            differences.append(
                f"{len(changed):,} labels differ (sample {ids[0][one]}: {labels[0][one]} and {labels[1][one]})"
            )
    fingerprints = (a.fingerprint, b.fingerprint)
    if None not in fingerprints and fingerprints[0] != fingerprints[1]:
        differences.append(
            f"data fingerprints {str(fingerprints[0])[:16]}… and {str(fingerprints[1])[:16]}…"
            + ("" if differences else ", although ids and labels agree: inputs, class names or the test set differ")
        )
    if differences:
        raise DataError(
            f"{a.name} and {b.name} are audits of different samples: {'; '.join(differences)}; {len(both):,} ids are "
            "in both",
            hint="Only audits of the same samples can be compared: the same data and --samples, another recipe or "
            "network.",
        )


def compare(a: Scored, b: Scored) -> tuple[ComparisonResults, pd.DataFrame]:
    """Return every difference with its interval, and risk before and after of every sample."""
    paired = a.clusters.design == b.clusters.design
    attacks = {name: _compared(a, b, name, paired) for name in a.results.attacks if _have_both(a, b, name)}
    if "lira" not in attacks:
        raise StoreError(
            "one of the two has no results of the attack 'lira': it was written by another version of privaudit",
            hint="Run the same privaudit score again: it trains nothing.",
        )
    samples, sides = _samples(a, b), (_described(a), _described(b))
    return ComparisonResults(
        a=sides[0],
        b=sides[1],
        samples=len(samples),
        paired=paired,
        checked_by="data fingerprint" if None not in (a.fingerprint, b.fingerprint) else "ids and labels",
        attacks=attacks,
        mean_risk=difference(a.estimate_risk(), b.estimate_risk(), paired),
        changed=_changed(samples),
        groups=_groups(a.results, b.results),
        verdict=verdict(attacks["lira"].auc),
        differs=differing_settings(a.results, b.results),
        accuracy=_accuracy(a, b, paired),
        warnings=tuple(
            f"{key} ({side.audit}): {said}" for key, side in zip("AB", sides, strict=True) for said in side.warnings
        ),
    ), samples


def _have_both(a: Scored, b: Scored, attack: str) -> bool:
    """Whether both audits have an attack; RMIA at two γ is two attacks."""
    gammas = [wording.gamma_of(side.results) for side in (a, b)]
    return attack in b.results.attacks and (attack != "rmia" or gammas[0] == gammas[1])


def _compared(a: Scored, b: Scored, attack: str, paired: bool) -> ComparedAttack:
    rates: dict[str, Difference | None] = {}
    for rate in RATES:
        one, other = a.estimate_rate(attack, rate), b.estimate_rate(attack, rate)
        rates[rate] = None if one is None or other is None else difference(one, other, paired)
    return ComparedAttack(auc=difference(a.estimate_auc(attack), b.estimate_auc(attack), paired), tpr_at_fpr=rates)


def verdict(auc: Difference) -> Verdict:
    """Return ``b leaks less``, ``b leaks more``, ``no difference shown`` or ``too few models``."""
    if auc.ci is None:
        return "too few models"
    low, high = auc.ci
    return "b leaks less" if high < 0 else "b leaks more" if low > 0 else "no difference shown"


def _accuracy(a: Scored, b: Scored, paired: bool) -> Difference | None:
    """What B's models answer rightly of samples that they never saw, less what A's do."""
    found = [side.results.accuracy for side in (a, b)]
    if found[0] is None or found[1] is None:
        return None
    first, second = (Estimate(one.shadow_others, np.asarray(one.others_influence or [])) for one in found if one)
    return difference(first, second, paired)


def _described(side: Scored) -> ComparedAudit:
    results, identity = side.results, side.results.about.identity
    negatives = (results.controls.negative, results.controls.untrained)
    return ComparedAudit(
        audit=side.name,
        network=None if identity is None else identity.network,
        recipe=None if identity is None else identity.recipe,
        training_function=None if identity is None else identity.training_function,
        estimator=None if identity is None else identity.estimator,
        seed=None if identity is None else identity.seed,
        shadows=results.shadows,
        statistic=results.statistic,
        accuracy=results.accuracy,
        controls_hold=all(control.holds for control in negatives if control is not None),
        controls_run=results.controls.negative is not None,
        warnings=(
            *([wording.UNLIKE] if wording.are_unlike(results) else []),
            *comparability.unlike(results),
            *comparability.repeated(results),
        ),
        sha256={name: files.sha256_of(side.folder / name) for name in (RESULTS, SCORES)},
    )


def _samples(a: Scored, b: Scored) -> pd.DataFrame:
    table = a.table[["sample_id", "class_name"]].copy()
    for side, key in ((a, "a"), (b, "b")):
        table[f"risk_{key}"] = side.table["risk"].to_numpy(np.float64)
    table["change"] = table["risk_b"] - table["risk_a"]
    bounds = [side.table[["risk_low", "risk_high"]].to_numpy(np.float64).T for side in (a, b)]
    table["change_low"], table["change_high"] = newcombe(
        table["risk_a"].to_numpy(), bounds[0], table["risk_b"].to_numpy(), bounds[1]
    )
    return table


def _changed(samples: pd.DataFrame) -> ChangedSamples:
    change = samples["change"]
    return ChangedSamples(
        spearman=spearman(samples["risk_a"], samples["risk_b"]),
        fell=int((change < 0).sum()),
        rose=int((change > 0).sum()),
        fell_beyond_interval=int((samples["change_high"] < 0).sum()),
        rose_beyond_interval=int((samples["change_low"] > 0).sum()),
        high=HighRisk(a=int((samples["risk_a"] >= 0.9).sum()), b=int((samples["risk_b"] >= 0.9).sum())),
    )


def _groups(a: ScoreResults, b: ScoreResults) -> dict[str, list[ComparedGroup]]:
    """Groups that both audits know, by falling risk in the first."""
    groups: dict[str, list[ComparedGroup]] = {}
    for name in a.groups.keys() & b.groups.keys():
        others = {group.name: group for group in b.groups[name].groups}
        groups[name] = [
            ComparedGroup(
                name=group.name,
                samples=group.samples,
                a=GroupRisk(mean=group.mean, ci=group.ci),
                b=GroupRisk(mean=others[group.name].mean, ci=others[group.name].ci),
            )
            for group in a.groups[name].groups
            if group.name in others
        ]
    return {name: groups[name] for name in a.groups if groups.get(name)}
