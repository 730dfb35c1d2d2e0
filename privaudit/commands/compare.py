"""`privaudit compare A B`: what changed between two audits of the same samples. No torch, nothing is attacked again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from privaudit.audit.result_files import COMPARISONS, RESULTS, SCORES, read_table, write_table
from privaudit.config import AuditSettings
from privaudit.errors import DataError, StoreError, UsageError
from privaudit.report import redaction
from privaudit.report.audit_comparison import build_comparison
from privaudit.report.content import comparability, wording
from privaudit.report.redaction import privacy_of
from privaudit.report.sample_ids import Naming
from privaudit.report.write import write_report
from privaudit.results.score_results import ScoreResults
from privaudit.runtime import files
from privaudit.scoring.score_table import demand_columns, demand_own
from privaudit.shadow.store import REMEDY
from privaudit.statistics.audit_difference import Difference, Estimate, difference, newcombe
from privaudit.statistics.intervals import spearman

#: False alarm rates at which the two are compared.
RATES = ("0.01", "0.001")


@dataclass(frozen=True)
class Scored:
    """The stored results of one audit, without canaries, by ascending sample id."""

    folder: Path
    results: dict[str, Any]
    table: pd.DataFrame

    @property
    def name(self) -> str:
        """The audit's name."""
        return str(self.results["audit"])

    @property
    def typed(self) -> ScoreResults:
        """The results, typed."""
        return ScoreResults.model_validate(self.results)

    @property
    def fingerprint(self) -> str | None:
        """Of the data; None where only signals were given."""
        identity = self.results["about"].get("identity")
        return None if identity is None else str(identity["fingerprint"])

    def estimate_auc(self, attack: str) -> Estimate:
        """An attack's AUC with what each cluster contributes."""
        found = self.results["attacks"][attack]
        return Estimate(found["auc"], np.asarray(found["influence"]["auc"]))

    def estimate_risk(self) -> Estimate:
        """The mean risk of all samples."""
        return Estimate(self.results["mean_risk"], np.asarray(self.results["clusters"]["risk_influence"]))

    def estimate_rate(self, attack: str, rate: str) -> Estimate | None:
        """An attack's TPR; None where this audit does not resolve the rate."""
        found = self.results["attacks"][attack]
        if found["tpr_at_fpr"][rate] is None or rate not in found["influence"]["tpr"]:
            return None
        return Estimate(found["tpr_at_fpr"][rate], np.asarray(found["influence"]["tpr"][rate]))


def run_compare(settings: AuditSettings, first: str, second: str) -> dict[str, Any]:
    """Compare two audits; return what ``compare --json`` prints."""
    a, b = read_scored(settings.out, first), read_scored(settings.out, second)
    demand_same_samples(a, b)
    results, samples = compare(a, b)
    salt = redaction.salt_of(a.folder, privacy_of(settings)) or redaction.salt_of(b.folder, redaction.Privacy())
    naming = Naming(samples["sample_id"], salt)
    entered = naming.enter_table(samples)
    samples = entered.assign(sample_id=naming.column(entered["sample_id"]))
    folder = settings.out / COMPARISONS / f"{a.name}--{b.name}"
    files.claim(folder.parent)
    write_table(samples, folder / "samples.parquet")
    files.write_json(folder / "comparison.json", results)
    files.seal(folder / "comparison.json")
    report = build_comparison(
        results, entered, files.sha256_of(folder / "samples.parquet"), [] if salt is None else [redaction.REDACTED]
    )
    return results | {"report": write_report(naming.resolve(report), folder, samples), "folder": str(folder)}


def read_scored(out: Path, audit: str) -> Scored:
    """Read an audit's results, named by the audit or by the folder that they lie in."""
    folder = next((path for path in (out / audit, Path(audit)) if (path / RESULTS).is_file()), None)
    if folder is None:
        known = sorted(path.parent.name for path in out.glob(f"*/{RESULTS}")) if out.is_dir() else []
        raise UsageError(
            f"no results of an audit '{audit}' in {out.absolute()}",
            hint=f"There are: {', '.join(known) or 'none'}. privaudit score makes them.",
        )
    files.demand_whole(folder / RESULTS, REMEDY)
    files.demand_whole(folder / SCORES, REMEDY)
    results = files.read_json(folder / RESULTS)
    demand_own(folder, results)
    if "clusters" not in results:
        raise StoreError(
            f"{folder / RESULTS} was written by an earlier version, which kept no results by pair of models",
            hint="Run the same privaudit score again: it trains nothing.",
        )
    table = demand_columns(read_table(folder / SCORES), folder / SCORES)
    return Scored(folder, results, table[~table["canary"]].sort_values("sample_id").reset_index(drop=True))


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


def compare(a: Scored, b: Scored) -> tuple[dict[str, Any], pd.DataFrame]:
    """Every difference with its interval, and risk before and after of every sample."""
    paired = a.results["clusters"]["design"] == b.results["clusters"]["design"]
    attacks: dict[str, Any] = {}
    for name in a.results["attacks"]:
        # RMIA at two γ is two attacks.
        same = name != "rmia" or wording.gamma_of(a.typed) == wording.gamma_of(b.typed)
        if same and name in b.results["attacks"]:
            of_auc = difference(a.estimate_auc(name), b.estimate_auc(name), paired)
            attacks[name] = {"auc": of_auc.to_json(), "tpr_at_fpr": {}}
            for rate in RATES:
                sides = a.estimate_rate(name, rate), b.estimate_rate(name, rate)
                attacks[name]["tpr_at_fpr"][rate] = (
                    None if sides[0] is None or sides[1] is None else difference(sides[0], sides[1], paired).to_json()
                )
    risk = difference(a.estimate_risk(), b.estimate_risk(), paired)
    samples = _samples(a, b)
    return {
        "a": _described(a),
        "b": _described(b),
        "samples": len(samples),
        "paired": paired,
        "checked_by": "data fingerprint" if None not in (a.fingerprint, b.fingerprint) else "ids and labels",
        "attacks": attacks,
        "mean_risk": risk.to_json(),
        "changed": _changed(samples),
        "groups": _groups(a, b),
        "verdict": verdict(Difference(*_of_lira(attacks), paired)),
        "warnings": [
            f"{key.upper()} ({side.name}): {said}"
            for key, side in (("a", a), ("b", b))
            for said in _described(side)["warnings"]
        ],
    }, samples


def _of_lira(attacks: dict[str, Any]) -> tuple[float, float, Any]:
    if "lira" not in attacks:
        raise StoreError(
            "one of the two has no results of the attack 'lira': it was written by another version of privaudit",
            hint="Run the same privaudit score again: it trains nothing.",
        )
    found = attacks["lira"]["auc"]
    return found["a"], found["b"], None if found["ci"] is None else tuple(found["ci"])


def verdict(auc: Difference) -> str:
    """``b leaks less``, ``b leaks more``, ``no difference shown`` or ``too few models``."""
    if auc.interval is None:
        return "too few models"
    low, high = auc.interval
    return "b leaks less" if high < 0 else "b leaks more" if low > 0 else "no difference shown"


def _described(side: Scored) -> dict[str, Any]:
    results = side.results
    identity = results["about"].get("identity")
    return {
        "audit": side.name,
        "network": None if identity is None else identity["network"],
        "recipe": None if identity is None else identity["recipe"],
        "training_function": None if identity is None else identity.get("training_function"),
        "seed": None if identity is None else identity["seed"],
        "shadows": results["shadows"],
        "statistic": results["statistic"],
        "accuracy": results["accuracy"],
        "controls_hold": all(
            results["controls"][name]["holds"]
            for name in ("negative", "untrained")
            if results["controls"][name] is not None
        ),
        "controls_run": results["controls"]["negative"] is not None,
        "warnings": [
            *([wording.UNLIKE] if wording.are_unlike(side.typed) else []),
            *comparability.unlike(side.typed),
            *comparability.repeated(side.typed),
        ],
        "sha256": {name: files.sha256_of(side.folder / name) for name in (RESULTS, SCORES)},
    }


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


def _changed(samples: pd.DataFrame) -> dict[str, Any]:
    def count(which: npt.NDArray[np.bool_]) -> int:
        return int(np.sum(which))

    change = samples["change"].to_numpy()
    return {
        "spearman": spearman(samples["risk_a"], samples["risk_b"]).to_json(),
        "fell": count(change < 0),
        "rose": count(change > 0),
        "fell_beyond_interval": count(samples["change_high"].to_numpy() < 0),
        "rose_beyond_interval": count(samples["change_low"].to_numpy() > 0),
        "high": {key: count(samples[f"risk_{key}"].to_numpy() >= 0.9) for key in ("a", "b")},
    }


def _groups(a: Scored, b: Scored) -> dict[str, Any]:
    """Groups that both audits know, by falling risk in the first."""
    groups: dict[str, Any] = {}
    for name, found in a.results["groups"].items():
        others = {group["name"]: group for group in b.results["groups"].get(name, {"groups": []})["groups"]}
        shared = [
            {"name": group["name"], "samples": group["samples"]}
            | {key: {"mean": one["mean"], "ci": one["ci"]} for key, one in (("a", group), ("b", others[group["name"]]))}
            for group in found["groups"]
            if group["name"] in others
        ]
        if shared:
            groups[name] = shared
    return groups
