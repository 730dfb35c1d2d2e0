"""Images of several sizes become images of one, in the proportions that were asked for, and that is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from privaudit.data import load_dataset
from privaudit.data.formats.image_files import Resizing
from privaudit.errors import DataError


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes of pictures of 12×6: the left third black, the rest white; one stands on its side by EXIF."""
    picture = np.zeros((6, 12), np.uint8)
    picture[:, 4:] = 255
    for name in ("cat", "dog"):
        folder = tmp_path / "photos" / name
        folder.mkdir(parents=True)
        for number in range(10):
            Image.fromarray(picture).save(folder / f"{number}.png")
    turned = Image.Exif()
    turned[0x0112] = 6  # stored turned a quarter to the left
    Image.fromarray(np.rot90(picture)).save(tmp_path / "photos" / "cat" / "0.png", exif=turned)
    return tmp_path / "photos"


def loaded(folder: Path, resizing: Resizing) -> tuple[np.ndarray, str]:
    data = load_dataset(str(folder), image_size=resizing)
    return np.concatenate([data.x_train, data.x_test])[..., 0], " ".join(data.notes)


def test_what_is_not_square_is_stretched_cropped_or_padded(photos: Path) -> None:
    stretched, said = loaded(photos, Resizing(6))
    assert "20 were not square and were stretched" in said
    assert "1 were turned upright" in said
    assert (stretched[:, :, 0] == 0).all()
    assert (stretched[:, :, 3:] == 255).all()
    cropped, said = loaded(photos, Resizing(6, "crop"))
    assert "the middle square was cut off" in said
    # Columns 3 to 8 are left: one of them black.
    assert np.array_equal(np.unique(cropped, axis=0), [[[0, 255, 255, 255, 255, 255]] * 6])
    padded, said = loaded(photos, Resizing(12, "pad"))
    assert "beside what they show is black" in said
    assert (padded[:, :3] == 0).all()
    assert (padded[:, 3:9, 4:] == 255).all()


def test_several_sizes_are_an_error_unless_a_size_is_given_or_the_network_has_one(photos: Path) -> None:
    Image.new("L", (9, 9)).save(photos / "dog" / "small.png")
    with pytest.raises(DataError, match=r"mixed image sizes: \S+\.png is \d+×\d+"):
        load_dataset(str(photos))
    images, said = loaded(photos, Resizing(mixed=8))
    assert images.shape[1:] == (8, 8)
    assert "of several sizes and were resized to 8×8, the network's own" in said


def test_pictures_of_one_size_keep_it_whatever_the_network_s(photos: Path) -> None:
    images, said = loaded(photos, Resizing(mixed=8))
    assert images.shape[1:] == (6, 12)
    assert "resized" not in said
