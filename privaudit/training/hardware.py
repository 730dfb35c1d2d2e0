"""What the machine has, and what is made of it."""

from __future__ import annotations

import contextlib
import ctypes
import platform
import sys
from dataclasses import dataclass, field
from typing import Any

import torch

from privaudit.errors import UsageError
from privaudit.runtime.torch_globals import pin_cublas


@dataclass(frozen=True)
class Hardware:
    """Where tensors live and in which precision networks run.

    ``device`` is ``"cpu"`` or ``"cuda"``, this process's current card; ``precision`` is ``"bf16"`` (autocast) or
    ``"fp32"``. Both are part of an audit's identity: they change weights. ``card`` is the only one that processes may
    take where one was named (``cuda:1``), else None; it changes nothing.
    ``"fp32"`` means IEEE single precision: within `privaudit.runtime.torch_globals.full_fp32` nothing is rounded to
    TF32 or bf16 on the way.
    """

    device: str
    precision: str
    card: int | None = field(default=None, compare=False)

    @property
    def torch_device(self) -> torch.device:
        """The device for tensors."""
        return torch.device(self.device)

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """The context in which networks train."""
        if self.precision == "fp32":
            return contextlib.nullcontext()
        return torch.autocast(self.device, dtype=torch.bfloat16)


def resolve_hardware(device: str, precision: str) -> Hardware:
    """Turn ``auto`` into what this machine has; `UsageError` where it lacks what was asked for.

    Parameters
    ----------
    device
        ``auto``, ``cpu``, ``cuda``, or one card: ``cuda:1`` makes it this process's current one.
    precision
        ``auto``, ``fp32`` or ``bf16``.
    """
    asked = device
    device, _, number = asked.partition(":")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    elif device == "cuda" and not torch.cuda.is_available():
        raise UsageError(f"--device {asked}: torch sees no CUDA device here", hint="Use --device cpu or --device auto.")
    card = int(number) if number else None
    if device == "cuda":
        pin_cublas()
    if card is not None:
        _take_card(card)
    if precision == "auto":
        precision = "bf16" if _has_bfloat16(device) else "fp32"
    return Hardware(device, precision, card)


def _take_card(card: int) -> None:
    count = torch.cuda.device_count()
    if card >= count:
        raise UsageError(
            f"--device cuda:{card}: torch sees {count} CUDA device{'' if count == 1 else 's'} here, counted from 0",
            hint="Use --device cuda for all of them.",
        )
    torch.cuda.set_device(card)


#: glibc's names of what mallopt sets: malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGEST_KEPT_BLOCK = 32 << 20
NEVER = 2**31 - 1


def keep_freed_memory() -> None:
    """Tell glibc to keep freed memory for this process; does nothing elsewhere.

    By default large blocks go back to the system when they are freed, and each training step pays for new ones to be
    mapped and zeroed: 2,000 page faults a step for the CNN on CIFAR-10, a tenth of its time.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT_BLOCK)
        mallopt(M_TRIM_THRESHOLD, NEVER)


def _has_bfloat16(device: str) -> bool:
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # Emulated bf16 is slower than fp32: ask for the instructions themselves.
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def hardware_in_words(hardware: Hardware, workers: int) -> str:
    """What a run was made on, for its report: processor or card, number of workers, precision."""
    if hardware.device == "cuda":
        machine = torch.cuda.get_device_name()
    else:
        capability = torch.backends.cpu.get_cpu_capability()
        machine = f"{platform.machine()} processor ({capability}"
        machine += ", AMX)" if torch.cpu._is_amx_tile_supported() else ")"
    return f"{machine}, {workers} workers, {hardware.precision}"
