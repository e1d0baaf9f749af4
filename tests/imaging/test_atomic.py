"""A file is written whole or the old one stays, and the reader is told why."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from napari_penumbra.domain.errors import DiskError
from napari_penumbra.domain.grid import Grid
from napari_penumbra.imaging import atomic
from napari_penumbra.imaging.atomic import is_temporary, replace_into, write_bytes, write_text
from napari_penumbra.imaging.files import write_nifti


def test_write_and_overwrite(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "Größe\n")
    write_bytes(tmp_path / "a.txt", b"new")
    assert (tmp_path / "a.txt").read_bytes() == b"new"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_temporary_name_keeps_the_ending_and_any_name_fits(tmp_path: Path) -> None:
    name = "c" * 240 + ".nii.gz"
    with replace_into(tmp_path / name) as temporary:
        assert temporary.name.endswith(".nii.gz")
        assert is_temporary(temporary)
        temporary.write_bytes(b"x")
    assert (tmp_path / name).read_bytes() == b"x"
    assert not is_temporary(tmp_path / name)


def test_failure_in_the_block_leaves_the_old_file_alone(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")

    def write_half() -> None:
        with replace_into(tmp_path / "a") as temporary:
            temporary.write_bytes(b"half")
            raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        write_half()
    assert (tmp_path / "a").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EDQUOT, "disk is full"),
        (errno.EROFS, "cannot be written to"),
        (errno.EACCES, "cannot be written to"),
        (errno.EIO, "did not accept"),
    ],
)
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_what_the_system_says_becomes_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str, step: str
) -> None:
    folder = tmp_path / "MUELLER_HANS"
    folder.mkdir()
    (folder / "labels.nii.gz").write_bytes(b"old")

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number), str(folder))

    monkeypatch.setattr(atomic.os, step, refuse)
    with pytest.raises(DiskError, match=words) as caught:
        write_nifti(folder / "labels.nii.gz", np.zeros((2, 2, 2), np.uint8), Grid.of((2, 2, 2), np.eye(4)))
    monkeypatch.undo()
    assert "labels.nii.gz" in caught.value.message
    assert "MUELLER" not in str(caught.value) + caught.value.details
    assert caught.value.remedy
    assert (folder / "labels.nii.gz").read_bytes() == b"old"
    assert len(list(folder.iterdir())) == 1


def test_folder_gone_and_name_too_long(tmp_path: Path) -> None:
    with pytest.raises(DiskError, match="folder is gone"):
        write_text(tmp_path / "nowhere" / "a.txt", "x")
    with pytest.raises(DiskError, match="too long"):
        write_text(tmp_path / ("n" * 300), "x")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    def write_full() -> None:
        with replace_into(tmp_path / "a.txt") as temporary:
            temporary.symlink_to("/dev/full")
            temporary.write_bytes(b"x" * 10000)

    with pytest.raises(DiskError, match="disk is full"):
        write_full()
    assert not list(tmp_path.iterdir())


def test_killed_while_writing_leaves_the_old_file_and_a_recognisable_leftover(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")
    code = (
        "import os, sys; from pathlib import Path; from napari_penumbra.imaging.atomic import replace_into\n"
        "with replace_into(Path(sys.argv[1])) as t:\n    t.write_text('half'); os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.txt")], check=False)
    assert (tmp_path / "a.txt").read_text() == "old"
    leftovers = [p for p in tmp_path.iterdir() if is_temporary(p)]
    assert len(leftovers) == 1
