"""`privaudit.testing` says everything that is wrong with what a user brings, at once, and nothing of what is right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from privaudit.testing import ContractError, check_dataset, check_network, check_training
from tests.conftest import ROOT


def arrays(**changes: Any) -> dict[str, Any]:
    random = np.random.default_rng(0)
    whole: dict[str, Any] = {
        "x_train": random.integers(0, 256, (30, 6, 6, 1)).astype(np.uint8),
        "y_train": np.arange(30) % 3,
        "x_test": random.integers(0, 256, (12, 6, 6, 1)).astype(np.uint8),
        "y_test": np.arange(12) % 3,
    } | changes
    return {name: value for name, value in whole.items() if value is not None}


def told(check: Callable[[], None]) -> str:
    with pytest.raises(ContractError) as raised:
        check()
    return str(raised.value)


# Datasets.


@pytest.mark.parametrize(
    "factory",
    [
        arrays,
        lambda: arrays(sample_ids=np.arange(30) + 7, class_names=["a", "b", "c"]),
        lambda: arrays(
            x_train=np.random.default_rng(1).random((30, 5)), x_test=np.random.default_rng(2).random((12, 5))
        ),
        lambda: {"train": pd.DataFrame({"a": np.arange(50) / 7, "b": ["x", "y"] * 25}), "target": "b"},
        f"{ROOT}/examples/image_model.py:data",
        f"{ROOT}/examples/tabular_model.py:patients",
    ],
)
def test_a_right_dataset_passes(factory: Any) -> None:
    check_dataset(factory)


def test_a_file_is_checked_too(small_npz: Path, tmp_path: Path) -> None:
    check_dataset(small_npz)
    assert "there is no file" in told(lambda: check_dataset(tmp_path / "absent.npz"))


def first_label(value: int) -> Any:
    labels = np.arange(30) % 3
    labels[0] = value
    return labels


def shared() -> dict[str, Any]:
    found = arrays()
    found["x_test"][4] = found["x_train"][7]
    return found


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        (lambda: arrays(x_test=None, y_test=None), "y_test is missing"),
        (lambda: arrays(names=["a"]), "'names' means nothing: the names are x_train"),
        (lambda: arrays(x_train=np.zeros((30, 6, 6, 1), object)), "x_train is object"),
        (lambda: arrays(x_train=np.zeros(30)), "x_train is float64 [30]"),
        (lambda: arrays(x_train=[[1.0], [1.0, 2.0]]), "inhomogeneous"),
        (lambda: arrays(x_train=np.full((30, 4), np.nan), x_test=np.zeros((12, 4))), "NaN or infinity in 30 rows"),
        (lambda: arrays(x_train=np.full((30, 4), 1e300), x_test=np.zeros((12, 4))), "NaN or infinity"),
        (lambda: arrays(x_test=np.zeros((12, 5, 6, 1), np.uint8)), "[6, 6, 1] in x_train and [5, 6, 1] in x_test"),
        (lambda: arrays(x_test=np.random.default_rng(0).random((12, 6, 6, 1))), "x_train is uint8 and x_test float32"),
        (lambda: arrays(x_test=np.zeros((0, 6, 6, 1), np.uint8), y_test=np.zeros(0, int)), "x_test is empty"),
        (lambda: arrays(y_train=np.arange(29) % 3), "30 inputs and 29 labels"),
        (lambda: arrays(y_train=(np.arange(30) % 3).astype(float)), "y_train must be integers"),
        (lambda: arrays(y_train=first_label(-1)), "1 labels of y_train are not among 0 … 2, first -1 in row 0"),
        (lambda: arrays(y_train=first_label(5)), "y_train has no sample of class 3, 4: number the labels without gaps"),
        (lambda: arrays(y_train=np.arange(30) % 3 + 1), "y_train has no sample of class 0"),
        (lambda: arrays(y_test=np.arange(12) % 4), "first 3 in row 3: y_train has none of them"),
        (lambda: arrays(y_train=np.zeros(30, int), y_test=np.zeros(12, int)), "there are 1 classes"),
        (lambda: arrays(class_names=["a", "a", "b"]), "two classes are called 'a'"),
        (lambda: arrays(sample_ids=np.arange(30) // 2), "15 sample_ids are there more than once, for example 0"),
        (lambda: arrays(sample_ids=np.arange(30) - 3), "negative ids are kept for canaries"),
        (lambda: arrays(sample_ids=np.arange(30) / 2), "must be integers"),
        (lambda: arrays(sample_ids=np.arange(9)), "9 sample_ids for 30 labels"),
        (lambda: arrays(x_train=np.eye(6), y_train=np.arange(6) % 3, x_test=np.ones((12, 6))), "an audit needs 10"),
        (shared, "1 of 12 test inputs are training inputs too, first row 4 of x_test and row 7 of x_train"),
        (lambda: arrays(x_train=np.random.randint(0, 256, (30, 6, 6), np.uint8)), "different x_train"),
        (lambda: [1, 2], "returned list: it must return a dict"),
        (lambda: 1 / 0, "ZeroDivisionError"),
        (lambda: {"train": pd.DataFrame({"a": [1.0]}), "target": "b"}, "there is no target column 'b'"),
        ("absent_module:data", "cannot find dataset"),
        ("absent.py:data", "there is no file"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_dataset(factory: Any, said: str) -> None:
    assert said in told(lambda: check_dataset(factory))


def test_every_problem_is_told_at_once() -> None:
    said = told(
        lambda: check_dataset(lambda: shared() | {"y_train": first_label(-1), "sample_ids": np.zeros(30, int), "z": 1})
    )
    assert said.splitlines()[0] == "<lambda>: 4 problems"
    assert len(said.splitlines()) == 5


def test_rows_that_repeat_by_nature_can_be_allowed() -> None:
    check_dataset(shared, overlap=0.1)


# Networks.


def small(shape: tuple[int, ...], classes: int) -> nn.Module:
    height, width, channels = shape
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.2), nn.Flatten(),
        nn.Linear(4 * height * width, classes),
    )  # fmt: skip


@pytest.mark.parametrize(
    "network",
    ["cnn", "mlp", "resnet18", small, lambda shape, classes: Tied(), f"{ROOT}/examples/image_model.py:network"],
)
def test_a_right_network_passes(network: Any) -> None:
    check_network(network, (8, 8, 1), 3)


def test_a_right_network_of_features_passes() -> None:
    check_network("mlp", (5,), 4)


class Wrapped(nn.Module):
    """A linear layer, and something done to what goes in or comes out."""

    def __init__(self, shape: tuple[int, ...], classes: int, of_inputs: Any = None, of_logits: Any = None) -> None:
        super().__init__()
        self.linear = nn.Linear(int(np.prod(shape)), classes)
        self.of_inputs, self.of_logits = of_inputs or (lambda x: x), of_logits or (lambda z: z)

    def forward(self, inputs: torch.Tensor) -> Any:
        return self.of_logits(self.linear(self.of_inputs(inputs).flatten(1)))


def doing(of_inputs: Any = None, of_logits: Any = None) -> Any:
    return lambda shape, classes: Wrapped(shape, classes, of_inputs, of_logits)


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = nn.Linear(64, 64), nn.Linear(64, 64)
        self.other.weight = self.one.weight
        self.last = nn.Linear(64, 3)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.last(self.other(self.one(inputs.flatten(1))))  # type: ignore[no-any-return]


class Hidden(nn.Module):
    """Part of what it knows is no buffer: it is drawn when it is built, and not saved."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(64, 3)
        self.__dict__["memory"] = torch.zeros(3)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.__dict__["memory"] = self.__dict__["memory"] + inputs.mean().detach() + 1
        return self.linear(inputs.flatten(1)) + self.__dict__["memory"] * torch.arange(3)  # type: ignore[no-any-return]


class Counting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(64, 3)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        self.get_buffer("calls").add_(1)
        return self.linear(inputs.flatten(1))  # type: ignore[no-any-return]


def frozen(shape: tuple[int, ...], classes: int) -> nn.Module:
    return Wrapped(shape, classes).requires_grad_(False)


def drawn_by_numpy(shape: tuple[int, ...], classes: int) -> nn.Module:
    model = Wrapped(shape, classes)
    with torch.no_grad():
        model.linear.weight.copy_(torch.from_numpy(np.random.default_rng().random(model.linear.weight.shape)))
    return model


def unused(shape: tuple[int, ...], classes: int) -> nn.Module:
    model = Wrapped(shape, classes)
    model.idle = nn.Linear(2, 2)
    return model


SAME = Wrapped((8, 8, 1), 3)


@pytest.mark.parametrize(
    ("network", "said"),
    [
        (lambda shape, classes: 7, "is a int: the function must return a torch.nn.Module"),
        (lambda shape: None, "can't be built for inputs [8, 8, 1] and 3 classes: TypeError"),
        (lambda shape, classes: SAME, "the same module each time"),
        (lambda shape, classes: nn.Flatten(), "no parameters"),
        (lambda shape, classes: Wrapped(shape, 5), "it returns logits [6, 5] for 6 samples: they must be [B, 3]"),
        (doing(of_logits=lambda z: z.mean()), "it returns logits []"),
        (doing(of_logits=lambda z: (z, z)), "returns a tuple: it must return one tensor of logits, and entries 0, 1"),
        (doing(of_logits=lambda z: z / 0), "not finite"),
        (doing(of_logits=lambda z: z.argmax(1, keepdim=True).expand(-1, 3)), "int64"),
        (doing(of_logits=lambda z: z.softmax(1)), "probabilities: leave the softmax out"),
        (doing(of_inputs=lambda x: x.view(x.shape[0], 3, 100)), "it can't be asked: RuntimeError"),
        (doing(of_logits=lambda z: z + torch.rand_like(z)), "in eval mode it says something else each time"),
        (doing(of_logits=lambda z: z - z.mean(0)), "depends on the others in the batch"),
        (lambda shape, classes: nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64, track_running_stats=False),
                                              nn.Linear(64, 3)), "can't be asked about one sample alone"),
        (lambda shape, classes: Counting(), "in eval mode it changes its own state"),
        (doing(of_logits=lambda z: z.detach()), "can't be differentiated"),
        (doing(of_logits=lambda z: torch.from_numpy(z.detach().numpy())), "can't be differentiated"),
        (frozen, "no parameter requires a gradient"),
        (unused, "no gradient reaches idle.weight, idle.bias"),
        (drawn_by_numpy, "built with the same seed differ"),
        (lambda shape, classes: Wrapped(shape, classes).double(), "parameters must be float32"),
        (lambda shape, classes: Hidden(), "loaded from its saved weights says something else"),
        ("resnet19", "Did you mean 'resnet18'"),
        ("absent.py:net", "there is no file"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_network(network: Any, said: str) -> None:
    assert said in told(lambda: check_network(network, (8, 8, 1), 3, precision="fp32"))


def test_the_precision_of_the_machine_is_tried() -> None:
    """NumPy knows no bf16."""
    network = doing(of_logits=lambda z: z * torch.from_numpy(z.detach().numpy() > 0))
    check_network(network, (8, 8, 1), 3, precision="fp32")
    assert "--precision fp32 may do" in told(lambda: check_network(network, (8, 8, 1), 3, precision="bf16"))


def test_a_network_of_images_is_not_for_features() -> None:
    assert "takes images" in told(lambda: check_network("cnn", (5,), 3))


# Training functions.


def fit(model: Any, inputs: Any, labels: Any, seed: int, device: str, report: Any) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for step in range(8):
        optimizer.zero_grad()
        cross_entropy(model(inputs), labels).backward()
        optimizer.step()
        report((step + 1) / 8)


def test_a_right_training_function_passes() -> None:
    check_training(fit)
    check_training(fit, network="mlp", input_shape=(5,), classes=4)


def with_dropout(shape: tuple[int, ...], classes: int) -> nn.Module:
    return small(shape, classes)


def test_what_draws_from_global_generators_is_seeded() -> None:
    def noisy(model: Any, inputs: Any, labels: Any, seed: int, device: str, report: Any) -> None:
        fit(model, inputs + torch.from_numpy(np.random.random(inputs.shape)).float() / 99, labels, seed, device, report)

    check_training(noisy, network=with_dropout)


CALLS: list[int] = []


def remembers(model: Any, inputs: Any, labels: Any, seed: int, device: str, report: Any) -> None:
    CALLS.append(seed)
    fit(model, inputs * (1 + len(CALLS)), labels, seed, device, report)


def climbs(model: Any, inputs: Any, labels: Any, seed: int, device: str, report: Any) -> None:
    (-cross_entropy(model(inputs), labels)).backward()
    with torch.no_grad():
        for weight in model.parameters():
            weight.sub_(0.1 * weight.grad)


def in_percent(model: Any, inputs: Any, labels: Any, seed: int, device: str, report: Any) -> None:
    fit(model, inputs, labels, seed, device, lambda share: report(100 * share))


def takes_threads(model: Any, inputs: Any, labels: Any, seed: int, device: str, report: Any) -> None:
    torch.set_num_threads(torch.get_num_threads() + 1)
    fit(model, inputs, labels, seed, device, report)


def explodes(model: Any, inputs: Any, labels: Any, seed: int, device: str, report: Any) -> None:
    model.load_state_dict({name: weight * torch.nan for name, weight in model.state_dict().items()})


def fails(model: Any, inputs: Any, labels: Any, seed: int, device: str, report: Any) -> None:
    raise OSError("no network")


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda model, inputs: None, "must take (model, inputs, labels, seed, device, report)"),
        (lambda *_: None, "it changed no weight"),
        (lambda *given: given[0], "it returned a Classifier"),
        (fails, "it failed: OSError: no network (test_checks.py, line "),
        (explodes, "left weights that are not numbers"),
        (remembers, "two trainings with the same seed differ"),
        (climbs, "the loss on its members did not fall"),
        (in_percent, "it reports 12.5: report takes the share"),
        (takes_threads, "it changes torch's number of threads"),
        (7, "it is a int: it must be a function"),
        ("absent.py:fit", "there is no file"),
        ("unknown", "unknown training"),
    ],
)
def test_what_is_wrong_with_a_training_function(function: Any, said: str) -> None:
    threads = torch.get_num_threads()
    assert said in told(lambda: check_training(function))
    assert torch.get_num_threads() == threads
