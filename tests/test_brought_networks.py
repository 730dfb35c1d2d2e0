"""Networks that users bring: what would spoil every model of an audit is refused before one is trained."""

from __future__ import annotations

import copy
import functools
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import nn
from torch.nn.functional import dropout

import privaudit
from privaudit.audit.code_examination import examine_code
from privaudit.audit.plan import plan_audit
from privaudit.config import AuditSettings
from privaudit.errors import UsageError
from privaudit.networks.build import assemble
from privaudit.networks.classifier import Classifier
from privaudit.training.answer_check import Examined
from privaudit.training.hardware import Hardware
from privaudit.training.network_check import examine_network
from tests.conftest import unlearn_anyway

CPU = Hardware("cpu", "fp32")
Factory = Callable[[tuple[int, ...], int], nn.Module]


def examined(factory: Factory, classes: int = 3) -> Examined:
    def build(seed: int) -> Classifier:
        return assemble(factory, "theirs", (8, 8, 1), classes, ([0.5], [0.25]), seed)

    return examine_network(build, (8, 8, 1), classes, CPU, factory)


class Two(nn.Module):
    """Two layers, and something done to the logits."""

    def __init__(self, classes: int, after: Callable[[torch.Tensor], Any] | None = None) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU())
        self.head = nn.Linear(16, classes)
        self.after = after

    def forward(self, inputs: torch.Tensor) -> Any:
        logits = self.head(self.body(inputs))
        return logits if self.after is None else self.after(logits)


def ending(after: Callable[[torch.Tensor], Any]) -> Factory:
    return lambda shape, classes: Two(classes, after)


# One module for all.

BACKBONE = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU())
FIXED = nn.Linear(64, 16).requires_grad_(False)
STATISTICS = nn.BatchNorm1d(64, affine=False)
WHOLE = [Two(3), Two(3)]


@functools.lru_cache
def cached() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16))


def takes_turns(shape: tuple[int, ...], classes: int) -> nn.Module:
    WHOLE.append(WHOLE.pop(0))
    return WHOLE[0]


class Beside(nn.Module):
    """Calls a layer that is not its own."""

    def __init__(self, layer: nn.Module, width: int, classes: int) -> None:
        super().__init__()
        self.layer, self.head = [layer], nn.Linear(width, classes)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.head(self.layer[0](inputs.flatten(1)))  # type: ignore[no-any-return]


class Remembering(nn.Module):
    """What one network learns goes into an attribute of the class."""

    scale = torch.ones(1)

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(64, classes)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        if self.training:
            Remembering.scale = Remembering.scale + 1
        return self.head(inputs.flatten(1)) * Remembering.scale  # type: ignore[no-any-return]


def with_shared_buffer(shape: tuple[int, ...], classes: int) -> nn.Module:
    model = Two(classes)
    model.register_buffer("table", STATISTICS.running_mean, persistent=False)
    return model


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        (lambda shape, classes: nn.Sequential(BACKBONE, nn.Linear(16, classes)), "share 0.1.weight, 0.1.bias"),
        (lambda shape, classes: nn.Sequential(cached(), nn.Linear(16, classes)), "share 0.1.weight, 0.1.bias"),
        (with_shared_buffer, "share table"),
        (takes_turns, "the same module each time"),
        (lambda shape, classes: Beside(FIXED, 16, classes), "parameters that are none of its own"),
        (lambda shape, classes: Beside(nn.Linear(64, 16), 16, classes), "parameters that are none of its own"),
        (lambda shape, classes: Beside(STATISTICS, 64, classes), "parameters that are none of its own"),
        (lambda shape, classes: Remembering(classes), "a step with one of two networks changes what the other says"),
    ],
)
def test_networks_that_share_anything_are_refused(factory: Factory, said: str) -> None:
    assert any(said in problem for problem in examined(factory).problems), examined(factory)


def test_a_copy_of_pretrained_weights_is_allowed_and_named() -> None:
    found = examined(lambda shape, classes: copy.deepcopy(WHOLE[0]))
    assert found.problems == []
    assert "all its weights" in found.facts[0]
    assert "every shadow model has seen those" in found.facts[0]
    assert examined(lambda shape, classes: Two(classes)) == Examined()


# What comes out.

Named = namedtuple("Named", "logits aux")


class WhileItTrains(Two):
    def forward(self, inputs: torch.Tensor) -> Any:
        logits = super().forward(inputs)
        return Named(logits, 2 * logits) if self.training else logits


class SoftenedWhileItTrains(Two):
    def forward(self, inputs: torch.Tensor) -> Any:
        logits = super().forward(inputs)
        return logits.softmax(1) if self.training else logits


class InEval(Two):
    def forward(self, inputs: torch.Tensor) -> Any:
        logits = super().forward(inputs)
        return logits if self.training else logits.softmax(1)


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (lambda z: {"loss": None, "logits": z, "probabilities": z.softmax(1)}, "its 'logits' is taken"),
        (lambda z: {"answer": z, "features": z.repeat(1, 2)}, "its entry answer, alone of shape"),
        (lambda z: (z, z.repeat(1, 2)), "its entry 0, alone of shape"),
        (lambda z: [z], "its entry 0, alone of shape"),
        (lambda z: Named(z, z + 1), "its 'logits' is taken"),
        (lambda z: type("Output", (), {"logits": z})(), "its 'logits' is taken"),
        (lambda z: SimpleNamespace(answer=z, hidden=None), "its entry answer, alone of shape"),
        (lambda z: z[:, :, None, None], "the last 1s are dropped"),
        (lambda z: z.log_softmax(1), "log-probabilities"),
        (lambda z: z.bfloat16(), "bfloat16, which rounds"),
    ],
)
def test_logits_that_are_plain_are_taken_and_it_is_said(after: Any, said: str) -> None:
    found = examined(ending(after))
    assert found.problems == []
    assert any(said in fact for fact in found.facts), found.facts
    model = assemble(ending(after), "theirs", (8, 8, 1), 3, ([0.5], [0.25]), 1)
    plain = assemble(lambda shape, classes: Two(classes), "ours", (8, 8, 1), 3, ([0.5], [0.25]), 1)
    inputs = torch.rand(4, 1, 8, 8)
    rounding = 1e-2 if "bfloat16" in said else 1e-5
    torch.testing.assert_close(
        model(inputs).float().log_softmax(1), plain(inputs).log_softmax(1), rtol=rounding, atol=rounding
    )


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        (ending(lambda z: {"a": z, "b": z}), "entries a, b may each be the logits"),
        (ending(lambda z: None), "does its forward lack a return"),
        (ending(lambda z: {"out": {"logits": z}}), "no entry of it is [B, 3]"),
        (ending(lambda z: "logits"), "no entry of it is [B, 3]"),
        (ending(lambda z: z.softmax(1)), "probabilities"),
        (ending(lambda z: z.softmax(0)), "between 0 and 1 whatever its weights"),
        (ending(torch.sigmoid), "between 0 and 1 whatever its weights"),
        (lambda shape, classes: InEval(classes), "probabilities"),
        (lambda shape, classes: SoftenedWhileItTrains(classes), "while it trains it returns probabilities"),
        (ending(lambda z: z.squeeze()), "one sample alone"),
        (ending(lambda z: dropout(z)), "in eval mode it says something else each time"),
        (ending(lambda z: z.to(torch.complex64)), "complex64"),
    ],
)
def test_outputs_that_leave_a_doubt_are_refused(factory: Factory, said: str) -> None:
    assert any(said in problem for problem in examined(factory).problems), examined(factory)


@pytest.mark.parametrize("after", [torch.relu, torch.tanh])
@pytest.mark.parametrize("classes", [2, 3])
def test_outputs_that_only_look_like_probabilities_pass(after: Any, classes: int) -> None:
    """Rectified logits of a fresh network are small and positive, and logits all the same."""
    for seed in range(3):

        def factory(shape: tuple[int, ...], classes: int, seed: int = seed) -> nn.Module:
            torch.manual_seed(seed)
            return Two(classes, after)

        assert examined(factory, classes).problems == []


def test_one_number_for_two_classes_is_refused_with_the_cure(small_npz: Path) -> None:
    with pytest.raises(UsageError, match=r"end in nn.Linear\(…, 2\)"):
        Classifier(nn.Identity(), Two(1, lambda z: z[:, 0]), 2)(torch.zeros(4, 1, 8, 8))


def test_a_network_on_no_device_is_told() -> None:
    with pytest.raises(UsageError, match="meta device"):
        examined(lambda shape, classes: Two(classes).to("meta"))


# Whole audits.


def of_one_backbone(shape: tuple[int, ...], classes: int) -> nn.Module:
    return nn.Sequential(BACKBONE, nn.Linear(16, classes))


class Plain(nn.Module):
    """Lazy and tied layers, and logits within a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = nn.LazyLinear(64), nn.Linear(64, 64), nn.Linear(64, 64)
        self.third.weight = self.second.weight
        self.head = nn.LazyLinear(3)

    def forward(self, inputs: torch.Tensor) -> dict[str, Any]:
        hidden = self.third(self.second(self.first(inputs.flatten(1)).relu()).relu()).relu()
        return {"logits": self.head(hidden), "hidden": hidden}


def plain(shape: tuple[int, ...], classes: int) -> nn.Module:
    return Plain()


def test_score_asks_before_it_trains(small_npz: Path, tmp_path: Path) -> None:
    settings = AuditSettings(dataset=str(small_npz), network=f"{__file__}:of_one_backbone", store=tmp_path / "s")
    with pytest.raises(UsageError, match=r"share 0.1.weight.*copy.deepcopy"):
        examine_code(plan_audit(settings))
    with pytest.raises(UsageError, match=r"share 0.1.weight"):
        privaudit.score(dataset=small_npz, network=of_one_backbone, store=tmp_path / "s", out=tmp_path / "o")
    assert not list(tmp_path.glob("s/*/models"))


@pytest.mark.filterwarnings("ignore:Lazy modules")
def test_lazy_and_tied_layers_and_a_dict_of_logits_are_audited_and_unlearned(
    small_npz: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, out = tmp_path / "s", tmp_path / "o"
    done = privaudit.score(
        dataset=small_npz, network=f"{__file__}:plain", shadows=4, epochs=3, invert=0, workers=1, store=store, out=out
    )
    assert done["trained"] == 5
    assert "its 'logits' is taken for the logits" in capsys.readouterr().err
    weights = safetensors.torch.load_file(tmp_path / "s" / done["audit"] / "target.safetensors")
    assert torch.equal(weights["network.second.weight"], weights["network.third.weight"])
    assert weights["network.first.weight"].shape == (64, 64)
    places: dict[str, Any] = {"workers": 1, "store": store, "out": out}
    forgotten = unlearn_anyway(lambda: privaudit.unlearn(method="ga", forget="random:10", reference="shadow", **places))
    assert forgotten["forget"] == 10
