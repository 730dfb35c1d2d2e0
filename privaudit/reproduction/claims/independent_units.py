"""What counts as one: a seed; where whole classes are forgotten the classes, of groups the part of the training set."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from privaudit.errors import EvidenceError
from privaudit.reproduction.claims.experiment import ALL, CLASSES, OVERLAPPING, PART, TUNING_SEED, TUNING_SEEDS
from privaudit.reproduction.claims.sample_groups import GROUPS
from privaudit.runtime.seeds import generator
from privaudit.unlearning.requests.forget_set import ForgetSet

#: The share of the classes that `privaudit.reproduction.claims.experiment.CLASSES` names.
SHARE = 0.1

#: Data sets whose results may have been stored before these held the class that each seed drew: one of so many.
CLASSES_OF = {"digits": 10, "mnist": 10, "cifar10": 10}


def choose_classes(labels: npt.NDArray[np.int64], seed: int) -> npt.NDArray[np.int64]:
    """Return the classes that a seed forgets, a tenth of those that have samples.

    Seeds draw without repetition as long as the classes last, so that their runs are independent draws; after that the
    same draws come again, and count once. The seeds that arms are tuned on all take what the first of them draws as
    ``--forget classes:10%`` does: these come last, for nine seeds leave one tenth of the classes.

    Parameters
    ----------
    labels
        ``[N]``: of the training set.
    seed
        From 0, or one of `TUNING_SEEDS`.
    """
    present = np.unique(labels)
    count = max(1, round(SHARE * len(present)))
    of_tuning = drawn_with_repetition(len(present), TUNING_SEED)
    if seed in TUNING_SEEDS:
        return np.sort(present[of_tuning])
    order = generator(0, "experiment-classes").permutation(len(present))
    order = np.concatenate([order[~np.isin(order, of_tuning)], order[np.isin(order, of_tuning)]])
    place = seed % (len(present) // count) * count
    return np.sort(present[order[place : place + count]])


def forget_classes(table: pd.DataFrame, class_names: tuple[str, ...], seed: int) -> ForgetSet:
    """Return all samples of the classes that a seed draws."""
    labels = table["label"].to_numpy()
    chosen = choose_classes(labels, seed)
    names = ", ".join(class_names[label] for label in chosen)
    return ForgetSet(np.flatnonzero(np.isin(labels, chosen)), scattered=False, notes=(f"classes drawn: {names}",))


def drawn_with_repetition(classes: int, seed: int) -> npt.NDArray[np.int64]:
    """Return the classes that ``--forget classes:10%`` draws, as every seed did at first."""
    count = max(1, round(SHARE * classes))
    return np.sort(generator(seed, "forget-classes").permutation(classes)[:count])


def with_units(runs: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """Return the runs with a column ``unit``: what each is an independent draw of.

    Results that were stored before they held it have seeds that drew classes with repetition. Groups of samples whose
    unit is no part of the training set are of an earlier version, and overlap from seed to seed (`OVERLAPPING`).

    Raises
    ------
    EvidenceError
        Where that can't be told: of data whose number of classes is not known here.
    """
    if "set" not in runs:
        return runs
    if "unit" in runs:
        return _told_apart(runs)
    units = runs["seed"].astype(str)
    of_classes = runs["set"] == CLASSES
    if of_classes.any():
        if dataset not in CLASSES_OF:
            raise EvidenceError(
                f"results on {dataset} do not say which classes each seed drew",
                hint="Run privaudit reproduce again: the stored trials of other sets are used again.",
            )
        drawn = {
            seed: "+".join(map(str, drawn_with_repetition(CLASSES_OF[dataset], int(seed))))
            for seed in runs.loc[of_classes, "seed"].unique()
        }
        units = units.where(~of_classes, runs["seed"].map(drawn))
    return _told_apart(runs.assign(unit=units))


def _told_apart(runs: pd.DataFrame) -> pd.DataFrame:
    """Mark groups of samples that seeds share in part."""
    units = runs["unit"].astype(str)
    shared = runs["set"].isin([*GROUPS, ALL]) & ~units.str.startswith((PART, OVERLAPPING))
    return runs.assign(unit=units.where(~shared, f"{OVERLAPPING} " + units))


def by_unit(runs: pd.DataFrame) -> pd.Series[str]:
    """What each run is a draw of; without a column ``unit`` every seed is a draw of its own."""
    units: pd.Series[str] = runs["unit" if "unit" in runs else "seed"].astype(str)
    return units
