"""Gradient matching many at once against one by one, and feature matching against gradient matching, in one run.

    python benchmarks/inversion.py

Ours is what an audit does: one process, one thread, the engine and the batch that the calibration chooses. One by one
is what published attacks do: for each image torch's own Adam over one tensor, gradients by autograd with a graph, and
the same objective. Networks are fresh, images are noise: only processor time is looked at. Medians of
interleaved rounds; ratios are of the rounds, with their range. T1 and T2 from noise are compared as they score a sample
on one model, T1 from one start and T2 from three, and start for start; and so is the default attack, which takes T1's
steps and then those of L-BFGS from two starts (at their most: an early end is not counted), with T2 from noise.
What images these attacks come to for their seconds is in `benchmarks/inversion_quality.py`.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn import functional

from privaudit.inversion.analytic import FeatureReader, match_features
from privaudit.inversion.calibration import calibrate
from privaudit.inversion.gradient_engines.engine_choice import make_engine
from privaudit.inversion.gradient_engines.sample_gradients import observe
from privaudit.inversion.image_scale import PixelScale
from privaudit.inversion.matching import Canvas, match_gradients
from privaudit.inversion.network_structure import find_structure
from privaudit.inversion.presets import FROM_NOISE, RefiningAttack, feature_attack, resolve_attack
from privaudit.results.audit.inversion_results import EngineChoice
from privaudit.shadow.specification import ModelSpecification
from privaudit.training.hardware import Hardware, keep_freed_memory
from privaudit.training.recipe import resolve_recipe

PIXELS = PixelScale(0.0, 1.0, 255.0)
CASES = {
    "LeNet of DLG, 28×28": ("benchmarks.inversion:build_lenet", (28, 28, 1)),
    "the paper's CNN, 28×28": ("cnn", (28, 28, 1)),
    "the paper's CNN, 32×32 colour": ("cnn", (32, 32, 3)),
    "ResNet-18, 32×32 colour": ("resnet18", (32, 32, 3)),
}


def build_lenet(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """The network of Zhu et al. 2019."""
    height, width, channels = input_shape
    layers: list[nn.Module] = []
    for inputs, stride in ((channels, 2), (12, 2), (12, 1), (12, 1)):
        layers += [nn.Conv2d(inputs, 12, 5, padding=2, stride=stride), nn.Sigmoid()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(12 * (height // 4) * (width // 4), classes))


@dataclass
class Case:
    """One network, what is measured on it, and how many steps a measurement takes."""

    name: str
    network: str
    shape: tuple[int, ...]
    steps: int
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def prepare(self) -> None:
        recipe = resolve_recipe("fast", {})
        channels = self.shape[2]
        specification = ModelSpecification(
            self.network, self.shape, 10, ((0.4,) * channels, (0.3,) * channels), recipe, 0, Hardware("cpu", "fp32")
        )
        self.calibration: EngineChoice = calibrate(specification, PIXELS)
        self.model = specification.build("benchmark").eval()
        self.searches = 2 if self.calibration.engine == "looped" else self.calibration.batch
        generator = torch.Generator().manual_seed(0)
        size = (self.searches, channels, *self.shape[:2])
        self.truths, self.starts = (torch.rand(size, generator=generator) for _ in range(2))
        self.labels = functional.one_hot(torch.arange(self.searches) % 10, 10).float()
        # No search may end early: what is timed is a step.
        self.attack = resolve_attack(FROM_NOISE, self.shape).model_copy(update={"steps": self.steps})
        usual = resolve_attack("default", self.shape)
        self.refining = usual.model_copy(update={"steps": self.steps, "patience": self.steps})
        self.features = feature_attack(self.shape).model_copy(update={"steps": self.steps})
        self.canvas = Canvas.of(self.model, PIXELS, standardised=False)

    def ours(self) -> float:
        engine = make_engine(self.calibration.engine, self.model, self.calibration.batch)
        seen = observe(engine, self.truths, self.labels)
        return timed(lambda: match_gradients(engine, seen, self.labels, self.starts, self.attack, self.canvas)) / (
            self.searches * self.steps
        )

    def refined(self) -> float:
        engine = make_engine(self.calibration.engine, self.model, self.calibration.batch)
        seen = observe(engine, self.truths, self.labels)
        return timed(lambda: match_gradients(engine, seen, self.labels, self.starts, self.refining, self.canvas)) / (
            self.searches * self.steps
        )

    def loop(self) -> float:
        """A published attack's loop over two of the images."""
        engine = make_engine("looped", self.model, 1)
        seen = observe(engine, self.truths[:2], self.labels[:2])
        parameters = list(self.model.parameters())

        def one_by_one() -> None:
            for row in range(2):
                image = self.starts[row : row + 1].clone().requires_grad_()
                optimiser = torch.optim.Adam([image], self.attack.rate)
                target = [part[row] for part in seen]
                for _ in range(self.steps):
                    optimiser.zero_grad()
                    loss = functional.cross_entropy(self.model(image), self.labels[row : row + 1])
                    found = torch.autograd.grad(loss, parameters, create_graph=True)
                    product = sum((a.flatten() * b).sum() for a, b in zip(found, target, strict=True))
                    norm = sum(a.square().sum() for a in found) ** 0.5 * sum(b.square().sum() for b in target) ** 0.5
                    down = (image[..., 1:, :] - image[..., :-1, :]).abs().mean()
                    across = (image[..., 1:] - image[..., :-1]).abs().mean()
                    objective = 1 - product / norm + self.attack.total_variation * (down + across)
                    objective.backward(inputs=[image])
                    if image.grad is not None:
                        image.grad.sign_()
                    optimiser.step()
                    with torch.no_grad():
                        image.clamp_(0, 1)

        return timed(one_by_one) / (2 * self.steps)

    def feature_matching(self) -> float:
        structure = find_structure(self.model, self.truths[:2])
        reader = FeatureReader(self.model, str(structure.last))
        with torch.no_grad():
            wanted = reader(self.truths).clone()
        return timed(lambda: match_features(reader, wanted, self.starts, self.features, self.canvas)) / (
            self.searches * self.steps
        )


def timed(work: Callable[[], object]) -> float:
    # Of the processor: what else runs on the machine takes its turn, but not our count.
    start = time.process_time()
    work()
    return time.process_time() - start


def spread(ratios: list[float]) -> str:
    return f"{statistics.median(ratios):.1f} ({min(ratios):.1f}–{max(ratios):.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--only", default="", help="networks whose name holds this")
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    print("one thread, fp32; milliseconds of one step of one search, median of", options.rounds)
    for name, (network, shape) in ((name, case) for name, case in CASES.items() if options.only in name):
        case = Case(name, network, shape, max(1, options.steps // 4) if network == "resnet18" else options.steps)
        case.prepare()
        measures = {"ours": case.ours, "loop": case.loop, "features": case.feature_matching, "refined": case.refined}
        for measure in measures.values():
            measure()
        for _ in range(options.rounds):
            for key, measure in measures.items():
                case.seconds.setdefault(key, []).append(measure())
        times = {key: statistics.median(values) for key, values in case.seconds.items()}
        gain = [theirs / mine for theirs, mine in zip(case.seconds["loop"], case.seconds["ours"], strict=True)]
        attack, features = resolve_attack(FROM_NOISE, shape), feature_attack(shape)
        starts = [
            attack.steps * mine / (features.steps * theirs)
            for mine, theirs in zip(case.seconds["ours"], case.seconds["features"], strict=True)
        ]
        scores = [attack.restarts * ratio for ratio in starts]
        matched = 1 / (attack.restarts * attack.steps * times["ours"])
        print(f"{name}: {case.calibration.engine}, batches of {case.calibration.batch}")
        print(
            f"  gradient matching (T2) {1e3 * times['ours']:8.2f}   one by one {1e3 * times['loop']:8.2f}   "
            f"ratio {spread(gain)}"
        )
        print(
            f"  feature matching (T1)  {1e3 * times['features']:8.2f}   {1 / (features.steps * times['features']):.1f} "
            f"samples/s against {matched:.2f}, ratio {spread(scores)}; start for start {spread(starts)}"
        )
        usual = resolve_attack("default", shape)
        is_determined = find_structure(case.model, case.truths[:2]).determines(case.model, math.prod(shape))
        if isinstance(usual, RefiningAttack) and is_determined:
            gains = [
                attack.restarts
                * attack.steps
                * noise
                / (usual.restarts * (usual.features.steps * reading + usual.steps * refining))
                for noise, reading, refining in zip(
                    case.seconds["ours"], case.seconds["features"], case.seconds["refined"], strict=True
                )
            ]
            print(f"  default attack (T2)    {1e3 * times['refined']:8.2f}   a sample's score: ratio {spread(gains)}")


if __name__ == "__main__":
    main()
