"""Optimisers over many independent problems at once: row b of every tensor is a problem of its own."""

from __future__ import annotations

from typing import Protocol

import torch

#: Adam's usual constants.
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8

#: torch.optim.LBFGS's: pairs remembered, curvature below which a pair is skipped, and when a problem is solved.
HISTORY, LEAST_CURVATURE = 100, 1e-10
GRADIENT_TOLERANCE, CHANGE_TOLERANCE = 1e-7, 1e-9


class BatchOptimiser(Protocol):
    """Moves variables ``[B, D]`` along a direction that each row computes from its own past."""

    #: bool ``[B]``: problems that are solved or stuck by the optimiser's own rule.
    finished: torch.Tensor

    def step(
        self, variables: torch.Tensor, gradient: torch.Tensor, objective: torch.Tensor, rate: torch.Tensor
    ) -> torch.Tensor:
        """The next variables. ``gradient [B, D]`` and ``objective [B]`` are the present ones'; ``rate [B, 1]``."""

    def keep(self, rows: torch.Tensor) -> None:
        """Forget all problems but these."""


class Adam:
    """Adam (Kingma and Ba 2015); signed, it sees only each derivative's sign (Geiping et al. 2020)."""

    def __init__(self, variables: torch.Tensor, *, signed: bool) -> None:
        self.finished = torch.zeros(len(variables), dtype=torch.bool, device=variables.device)
        self._signed = signed
        self._mean, self._square = torch.zeros_like(variables), torch.zeros_like(variables)
        self._steps = 0

    def step(
        self, variables: torch.Tensor, gradient: torch.Tensor, objective: torch.Tensor, rate: torch.Tensor
    ) -> torch.Tensor:
        self._steps += 1
        seen = gradient.sign() if self._signed else gradient
        self._mean.lerp_(seen, 1 - BETA_1)
        self._square.mul_(BETA_2).addcmul_(seen, seen, value=1 - BETA_2)
        mean = self._mean / (1 - BETA_1**self._steps)
        deviation = (self._square / (1 - BETA_2**self._steps)).sqrt_().add_(EPSILON)
        return variables - rate * mean / deviation

    def keep(self, rows: torch.Tensor) -> None:
        self.finished = self.finished[rows]
        self._mean, self._square = self._mean[rows], self._square[rows]


class LBFGS:
    """L-BFGS without line search (Liu and Nocedal 1989), step for step what torch.optim.LBFGS does to one problem."""

    def __init__(self, variables: torch.Tensor) -> None:
        self.finished = torch.zeros(len(variables), dtype=torch.bool, device=variables.device)
        self._pairs: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []  # s, y, 1/(y·s) or 0
        self._scale = torch.ones(len(variables), 1, device=variables.device)
        self._before: tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None = None  # gradient, move, objective

    def step(
        self, variables: torch.Tensor, gradient: torch.Tensor, objective: torch.Tensor, rate: torch.Tensor
    ) -> torch.Tensor:
        self.finished |= gradient.abs().amax(1) <= GRADIENT_TOLERANCE
        if self._before is None:
            direction = -gradient
            length = rate * (1 / gradient.abs().sum(1, keepdim=True)).clamp_max(1.0)
        else:
            self._remember(gradient, objective)
            direction, length = self._direction(gradient), rate
        slope = _dot(gradient, direction).squeeze(1)
        self.finished |= (slope > -CHANGE_TOLERANCE) | ~torch.isfinite(slope)
        # Of an attack in a box this is the move before it is cut short at the box's sides. To remember the one that was
        # made did no clear good on 16 digits: PSNR 43.6 → 44.0, better for 6, worse for 10, SSIM .976 → .971.
        move = torch.where(self.finished.unsqueeze(1), 0.0, length * direction)
        self._before = (gradient, move, objective)
        return variables + move

    def _remember(self, gradient: torch.Tensor, objective: torch.Tensor) -> None:
        assert self._before is not None  # noqa: S101 - only called after a first step
        old_gradient, move, old_objective = self._before
        change = gradient - old_gradient
        curvature = _dot(change, move)
        usable = curvature > LEAST_CURVATURE
        # A pair without curvature counts for nothing: its weight is 0.
        weight = torch.where(usable, 1 / torch.where(usable, curvature, 1.0), 0.0)
        self._scale = torch.where(usable, curvature / _dot(change, change).clamp_min(1e-30), self._scale)
        self._pairs = [*self._pairs[-(HISTORY - 1) :], (move, change, weight)]
        self.finished |= move.abs().amax(1) <= CHANGE_TOLERANCE
        self.finished |= (objective - old_objective).abs() < CHANGE_TOLERANCE

    def _direction(self, gradient: torch.Tensor) -> torch.Tensor:
        """The two-loop recursion."""
        direction, shares = -gradient, []
        for move, change, weight in reversed(self._pairs):
            share = weight * _dot(move, direction)
            direction = direction - share * change
            shares.append(share)
        direction = direction * self._scale
        for (move, change, weight), share in zip(self._pairs, reversed(shares), strict=True):
            direction = direction + (share - weight * _dot(change, direction)) * move
        return direction

    def keep(self, rows: torch.Tensor) -> None:
        self.finished, self._scale = self.finished[rows], self._scale[rows]
        self._pairs = [(move[rows], change[rows], weight[rows]) for move, change, weight in self._pairs]
        if self._before is not None:
            gradient, move, objective = self._before
            self._before = (gradient[rows], move[rows], objective[rows])


def _dot(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    return (first * second).sum(1, keepdim=True)


def make_optimiser(name: str, variables: torch.Tensor) -> BatchOptimiser:
    """The optimiser of an attack."""
    return LBFGS(variables) if name == "lbfgs" else Adam(variables, signed=name == "signed-adam")


class Plateau:
    """Tells which problems' objectives have stopped falling: by less than a hundredth in so many steps."""

    LEAST_PROGRESS = 1e-2

    def __init__(self, problems: int, patience: int, device: torch.device) -> None:
        self._patience = patience
        self._bar = torch.full((problems,), float("inf"), device=device)
        self._since = torch.zeros(problems, dtype=torch.int64, device=device)

    def reached(self, objective: torch.Tensor) -> torch.Tensor:
        """Which have by now, ``[B]``, after seeing the objective ``[B]`` of one more step."""
        better = objective < self._bar * (1 - self.LEAST_PROGRESS)
        self._bar = torch.where(better, objective, self._bar)
        self._since = torch.where(better, 0, self._since + 1)
        return self._since >= self._patience

    def keep(self, rows: torch.Tensor) -> None:
        """Forget all problems but these."""
        self._bar, self._since = self._bar[rows], self._since[rows]


class Schedule:
    """The step length of each problem: a tenth at 3/8, 5/8 and 7/8 of the steps, or sooner where it stalls.

    A problem that stalls at the shortest length has converged.
    """

    MILESTONES = (3 / 8, 5 / 8, 7 / 8)
    DROP = 0.1

    #: An objective stalls where it has not fallen by this share for a tenth of the steps.
    LEAST_PROGRESS = 1e-3

    def __init__(self, problems: int, rate: float, steps: int, device: torch.device) -> None:
        self._rate, self._steps = rate, steps
        self._patience = max(10, steps // 10)
        self._stage = torch.zeros(problems, dtype=torch.int64, device=device)
        self._bar = torch.full((problems,), float("inf"), device=device)
        self._since = torch.zeros(problems, dtype=torch.int64, device=device)
        self.converged = torch.zeros(problems, dtype=torch.bool, device=device)

    def rates(self, step: int, objective: torch.Tensor) -> torch.Tensor:
        """Step lengths ``[B, 1]`` for step ``step`` (counted from 0), after seeing its objective ``[B]``."""
        better = objective < self._bar * (1 - self.LEAST_PROGRESS)
        self._bar = torch.where(better, objective, self._bar)
        self._since = torch.where(better, 0, self._since + 1)
        stalled = self._since >= self._patience
        self.converged = stalled & (self._stage == len(self.MILESTONES))
        due = sum(step >= milestone * self._steps for milestone in self.MILESTONES)
        stage = torch.maximum(self._stage + stalled.long(), torch.full_like(self._stage, due))
        stage = stage.clamp_max(len(self.MILESTONES))
        self._since = torch.where(stage > self._stage, 0, self._since)
        self._stage = stage
        return (self._rate * self.DROP ** stage.float()).unsqueeze(1)

    def keep(self, rows: torch.Tensor) -> None:
        """Forget all problems but these."""
        self._stage, self._bar, self._since = self._stage[rows], self._bar[rows], self._since[rows]
        self.converged = self.converged[rows]
