"""Inversion under realistic threat models: what clients send, what it gives away, and what that is worth."""

from __future__ import annotations

import copy
from collections import Counter
from itertools import permutations

import numpy as np
import pytest
import torch
from torch import nn

from privaudit.audit.inversion.realistic_plan import affordable
from privaudit.inversion.image_scale import PixelScale
from privaudit.inversion.image_similarity import mean_squared_error, psnr
from privaudit.inversion.presets import MatchingAttack
from privaudit.inversion.threat_models.client_updates import ClientUpdates
from privaudit.inversion.threat_models.gradient_defences import defended, pruned, quantised
from privaudit.inversion.threat_models.group_judgement import References, assigned, judge, share_of_groups
from privaudit.inversion.threat_models.group_labels import class_signal, recover_batch_labels, share_right
from privaudit.inversion.threat_models.group_matching import Shared, match_updates, objective
from privaudit.inversion.threat_models.ladder import BEST_CASE, LADDER, applies
from privaudit.networks.airbench import Airbench
from privaudit.report.content.texts import terms
from privaudit.results.audit.realistic_inversion import ThreatModel
from privaudit.statistics.intervals import clopper_pearson

UNIT = PixelScale(0.0, 1.0, 255.0)
CLASSES, RATE = 10, 0.1


def network(*, batch_norm: bool = False) -> nn.Module:
    """Double precision, so that equal is equal to ten digits."""

    def factory(input_shape: tuple[int, ...], classes: int) -> nn.Module:
        norm: list[nn.Module] = [nn.BatchNorm2d(4)] if batch_norm else []
        return nn.Sequential(
            nn.Conv2d(1, 4, 3), *norm, nn.Sigmoid(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(36, classes)
        )

    torch.manual_seed(0)
    model = nn.Sequential()
    model.add_module("standardise", nn.Identity())
    model.add_module("network", factory((8, 8, 1), CLASSES))
    return model.double().eval()


def batch(count: int, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(count, 1, 8, 8, generator=generator, dtype=torch.float64)
    labels = torch.arange(count) % CLASSES
    return images, nn.functional.one_hot(labels, CLASSES).double()


def slow_gradient(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    loss = nn.functional.cross_entropy(model(images), labels)
    return torch.cat([part.reshape(-1) for part in torch.autograd.grad(loss, list(model.parameters()))])


def sent(model: nn.Module, setting: ThreatModel, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    update, _ = ClientUpdates(model, setting, RATE)(images.unsqueeze(0), labels.unsqueeze(0))
    return torch.cat([part[0] for part in update])


def test_one_local_step_sends_the_gradient() -> None:
    """θ₀ − θ₁ is the rate times the gradient, as torch's own optimiser has it."""
    model, (images, labels) = network(), batch(4)
    trained = copy.deepcopy(model)
    optimiser = torch.optim.SGD(trained.parameters(), lr=RATE)
    nn.functional.cross_entropy(trained(images), labels).backward()
    optimiser.step()
    moved = torch.cat(
        [(a - b).reshape(-1) for a, b in zip(model.parameters(), trained.parameters(), strict=True)]
    ).detach()
    update = sent(model, ThreatModel(name="", records=4), images, labels)
    torch.testing.assert_close(RATE * update, moved)
    torch.testing.assert_close(update, slow_gradient(model, images, labels))


def test_federated_averaging_sends_what_local_steps_come_to() -> None:
    model, (images, labels) = network(), batch(4)
    trained = copy.deepcopy(model)
    optimiser = torch.optim.SGD(trained.parameters(), lr=RATE)
    for _ in range(3):
        optimiser.zero_grad()
        nn.functional.cross_entropy(trained(images), labels).backward()
        optimiser.step()
    moved = torch.cat(
        [(a - b).reshape(-1) for a, b in zip(model.parameters(), trained.parameters(), strict=True)]
    ).detach()
    torch.testing.assert_close(
        RATE * sent(model, ThreatModel(name="", records=4, local_steps=3), images, labels), moved
    )


@pytest.mark.parametrize("steps", [1, 2])
def test_secure_aggregation_sends_the_mean_of_clients(steps: int) -> None:
    model, (images, labels) = network(), batch(6)
    alone = ThreatModel(name="", records=2, local_steps=steps)
    each = [sent(model, alone, images[start : start + 2], labels[start : start + 2]) for start in range(0, 6, 2)]
    together = ThreatModel(name="", records=2, clients=3, local_steps=steps)
    torch.testing.assert_close(sent(model, together, images, labels), torch.stack(each).mean(0))


def test_in_train_mode_batch_norm_goes_by_the_batch_and_its_statistics_are_told() -> None:
    model, (images, labels) = network(batch_norm=True), batch(6)
    norm = model.get_submodule("network.1")
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    norm.running_mean.add_(1.0)
    known = ClientUpdates(model, ThreatModel(name="", records=6, statistics="known"), RATE)
    update, statistics = known(images.unsqueeze(0), labels.unsqueeze(0))
    trained = copy.deepcopy(model).train()
    torch.testing.assert_close(torch.cat([part[0] for part in update]), slow_gradient(trained, images, labels))
    taken = model.get_submodule("network.0")(images)
    torch.testing.assert_close(statistics[0][0, :4], taken.mean((0, 2, 3)))
    torch.testing.assert_close(statistics[0][0, 4:], taken.var((0, 2, 3), unbiased=False))
    assert not torch.allclose(slow_gradient(trained, images, labels), slow_gradient(model, images, labels))
    assert float(norm.running_mean[0]) == pytest.approx(1.0)


def test_groups_searched_for_together_are_independent() -> None:
    model, (images, labels) = network(), batch(6)
    setting = ThreatModel(name="", records=2)
    update, _ = ClientUpdates(model, setting, RATE)(images.reshape(3, 2, 1, 8, 8), labels.reshape(3, 2, -1))
    rows = torch.cat(update, 1)
    for group in range(3):
        part = slice(2 * group, 2 * group + 2)
        torch.testing.assert_close(rows[group], sent(model, setting, images[part], labels[part]))


def test_defences_do_what_they_say() -> None:
    generator = torch.Generator().manual_seed(0)
    update = (torch.randn(2, 30, generator=generator), torch.randn(2, 10, generator=generator))
    kept = torch.cat(pruned(update, 0.1), 1)
    whole = torch.cat(update, 1)
    for row, sizes in zip(kept, whole.abs(), strict=True):
        assert set(row.nonzero().flatten().tolist()) == set(sizes.argsort(descending=True)[:4].tolist())
    assert torch.equal(kept[kept != 0], whole[kept != 0])
    four = quantised(update[0], 4)
    assert all(len(row.unique()) <= 15 for row in four)
    assert float((four - update[0]).abs().max()) <= float(update[0].abs().max()) / 14 + 1e-6
    assert torch.equal(quantised(update[0], 1).sign(), update[0].sign())
    many = (torch.full((1, 200_000), 1.0),)
    noised = defended(many, ThreatModel(name="", clip=2.0, noise=0.5), [7])[0]
    assert float(noised.std()) == pytest.approx(1.0, rel=0.01)
    clipped = defended(many, ThreatModel(name="", clip=2.0), [7])[0]
    assert float(clipped.norm()) == pytest.approx(2.0, rel=1e-4)
    assert torch.equal(defended(many, ThreatModel(name=""), [7])[0], many[0])


def test_distinct_labels_are_read_off_exactly() -> None:
    """On a network that is undecided; with several of a class, and by the weight alone, nearly always."""
    model, (images, labels) = network(), batch(8)
    with torch.no_grad():
        for parameter in model.get_submodule("network.4").parameters():
            parameter.mul_(0.1)
    truth = labels.argmax(1).numpy()
    bias = sent(model, ThreatModel(name="", records=8), images, labels)[-CLASSES:].unsqueeze(0)
    assert recover_batch_labels(bias, 8)[0].tolist() == sorted(truth.tolist())
    random, right, guessed = np.random.default_rng(0), [], []
    for seed in range(6):
        drawn = random.integers(0, CLASSES, 8)
        images, _ = batch(8, seed)
        there = nn.functional.one_hot(torch.from_numpy(drawn), CLASSES).double()
        update = sent(model, ThreatModel(name="", records=8), images, there)
        weight = update[-CLASSES * 37 : -CLASSES].reshape(1, CLASSES, 36)
        for signal in (class_signal(update[-CLASSES:].unsqueeze(0), weight), class_signal(None, weight)):
            right.append(share_right(recover_batch_labels(signal, 8)[0], drawn))
        guessed.append(share_right(random.integers(0, CLASSES, 8), drawn))
    assert np.mean(right) > 0.95
    assert np.mean(guessed) < 0.65


def test_a_bias_that_was_pruned_away_is_made_up_for_by_the_weight() -> None:
    bias = torch.tensor([[0.0, 0.0, 0.0], [0.2, -0.3, 0.1]])
    weight = torch.tensor([[[1.0, 0], [0, 0], [-2, 0]], [[-9, 0], [0, 0], [0, 0]]])
    assert recover_batch_labels(class_signal(bias, weight), 1).tolist() == [[2], [1]]


def test_labels_of_a_silent_gradient_are_guessed_in_turn() -> None:
    assert recover_batch_labels(torch.zeros(1, 4), 6)[0].tolist() == [0, 0, 1, 1, 2, 3]


def test_the_share_of_labels_counts_them_whatever_their_order() -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        a, b = random.integers(0, 4, (2, 6))
        best = max(sum(x == y for x, y in zip(order, b, strict=True)) for order in set(permutations(a.tolist())))
        assert share_right(a, b) == best / 6
    assert Counter([1, 1]) & Counter([1]) == Counter([1])


@pytest.mark.parametrize("kind", ["plain", "pruned", "told", "local steps"])
def test_the_derivative_is_that_of_the_objective(kind: str) -> None:
    """Held against differences of its values."""
    model, (images, labels) = network(batch_norm=kind == "told"), batch(3)
    setting = {
        "plain": ThreatModel(name="", records=3),
        "pruned": ThreatModel(name="", records=3, keep=0.2),
        "told": ThreatModel(name="", records=3, statistics="known"),
        "local steps": ThreatModel(name="", records=3, local_steps=2),
    }[kind]
    updates = ClientUpdates(model, setting, RATE)
    update, statistics = updates(images.unsqueeze(0), labels.unsqueeze(0))
    shared = Shared(defended(update, setting, [0]), statistics, labels.unsqueeze(0), setting.keep < 1)
    attack = MatchingAttack(name="", steps=1, total_variation=0.1)
    there = torch.rand(1, 3, 1, 8, 8, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    _, slope = objective(updates, shared, there, attack, UNIT)
    for place in ((0, 0, 0, 2, 3), (0, 1, 0, 7, 0), (0, 2, 0, 4, 4)):
        moved = torch.zeros_like(there)
        moved[place] = 1e-6
        up, _ = objective(updates, shared, there + moved, attack, UNIT)
        down, _ = objective(updates, shared, there - moved, attack, UNIT)
        assert float(slope[place]) == pytest.approx(float((up - down)[0]) / 2e-6, rel=1e-4, abs=1e-9)
    at_truth, _ = objective(updates, shared, images.unsqueeze(0), MatchingAttack(name="", steps=1), UNIT)
    assert abs(float(at_truth[0])) < 1e-9


@pytest.mark.parametrize("setting", [one for one in LADDER if one.together <= 8 and one.local_steps == 1][-3:])
def test_the_fast_network_can_be_attacked_in_train_mode_too(setting: ThreatModel) -> None:
    """Whitening, BatchNorm without a scale, GELU: at the true images the objective is zero, elsewhere it falls."""
    torch.manual_seed(0)
    model = nn.Sequential(Airbench((16, 16, 1), CLASSES, 4)).double().eval()
    images = torch.rand(1, 8, 1, 16, 16, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    labels = nn.functional.one_hot(torch.arange(8).unsqueeze(0), CLASSES).double()
    updates = ClientUpdates(model, setting, RATE)
    shared = Shared(*updates(images, labels), labels, False)
    attack = MatchingAttack(name="", steps=1)
    assert float(objective(updates, shared, images, attack, UNIT)[0]) == pytest.approx(0, abs=1e-9)
    there = images.flip(-1)
    value, slope = objective(updates, shared, there, attack, UNIT)
    further, _ = objective(updates, shared, there - 1e-4 * slope / slope.norm(), attack, UNIT)
    assert float(further) < float(value)
    assert bool(shared.statistics) == (setting.statistics == "known")


def test_a_small_group_comes_back_and_noise_reads_the_null() -> None:
    """Two records through a fully connected network are found; of an update that is noise, no more than by chance."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, CLASSES)).eval()
    generator = torch.Generator().manual_seed(2)
    images = torch.rand(6, 2, 1, 4, 4, generator=generator).repeat_interleave(2, 3).repeat_interleave(2, 4)
    labels = nn.functional.one_hot(torch.tensor([[1, 2]] * 6), CLASSES).float()
    setting = ThreatModel(name="", records=2)
    updates = ClientUpdates(model, setting, RATE)
    with torch.no_grad():
        update, _ = updates(images, labels)
    attack = MatchingAttack(name="", rate=0.2, steps=80, total_variation=1e-4)
    truths = images.permute(0, 1, 3, 4, 2).numpy()
    references = References(truths.reshape(-1, 8, 8, 1), 1.0)

    def share_identified(seen: tuple[torch.Tensor, ...]) -> float:
        starts = torch.rand(images.shape, generator=torch.Generator().manual_seed(3))
        found = match_updates(updates, Shared(seen, (), labels, False), starts, attack, UNIT).images
        hits = []
        for group, rebuilt in enumerate(found.permute(0, 1, 3, 4, 2).numpy()):
            taken = rebuilt[assigned(rebuilt, truths[group])]
            own = np.arange(2 * group, 2 * group + 2)
            hits += judge(taken, truths[group], own, references)["identified"].tolist()
        return float(np.mean(hits))

    assert share_identified(update) == 1.0
    noise = defended(update, ThreatModel(name="", clip=0.01, noise=1.0), list(range(6)))
    assert share_identified(noise) <= 0.5  # a twelfth is a guess, twice that the better of two


def test_the_assignment_is_the_best_of_all() -> None:
    random = np.random.default_rng(0)
    for _ in range(5):
        images, truths = random.random((2, 4, 5, 5, 1))
        found = assigned(images, truths)
        every = [mean_squared_error(images[list(order)], truths).sum() for order in permutations(range(4))]
        assert mean_squared_error(images[found], truths).sum() == pytest.approx(min(every))
    order = random.permutation(4)
    assert psnr(truths[order][assigned(truths[order], truths)], truths).min() == pytest.approx(100)


def test_intervals_are_over_groups() -> None:
    """All-or-nothing groups count as one record each; where all or none hit, the exact interval."""
    hits = np.repeat(np.array([[True], [False]] * 5), 8, axis=1)
    found, alone = share_of_groups(hits), share_of_groups(hits[:, :1])
    assert found.rate == alone.rate == 0.5
    assert found.ci is not None
    assert alone.ci is not None
    np.testing.assert_allclose(found.ci, alone.ci)
    assert share_of_groups(np.zeros((4, 8))).ci == clopper_pearson(0, 32)
    assert share_of_groups(hits[:1]).ci is None
    apart = np.random.default_rng(0).random((400, 4)) < 0.3
    covers = share_of_groups(apart).ci
    assert covers is not None
    assert covers[1] - covers[0] == pytest.approx(2 * 1.96 * np.sqrt(0.21 / 1600), rel=0.1)


def test_every_threat_model_has_its_words_and_a_name_of_its_own() -> None:
    names = [setting.name for setting in LADDER]
    assert len(set(names)) == len(names)
    assert names[0] == BEST_CASE
    assert list(terms("inversion.settings")) == list(terms("inversion.settings-meanings")) == names
    assert all(len(title) <= 26 for title in terms("inversion.settings").values())
    assert {one.name for one in LADDER if not applies(one, network())} == {"batch-8-known", "batch-8-unknown"}
    assert all(applies(one, network(batch_norm=True)) for one in LADDER)


def test_what_is_dear_is_tried_on_fewer_groups_then_left_out() -> None:
    some = [one for one in LADDER if one.statistics == "running"]
    whole, none = affordable(some, 1e9, 10_000)
    assert none == {}
    assert whole[LADDER[0]] == 32
    assert {one.together * count for one, count in whole.items()} == {32, 64, 128, 256}
    fewer, _ = affordable(some, 800, 10_000)
    assert fewer[LADDER[0]] == 16
    assert min(fewer.values()) == 4
    few, left_out = affordable(some, 150, 10_000)
    assert sum(one.evaluations * count for one, count in few.items()) <= 150
    assert "too long" in left_out["secure-64"]
    assert LADDER[0] in few
    _, small = affordable(some, 1e9, 100)
    assert "fewer than 256 records" in small["secure-64"]
