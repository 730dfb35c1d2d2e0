"""Links, pipes and folders in the place of files: nothing is written or deleted through them, and nothing hangs."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from privaudit import api
from privaudit.errors import StoreError
from privaudit.evaluation.u_lira import remove_working_files
from privaudit.runtime import files, links, locks
from privaudit.shadow.store import AuditStore
from privaudit.unlearning.schedule.journal import StageJournal
from tests.test_mix_ups import make_store

MINE = b"my own words"


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A file of the user's, elsewhere, alone in its folder."""
    (tmp_path / "elsewhere").mkdir()
    path = tmp_path / "elsewhere" / "mine.txt"
    path.write_bytes(MINE)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of privaudit's own."""
    files.claim(tmp_path / "out" / "audit")
    return tmp_path / "out" / "audit"


def is_untouched(mine: Path) -> bool:
    return mine.read_bytes() == MINE and list(mine.parent.iterdir()) == [mine]


def test_a_lock_that_is_a_link_is_refused_and_what_it_leads_to_stays(tmp_path: Path, mine: Path) -> None:
    store = AuditStore(tmp_path / "store", "a")
    store.folder.mkdir(parents=True)
    (store.folder / ".lock").symlink_to(mine)
    with pytest.raises(StoreError, match=r"\.lock is a link"), store.locked():
        pass
    assert is_untouched(mine)


def test_a_lock_that_is_another_file_too_locks_without_a_word(tmp_path: Path, mine: Path) -> None:
    """A backup by hard links, or a file of somebody's: nothing is written to it, and none of it is told."""
    store = AuditStore(tmp_path / "store", "a")
    store.folder.mkdir(parents=True)
    os.link(mine, store.folder / ".lock")
    with store.locked(), pytest.raises(StoreError, match="another privaudit is at work on a") as told, store.locked():
        pass
    assert MINE.decode() not in str(told.value)
    assert is_untouched(mine)


def place_pipe(path: Path) -> None:
    os.mkfifo(path)


def place_folder(path: Path) -> None:
    path.mkdir()


def place_socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # The name of a socket has at most 107 bytes.
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path.name)
    finally:
        os.chdir(here)


KINDS = pytest.mark.parametrize("place", [place_pipe, place_folder, place_socket])


@KINDS
def test_what_is_no_file_is_named_and_left_alone(folder: Path, place: Callable[[Path], None]) -> None:
    path = folder / "score.json"
    place(path)
    mode = path.stat().st_mode
    for act in (
        lambda: files.write_text(path, "new"),
        lambda: files.remove(path),
        lambda: files.set_aside(path),
        lambda: locks.open_lock(path),
    ):
        with pytest.raises(StoreError, match="where a file belongs: it is left as it is"):
            act()
    assert path.stat().st_mode == mode
    assert links.list_strange(folder) == ([] if place is place_folder else [path])


@KINDS
def test_reading_what_is_no_file_waits_for_nobody(folder: Path, place: Callable[[Path], None]) -> None:
    path = folder / "score.json"
    place(path)
    files.write_text(folder / "score.json.sha256", f"{'0' * 64}  score.json\n")
    assert files.inspect_seal(path) is files.Seal.DAMAGED
    for read in (files.read_json, files.read_array):
        with pytest.raises(StoreError, match="cannot read"):
            read(path)
    files.write_text(folder / "other", "x")
    place(folder / "other.sha256")
    assert files.inspect_seal(folder / "other") is files.Seal.DAMAGED


@KINDS
def test_verify_names_what_is_no_file(tmp_path: Path, place: Callable[[Path], None]) -> None:
    store = make_store(tmp_path / "store", "first")
    store.signals("0001").unlink()
    place(store.signals("0001"))
    with pytest.raises(StoreError) as told:
        api.verify("first", store=store.root, out=tmp_path / "out")
    assert told.value.results is not None
    assert told.value.results["damaged"] == [str(store.signals("0001"))]


def test_a_link_in_the_place_of_a_file_is_replaced_and_not_followed(folder: Path, mine: Path) -> None:
    path = folder / "report.html"
    path.symlink_to(mine)
    files.seal_of(path).symlink_to(mine)
    files.write_text(path, "a report")
    files.seal(path)
    assert files.is_whole(path)
    assert not path.is_symlink()
    path.unlink()
    path.symlink_to(mine)
    files.remove(path)
    assert not path.is_symlink()
    path.symlink_to(mine)
    assert files.set_aside(path) is not None
    assert is_untouched(mine)


def test_a_link_to_what_somebody_needs_is_left(folder: Path) -> None:
    """As ``/dev/stdout`` is: a file in its place would be in everybody's way."""
    os.mkfifo(folder / "pipe")
    (folder / "g.xml").symlink_to(folder / "pipe")
    with pytest.raises(StoreError, match="it is left as it is"):
        files.write_text(folder / "g.xml", "<x/>")
    assert (folder / "g.xml").is_symlink()


@pytest.mark.parametrize("place", ["unlearn", "unlearn/run", "unlearn/run/stages"])
def test_a_linked_folder_is_neither_filled_nor_emptied(folder: Path, mine: Path, place: str) -> None:
    link = folder / place
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(mine.parent)
    inner = folder / "unlearn" / "run" / "stages"
    acts: tuple[Callable[[], object], ...] = (
        lambda: files.write_bytes(inner / "mine.txt", b"x"),
        lambda: files.make_private_folder(inner / "deeper"),
        lambda: files.remove(link / "mine.txt"),
        lambda: files.set_aside(link / "mine.txt"),
        lambda: files.remove_folder(link),
        lambda: files.remove_folder(inner),
    )
    for act in acts:
        with pytest.raises(StoreError, match="is a link: nothing is written or deleted through it"):
            act()
    assert is_untouched(mine)
    assert links.list_files(folder) == [folder / links.MARK]
    assert links.list_strange(folder) == [link]


def test_working_folders_that_are_links_are_not_emptied(folder: Path, mine: Path) -> None:
    run = folder / "unlearn" / "run"
    run.mkdir(parents=True)
    for name in ("stages", "u-lira"):
        (run / name).symlink_to(mine.parent)
    closing: tuple[Callable[[], object], ...] = (
        StageJournal(run, cast(Any, None)).close,
        lambda: remove_working_files(run),
    )
    for close in closing:
        with pytest.raises(StoreError, match="is a link"):
            close()
    assert is_untouched(mine)


def test_an_audits_folder_that_is_a_link_is_refused_and_one_above_is_not(tmp_path: Path, mine: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "audit").symlink_to(mine.parent)
    with pytest.raises(StoreError, match="is a link"):
        files.claim(tmp_path / "out" / "audit")
    assert is_untouched(mine)
    (tmp_path / "linked-out").symlink_to(tmp_path / "out")
    files.claim(tmp_path / "linked-out" / "other")
    path = tmp_path / "linked-out" / "other" / "x.json"
    files.write_json(path, {})
    files.seal(path)
    assert files.is_whole(path)
    assert files.is_whole(tmp_path / "out" / "other" / "x.json")


def test_only_our_own_unfinished_writes_are_leftovers(folder: Path, mine: Path) -> None:
    users = [folder / ".film.part", folder / ".score.json.abcd1234.part", folder / "unlearn" / ".x.part"]
    users[2].parent.mkdir()
    for path in users:
        path.write_bytes(MINE)
    pipe, link = (folder / f".{name}.privaudit-1-abcd123{name}.part" for name in "34")
    os.mkfifo(pipe)
    link.symlink_to(mine)
    ours = [folder / ".score.json.privaudit-1-abcd1235.part", folder / "unlearn" / ".x.privaudit-12-abcd1234.part"]
    for path in ours:
        path.write_bytes(b"half")
    (folder / "stages").symlink_to(mine.parent)
    away = mine.parent / ".x.privaudit-1-abcd1234.part"
    away.write_bytes(MINE)
    locks.remove_unfinished_writes(folder)
    assert all(path.exists() for path in [*users, pipe, away])
    assert link.is_symlink()
    assert not any(path.exists() for path in ours)


def test_a_long_name_still_has_room_for_its_unfinished_one(tmp_path: Path) -> None:
    path = tmp_path / ("ä" * 120 + ".json")
    files.write_text(path, "{}")
    assert list(tmp_path.iterdir()) == [path]


def test_purge_deletes_nothing_through_a_link(small_audit: dict[str, Any], tmp_path: Path, mine: Path) -> None:
    for name in ("store", "out"):
        shutil.copytree(small_audit["root"] / name, tmp_path / name)
    audit = small_audit["results"]["audit"]
    files.write_array(mine.with_name("also.npy"), np.zeros(3))
    before = sorted(path.name for path in mine.parent.iterdir())
    (tmp_path / "store" / audit / "inversion").symlink_to(mine.parent)
    (tmp_path / "out" / audit / "unlearn" / "run").mkdir(parents=True)
    (tmp_path / "out" / audit / "unlearn" / "run" / "stages").symlink_to(mine.parent)
    try:
        api.purge(forget="random:5", yes=True, store=tmp_path / "store", out=tmp_path / "out")
    except StoreError as error:
        assert "is a link" in error.message  # noqa: PT017 - going on without it is as good
    assert sorted(path.name for path in mine.parent.iterdir()) == before
    assert mine.read_bytes() == MINE
