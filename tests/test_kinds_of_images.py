"""Image trees: nothing is left out in silence, and every picture is read as it is meant to be seen."""

from __future__ import annotations

import os
import shutil
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from privaudit.data import Dataset, load_dataset
from privaudit.errors import DataError, UsageError
from privaudit.testing import check_dataset

SIZE = (10, 8)


def picture(mode: str = "RGB", seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (SIZE[1], SIZE[0], 3)).astype(np.uint8)
    return Image.fromarray(pixels).convert(mode)


def tree(root: Path, *parts: str, classes: tuple[str, ...] = ("cat", "dog"), count: int = 10) -> Path:
    seed = 0
    for part in parts or ("train", "test"):
        for name in classes:
            (root / part / name).mkdir(parents=True)
            for number in range(count):
                picture(seed=(seed := seed + 1)).save(root / part / name / f"{number:03d}.png")
    return root


def told(data: Dataset, words: str) -> bool:
    return any(words in note for note in data.notes)


# Folders.


@pytest.mark.parametrize("name", ["val", "Val", "valid", "VALIDATION", "Test", "testing"])
def test_another_name_of_the_test_folder_is_understood(tmp_path: Path, name: str) -> None:
    data = load_dataset(str(tree(tmp_path / "pets", "Train", name)))
    assert len(data.y_test) == 20
    assert told(data, f"'{name}' is taken for it") == name.lower().startswith("val")


def test_two_test_folders_are_a_doubt_and_a_third_part_is_told(tmp_path: Path) -> None:
    data = load_dataset(str(tree(tmp_path / "pets", "train", "test", "val")))
    assert told(data, "left out: val")
    with pytest.raises(DataError, match="'Test' and 'test': which is meant"):
        load_dataset(str(tree(tmp_path / "both", "train", "test", "Test")))


@pytest.mark.parametrize("part", ["train", ""])
def test_a_tree_without_a_test_folder_is_split_once_and_for_all(tmp_path: Path, part: str) -> None:
    root = tree(tmp_path / "pets", part, classes=("cat", "dog", "eel"))
    for extra in list((root / part / "eel").iterdir())[1:]:
        extra.unlink()
    data = load_dataset(str(root))
    assert np.bincount(data.y_train).tolist() == [8, 8, 1]  # of a class of one, none is held out
    assert np.bincount(data.y_test, minlength=3).tolist() == [2, 2, 0]
    assert told(data, "there is no test folder in pets: 4 images, 20% of each class")
    assert data.fingerprint == load_dataset(str(root), seed=7).fingerprint
    assert data.paths == tuple(sorted(data.paths or ()))
    seen = {image.tobytes() for image in data.x_train} | {image.tobytes() for image in data.x_test}
    assert len(seen) == 21


def test_a_folder_is_the_audit_of_image_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By whichever name, and whatever else lies about."""
    from privaudit.audit.plan import plan_audit
    from privaudit.config import AuditSettings

    root = tree(tmp_path / "pets")
    monkeypatch.chdir(tmp_path)
    common: dict[str, Any] = {"store": tmp_path / "s", "out": tmp_path / "o"}
    by_name = plan_audit(AuditSettings(dataset="image-folder", data_dir=root, **common))
    by_path = plan_audit(AuditSettings(dataset="pets", **common))
    assert by_path.name == by_name.name
    assert by_path.describe() == by_name.describe()
    tree(tmp_path / "digits")
    assert load_dataset("digits").x_train.shape == (1437, 8, 8, 1)
    check_dataset("pets")


def test_a_path_that_is_no_dataset_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.dat").write_text("a,b\n")
    with pytest.raises(UsageError, match=r"a file must end in \.npz"):
        load_dataset(str(tmp_path / "x.dat"))
    for name in (str(tmp_path / "absent"), "a\0b/c"):
        with pytest.raises(UsageError, match="no such file or folder"):
            load_dataset(name)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="looked for train/<class>"):
        load_dataset(str(tmp_path / "empty"))


def test_folders_below_a_class_are_of_that_class(tmp_path: Path) -> None:
    root = tree(tmp_path)
    (root / "train/cat/2021/may").mkdir(parents=True)
    picture().save(root / "train/cat/2021/may/deep.png")
    data = load_dataset(str(root))
    assert len(data) == 21
    assert "train/cat/2021/may/deep.png" in (data.paths or ())
    assert told(data, "1 images of 'train' lie in folders below")


@pytest.mark.parametrize("place", ["train/cat/zz.png", "train/eel", "test/dog/zz.png", "train/cat/sub/zz.png"])
def test_links_that_lead_nowhere_are_named(tmp_path: Path, place: str) -> None:
    root = tree(tmp_path)
    (root / place).parent.mkdir(exist_ok=True)
    (root / place).symlink_to(tmp_path / "gone")
    with pytest.raises(DataError, match=f"{place} is a link that leads nowhere"):
        load_dataset(str(root))


def test_linked_folders_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    root = tree(tmp_path / "pets")
    whole = load_dataset(str(root)).fingerprint
    shutil.move(root / "train/dog", tmp_path / "dogs")
    (root / "train/dog").symlink_to(tmp_path / "dogs")
    assert load_dataset(str(root)).fingerprint == whole
    (root / "train/cat/up").symlink_to("..")
    with pytest.raises(DataError, match="a folder that holds it"):
        load_dataset(str(root))


def test_what_systems_leave_behind_is_no_data(tmp_path: Path) -> None:
    root = tree(tmp_path)
    whole = load_dataset(str(root)).fingerprint
    for name in ("Thumbs.db", "desktop.ini", ".DS_Store", "._1.png"):
        (root / "train/cat" / name).write_text("x")
    for name in ("__MACOSX/train", "train/.ipynb_checkpoints", "train/__MACOSX", "test/cat/.ipynb_checkpoints"):
        (root / name).mkdir(parents=True)
    data = load_dataset(str(root))
    assert (data.fingerprint, data.notes) == (whole, ())


def test_files_beside_the_classes_are_told_and_strangers_within_named(tmp_path: Path) -> None:
    root = tree(tmp_path)
    picture().save(root / "train/stray.png")
    assert told(load_dataset(str(root)), "1 files in 'train' itself belong to no class")
    (root / "train/cat/a.csv").write_text("x")
    (root / "train/cat/b.txt").write_text("x")
    with pytest.raises(DataError, match=r"a\.csv is not an image file, nor are 1 others"):
        load_dataset(str(root))


def test_no_regular_file_is_named(tmp_path: Path) -> None:
    root = tree(tmp_path)
    os.mkfifo(root / "train/cat/pipe.png")
    with pytest.raises(DataError, match=r"pipe\.png is no regular file"):
        load_dataset(str(root))


def test_class_folders_that_do_not_agree_are_told(tmp_path: Path) -> None:
    root = tree(tmp_path)
    (root / "test/cat").rename(root / "test/Cat")
    with pytest.raises(DataError, match="no class 'Cat'\n  Is it 'cat'"):
        load_dataset(str(root))
    shutil.rmtree(root / "test/Cat")
    assert told(load_dataset(str(root)), "1 class ('cat') without a test sample")


def test_numbered_folders_keep_torchvisions_order_and_tell_it(tmp_path: Path) -> None:
    data = load_dataset(str(tree(tmp_path, classes=tuple(map(str, range(12))), count=1)))
    assert data.class_names[:4] == ("0", "1", "10", "11")
    assert told(data, "so label 2 is '10'")


# Pictures.


@pytest.mark.parametrize("orientation", [2, 3, 4])
def test_pictures_are_turned_as_their_camera_says(tmp_path: Path, orientation: int) -> None:
    root = tree(tmp_path)
    image = picture()
    exif = image.getexif()
    exif[0x0112] = orientation
    image.save(root / "train/cat/000.png", exif=exif)
    pixels = np.asarray(image)
    meant = {2: pixels[:, ::-1], 3: pixels[::-1, ::-1], 4: pixels[::-1]}[orientation]
    data = load_dataset(str(root))
    np.testing.assert_array_equal(data.x_train[0], meant)
    assert told(data, "1 were turned upright")


def test_a_picture_that_lies_on_its_side_changes_its_size(tmp_path: Path) -> None:
    root = tree(tmp_path)
    image = picture()
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(root / "train/cat/000.png", exif=exif)
    with pytest.raises(DataError, match="8×10"):
        load_dataset(str(root))


def test_transparent_parts_are_laid_on_white(tmp_path: Path) -> None:
    root = tree(tmp_path)
    image = picture("RGBA")
    opaque = np.asarray(image)[..., :3]
    image.putalpha(Image.fromarray(np.where(np.arange(10) < 5, 0, 255).astype(np.uint8)[None].repeat(8, 0)))
    image.save(root / "train/cat/000.png")
    picture("RGBA", 1).save(root / "train/cat/001.png")  # opaque all over
    palette = picture().quantize(4)
    palette.save(root / "train/cat/002.png", transparency=0)
    keyed = picture()
    keyed.save(root / "train/cat/003.png", transparency=tuple(int(value) for value in np.asarray(keyed)[0, 0]))
    data = load_dataset(str(root))
    assert (data.x_train[0, :, :5] == 255).all()
    np.testing.assert_array_equal(data.x_train[0, :, 5:], opaque[:, 5:])
    np.testing.assert_array_equal(data.x_train[1], np.asarray(picture("RGB", 1)))
    indices = np.asarray(palette)
    assert (data.x_train[2][indices == 0] == 255).all()
    np.testing.assert_array_equal(data.x_train[2][indices > 0], np.asarray(palette.convert("RGB"))[indices > 0])
    assert (data.x_train[3, 0, 0] == 255).all()
    assert told(data, "3 with transparent parts were laid on white")


def test_a_palettes_entries_are_colours(tmp_path: Path) -> None:
    root = tree(tmp_path)
    for path in root.rglob("*.png"):
        picture("L").quantize(5).save(path)
    data = load_dataset(str(root))
    np.testing.assert_array_equal(data.x_train[0], np.asarray(picture("L").quantize(5).convert("RGB")))


def test_one_bit_is_black_and_white(tmp_path: Path) -> None:
    root = tree(tmp_path)
    for path in root.rglob("*.png"):
        picture("1").save(path)
    data = load_dataset(str(root))
    assert data.input_shape == (8, 10, 1)
    assert set(np.unique(data.x_train)) == {0, 255}


def test_grey_among_colour_and_other_colour_spaces_are_told(tmp_path: Path) -> None:
    root = tree(tmp_path)
    picture("L").save(root / "train/cat/000.png")
    picture("CMYK").save(root / "train/cat/zz.jpg")
    data = load_dataset(str(root))
    np.testing.assert_array_equal(data.x_train[0], np.asarray(picture("L"))[..., None].repeat(3, 2))
    assert told(data, "1 of 41 are grey and were turned into colour")
    assert told(data, "1 of another colour space")


def test_several_frames_are_told(tmp_path: Path) -> None:
    root = tree(tmp_path)
    for name in ("zz.gif", "zz.tiff"):
        picture().save(root / "train/cat" / name, save_all=True, append_images=[picture(seed=1), picture(seed=2)])
    data = load_dataset(str(root))
    assert told(data, "of 2 with several frames the first was taken")
    np.testing.assert_array_equal(data.x_train[11], np.asarray(picture()))


def test_colour_of_sixteen_bits_is_cut_and_told(tmp_path: Path) -> None:
    """Pillow opens such files as if they had 8."""
    root = tree(tmp_path)
    deep = np.random.default_rng(0).integers(0, 65_536, (8, 10, 3)).astype(">u2")
    lines = b"".join(b"\0" + line.tobytes() for line in deep)
    content = b"\x89PNG\r\n\x1a\n"
    header = struct.pack(">IIBBBBB", 10, 8, 16, 2, 0, 0, 0)
    for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")):
        content += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    (root / "train/cat/000.png").write_bytes(content)
    read = load_dataset(str(root))
    assert told(read, "1 of 16 bits a channel were cut to 8")
    np.testing.assert_array_equal(read.x_train[0], deep >> 8)


def test_plain_pictures_are_read_as_before(tmp_path: Path) -> None:
    root = tree(tmp_path)
    data = load_dataset(str(root))
    assert data.notes == ()
    np.testing.assert_array_equal(data.x_train[3], np.asarray(Image.open(root / "train/cat/003.png")))
