"""What torch keeps for the whole process: how exactly it computes, by which kernels, and its random generators."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch

_BACKENDS: Any = torch.backends

#: Where torch keeps how fp32 products may be computed: the most general first, so that restoring goes downwards.
_FP32_SWITCHES = (
    _BACKENDS,
    _BACKENDS.cudnn,
    _BACKENDS.mkldnn,
    _BACKENDS.cuda.matmul,
    _BACKENDS.cudnn.conv,
    _BACKENDS.cudnn.rnn,
    _BACKENDS.mkldnn.matmul,
    _BACKENDS.mkldnn.conv,
    _BACKENDS.mkldnn.rnn,
)


@contextmanager
def full_fp32() -> Iterator[None]:
    """Compute fp32 products in IEEE single precision, and put torch's switches back afterwards.

    Torch rounds the inputs of cuDNN's fp32 convolutions to TF32 (10 bits of mantissa) unless it is told otherwise, and
    ``torch.set_float32_matmul_precision``, which much training code calls where it is imported, does the same to matrix
    products: to TF32 on a GPU, to bf16 on a processor. The switches are those of the process, not of the thread.
    """
    before = _fp32_switches()
    _set_fp32_switches("highest", convolutions=False)
    for switch in _FP32_SWITCHES:
        switch.fp32_precision = "ieee"
    try:
        yield
    finally:
        matmul, convolutions, values = before
        _set_fp32_switches(matmul, convolutions)
        for switch, value in zip(_FP32_SWITCHES, values, strict=True):
            if switch.fp32_precision != value:
                switch.fp32_precision = value


def _fp32_switches() -> tuple[str, bool, list[str]]:
    """The old switches (matrix products, convolutions) and the new ones; torch keeps the two sets side by side."""
    values = [switch.fp32_precision for switch in _FP32_SWITCHES]
    try:
        convolutions = bool(torch.backends.cudnn.allow_tf32)
    except RuntimeError:
        # Torch refuses to answer for all of cuDNN where its parts differ.
        convolutions = _BACKENDS.cudnn.conv.fp32_precision == "tf32"
    return torch.get_float32_matmul_precision(), convolutions, values


def _set_fp32_switches(matmul: str, convolutions: bool) -> None:
    """Set the old switches as well: torch raises where it finds that they contradict the new ones."""
    torch.set_float32_matmul_precision(matmul)
    torch.backends.cudnn.allow_tf32 = convolutions


#: Which of cuDNN's kernels convolutions take: ``"deterministic"``, or ``"fast"``, those that won a race on the spot.
#: Only a benchmark asks for the second, to say what the first costs.
CUDNN: Literal["deterministic", "fast"] = "deterministic"


@contextmanager
def pinned_cudnn() -> Iterator[None]:
    """Let cuDNN take kernels that come to the same bits each time (see `CUDNN`), and put its switches back afterwards.

    A model's weights depend on configuration, seed and index alone. ``torch.backends.cudnn.benchmark`` times kernels
    and takes the fastest: which that is depends on what else runs on the card, and kernels differ in their last bits.
    Of those that heuristics propose some add in whatever order their threads arrive in; deterministic mode leaves them
    out. The switches are those of the process, not of the thread.
    """
    cudnn: Any = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.benchmark
    cudnn.deterministic, cudnn.benchmark = CUDNN == "deterministic", CUDNN == "fast"
    try:
        yield
    finally:
        cudnn.deterministic, cudnn.benchmark = before


#: What cuBLAS wants to be told before CUDA starts, so that matrix products come to the same bits each time, and the
#: value that its manual gives: 8 buffers of 4 MiB.
CUBLAS_VARIABLE, CUBLAS_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG", ":4096:8"


def pin_cublas() -> None:
    """Fix cuBLAS's workspace for this process and those that it starts, unless the environment says otherwise.

    It has to be called before the first matrix product on a GPU: with several streams cuBLAS picks kernels by the
    workspace that is free at the moment, and other kernels add in another order.
    """
    os.environ.setdefault(CUBLAS_VARIABLE, CUBLAS_WORKSPACE)


@contextmanager
def seeded_globals(seed: int) -> Iterator[None]:
    """Seed torch's global generators, of the CPU and of CUDA where it is in use, and put them back afterwards.

    ``torch.manual_seed`` would reseed every GPU's generator, and those that are not in use yet as soon as they are:
    a caller's draws would change without a trace.
    """
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(seed)
        for device in devices:
            torch.cuda.default_generators[device].manual_seed(seed)
        yield
