"""What is chosen of what was tried: the cheapest within noise of the best, unless nothing is a choice."""

from __future__ import annotations

from collections.abc import Mapping

from privaudit.trials.calibration.candidates import Candidate
from privaudit.trials.calibration.judged import MOST_NOISE, Standing

#: Candidates whose gradients differ by less than this are as cheap as each other: the better of them is taken.
AS_CHEAP = 1.1

#: Times noise by which another must be ahead of the usual method to take its place, or doing nothing to rule it out.
SURE = 1.96

#: ToW on held-out forget sets from which a candidate is good enough, though one at the end of what was tried is better.
GOOD_ENOUGH = 0.95


def choose_within(standing: Standing, beyond: Candidate) -> tuple[Candidate | None, str]:
    """Return the best that does not stand at the end of what was tried, where it is good; None for retraining."""
    sets, within = len(standing.nothing), standing.without(beyond)
    whole = [candidate for candidate, tows in within.tows.items() if len(tows) == sets]
    told = f"the best, {beyond.words}, still stands at the end of what was tried"
    if whole:
        best = max(whole, key=within.tow)
        if within.tow(best) >= GOOD_ENOUGH and within.is_ahead(best, None):
            return best, f"{told} (ToW {standing.tow(beyond):.3f}); the best within has {within.tow(best):.3f}"
    return None, told


def choose(
    standing: Standing, gradients: Mapping[Candidate, int], usual: Candidate, beyond: Candidate | None = None
) -> tuple[Candidate | None, str]:
    """Return the choice among candidates that were tried on every forget set, and why; None for retraining.

    The best of many on two forget sets is the best by chance in part. So the usual method stays unless another is ahead
    of it surely, or it does harm.

    Parameters
    ----------
    standing
        Without the ruined.
    gradients
        What each took.
    usual
        What is taken where trials can't tell.
    beyond
        The candidate that stands beyond the end of a grid, where one was tried.
    """
    sets, nothing = len(standing.nothing), standing.of_nothing
    of_how_many = f"{len(standing.tows)} candidates on {sets} held-out forget set{'s' if sets != 1 else ''}"
    whole = [candidate for candidate, tows in standing.tows.items() if len(tows) == sets]
    if not whole:
        return None, "every candidate ruined a held-out forget set's model"
    best = max(whole, key=standing.tow)
    if not standing.is_ahead(best, None):
        return _without_telling(standing, best, usual if usual in whole else None)
    if usual in whole and _does_no_harm(standing, usual) and not standing.is_ahead(best, usual, SURE):
        return usual, (
            f"ahead of which none of {of_how_many} is surely: ToW {standing.tow(usual):.3f}, "
            f"the best {standing.tow(best):.3f}, doing nothing {nothing:.3f}"
        )
    if best == beyond and all(standing.is_ahead(beyond, one) for one in standing.tows if one != beyond):
        return choose_within(standing, beyond)
    # Noise is never less than what may be given away.
    alike = [one for one in whole if standing.is_ahead(one, None) and standing.lead(best, one)[0] <= MOST_NOISE]
    cheap = AS_CHEAP * min(gradients[one] for one in alike)
    chosen = max((one for one in alike if gradients[one] <= cheap), key=standing.tow)
    what = "the best" if chosen == best else f"the cheapest within noise of the best ({standing.tow(best):.3f})"
    return chosen, (f"{what} of {of_how_many}: ToW {standing.tow(chosen):.3f}, doing nothing {nothing:.3f}")


def _without_telling(standing: Standing, best: Candidate, usual: Candidate | None) -> tuple[Candidate | None, str]:
    """Return the usual method where trials can't tell it from doing nothing; None where they tell that it does harm."""
    lead, noise = standing.lead(best, None)
    told = (
        f"the best, {best.words}, has ToW {standing.tow(best):.3f} on held-out forget sets and doing nothing "
        f"{standing.of_nothing:.3f}: {lead:+.3f}, where noise is {noise:.3f}"
    )
    if usual is not None and _does_no_harm(standing, usual):
        return usual, f"since held-out forget sets have too little to forget to tell methods apart ({told})"
    return None, told


def _does_no_harm(standing: Standing, candidate: Candidate) -> bool:
    """Tell whether it is not surely behind doing nothing: where nothing is to be forgotten, any training is behind."""
    lead, noise = standing.lead(candidate, None)
    return lead >= -SURE * noise
