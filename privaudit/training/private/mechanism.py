"""What decides how private a training is: how samples are drawn, how far each can move the weights, how much noise."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class PrivateTraining(BaseModel):
    """DP-SGD's parameters (Abadi et al. 2016), and what they promise.

    Neighbours are datasets of which one has one record more. The sampling rate is fixed, and not the batch: so shadow
    models on half of the samples, retrained ones and the target take as many steps at the same rate with the same
    noise, and the promise is the same for each.

    Parameters
    ----------
    noise_multiplier
        Standard deviation of the noise on a sum of clipped gradients, over ``max_grad_norm``.
    max_grad_norm
        L2 norm that each sample's gradient is clipped to.
    sample_rate
        With what chance each sample is in a step's batch.
    epsilon, delta
        What is promised, by ``accountant``.
    accountant
        Whose arithmetic it is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    noise_multiplier: float = Field(gt=0, allow_inf_nan=False)
    max_grad_norm: float = Field(gt=0, allow_inf_nan=False)
    sample_rate: float = Field(gt=0, le=1)
    epsilon: float = Field(gt=0, allow_inf_nan=False)
    delta: float = Field(gt=0, lt=1)
    accountant: str

    def steps(self, epochs: int) -> int:
        """How many steps a training of so many epochs takes, whoever's."""
        return steps_of(epochs, self.sample_rate)


def steps_of(epochs: int, sample_rate: float) -> int:
    """Steps in which each sample is drawn ``epochs`` times, on average."""
    return max(1, round(epochs / sample_rate))
