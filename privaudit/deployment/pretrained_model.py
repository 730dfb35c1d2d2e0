"""Models of pretrained networks put to use: the whole network, below a head too, and the code that builds it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch

from privaudit.errors import UsageError
from privaudit.networks.pretrained.build import PretrainedClassifier, build_pretrained, whole_state
from privaudit.networks.pretrained.description import ALL, HEAD, Preparation, Pretrained
from privaudit.networks.pretrained.libraries import CONFIG, warn_of_another_version
from privaudit.networks.pretrained.weights import digest_of_weights, weight_files
from privaudit.results.audit.audit_description import AuditDescription, PretrainedIdentity
from privaudit.runtime import files
from privaudit.runtime.registry import without_folder

#: The network's code in an export, and the configuration of one of transformers.
NETWORK_FILE, ARCHITECTURE = "network.py", "architecture.json"

_RESIZE = '''
def resize(network, inputs):
    """Give the network images of its own size."""
    (images,) = inputs
    if images.shape[-2:] == ({size}, {size}):
        return None
    return (functional.interpolate(images, ({size}, {size}), mode="{how}", align_corners=False, antialias=True),)

'''

_HEAD = '''"""The network of this model: of {library}, with a step before it that resizes images."""

{imports}
from torch.nn import functional

{resize}
def build():
    """Build the network; its weights are beside this file."""
    {build}
    network.register_forward_pre_hook(resize)
    return network
'''


def pretrained_of(
    description: AuditDescription, identity: PretrainedIdentity, network: str | None, weights: Path | None
) -> Pretrained:
    """Return the pretrained network of a stored audit, to be built again.

    Parameters
    ----------
    description, identity
        The audit's.
    network, weights
        Where the folder of a network, and the weights below a head, are now, if they are not where they were.

    Raises
    ------
    UsageError
        Where it is gone, or is not what it was.
    """
    reference = network or description.code.network or description.identity.network
    config = Path(reference.partition(":")[2]) / CONFIG
    if reference.startswith("transformers:"):
        found = files.sha256_of(config) if config.is_file() else None
        if found != description.identity.network_source:
            raise UsageError(
                f"the configuration of network {without_folder(reference)} is not {config} any more"
                if found is None
                else f"{config} is not the configuration that the audit is of",
                hint="Put it back, or say where it is: load_model(…, network='transformers:FOLDER'), "
                "privaudit export … --network transformers:FOLDER.",
            )
    warn_of_another_version(reference.partition(":")[0], description.versions)
    preparation = Preparation(identity.size, tuple(identity.mean), tuple(identity.deviation), identity.interpolation)
    if not identity.is_head:
        # Every weight is among those that are stored.
        return Pretrained(reference, None, None, preparation, ALL)
    below = weights or Path(str(description.code.weights))
    hint = "Put them back, or say where they are: load_model(…, weights=PATH), privaudit export … --weights PATH."
    try:
        found = digest_of_weights(weight_files(below))
    except UsageError as error:
        raise UsageError(
            f"the audit is of a head, and the weights of the network below it are not at {below}", hint=hint
        ) from error
    if found != identity.weights:
        raise UsageError(
            f"{below} is not what the head was trained on: its SHA-256 is {found[:12]}, on record is "
            f"{identity.weights[:12]}",
            hint=hint,
        )
    return Pretrained(reference, below, found, preparation, HEAD)


def build_whole(
    pretrained: Pretrained, classes: int, stored: Mapping[str, torch.Tensor]
) -> tuple[PretrainedClassifier, Mapping[str, torch.Tensor]]:
    """Return the network and the weights of a stored model, of a head those of the whole network."""
    model = build_pretrained(pretrained, classes, 0)
    return model, whole_state(model, stored) if pretrained.is_frozen else stored


def code_of_pretrained(pretrained: Pretrained, classes: int) -> tuple[str, dict[str, tuple[bytes, str]]]:
    """Return the name of the package that an export needs, and the files that build its network, with what they are."""
    preparation, name = pretrained.preparation, pretrained.name
    resize = _RESIZE.format(size=preparation.size, how=preparation.interpolation)
    kept: dict[str, tuple[bytes, str]] = {}
    if pretrained.library == "timm":
        imports = "import timm"
        build = f"network = timm.create_model({name!r}, pretrained=False, num_classes={classes}, in_chans=3)"
    else:
        config = json.loads((Path(name) / CONFIG).read_text("utf-8"))
        for key in ("dtype", "torch_dtype", "id2label", "label2id", "num_labels", "auto_map", "problem_type"):
            config.pop(key, None)
        kept[ARCHITECTURE] = (json.dumps(config, indent=2).encode(), "the configuration of the network")
        imports = "import json\nfrom pathlib import Path\n\nimport transformers"
        build = (
            f'config = json.loads((Path(__file__).resolve().parent / "{ARCHITECTURE}").read_text("utf-8"))\n'
            f'    described = transformers.CONFIG_MAPPING[config.pop("model_type")].from_dict(config)\n'
            f"    described.num_labels = {classes}\n"
            "    network = transformers.AutoModelForImageClassification.from_config(described).float()"
        )
    source = _HEAD.format(library=pretrained.library, imports=imports, resize=resize, build=build)
    kept[NETWORK_FILE] = (source.encode(), f"a network of {pretrained.library}, and how it gets its images")
    return pretrained.library, kept
