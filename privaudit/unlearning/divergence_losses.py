"""How far one prediction is from another, in nats, averaged over a batch."""

from __future__ import annotations

import math

import torch
from torch.nn import functional


def distillation(logits: torch.Tensor, teacher: torch.Tensor, temperature: float = 1.0) -> torch.Tensor:
    """T² KL(softmax(teacher/T) ‖ softmax(logits/T)), both logits ``[B, C]`` (Hinton et al. 2015).

    The sum over classes is averaged over samples: torch's reduction "mean" would divide by C as well.
    """
    log_student = functional.log_softmax(logits / temperature, 1)
    log_teacher = functional.log_softmax(teacher / temperature, 1)
    kl: torch.Tensor = functional.kl_div(log_student, log_teacher, reduction="batchmean", log_target=True)
    return kl * temperature**2


def jensen_shannon(logits: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Jensen-Shannon divergence of every sample ``[B]``, 0 … ln 2; ``teacher`` is probabilities ``[B, C]``."""
    log_student = functional.log_softmax(logits, 1)
    log_mean = torch.logaddexp(log_student, teacher.clamp_min(1e-30).log()) - math.log(2)
    of_student = (log_student.exp() * (log_student - log_mean)).sum(1)
    of_teacher: torch.Tensor = (torch.special.xlogy(teacher, teacher) - teacher * log_mean).sum(1)
    return (of_student + of_teacher) / 2


def l1_norm(parameters: list[torch.nn.Parameter]) -> torch.Tensor:
    """‖θ‖₁ over all of them."""
    return torch.stack([parameter.abs().sum() for parameter in parameters]).sum()
