"""What stands out among the shadow models: a model unlike its siblings, a sample or a single value far from all others.

A likelihood ratio trusts means and variances, so one model whose logits are twenty times as large is enough to drown
what all the others tell. Whatever is done about it must not know who saw what: centres and scales are those of all
models of a sample, members or not, so that on noise the audit still reads ½.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.attacks.lira import FEWEST_MODELS
from privaudit.results.audit.outliers import DifferentKinds, Outliers, OutlyingModel, OutlyingSample
from privaudit.scoring.reliability.model_kinds import different_kinds, strangers
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


def odd_models(outliers: Outliers) -> list[int]:
    """Return the models that stand out, those that are right on more or fewer samples aside, in rising order."""
    return sorted({one.model for one in (*outliers.models, *outliers.strangers)})


def models_to_leave_out(outliers: Outliers, mates: npt.NDArray[np.int64]) -> tuple[int, ...]:
    """Return the models that stand out with their complements; none where too few would remain.

    Parameters
    ----------
    outliers
        What stands out.
    mates
        ``[S]``: the complement of each model, itself where it has none.
    """
    odd = odd_models(outliers)
    places = {place for model in odd for place in (model, int(mates[model]))}
    few = len(odd) <= MOST_LEFT_OUT * len(mates) and len(mates) - len(places) >= FEWEST_MODELS
    return tuple(sorted(places)) if few else ()


def find_outliers(
    statistic: npt.NDArray[Any], is_margin: bool = False, ids: npt.NDArray[Any] | None = None
) -> Outliers:
    """Find what stands out: whole models, single values (of the other models), samples; the farthest first.

    Every value is measured from the median of all models of its sample, in spreads: the larger of the sample's own
    median absolute deviation and the usual one, scaled to a Gaussian's standard deviation. A model's accuracy is named
    and is no reason to leave it out, since a model that was trained on more samples is right on more by right.

    Parameters
    ----------
    statistic
        ``[S, N]`` or, with augmented queries, ``[S, N, Q]``.
    is_margin
        Whether its sign says that the model is right.
    ids
        ``[N]`` of the samples; their rows by default.
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
    names = np.arange(queries.shape[1]) if ids is None else ids
    return Outliers(
        models=tuple(OutlyingModel(model=model, times=times) for model, times in sorted(models.items())),
        values=tuple(
            OutlyingSample(sample_id=names[row].item(), model=model, spreads=far)
            for (model, row), far in sorted(cells.items(), key=lambda one: -one[1])
            if model not in models
        ),
        samples=tuple(
            OutlyingSample(sample_id=names[row].item(), times=times)
            for row, times in sorted(samples.items(), key=lambda one: -one[1])
        ),
        accuracies=_accuracies(queries[:, :, 0]) if is_margin else (),
        strangers=odd,
        kinds=different_kinds(plain, usual) if usual > 0 and not models and not odd else None,
    )


def _few(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return values[:, :: max(1, -(-values.shape[1] // SAMPLES))]


def _accuracies(margins: npt.NDArray[Any]) -> tuple[OutlyingModel, ...]:
    right = (margins > 0).mean(axis=1)
    siblings = float(np.median(right))
    far = np.abs(right - siblings)
    most = max(ACCURACY, DRAWN_IN * OF_GAUSSIAN * float(np.median(far)))
    return tuple(
        OutlyingModel(model=int(model), accuracy=float(right[model]), siblings=siblings)
        for model in np.flatnonzero(far > most)
    )


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
    distance = np.abs(few - centre) / np.maximum(_spread(few, centre), usual)
    typical = np.median(distance, axis=1)
    if np.any(typical == 0):
        # Trees say the same of many samples, and who says so of a few more than half is no nearer than the others.
        apart = np.where(distance > 0, distance, np.nan)
        typical = np.where(np.any(distance > 0, axis=1), _nanmedian(apart.T), typical)
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


def sentences(outliers: Outliers, models: int) -> list[str]:
    """Return warnings of what stands out among so many models, which name models and no sample."""
    said = []
    for one in outliers.models:
        times = one.times or 1.0
        how = f"{_times(times)} as far" if times > 1 else f"{_times(1 / times)} as near"
        said.append(
            f"model {one.model} is unlike its siblings: its values lie {how} from the median of all models as theirs"
        )
    named = {one.model for one in outliers.models}
    said += [
        f"model {one.model} is unlike its siblings: it follows the median of all models over samples with a rank "
        f"correlation of {one.correlation:.2f}, they typically with {one.siblings:.2f}"
        for one in outliers.strangers
        if one.model not in named
    ]
    if said:
        said[-1] += "; " + (
            f"left out of every figure, with what completes them: models {', '.join(map(str, outliers.left_out))}"
            if outliers.left_out
            else f"of {models} models they are too many to be left out: do not trust this audit"
        )
    if outliers.kinds is not None:
        said.append(f"{of_kinds(outliers.kinds)}, and which are the odd ones can't be told: do not trust this audit")
    said += [
        f"model {one.model} is right on {100 * (one.accuracy or 0):.0f}% of the samples, the others typically on "
        f"{100 * (one.siblings or 0):.0f}%"
        for one in outliers.accuracies
        if one.model not in outliers.left_out
    ]
    if values := outliers.values:
        said.append(
            f"{len(values):,} value{'' if len(values) == 1 else 's'} far outside of what the models say of the same "
            f"sample: model {values[0].model} by {values[0].spreads:,.0f} spreads; drawn in to {DRAWN_IN:g}"
        )
    if samples := outliers.samples:
        said.append(
            f"{len(samples):,} sample{'' if len(samples) == 1 else 's'} of which the models say things "
            f"{_times(samples[0].times or 0)} as far apart as is usual: their own figures tell little"
        )
    return said


def of_kinds(kinds: DifferentKinds) -> str:
    """Return how two models differ that are no siblings."""
    if kinds.wider is not None:
        how = f"spread {_times(kinds.wider)} as widely over the samples as"
    else:
        how = f"typically lie {kinds.higher:,.0f} spreads above"
    return f"the models are of different kinds: the values of model {kinds.model} {how} those of model {kinds.other}"


def _times(value: float) -> str:
    return f"{value:,.0f} times" if value < 1e6 else f"{value:.0e} times"
