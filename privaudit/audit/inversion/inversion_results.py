"""What a finished inversion stage says: columns of the score table, and the ``inversion`` object of the results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from privaudit.attacks import lira
from privaudit.attacks.lira import FEWEST_MODELS
from privaudit.attacks.risk import attack_success
from privaudit.audit.inversion.inversion_images import HIGH, LOW, RECONSTRUCTIONS, Results
from privaudit.audit.inversion.inversion_plan import InversionPlan
from privaudit.audit.plan import AuditPlan
from privaudit.inversion.image_similarity import place
from privaudit.inversion.inversion_jobs import positions_in
from privaudit.results.audit.inversion_results import (
    AttackParameters,
    EngineChoice,
    FeatureParameters,
    HighAndLow,
    InversionGroups,
    InversionResults,
    Outcomes,
    Tier,
)
from privaudit.results.measures import Correlation
from privaudit.runtime.seeds import generator
from privaudit.scoring import inversion_scores as scoring
from privaudit.shadow.store import shadow_keys
from privaudit.signals import signal
from privaudit.statistics.group_difference import compare
from privaudit.statistics.intervals import spearman

#: Samples that null rates are counted on.
NULL_SAMPLES = 500

CHOSEN = "chosen"


@dataclass(frozen=True)
class Judge:
    """Turns results into columns and findings."""

    plan: AuditPlan
    inversion: InversionPlan
    table: pd.DataFrame
    rows: npt.NDArray[np.int64]
    high: npt.NDArray[np.int64] | None

    @property
    def _random(self) -> npt.NDArray[np.bool_]:
        """Which of the rows were drawn at random: what holds for the data is told from these alone."""
        return np.ones(len(self.rows), np.bool_) if self.high is None else ~np.isin(self.rows, self.high)

    def columns(
        self,
        features: Results | None,
        matching: Results | None,
        curved: Results,
        normed: tuple[npt.NDArray[np.int64], Results],
    ) -> dict[str, tuple[npt.NDArray[np.int64], npt.NDArray[Any]]]:
        """Column -> rows and values, as `privaudit.scoring.inversion_scores.join` takes them."""
        inversion = self.inversion
        found: dict[str, tuple[npt.NDArray[np.int64], npt.NDArray[Any]]] = {}
        norms = [(inversion.curved, curved), normed]
        norms = [(rows, results) for rows, results in norms if results]
        where = np.concatenate([rows for rows, _ in norms])
        found["gradient_norm"] = (where, np.concatenate([one["gradient_norm"].reshape(-1) for _, one in norms]))
        found["curvature"] = (inversion.curved, curved["curvature"].reshape(-1))
        if features:
            scores = scoring.feature_scores(features)
            found |= {name: (inversion.pool, values) for name, values in scores.items()}
        if matching:
            found |= {name: (self.rows, values) for name, values in scoring.sample_scores(matching).items()}
            groups = np.where(self._random, LOW, HIGH) if self.high is not None else np.full(len(self.rows), CHOSEN)
            found["inversion_group"] = (self.rows, groups.astype(object))
        return found

    def results(
        self,
        features: Results | None,
        matching: Results | None,
        joined: pd.DataFrame,
        engine: EngineChoice,
        seconds: float,
    ) -> InversionResults:
        """The ``inversion`` object."""
        plan, inversion, settings = self.plan, self.inversion, self.plan.settings
        risk, models = _risk_of_other_models(plan, joined)
        of_features = self._of_features(features, risk, joined) if features else None
        of_matching = self._of_matching(matching, risk, joined) if matching else None
        tiers = {"T1": of_features, "T2": of_matching}
        reasons = {name: scoring.no_ranking(tier.outcomes["recovered"].rate) for name, tier in tiers.items() if tier}
        return InversionResults(
            at=settings.invert_at,
            preset=settings.invert_preset,
            asked=_asked(settings.invert),
            attack=AttackParameters.model_validate(inversion.attack.model_dump()),
            feature_attack=FeatureParameters.model_validate(inversion.features.model_dump()),
            gradient_noise=settings.gradient_noise,
            gradient_clip=settings.gradient_clip,
            reference=len(inversion.reference),
            risk_models=models,
            risk_of_others=models < plan.shadows,
            proxies={"curvature": len(inversion.curved), "gradient_norm": len(inversion.normed)},
            features=of_features,
            matching=of_matching,
            groups=self._groups(matching, risk, joined) if matching and self.high is not None else None,
            null=self._null_rates(matching),
            warnings=[f"inversion, {name}: {reason}" for name, reason in reasons.items() if reason],
            notes=inversion.notes,
            engine=engine,
            seconds=round(seconds, 1),
            reconstructions=RECONSTRUCTIONS if matching is not None else None,
        )

    def _of_features(self, found: Results, risk: npt.NDArray[Any], joined: pd.DataFrame) -> Tier:
        inversion = self.inversion
        return Tier(
            kind="closed form" if inversion.structure.first is not None else "feature matching",
            samples=len(inversion.pool),
            models=len(inversion.feature_models),
            outcomes=scoring.outcomes(found),
            psnr_quantiles=_quantiles(found["psnr"]),
            psnr_by_model=_means(found["psnr"]),
            reliability=scoring.reliability(found["psnr"]),
            confounders=self._confounders(found, inversion.pool, risk, joined),
        )

    def _of_matching(self, found: Results, risk: npt.NDArray[Any], joined: pd.DataFrame) -> Tier:
        random, inversion = self._random, self.inversion
        drawn = {name: values[:, :, random] for name, values in found.items()}
        return Tier(
            samples=len(self.rows),
            random=int(random.sum()),
            models=len(inversion.matching_models),
            restarts=inversion.attack.restarts,
            outcomes=scoring.outcomes(drawn),
            psnr_quantiles=_quantiles(drawn["psnr"]),
            psnr_by_model=_means(drawn["psnr"]),
            labels_right=float(drawn["label_right"].mean()) if "label_right" in drawn else None,
            steps=float(found["steps"].mean()),
            objective_and_psnr=spearman(drawn["psnr"].reshape(-1), drawn["objective"].reshape(-1)),
            reliability=scoring.reliability(drawn["psnr"]),
            confounders=self._confounders(drawn, self.rows[random], risk, joined),
        )

    def _confounders(
        self, runs: Results, rows: npt.NDArray[np.int64], risk: npt.NDArray[Any], joined: pd.DataFrame
    ) -> dict[str, Correlation]:
        """What the PSNR goes with, on the same samples. Loss and gradient norm are those of the attacked models."""
        images = self.inversion.pixels.to_unit(self.plan.data.x_train[rows])
        return scoring.confounders(
            runs["psnr"].mean(axis=(0, 1)),
            {
                "loss": np.log(np.maximum(runs["loss"], 1e-12)).mean(axis=(0, 1)),
                "gradient_norm": np.log(np.maximum(runs["gradient_norm"], 1e-12)).mean(axis=(0, 1)),
                "curvature": joined["curvature"].to_numpy()[rows],
                "contrast": images.reshape(len(rows), -1).std(axis=1),
                "risk": risk[rows],
            },
        )

    def _groups(self, matching: Results, risk: npt.NDArray[Any], joined: pd.DataFrame) -> InversionGroups:
        """Figure 2: the groups held against each other."""
        random = self._random
        high, low = self.rows[~random], self.rows[random]
        entropy, psnr = joined["entropy"].to_numpy(), joined["psnr"].to_numpy()
        success = joined["inversion_success"].to_numpy()
        values = {"risk": risk, "entropy": entropy, "psnr": psnr, "success": success}
        return InversionGroups(
            size=len(high),
            chosen_by="feature matching (T1)" if self.inversion.has_features else "curvature (T0)",
            high=scoring.outcomes({name: found[:, :, ~random] for name, found in matching.items()}),
            compared={name: compare(of[high], of[low]) for name, of in values.items()},
            values={
                name: HighAndLow(high=_rounded(values[name][high]), low=_rounded(values[name][low]))
                for name in ("risk", "entropy")
            },
        )

    def _null_rates(self, matching: Results | None) -> dict[str, Outcomes]:
        """What guesses that owe nothing to the gradient achieve."""
        plan, inversion = self.plan, self.inversion
        drawn = generator(plan.settings.seed, "inversion-null").permutation(inversion.pool)[:NULL_SAMPLES]
        images = inversion.pixels.to_unit(plan.data.x_train[drawn])
        reference, own = self._reference(drawn)
        nearest = place(images, images, reference, own).nearest
        labels, known = plan.data.y_train[drawn], plan.data.y_train[inversion.reference]
        means = {label: reference[known == label].mean(axis=0) for label in np.unique(known)}
        typical = np.stack([means.get(label, reference.mean(axis=0)) for label in labels])
        guesses = {"nearest_other": reference[nearest], "class_mean": typical}
        said = {
            name: scoring.null_rates(images, guess, place(guess, images, reference, own))
            for name, guess in guesses.items()
        }
        if matching and len(self.rows) > 1:
            # Everybody gets the reconstruction of the next sample of the same class.
            order = np.lexsort((self.rows, plan.data.y_train[self.rows]))
            best = scoring.chosen(matching["images"], matching["objective"])[0]
            truths = inversion.pixels.to_unit(plan.data.x_train[self.rows[order]])
            reference, own = self._reference(self.rows[order])
            others = np.roll(best[order], 1, axis=0)
            said["other_reconstruction"] = scoring.null_rates(truths, others, place(others, truths, reference, own))
        return said

    def _reference(self, rows: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        known = self.inversion.reference
        return self.inversion.pixels.to_unit(self.plan.data.x_train[known]), positions_in(known, rows)


def _risk_of_other_models(plan: AuditPlan, joined: pd.DataFrame) -> tuple[npt.NDArray[Any], int]:
    """Risk of every row under the shadow models that no inversion touched, and how many these are.

    Who is inverted was chosen by what some models say; risk is taken from the others, where enough of them are left.
    """
    used = {2 * pair + side for pair in (0, 1) for side in (0, 1)} if plan.settings.invert_at == "trained" else set()
    left = np.array([index for index in range(plan.shadows) if index not in used])
    if len(left) < FEWEST_MODELS + 2:
        return joined["risk"].to_numpy(np.float64), plan.shadows
    keys = [shadow_keys(plan.shadows)[index] for index in left]
    keep = plan.store.read_design()[left]
    margin = signal(plan.store.read_signals(keys)[:, :, 0], plan.settings.statistic)
    return attack_success(lira.online(margin, keep), keep), len(left)


def _quantiles(values: npt.NDArray[Any]) -> list[float]:
    return [round(float(value), 3) for value in np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95])]


def _means(values: npt.NDArray[Any]) -> list[float]:
    return [round(float(value), 3) for value in values.mean(axis=(1, 2))]


def _rounded(values: npt.NDArray[Any]) -> list[float]:
    return [float(f"{value:.6g}") for value in values]


def _asked(invert: int | str | None) -> str | None:
    """What ``--invert`` said; where a list of ids lies is its owner's business."""
    return None if invert is None else "ids:FILE" if str(invert).startswith("ids:") else str(invert)
