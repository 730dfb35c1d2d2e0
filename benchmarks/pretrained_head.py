"""A head on a backbone that never saw the audited images, and on one that did: what an audit of heads shows of either.

Of CIFAR-10's training images, one class after the other and in the order of a fixed shuffle, 2,000 are audited and
3,000 others train the backbone, timm's test_resnet, by a plain loop. Its weights are all that the audit gets of it.

    python benchmarks/pretrained_head.py --data-dir data --work work [--epochs 15] [--shadows 64] [--seen]
"""

from __future__ import annotations

import argparse
import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.torch
import torch
from torch.nn import functional

import privaudit

AUDITED, OTHERS, TESTED = 2_000, 3_000, 1_000
SIDE = 64


def split(data_dir: Path, work: Path) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Write the audited images as an ``.npz`` file; return the others."""
    data = privaudit.load_dataset("cifar10", data_dir=data_dir, samples=AUDITED + OTHERS)
    order = np.random.default_rng(0).permutation(len(data))
    audited, others = order[:AUDITED], order[AUDITED:]
    test = np.random.default_rng(1).permutation(len(data.y_test))[:TESTED]
    np.savez(
        work / "audited.npz",
        x_train=data.x_train[audited],
        y_train=data.y_train[audited],
        x_test=data.x_test[test],
        y_test=data.y_test[test],
        class_names=np.array(data.class_names),
    )
    return data.x_train[others], data.y_train[others]


def train_backbone(images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64], epochs: int, path: Path) -> None:
    """Train by momentum SGD with mirrored images, and write the weights."""
    torch.manual_seed(0)
    x = functional.interpolate(
        torch.from_numpy(images).permute(0, 3, 1, 2) / 255, (SIDE, SIDE), mode="bilinear", antialias=True
    )
    x, y = (x - 0.5) / 0.5, torch.from_numpy(labels)
    timm: Any = importlib.import_module("timm")
    network = timm.create_model("test_resnet", num_classes=10)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4)
    steps = epochs * -(-len(x) // 64)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=steps)
    for epoch in range(epochs):
        total = 0.0
        for batch in torch.randperm(len(x)).split(64):
            mirrored = (torch.rand(len(batch)) < 0.5)[:, None, None, None]
            loss = functional.cross_entropy(network(torch.where(mirrored, x[batch].flip(3), x[batch])), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += float(loss.detach()) * len(batch)
        print(f"backbone, epoch {epoch + 1} of {epochs}: loss {total / len(x):.3f}", flush=True)
    safetensors.torch.save_file({name: part.contiguous() for name, part in network.state_dict().items()}, path)


def audit(work: Path, weights: Path, shadows: int) -> dict[str, Any]:
    """Audit a head on these weights; return its figures beside the controls'."""
    results = privaudit.score(
        dataset=str(work / "audited.npz"),
        network="timm:test_resnet",
        weights=weights,
        train="head",
        image_size=SIDE,
        shadows=shadows,
        store=work / "store",
        out=work / "out",
    )
    lira, target, controls = results.attacks["lira"], results.target, results.controls
    return {
        "audit": results.audit,
        "lira": [lira.auc, lira.auc_ci],
        "target": None if target is None else [target.auc, target.auc_ci],
        "blind": None if controls.blind is None else [controls.blind.auc, controls.blind.ci, controls.blind.holds],
        "never trained": None if controls.negative is None else [controls.negative.auc, controls.negative.ci],
        "accuracy": None if results.accuracy is None else results.accuracy.to_json(),
        "seconds": None if results.training is None else results.training.seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, default=Path("data"))
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--shadows", type=int, default=64)
    parser.add_argument("--seen", action="store_true", help="a backbone that was trained on the audited images too")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    images, labels = split(given.data_dir, given.work)
    weights = given.work / f"backbone-{'seen' if given.seen else 'others'}-{given.epochs}.safetensors"
    if given.seen:
        held = np.load(given.work / "audited.npz")
        images, labels = np.concatenate([images, held["x_train"]]), np.concatenate([labels, held["y_train"]])
    if not weights.exists():
        train_backbone(images, labels, given.epochs, weights)
    print(json.dumps(audit(given.work, weights, given.shadows), indent=2))


if __name__ == "__main__":
    main()
