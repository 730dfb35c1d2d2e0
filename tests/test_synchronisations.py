"""Steps do not let a GPU wait: counted on a processor."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional
from torch.optim.optimizer import register_optimizer_step_post_hook

from privaudit.inversion.gradient_engines.engine_choice import make_engine
from privaudit.inversion.image_scale import PixelScale
from privaudit.inversion.matching import Canvas, match_gradients
from privaudit.inversion.presets import MatchingAttack
from privaudit.networks import build_network
from privaudit.testing.unlearner import practice_context
from privaudit.training.hardware import Hardware
from privaudit.training.loop import Samples, logits_of, train
from privaudit.training.recipe import resolve_recipe
from privaudit.unlearning.base import UNLEARNERS
from privaudit.unlearning.parameters import with_changes
from privaudit.unlearning.schedule.one_shot import run_once
from privaudit.unlearning.schedule.sequence import run_sequence
from privaudit.unlearning.schedule.stages import plan_stages
from tests.synchronisations import Synchronisations

CPU = Hardware("cpu", "fp32")


def few_images() -> Samples:
    images = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 1)).astype(np.uint8)
    return Samples.from_arrays(images, np.arange(60) % 3, "cpu")


def test_the_counter_sees_what_makes_a_card_wait() -> None:
    numbers = torch.arange(4.0)
    with Synchronisations() as waits:
        numbers.sum().item()
        numbers[numbers > 1]
        bool((numbers > 1).any())
        numbers[numbers > 1] = 0.0
        numbers[torch.tensor([0, 1])].sum()
        torch.where(numbers > 1, numbers, 0.0)
    assert waits.total == 4, waits.seen


def waits_of_training(batch_size: int, epochs: int) -> int:
    changes = {"epochs": epochs, "batch_size": batch_size, "augment": "crop-flip"}
    model = build_network("cnn", (8, 8, 1), 3, ((0.5,), (0.3,)), 0)
    with Synchronisations() as waits:
        train(model, few_images(), np.arange(60), resolve_recipe("fast", changes), 0, CPU)
    total: int = waits.total
    return total


def test_training_waits_once_an_epoch_and_never_in_a_step() -> None:
    once = waits_of_training(60, 1)
    assert waits_of_training(6, 1) == once
    assert waits_of_training(6, 3) - once <= 2


def test_queries_do_not_wait() -> None:
    model = build_network("cnn", (8, 8, 1), 3, ((0.5,), (0.3,)), 0)
    with Synchronisations() as waits:
        logits_of(model, few_images(), np.arange(50), (0, 1, True))
    assert waits.total == 0, waits.seen


@pytest.mark.parametrize("name", list(UNLEARNERS))
def test_unlearning_waits_only_to_see_that_a_step_may_be_taken(name: str) -> None:
    """Once a loss, which must be a number before its step is taken; twice where ascent has to know when to stop."""
    method, context = UNLEARNERS.load(name), practice_context()
    changes = {"ssd": {"alpha": 1.1}, "shadow-teacher": {"effort": 0.1}}.get(name, {"passes": 2.0})
    unlearner = method(context, with_changes(method.defaults, changes))
    steps = 0

    def count(*_: object) -> None:
        nonlocal steps
        steps += 1

    handle = register_optimizer_step_post_hook(count)
    try:
        with Synchronisations() as waits:
            if method.takes_forget_steps:
                run_sequence(unlearner, plan_stages([context.forget], 2.0), lambda _: None)
            else:
                run_once(unlearner, lambda _: None)
    finally:
        handle.remove()
    # Adam counts its steps for each parameter, always on the processor.
    of_adam = len(list(context.model.parameters())) if name in ("bad-teacher", "scrub") else 0
    a_step = {"ga": 2, "neggrad-plus": 2}.get(name, 1) + of_adam
    assert steps > 0 or name == "ssd"
    assert waits.total <= max(1, a_step * steps), waits.seen


@pytest.mark.parametrize("steps", [5, 20])
def test_a_search_waits_once_a_step(steps: int) -> None:
    """To drop what is done, and with it the work on it: that takes two more each time."""
    model = build_network("cnn", (12, 12, 1), 5, ((0.4,), (0.3,)), 0).eval()
    images = torch.rand(3, 1, 12, 12, generator=torch.Generator().manual_seed(1))
    labels = functional.one_hot(torch.arange(3), 5).float()
    engine = make_engine("layerwise", model, 3)
    seen = tuple(part.detach() for part in engine(images, labels))
    canvas = Canvas.of(model, PixelScale(0.0, 1.0, 255.0), standardised=False)
    with Synchronisations() as waits:
        match_gradients(engine, seen, labels, images.flip(0), MatchingAttack(name="few", steps=steps), canvas)
    assert waits.total <= steps + 2 * len(images), waits.seen
