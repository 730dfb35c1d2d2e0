"""Images in folders: one folder a class, and Tiny-ImageNet's own layout."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from privaudit.data.dataset import IntArray, Split
from privaudit.data.formats.image_files import (
    IMAGE_SUFFIXES,
    Decoder,
    Resizing,
    folders_in,
    image_files,
    stray_files,
)
from privaudit.data.row_names import shown
from privaudit.data.sampling import TEST_SHARE, held_out_rows
from privaudit.errors import DataError

#: What the two parts are called, in any case; of several names for testing the first that is there is taken.
TRAIN_NAMES = ("train", "training")
TEST_NAMES = ("test", "testing", "val", "valid", "validation")


@dataclass(frozen=True)
class Tree:
    """Where the classes of a tree lie.

    Parameters
    ----------
    root
        The whole tree; paths are told from it.
    train
        The folder of the classes to train with.
    test
        The folder of those to test with; None where some are to be held out.
    notes
        What was guessed.
    """

    root: Path
    train: Path
    test: Path | None
    notes: tuple[str, ...] = ()


def find_tree(root: Path, *, whole: bool = False) -> Tree | None:
    """Find the parts of a tree of class folders, or None where ``root`` is no such tree.

    Parameters
    ----------
    root
        A folder, which need not be there.
    whole
        Take a tree without a test part too: some of each class is to be held out.
    """
    if not root.is_dir():
        return None
    folders = folders_in(root)
    train, test = _named(root, folders, TRAIN_NAMES), _named(root, folders, TEST_NAMES)
    if train is not None and test is not None:
        notes = [] if test.lower() in TEST_NAMES[:2] else [f"there is no test folder: '{test}' is taken for it"]
        others = [name for name in folders if name not in (train, test)]
        if others:
            notes.append(f"folders beside '{train}' and '{test}' are left out: {shown(others)}")
        return Tree(root, root / train, root / test, tuple(notes)) if _has_classes(root, train, test) else None
    if not whole:
        return None
    if train is not None:
        others = [name for name in folders if name != train]
        notes = [f"folders beside '{train}' are left out: {shown(others)}"] if others else []
        return Tree(root, root / train, None, tuple(notes)) if folders_in(root / train) else None
    # One class is no tree: whoever names such a folder means something else.
    return Tree(root, root, None) if test is None and len(folders) > 1 and _holds_images(root, folders) else None


def _has_classes(root: Path, *parts: str) -> bool:
    return all(folders_in(root / part) for part in parts)


def _holds_images(root: Path, folders: list[str]) -> bool:
    """Whether some folder holds an image file."""
    return any(path.suffix.lower() in IMAGE_SUFFIXES for name in folders for path in (root / name).rglob("*"))


def _named(root: Path, folders: list[str], names: tuple[str, ...]) -> str | None:
    """Return the folder that is called by one of the names, whatever its case."""
    for name in names:
        found = [folder for folder in folders if folder.lower() == name]
        if len(found) > 1:
            raise DataError(
                f"{root} holds {' and '.join(repr(folder) for folder in found)}: which is meant can't be told",
                hint="Rename or move one of them.",
            )
        if found:
            return found[0]
    return None


def describe(tree: Tree) -> str:
    """Say what the tree is, for the report: recompressed images are not the published ones."""
    first = next((path for name in folders_in(tree.train) for path in image_files(tree.train / name)[:1]), None)
    kind = "" if first is None else f" ({'JPEG' if first.suffix.lower() in ('.jpg', '.jpeg') else first.suffix[1:]})"
    return f"class-per-folder image tree '{tree.root.name or tree.root.resolve().name}'{kind}"


def read_class_folders(tree: Tree, images: Resizing) -> tuple[Split, Split, tuple[str, ...]]:
    """Index the class folders of a tree in sorted path order."""
    class_names = tuple(folders_in(tree.train))
    notes = [*tree.notes, *_notes_of_order(class_names)]
    listings = [_list_classes(tree.train, class_names, notes)]
    if tree.test is not None:
        _demand_known(tree.test, class_names)
        listings.append(_list_classes(tree.test, class_names, notes))
    else:
        listings = _held_out(tree, listings[0], notes)
    return (*_splits(tree.root, listings, images, notes), class_names)


def _list_classes(part: Path, class_names: Sequence[str], notes: list[str]) -> tuple[list[Path], IntArray]:
    files, labels, below = [], [], []
    for label, name in enumerate(class_names):
        found = image_files(part / name)
        below += [path for path in found if path.parent != part / name]
        files += found
        labels += [label] * len(found)
    if below:
        notes.append(
            f"{len(below):,} images of '{part.name}' lie in folders below their class folder, and are taken for that "
            "class"
        )
    strays = stray_files(part)
    if strays:
        notes.append(f"{len(strays):,} files in '{part.name}' itself belong to no class and are left out")
    return files, np.asarray(labels, np.int64)


def _demand_known(test: Path, class_names: Sequence[str]) -> None:
    unknown = sorted(set(folders_in(test)) - set(class_names))
    if not unknown:
        return
    near = difflib.get_close_matches(unknown[0].lower(), [name.lower() for name in class_names], n=1)
    alike = [name for name in class_names if near and name.lower() == near[0]]
    raise DataError(
        f"{test / unknown[0]}: the training set has no class '{unknown[0]}'"
        + (f" ({len(unknown):,} such folders: {shown(unknown)})" if len(unknown) > 1 else ""),
        hint=f"Is it '{alike[0]}'? Rename the folder." if alike else "Move it out, or add it to the training set.",
    )


def _notes_of_order(class_names: Sequence[str]) -> list[str]:
    if not all(name.isdecimal() for name in class_names) or list(class_names) == sorted(class_names, key=int):
        return []
    moved = next(label for label, name in enumerate(sorted(class_names, key=int)) if class_names[label] != name)
    return [
        f"class folders are in the order of words, as torchvision's ImageFolder has them: {shown(class_names)}; so "
        f"label {moved} is '{class_names[moved]}'"
    ]


def _held_out(tree: Tree, listing: tuple[list[Path], IntArray], notes: list[str]) -> list[tuple[list[Path], IntArray]]:
    """Divide one listing in two: a fifth of each class is held out for testing."""
    files, labels = listing
    test = held_out_rows(labels, "tree-test")
    train = np.setdiff1d(np.arange(len(labels)), test)
    notes.append(
        f"there is no test folder in {tree.root.name or 'the tree'}: {len(test):,} images, {TEST_SHARE:.0%} of each "
        "class, were drawn to be it, the same whatever --seed"
    )
    return [([files[row] for row in part], labels[part]) for part in (train, test)]


def has_tiny_imagenet(root: Path) -> bool:
    """Whether ``root`` is laid out as Tiny-ImageNet is."""
    return (root / "train").is_dir() and (root / "val" / "val_annotations.txt").is_file()


def read_tiny_imagenet(root: Path, images: Resizing) -> tuple[Split, Split, tuple[str, ...]]:
    """Index ``train/<wnid>/images`` and ``val/images`` by ``val_annotations.txt``; classes in sorted wnid order."""
    wnids = folders_in(root / "train")
    label_of = {wnid: label for label, wnid in enumerate(wnids)}
    train_files: list[Path] = []
    train_labels: list[int] = []
    for wnid in wnids:
        found = image_files(root / "train" / wnid / "images")
        train_files += found
        train_labels += [label_of[wnid]] * len(found)
    annotations = root / "val" / "val_annotations.txt"
    test: list[tuple[Path, int]] = []
    for number, line in enumerate(annotations.read_text("utf-8").splitlines(), start=1):
        fields = line.split("\t")
        if len(fields) < 2 or fields[1] not in label_of:
            raise DataError(f"{annotations}, line {number}: no file name and known class: {line[:80]!r}")
        test.append((root / "val" / "images" / fields[0], label_of[fields[1]]))
    test.sort()
    listings = [
        (train_files, np.asarray(train_labels, np.int64)),
        ([path for path, _ in test], np.asarray([label for _, label in test], np.int64)),
    ]
    return (*_splits(root, listings, images, []), _readable_names(root / "words.txt", wnids))


def _readable_names(words: Path, wnids: Sequence[str]) -> tuple[str, ...]:
    if not words.is_file():
        return tuple(wnids)
    lines = (line.split("\t", 1) for line in words.read_text("utf-8").splitlines())
    names = {fields[0]: fields[1].split(",")[0] for fields in lines if len(fields) == 2}
    found = [names.get(wnid, wnid) for wnid in wnids]
    # WordNet has two cranes and two bows.
    return tuple(
        name if found.count(name) == 1 else f"{name} ({wnid})" for name, wnid in zip(found, wnids, strict=True)
    )


def _splits(
    root: Path, listings: Sequence[tuple[list[Path], IntArray]], images: Resizing, notes: Sequence[str]
) -> tuple[Split, Split]:
    decoder = Decoder(images, [path for files, _ in listings for path in files])
    first, second = (
        Split(labels, decoder.of(files), tuple(str(path.relative_to(root)) for path in files))
        for files, labels in listings
    )
    # What is peculiar about pictures is known once they are decoded.
    return replace(first, notes=lambda: (*notes, *decoder.notes())), second
