"""A file is whole or not there."""

import hashlib
import subprocess
import sys

import pytest

from arrange.errors import UserError
from arrange.files import check_text, read_text, remove, replacing, sha256


def content(folder):
    """Every file below `folder`, hidden ones too, with its text."""
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_a_file_is_replaced_at_the_end_of_the_block(tmp_path):
    path = tmp_path / "new" / "folder" / "table.csv"
    with replacing(path) as part:
        part.write_text("old")
    with replacing(path) as part:
        part.write_text("new")
        assert path.read_text() == "old"
        assert part.parent == path.parent  # so that the last step is a rename, not a copy
    assert content(tmp_path) == {"new/folder/table.csv": "new"}


def write_half(path, error, folder=False):
    with replacing(path) as part:
        if folder:
            part.mkdir()
        (part / "weights" if folder else part).write_text("half")
        raise error


ERRORS = [ValueError, KeyboardInterrupt, SystemExit]


@pytest.mark.parametrize("error", ERRORS)
def test_an_exception_leaves_the_old_file_and_no_part(tmp_path, error):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(error):
        write_half(path, error)
    assert content(tmp_path) == {"table.csv": "old"}


@pytest.mark.parametrize("error", ERRORS)
def test_an_exception_leaves_the_old_folder_and_no_part(tmp_path, error):
    path = tmp_path / "model"
    path.mkdir()
    (path / "weights").write_text("old")
    with pytest.raises(error):
        write_half(path, error, folder=True)
    assert content(tmp_path) == {"model/weights": "old"}


@pytest.mark.parametrize("folder", [False, True])
def test_an_exception_where_nothing_was_leaves_nothing(tmp_path, folder):
    with pytest.raises(ValueError, match="bug"):
        write_half(tmp_path / "new", ValueError("bug"), folder)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_takes_the_place_of_a_folder_whole(tmp_path):
    path = tmp_path / "model"
    path.mkdir()
    (path / "of the old one only").write_text("old")
    with replacing(path) as part:
        (part / "inner").mkdir(parents=True)
        (part / "inner" / "weights").write_text("new")
    assert content(tmp_path) == {"model/inner/weights": "new"}


def test_a_folder_takes_the_place_of_a_file_and_of_a_link(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").write_text("kept")
    (tmp_path / "link").symlink_to(elsewhere)
    (tmp_path / "file").write_text("old")
    for name in ("link", "file"):
        with replacing(tmp_path / name) as part:
            part.mkdir()
            (part / "x").write_text("new")
    assert content(tmp_path) == {"elsewhere/kept": "kept", "link/x": "new", "file/x": "new"}


def test_a_block_that_writes_nothing_is_an_error_and_keeps_the_old_file(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(FileNotFoundError), replacing(path):
        pass
    assert content(tmp_path) == {"table.csv": "old"}


def test_what_a_killed_process_left_is_not_taken_over(tmp_path):
    script = """
import os, signal, sys
from pathlib import Path
from arrange.files import replacing
with replacing(Path(sys.argv[1])) as part:
    part.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    path = tmp_path / "table.csv"
    path.write_text("old")
    assert subprocess.run([sys.executable, "-c", script, path]).returncode == -9
    assert path.read_text() == "old"
    stale = tmp_path / ".table.csv.part"
    assert stale.exists()
    with replacing(path) as part:
        part.write_text("new")
    assert path.read_text() == "new"
    assert not stale.exists()


def test_remove(tmp_path):
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    remove(tmp_path / "link")
    assert (tmp_path / "folder" / "inner").exists()
    remove(tmp_path / "folder")
    remove(tmp_path / "never was")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [0, 3, 3_000_000])
def test_sha256(tmp_path, size):
    path = tmp_path / "file"
    path.write_bytes(b"abc" * (size // 3))
    assert sha256(path) == hashlib.sha256(b"abc" * (size // 3)).hexdigest()
    if size == 3:
        # FIPS 180-2, appendix B.1
        assert sha256(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_text_is_read_as_it_is_without_its_mark(tmp_path):
    (tmp_path / "a.txt").write_bytes("\ufeffcafé\r\n".encode())
    assert read_text(tmp_path / "a.txt") == "café\r\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\nb\ncaf\xe9", r"a\.txt, line 3: the byte 0xe9 isn't UTF-8"),
        (b"a\n\xed\xa0\x80", r"a\.txt, line 2: the byte 0xed isn't UTF-8"),  # a lone surrogate
        ("a\n".encode("utf-16"), r"a\.txt is in UTF-16"),
        ("a\n".encode("utf-32"), r"a\.txt is in UTF-32"),
        ("a\nb".encode("utf-16-be"), r"a\.txt, line 1: it has a character NUL"),
    ],
)
def test_text_that_is_no_utf8_is_told_in_two_lines(tmp_path, content, message):
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(UserError, match=message) as error:
        read_text(tmp_path / "a.txt")
    assert len(str(error.value).splitlines()) == 2


def test_a_lone_surrogate_is_no_text():
    check_text("café 🐩", "the query")
    argument = b"caf\xe9".decode("utf-8", "surrogateescape")  # what Python makes of $'caf\xe9'
    with pytest.raises(UserError, match="the query isn't UTF-8") as error:
        check_text(argument, "the query")
    str(error.value).encode()
