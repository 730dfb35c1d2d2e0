"""Attacks by name: everything that decides how images are sought for a gradient."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from privaudit.errors import UsageError

DEFAULT_PRESET = "default"

#: What was the default before: noise to start from, signed Adam, three starts.
FROM_NOISE = "from-noise"

#: A step of feature matching in steps of gradient matching: about a third, by layers (benchmarks/inversion.py).
FEATURE_SHARE = 0.4


class MatchingAttack(BaseModel):
    """Gradient matching: minimise cost(∇θ loss(x, y), g) + total variation over images x.

    Parameters
    ----------
    name
        As typed.
    cost
        ``"cosine"``: 1 − cos(∇, g) (Geiping et al. 2020). ``"l2"``: ‖∇ − g‖² (Zhu et al. 2019).
    optimiser
        ``"signed-adam"`` (Adam that sees only the sign of each derivative), ``"adam"`` or ``"lbfgs"``.
    rate
        The first step length; it drops to a tenth at 3/8, 5/8 and 7/8 of the steps, or sooner where a sample stalls
        (L-BFGS keeps it).
    steps
        At most so many; a sample that has converged stops earlier.
    restarts
        Starts from other noise.
    total_variation
        Weight of the mean absolute difference of neighbouring pixels.
    box
        Keep pixels in their range.
    standardised
        Search in the network's own units (mean 0, deviation 1) and start from a normal distribution there; else on
        the 0–1 scale.
    start
        Noise to start from: ``"uniform"`` over the range or ``"normal"``.
    joint_label
        Search for the label too, as a distribution over classes; else it is read off the last layer's gradient.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    cost: Literal["cosine", "l2"] = "cosine"
    optimiser: Literal["signed-adam", "adam", "lbfgs"] = "signed-adam"
    rate: float = Field(0.1, gt=0)
    steps: int = Field(ge=1)
    restarts: int = Field(3, ge=1)
    total_variation: float = Field(0.0, ge=0)
    box: bool = True
    standardised: bool = False
    start: Literal["uniform", "normal"] = "uniform"
    joint_label: bool = False

    @property
    def by_layers(self) -> bool:
        """Whether the layerwise engine knows the cost's derivative: that of the cosine, for a label that is known."""
        return self.cost == "cosine" and not self.joint_label

    @property
    def effort(self) -> float:
        """What one search comes to at most, in steps of gradient matching."""
        return float(self.steps)


class FeatureAttack(BaseModel):
    """Feature matching: minimise ‖φ(x) − a‖²/‖a‖² + total variation, with a the features read off the gradient."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rate: float = Field(0.2, gt=0)
    steps: int = Field(ge=1)
    total_variation: float = Field(ge=0)


class RefiningAttack(MatchingAttack):
    """Gradient matching from the image that the first or the last layer's gradient gives away, instead of from noise.

    Parameters
    ----------
    features
        How an image with the features is found, from the noise that ``start`` names.
    patience
        A search ends whose objective has not fallen by a hundredth in so many steps: the attack's own measure, which
        knows nothing of the truth.
    """

    features: FeatureAttack
    patience: int = Field(10, ge=1)

    @property
    def effort(self) -> float:
        return self.steps + FEATURE_SHARE * self.features.steps


#: What Zhu et al. 2019 and Zhao et al. 2020 publish: 300 calls of L-BFGS, each of up to 20 steps, from one start.
_LBFGS = {
    "cost": "l2",
    "optimiser": "lbfgs",
    "rate": 1.0,
    "steps": 6_000,
    "restarts": 1,
    "box": False,
    "start": "normal",
}
PRESETS = {
    "dlg": MatchingAttack.model_validate({"name": "dlg", "joint_label": True} | _LBFGS),
    "idlg": MatchingAttack.model_validate({"name": "idlg"} | _LBFGS),
    # Geiping et al. 2020, for a trained network on CIFAR-10.
    "inverting-gradients": MatchingAttack(
        name="inverting-gradients", steps=4_800, restarts=1, total_variation=0.1, standardised=True, start="normal"
    ),
}

#: Images below this many pixels a side have no smooth parts to speak of: total variation weighs a tenth.
SMALL_SIDE = 16


def resolve_attack(name: str, input_shape: tuple[int, ...]) -> MatchingAttack:
    """The preset of that name for images ``(H, W, C)``; `UsageError` lists those that there are.

    Each was tuned on other samples than those that docs/inversion.md reports.
    """
    smooth, is_grey = _weight(input_shape), input_shape[2] == 1
    if name == DEFAULT_PRESET:
        return RefiningAttack(
            name=name,
            optimiser="lbfgs",
            rate=1.0,
            steps=40,
            restarts=2,
            total_variation=(0.01 if is_grey else 0.1) * smooth,
            features=feature_attack(input_shape),
        )
    if name == FROM_NOISE:
        # Searches are known by their settings, the name among them: those of audits from before must stay known.
        if is_grey:
            return MatchingAttack(name=DEFAULT_PRESET, rate=0.2, steps=200, total_variation=0.01 * smooth)
        return MatchingAttack(name=DEFAULT_PRESET, rate=0.1, steps=300, total_variation=0.3 * smooth)
    if name not in PRESETS:
        known = ", ".join([DEFAULT_PRESET, FROM_NOISE, *PRESETS])
        raise UsageError(f"unknown inversion preset '{name}'", hint=f"Known presets: {known}.")
    return PRESETS[name]


def feature_attack(input_shape: tuple[int, ...]) -> FeatureAttack:
    """Feature matching for images ``(H, W, C)``, tuned likewise."""
    return FeatureAttack(steps=100, total_variation=(0.1 if input_shape[2] == 1 else 1.0) * _weight(input_shape))


def _weight(input_shape: tuple[int, ...]) -> float:
    return 1.0 if min(input_shape[:2]) >= SMALL_SIDE else 0.1
