"""Named tensors from a user's file, by its content; no code of it is run, and nothing is unpacked to see what it is."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from privaudit.errors import DataError, UsageError

HOW_TO_SAVE = "Save its weights alone: safetensors.torch.save_file(model.state_dict(), 'target.safetensors')"

#: Endings of files that are read; which of the two formats one has is seen from its content.
ENDINGS = (".safetensors", ".pt", ".pth", ".ckpt", ".bin", ".pth.tar", ".pt.tar")

#: An archive may unpack to so many times its size: torch writes its own without compression.
MOST_TIMES = 2

#: So deep are state dicts looked for in a checkpoint.
DEPTH = 3

Weights = Mapping[str, torch.Tensor]


def read_checkpoint(path: Path) -> dict[str, Weights]:
    """Read every state dict of a file, by where it stands in it: ``""`` for the file itself, ``model``, ``a/b``.

    Raises
    ------
    UsageError
        Where the file's name has another ending.
    DataError
        Where it can't be read, or holds no named tensors.
    """
    if not path.name.lower().endswith(ENDINGS):
        raise UsageError(
            f"--target {path}: a target is read from {', '.join(ENDINGS)}, not from '{path.suffix}'", hint=HOW_TO_SAVE
        )
    try:
        if path.exists() and not path.is_file():
            raise DataError(f"cannot read --target {path}: it is a folder, or no ordinary file")
        with path.open("rb") as stream:
            start = stream.read(9)
        size = path.stat().st_size
    except OSError as error:
        raise DataError(f"cannot read --target {path}: {error.strerror}") from error
    if len(start) == 9 and start[8:] == b"{" and int.from_bytes(start[:8], "little") <= size - 8:
        return {"": _read_safetensors(path)}
    if path.name.lower().endswith(".safetensors") and not start.startswith((b"PK", b"\x80")):
        raise DataError(f"--target {path} is no readable safetensors file: its header is damaged")
    if zipfile.is_zipfile(path):
        _check_archive(path, size)
    found = dict(_state_dicts(_read_pickled(path), ""))
    if not found:
        raise DataError(f"--target {path} holds no state dict, names with their tensors", hint=HOW_TO_SAVE)
    return found


def _read_safetensors(path: Path) -> Weights:
    try:
        return safetensors.torch.load_file(path)
    # What a damaged header makes the reader raise is not documented.
    except Exception as error:
        raise DataError(f"--target {path} is no readable safetensors file: {_first_line(error)}") from error


def _check_archive(path: Path, size: int) -> None:
    """Refuse an archive that would run code, or unpack to far more than it is, by its list of contents alone."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise DataError(f"--target {path} is no readable state dict: {_first_line(error)}", hint=HOW_TO_SAVE) from error
    if any("/code/" in f"/{entry.filename}" for entry in entries):
        raise DataError(
            f"--target {path} is a TorchScript archive, which is a program: it is not loaded",
            hint="Load it where you trust it, and " + HOW_TO_SAVE[0].lower() + HOW_TO_SAVE[1:],
        )
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > MOST_TIMES * size:
        raise DataError(
            f"--target {path} is an archive of {size:,} bytes that unpacks to {unpacked:,}: torch writes none like it",
            hint=HOW_TO_SAVE,
        )


def _read_pickled(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old formats, which load all the same
            try:
                return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
            except RuntimeError as error:  # A format from before archives can't be mapped.
                if "mmap" not in str(error):
                    raise
                return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise DataError(
            f"--target {path} holds Python objects besides tensors, or is damaged: those would have to be unpickled, "
            "which runs whatever code they name, so it is not loaded",
            hint=HOW_TO_SAVE,
        ) from error
    # A damaged archive can raise anything.
    except Exception as error:
        raise DataError(f"--target {path} is no readable state dict: {_first_line(error)}", hint=HOW_TO_SAVE) from error


def _state_dicts(content: Any, place: str) -> Iterator[tuple[str, Weights]]:
    """Yield every mapping of names to tensors, from the outside in; what else it holds is left out."""
    if not isinstance(content, Mapping):
        return
    tensors = {
        str(name): value for name, value in content.items() if isinstance(name, str) and isinstance(value, torch.Tensor)
    }
    if tensors:
        yield place, tensors
    if place.count("/") + 1 < DEPTH:
        for name, value in content.items():
            if isinstance(name, str) and isinstance(value, Mapping):
                yield from _state_dicts(value, f"{place}/{name}" if place else name)


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:160]}"
