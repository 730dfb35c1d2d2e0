"""What stands out among the shadow models: a model unlike its siblings, a sample or a single value far from all others.

A likelihood ratio trusts means and variances, so one model whose logits are twenty times as large is enough to drown
what all the others tell. Whatever is done about it must not know who saw what: centres and scales are those of all
models of a sample, members or not, so that on noise the audit still reads ½.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.attacks.lira import FEWEST_MODELS
from privaudit.results.base import Result
from privaudit.scoring.reliability.model_kinds import DifferentKinds, different_kinds, strangers
from privaudit.signals import SIGNALS
from privaudit.statistics.intervals import FloatArray

#: A model stands out whose distance from its siblings is typically so many times theirs, or so many times smaller.
MODEL_TIMES = 3.0

#: Values are drawn in to so many spreads from the median of all models, and named from so many on.
DRAWN_IN = 10.0
NAMED = 30.0

#: A sample is named whose spread is so many times the usual one.
SAMPLE_TIMES = 100.0

#: At most this share of the models is left out: more are no outliers, but another kind of model.
MOST_LEFT_OUT = 0.25

#: A model is named whose accuracy is so far from the others'.
ACCURACY = 0.2

#: A median absolute deviation of a Gaussian times this is its standard deviation.
OF_GAUSSIAN = 1.4826

#: Samples that a model is judged by, evenly spaced; cells handled at once; how many of each kind are listed.
SAMPLES = 20_000
BLOCK = 2_000_000
LISTED = 5

#: The signals that likelihood ratios are taken of and that have no natural bound.
OF_RATIOS = ("margin", "logit-gap", "scaled-logit")


@dataclass(frozen=True)
class Outliers:
    """What stands out; models by their place, samples by their row.

    Parameters
    ----------
    models
        Place, and how many times as far from the median of all models its values typically lie as its siblings'.
    cells
        Model, row, and distance from the sample's median in spreads; the farthest first, models in ``models`` aside.
    samples
        Row, and spread between models as a multiple of the usual one; the widest first.
    accuracies
        Model, on what share of the samples it is right, and the median share: named, and not left out for it, since a
        model that was trained on more samples is right on more by right.
    """

    models: tuple[tuple[int, float], ...]
    cells: tuple[tuple[int, int, float], ...]
    samples: tuple[tuple[int, float], ...]
    accuracies: tuple[tuple[int, float, float], ...] = ()
    strangers: tuple[tuple[int, float, float], ...] = ()
    kinds: DifferentKinds | None = None

    @property
    def odd(self) -> tuple[int, ...]:
        """The models that stand out."""
        return tuple(sorted({model for model, _ in self.models} | {model for model, _, _ in self.strangers}))

    def left_out(self, mates: npt.NDArray[np.int64]) -> tuple[int, ...]:
        """The models to leave out, with their complements; none where too few would remain.

        Parameters
        ----------
        mates
            ``[S]``: the complement of each model, itself where it has none.
        """
        places = {place for model in self.odd for place in (model, int(mates[model]))}
        few = len(self.odd) <= MOST_LEFT_OUT * len(mates) and len(mates) - len(places) >= FEWEST_MODELS
        return tuple(sorted(places)) if few else ()

    def to_json(self, ids: npt.NDArray[Any]) -> dict[str, Any]:
        """As it stands in JSON results, samples by their ids."""
        return {
            "models": [{"model": model, "times": times} for model, times in self.models],
            "values": [
                {"model": model, "sample_id": ids[row].item(), "spreads": spreads} for model, row, spreads in self.cells
            ],
            "samples": [{"sample_id": ids[row].item(), "times": times} for row, times in self.samples],
            "accuracies": [
                {"model": model, "accuracy": own, "siblings": siblings} for model, own, siblings in self.accuracies
            ],
            "strangers": [
                {"model": model, "correlation": own, "siblings": siblings} for model, own, siblings in self.strangers
            ],
            "kinds": None if self.kinds is None else self.kinds.to_json(),
        }


def find_outliers(statistic: npt.NDArray[Any], is_margin: bool = False) -> Outliers:
    """Find what stands out.

    Every value is measured from the median of all models of its sample, in spreads: the larger of the sample's own
    median absolute deviation and the usual one, scaled to a Gaussian's standard deviation.

    Parameters
    ----------
    statistic
        ``[S, N]`` or, with augmented queries, ``[S, N, Q]``.
    is_margin
        Whether its sign says that the model is right.
    """
    queries = statistic[..., np.newaxis] if statistic.ndim == 2 else statistic
    models: dict[int, float] = {}
    cells: dict[tuple[int, int], float] = {}
    samples: dict[int, float] = {}
    for query in range(queries.shape[2]):
        values = queries[:, :, query]
        usual = usual_spread(values)
        if usual == 0:
            continue
        for model, times in _models(values, usual).items():
            if abs(np.log(times)) > abs(np.log(models.get(model, 1.0))):
                models[model] = times
        for block, distance, own in _distances(values, usual):
            for model, row in np.argwhere(distance > NAMED):
                cell = (int(model), int(row) + block.start)
                cells[cell] = max(cells.get(cell, 0.0), float(distance[model, row]))
            for row in np.flatnonzero(own > SAMPLE_TIMES * usual):
                samples[int(row) + block.start] = float(own[row] / usual)
    plain = _few(queries[:, :, 0])
    usual = usual_spread(plain)
    odd = strangers(plain) if usual > 0 else ()
    return Outliers(
        tuple(sorted(models.items())),
        tuple((*cell, far) for cell, far in sorted(cells.items(), key=lambda one: -one[1]) if cell[0] not in models),
        tuple(sorted(samples.items(), key=lambda one: -one[1])),
        _accuracies(queries[:, :, 0]) if is_margin else (),
        odd,
        different_kinds(plain, usual) if usual > 0 and not models and not odd else None,
    )


def _few(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return values[:, :: max(1, -(-values.shape[1] // SAMPLES))]


def _accuracies(margins: npt.NDArray[Any]) -> tuple[tuple[int, float, float], ...]:
    right = (margins > 0).mean(axis=1)
    siblings = float(np.median(right))
    far = np.abs(right - siblings)
    most = max(ACCURACY, DRAWN_IN * OF_GAUSSIAN * float(np.median(far)))
    return tuple((int(model), float(right[model]), siblings) for model in np.flatnonzero(far > most))


def usual_spread(values: npt.NDArray[Any]) -> float:
    """The median of the samples' spreads between models, of those that vary; 0 where none does."""
    few = _few(values)
    own = _spread(few, np.median(few, axis=0))
    return float(np.median(own[own > 0])) if np.any(own > 0) else 0.0


def drawn_in(signals: npt.NDArray[Any], used: npt.NDArray[np.bool_] | None = None) -> npt.NDArray[Any]:
    """The same ``[S, N, Q, K]``, values beyond `DRAWN_IN` spreads of their sample's median drawn in to there.

    Which side of the median a value lies on stays. The same object where there is nothing to draw in.

    Parameters
    ----------
    signals
        In the order of `privaudit.signals.SIGNALS`.
    used
        bool ``[S, N]``: the cells that take part; None for all. Where many more models did not see a sample than did,
        the few lie far from all others by right: equally many of either take part.
    """
    changed = signals
    for name in OF_RATIOS:
        column = SIGNALS.index(name)
        for query in range(signals.shape[2]):
            values = signals[:, :, query, column]
            if np.isnan(values[0, 0]) or (usual := usual_spread(values)) == 0:
                continue
            for block in _blocks(values):
                part = values[:, block].astype(np.float64)
                of_those = part if used is None else np.where(used[:, block], part, np.nan)
                centre = np.median(part, axis=0) if used is None else _nanmedian(of_those)
                reach = DRAWN_IN * np.maximum(_spread(of_those, centre), usual)
                within = np.clip(part, centre - reach, centre + reach)
                if np.any(beyond := within != part):
                    changed = signals.copy() if changed is signals else changed
                    changed[:, block, query, column][beyond] = within[beyond]
    return changed


def _models(values: npt.NDArray[Any], usual: float) -> dict[int, float]:
    few = _few(values).astype(np.float64)
    centre = np.median(few, axis=0)
    typical = np.median(np.abs(few - centre) / np.maximum(_spread(few, centre), usual), axis=1)
    sibling = float(np.median(typical))
    if sibling == 0:
        return {}
    times = np.maximum(typical / sibling, np.finfo(np.float64).tiny)
    return {
        int(model): float(times[model]) for model in np.flatnonzero((times > MODEL_TIMES) | (times < 1 / MODEL_TIMES))
    }


def _distances(values: npt.NDArray[Any], usual: float) -> Iterator[tuple[slice, FloatArray, FloatArray]]:
    """Yield block by block every value's distance in spreads ``[S, n]`` and the samples' own spreads ``[n]``."""
    for block in _blocks(values):
        part = values[:, block].astype(np.float64)
        centre = np.median(part, axis=0)
        own = _spread(part, centre)
        yield block, np.abs(part - centre) / np.maximum(own, usual), own


def _blocks(values: npt.NDArray[Any]) -> Iterator[slice]:
    width = max(1, BLOCK // len(values))
    for start in range(0, values.shape[1], width):
        yield slice(start, min(start + width, values.shape[1]))


def _spread(values: npt.NDArray[Any], centre: npt.NDArray[Any]) -> FloatArray:
    away = np.abs(values - centre)
    return OF_GAUSSIAN * (_nanmedian(away) if np.isnan(away).any() else np.median(away, axis=0).astype(np.float64))


def _nanmedian(values: FloatArray) -> FloatArray:
    """Median over models of the cells that take part; a sample without any has 0."""
    none = np.isnan(values).all(axis=0)
    median: FloatArray = np.nanmedian(np.where(none, 0.0, values), axis=0)
    return median


def sentences(found: dict[str, Any], left_out: tuple[int, ...], models: int) -> list[str]:
    """What `Outliers.to_json` holds, as warnings that name models and no sample."""
    said = []
    for one in found["models"]:
        times = one["times"]
        how = f"{_times(times)} as far" if times > 1 else f"{_times(1 / times)} as near"
        said.append(
            f"model {one['model']} is unlike its siblings: its values lie {how} from the median of all models as theirs"
        )
    named = {one["model"] for one in found["models"]}
    said += [
        f"model {one['model']} is unlike its siblings: it follows the median of all models over samples with a rank "
        f"correlation of {one['correlation']:.2f}, they typically with {one['siblings']:.2f}"
        for one in found["strangers"]
        if one["model"] not in named
    ]
    if said:
        rest = (
            f"left out of every figure, with what completes them: models {', '.join(map(str, left_out))}"
            if left_out
            else f"of {models} models they are too many to be left out: do not trust this audit"
        )
        said[-1] += f"; {rest}"
    if (kinds := found["kinds"]) is not None:
        said.append(f"{of_kinds(kinds)}, and which are the odd ones can't be told: do not trust this audit")
    said += [
        f"model {one['model']} is right on {100 * one['accuracy']:.0f}% of the samples, the others typically on "
        f"{100 * one['siblings']:.0f}%"
        for one in found["accuracies"]
        if one["model"] not in left_out
    ]
    for kind, what in (("values", "value"), ("samples", "sample")):
        if not (those := found[kind]):
            continue
        many = "" if len(those) == 1 else "s"
        farthest = those[0]
        if kind == "values":
            said.append(
                f"{len(those):,} {what}{many} far outside of what the models say of the same sample: model "
                f"{farthest['model']} by {farthest['spreads']:,.0f} spreads; drawn in to {DRAWN_IN:g}"
            )
        else:
            said.append(
                f"{len(those):,} {what}{many} of which the models say things {_times(farthest['times'])} as far apart "
                "as is usual: their own figures tell little"
            )
    return said


def of_kinds(kinds: dict[str, Any] | Result) -> str:
    """How two models differ that are no siblings, from `DifferentKinds.to_json`."""
    if kinds["wider"] is not None:
        how = f"spread {_times(kinds['wider'])} as widely over the samples as"
    else:
        how = f"typically lie {kinds['higher']:,.0f} spreads above"
    return (
        f"the models are of different kinds: the values of model {kinds['model']} {how} those of model {kinds['other']}"
    )


def _times(value: float) -> str:
    return f"{value:,.0f} times" if value < 1e6 else f"{value:.0e} times"
