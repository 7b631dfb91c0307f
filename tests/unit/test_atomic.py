import errno
import os
import stat
import time
from pathlib import Path

import pytest

from vadbench.files import atomic
from vadbench.files.atomic import aside_name, replace_file, replace_folder, restore, sweep


def write(folder, text, aside=None, **options):
    with replace_folder(folder, folder.parent / (aside or aside_name(folder.name)), **options) as (
        place
    ):
        (place / "a").write_text(text)


def refuse(one, other):
    raise OSError(errno.EINVAL, "Invalid argument", str(one))


@pytest.fixture(params=["exchange", "no exchange"])
def disk(request, monkeypatch, tmp_path):
    if request.param == "no exchange":  # NFS
        monkeypatch.setattr(atomic, "_exchange", refuse)
    return tmp_path


def test_a_folder_is_replaced_whole_and_nothing_else_is_left(disk):
    for text in ("first", "second"):
        write(disk / "record", text)
        assert (disk / "record" / "a").read_text() == text
    assert [path.name for path in disk.iterdir()] == ["record"]


def test_the_folder_of_another_process_stays_where_asked(disk):
    write(disk / "record", "first")
    write(disk / "record", "second", stays=lambda: True)
    assert (disk / "record" / "a").read_text() == "first"
    assert [path.name for path in disk.iterdir()] == ["record"]


def test_a_folder_is_there_at_every_moment(tmp_path, monkeypatch):
    write(tmp_path / "record", "first")
    seen = []
    real = os.rename

    def watch(*arguments, **options):
        seen.append((tmp_path / "record" / "a").read_text())
        return real(*arguments, **options)

    monkeypatch.setattr(os, "rename", watch)
    monkeypatch.setattr(atomic.shutil, "rmtree", lambda *_, **__: seen.append(0))
    write(tmp_path / "record", "second")
    assert 0 in seen
    assert {text for text in seen if text} <= {"first"}
    assert (tmp_path / "record" / "a").read_text() == "second"


def test_a_write_that_fails_leaves_the_folder_that_was_there(disk):
    write(disk / "record", "first")
    with (
        pytest.raises(OSError, match="full"),
        replace_folder(disk / "record", disk / aside_name("record")),
    ):
        raise OSError(errno.ENOSPC, "full")
    assert (disk / "record" / "a").read_text() == "first"
    assert [path.name for path in disk.iterdir()] == ["record"]


def test_what_was_set_aside_and_not_replaced_is_put_back(tmp_path):
    for name, there in (("lost", False), ("kept", True)):
        (tmp_path / f".old-{name}").mkdir()
        (tmp_path / f".old-{name}" / "a").write_text("before")
        if there:
            write(tmp_path / name, "after")
    restore(tmp_path.glob(".old-*"))
    assert {path.name for path in tmp_path.iterdir()} == {"lost", "kept"}
    assert (tmp_path / "lost" / "a").read_text() == "before"
    assert (tmp_path / "kept" / "a").read_text() == "after"


def test_left_overs_of_this_machine_go_when_their_process_has(tmp_path):
    mine, other = aside_name("a"), aside_name("a").replace(atomic._HOST, "node17")
    gone = mine.replace(f"-{os.getpid()}-", "-999999999-")
    for name in (mine, other, gone, other.replace("node17", "node18"), ".hidden"):
        (tmp_path / name).mkdir()
    old = time.time() - 2 * atomic.DAY
    os.utime(tmp_path / other, (old, old))
    sweep(tmp_path.iterdir())
    kept = {path.name for path in tmp_path.iterdir()}
    assert kept == {mine, other.replace("node17", "node18"), ".hidden"}


def test_a_file_of_a_killed_process_goes_with_the_next_write(tmp_path):
    (tmp_path / aside_name("t.md").replace(f"-{os.getpid()}-", "-999999999-")).write_text("half")
    with replace_file(tmp_path / "t.md") as aside:
        aside.write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == ["t.md"]


@pytest.mark.parametrize(("mask", "mode"), [(0o077, 0o600), (0o022, 0o644), (0o002, 0o664)])
def test_files_are_made_under_the_mask_and_keep_their_mode(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        for made_under in (mask, 0o022):
            os.umask(made_under)
            with replace_file(tmp_path / "t.md") as aside:
                aside.write_text("text")
            write(tmp_path / "record", "text")
            assert stat.S_IMODE((tmp_path / "t.md").stat().st_mode) == mode
            assert stat.S_IMODE((tmp_path / "record").stat().st_mode) == 0o777 & ~mask
    finally:
        os.umask(before)


def test_a_link_in_the_place_of_the_temporary_file_is_not_followed(tmp_path, monkeypatch):
    (tmp_path / "precious").write_text("mine")
    monkeypatch.setattr(atomic, "aside_name", lambda name: f".{name}~known")
    (tmp_path / ".t.md~known").symlink_to(tmp_path / "precious")
    with pytest.raises(FileExistsError), replace_file(tmp_path / "t.md") as aside:
        aside.write_text("theirs")
    assert (tmp_path / "precious").read_text() == "mine"


def test_a_name_of_255_letters_is_written(tmp_path):
    with replace_file(tmp_path / ("n" * 255)) as aside:
        aside.write_text("text")
    assert Path(tmp_path / ("n" * 255)).read_text() == "text"
