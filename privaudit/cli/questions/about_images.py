"""Of a folder of photos, of a dataset that has a name, of arrays: where they lie, and which network is trained."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from privaudit.cli.questions.about_a_table import ask_for_model, ask_for_rows
from privaudit.cli.questions.ask import ask, choose, say, whole_number
from privaudit.data.formats.arrays import is_npz
from privaudit.data.formats.image_files import Resizing, folders_in, image_files
from privaudit.data.formats.image_folder import find_tree
from privaudit.data.formats.load import DATASETS, PUBLISHED, default_folder, load_dataset
from privaudit.data.row_names import shown
from privaudit.errors import UsageError

#: Those with a name, in words.
NAMED = {
    "digits": "1,797 handwritten digits, which come with it",
    "mnist": "70,000 handwritten digits",
    "cifar10": "60,000 photos of ten kinds",
    "cifar100": "60,000 photos of a hundred kinds",
    "tiny-imagenet": "110,000 photos of two hundred kinds",
}

#: What is trained on images.
NETWORKS_OF_IMAGES = {
    "airbench-narrow": "a small residual network that trains in minutes",
    "cnn": "two convolutions: quick, and for small images",
    "resnet18": "slow without a GPU",
    "timm:NAME": "a pretrained network of timm, from weights in a file",
    "transformers:FOLDER": "a pretrained network of transformers, from its folder",
}

#: Pixels a side that photos are reduced to where a network is trained from nothing.
USUAL_SIDE = "32"


def ask_about_named() -> dict[str, object]:
    """Ask which dataset with a name, and where it lies."""
    name = choose("Which", NAMED, "digits", _known)
    if name == "digits" or name not in PUBLISHED:
        return {"dataset": name}
    folder = ask("In which folder does it lie", partial(_holding, name), str(default_folder()))
    return {"dataset": name, "data_dir": folder}


def _known(typed: str) -> str:
    DATASETS.check(typed)
    return typed


def _holding(name: str, typed: str) -> str:
    folder = Path(typed).expanduser()
    published = PUBLISHED[name]
    if published.read(folder, Resizing(None)) is None and find_tree(folder / name) is None:
        looked = f"looked for {published.looked_for} and for {name}/train/<class>/* with {name}/test/<class>/*"
        if published.torchvision_name is None:
            raise UsageError(f"no {name} in {folder.absolute()}: {looked}")
        say(f"  It is not there ({looked}): the first audit will try to download it into {folder}.")
    return str(folder)


def ask_about_photos() -> dict[str, object]:
    """Ask where photos lie and what is trained on them."""
    folder = ask("Which folder, with a folder a class in it", _tree)
    say("What is trained on them? FILE.py:function builds a network of your own.")
    network = choose("Which", NETWORKS_OF_IMAGES, "airbench-narrow", _network)
    given: dict[str, object] = {"dataset": folder}
    if network.endswith((":NAME", ":FOLDER")):
        what = "What does timm call it" if network == "timm:NAME" else "Which folder did save_pretrained write"
        network = ask(what, partial(_of_library, network.partition(":")[0]))
    given["network"] = network
    if network.startswith("timm:"):
        given["weights"] = ask("Which file holds its weights (.safetensors)", _weights)
    if network.startswith(("timm:", "transformers:")):
        say(
            "  head trains a linear layer on what the frozen network makes of each image: seconds a model. all is slow."
        )
        return given | {
            "train": choose("What of it is trained", {"head": "its last layer", "all": "all of it"}, "head")
        }
    size = ask("To how many pixels a side are they reduced", whole_number(4, 1024, "32 is quick."), USUAL_SIDE)
    return given | {"image_size": size}


def _tree(typed: str) -> str:
    folder = Path(typed).expanduser()
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}")
    if (tree := find_tree(folder, whole=True)) is None:
        raise UsageError(
            f"{folder} holds no folder a class with images in it",
            hint="It is to be as folder/cat/1.jpg and folder/dog/2.jpg, or the same below train and test.",
        )
    classes = folders_in(tree.train)
    images = sum(len(image_files(tree.train / name)) for name in classes)
    say(f"  {len(classes):,} classes, {shown(classes)}; {images:,} images to train with or to hold out")
    return str(folder)


def _network(typed: str) -> str:
    library, _, name = typed.partition(":")
    if library in ("timm", "transformers"):
        from privaudit.networks.pretrained.build import prepare

        path = f"transformers:{Path(name).expanduser()}" if library == "transformers" else typed
        prepare(path, None)
        return path
    from privaudit.networks.build import NETWORKS
    from privaudit.runtime.registry import import_reference

    if ":" in typed:
        import_reference(typed, "network")
    else:
        NETWORKS.check(typed)
    return typed


def _of_library(library: str, typed: str) -> str:
    return _network(f"{library}:{typed}")


def _weights(typed: str) -> str:
    from privaudit.networks.pretrained.weights import weight_files

    path = Path(typed).expanduser()
    weight_files(path)
    return str(path)


def ask_about_arrays() -> dict[str, object]:
    """Ask for a file of arrays, and what is trained on them."""
    path, is_image, rows = ask("Which file (.npz: x_train, y_train, x_test, y_test)", _arrays)
    given: dict[str, object] = {"dataset": path}
    if not is_image:
        return given | ask_for_rows(rows) | ask_for_model()
    own = {name: what for name, what in NETWORKS_OF_IMAGES.items() if ":" not in name}
    return given | {"network": choose("Which network is trained", own, "airbench-narrow", _network)}


def _arrays(typed: str) -> tuple[str, bool, int]:
    path = Path(typed).expanduser()
    if not is_npz(str(path)):
        raise UsageError(f"{typed} does not end in .npz", hint="numpy.savez writes one.")
    data = load_dataset(str(path))
    say(f"  {len(data):,} training and {len(data.y_test):,} test samples, {data.classes} classes")
    return str(path), data.is_image, len(data)
