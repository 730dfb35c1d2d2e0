"""The code that an exported model is loaded with: a network's own, cut loose from privaudit, or where the user's is."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from privaudit import __version__
from privaudit.deployment.pretrained_model import code_of_pretrained
from privaudit.errors import UsageError
from privaudit.networks import NETWORKS
from privaudit.networks.build import batch_shape, load_factory
from privaudit.networks.classifier import Classifier, logits_in
from privaudit.networks.pretrained.description import Pretrained
from privaudit.objects.held import is_held_name
from privaudit.runtime.registry import defining_file, without_folder
from privaudit.runtime.user_code import user_code

#: What our networks import from the rest of the package, in a form that stands alone.
STAND_INS = {
    "UsageError": '''class UsageError(ValueError):
    """A request that can't be understood."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
''',
    "AdaptsToInputs": '''class AdaptsToInputs(nn.Module):
    """A network with a part that was computed from its training inputs; its weights hold it."""
''',
}

#: Our network's code in an export, and what loads it.
NETWORK_FILE, LOADER = "network.py", "load.py"


@dataclass(frozen=True)
class NetworkCode:
    """How an export builds its network.

    Parameters
    ----------
    build
        The expression that does.
    imports
        Modules of Python's that it needs.
    needs
        Packages besides torch and safetensors.
    files
        Files to put beside the loader, by name: content, and what it is.
    """

    build: str
    imports: tuple[str, ...]
    needs: tuple[str, ...] = ()
    files: Mapping[str, tuple[bytes, str]] | None = None


def network_code(
    network: str, input_shape: tuple[int, ...], classes: int, pretrained: Pretrained | None = None
) -> NetworkCode:
    """Return how the network of this name, ``module:factory`` or ``FILE.py:factory`` is built without privaudit.

    Ours come as a file of source; a file of the user's is copied as it is; what an installed package brings is imported
    from there, one of timm or transformers built by it.
    """
    if pretrained is not None:
        package, own = code_of_pretrained(pretrained, classes)
        build = f'runpy.run_path(str(HERE / "{NETWORK_FILE}"))["build"]()'
        return NetworkCode(build, ("runpy",), (package,), own)
    arguments = f"({input_shape!r}, {classes})"
    if is_held_name(network):
        raise UsageError(
            f"network {network} lives in no file: nobody else could load what is exported",
            hint="Put it, as it is, into a file, and name that: export(…, network='own.py:function').",
        )
    if NETWORKS.is_ours(network):
        source = standing_alone(network, f"{input_shape!r}, {classes}")
        needs = ("torchvision",) if "import torchvision" in source or "from torchvision" in source else ()
        what = f"the network {network} of privaudit {__version__}, in plain torch"
        build = f'runpy.run_path(str(HERE / "{NETWORK_FILE}"))["build"]()'
        return NetworkCode(build, ("runpy",), needs, {NETWORK_FILE: (source.encode(), what)})
    file, _, attribute = network.rpartition(":")
    if file.endswith(".py"):
        name = NETWORK_FILE if Path(file).name == LOADER else Path(file).name
        build = f'runpy.run_path(str(HERE / "{name}"))["{attribute}"]{arguments}'
        content = Path(file).read_bytes()
        return NetworkCode(build, ("runpy",), (), {name: (content, "the network's own code, as it was trained")})
    factory = load_factory(network, input_shape)
    module, name = getattr(factory, "__module__", None), getattr(factory, "__qualname__", "")
    if module is None or not name.isidentifier() or defining_file(factory) is None:
        raise UsageError(
            f"network {without_folder(network)} is no function at the top of a module: no loader can import it",
            hint="Wrap it in a function of its own, and audit that.",
        )
    build = f'importlib.import_module("{module}").{name}{arguments}'
    return NetworkCode(build, ("importlib",), (module.partition(".")[0],))


def standing_alone(network: str, arguments: str) -> str:
    """Return the source of one of our networks, with what it imports of privaudit in its place, and ``build()``."""
    factory = NETWORKS.load(network)
    source = inspect.getsource(inspect.getmodule(factory) or factory)
    lines, last = source.splitlines(), 0
    wanted: list[str] = []
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            last = max(last, node.end_lineno or node.lineno)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("privaudit."):
            wanted += [_stand_in(str(node.module), alias.name) for alias in node.names]
            for line in range(node.lineno - 1, node.end_lineno or node.lineno):
                lines[line] = ""
    head = [f"# The network {network} of privaudit {__version__} (Apache License 2.0): its source, which stands alone."]
    body = "\n".join(lines[:last]).rstrip() + "\n"
    stand_ins = "".join(f"\n\n{code}" for code in wanted)
    build = f"return {factory.__name__}({arguments})"
    build = f'def build() -> nn.Module:\n    """Build the network of this model."""\n    {build}'
    rest = "\n".join(lines[last:]).strip("\n")
    return "\n".join([*head, body]) + f"{stand_ins}\n\n{rest}\n\n\n{build}\n"


def _stand_in(module: str, name: str) -> str:
    """Return the source of what a network imports from the package: what stands for it, else its definition."""
    if name in STAND_INS:
        return STAND_INS[name]
    source = inspect.getsource(importlib.import_module(module))
    defined: dict[str | None, ast.stmt] = {}
    for node in ast.parse(source).body:
        targets = node.targets if isinstance(node, ast.Assign) else [node]
        defined |= {getattr(one, "id", getattr(one, "name", None)): node for one in targets}
    # With the constants that it reads.
    read = {found.id for found in ast.walk(defined[name]) if isinstance(found, ast.Name)} - {name}
    needed = [defined[one] for one in sorted(read & defined.keys()) if isinstance(defined[one], ast.Assign)]
    return "\n\n".join(f"{ast.get_source_segment(source, node)}\n" for node in [*needed, defined[name]])


def place_of_logits(classifier: Classifier, input_shape: tuple[int, ...]) -> str:
    """Return what follows the call of a network to reach its logits: nothing, ``["logits"]``, ``[0]``, ``.logits``."""
    device = next(classifier.parameters()).device
    with torch.no_grad(), user_code():
        returned = classifier.eval().returned(torch.zeros(2, *batch_shape(input_shape), device=device))
    logits, _ = logits_in(returned, 2, classifier.classes)
    flattened = "" if _is_matrix(returned) else ".flatten(1)"
    if isinstance(returned, torch.Tensor):
        return flattened
    entries: dict[str, Any]
    if isinstance(returned, Mapping):
        entries = {f"[{name!r}]": value for name, value in returned.items()}
    elif isinstance(returned, tuple | list):
        entries = {f"[{index}]": value for index, value in enumerate(returned)}
    else:
        entries = {f".{name}": getattr(returned, name) for name in dir(returned) if name.isidentifier()}
    for place, value in entries.items():
        if isinstance(value, torch.Tensor) and value.data_ptr() == logits.data_ptr():
            return place + ("" if _is_matrix(value) else ".flatten(1)")
    raise UsageError("the logits that the network returns can't be named: no loader can find them")


def _is_matrix(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.ndim == 2
