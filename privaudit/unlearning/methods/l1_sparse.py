"""ℓ₁-sparse fine-tuning (Jia et al. 2023): a sparser model has less room to remember."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from privaudit.unlearning.divergence_losses import l1_norm
from privaudit.unlearning.methods.fine_tuning import FineTuning
from privaudit.unlearning.parameters import Parameters, setting


@dataclass(frozen=True)
class L1SparseParameters(Parameters):
    """Fine-tuning's, and the weight of the norm."""

    gamma: float = setting(1e-5, "weight γ of ‖θ‖₁ at the start; it decays to 0")


class L1Sparse(FineTuning):
    """Minimise CE over D_r + γ (1 − t/T) ‖θ‖₁, t of T samples being done; all weights and biases count."""

    defaults: ClassVar[L1SparseParameters] = L1SparseParameters(passes=10, learning_rate=0.05)
    parameters: L1SparseParameters
    search: ClassVar[dict[str, tuple[float, ...]]] = {"learning_rate": (0.01, 0.03, 0.1), "gamma": (1e-5, 1e-4)}

    def penalty(self, progress: float) -> torch.Tensor:
        return self.parameters.gamma * (1 - progress) * l1_norm(list(self.context.model.parameters()))
