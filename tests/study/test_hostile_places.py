"""Names, links, folders and shares that work against the program: nothing lands outside the study, nothing is lost."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from study_scans import SHAPE, ball, draft, grid, scan

from napari_penumbra.domain.errors import DiskError, PenumbraError, StudyError
from napari_penumbra.imaging.nifti import write_nifti
from napari_penumbra.study.manifest import read_manifest
from napari_penumbra.study.store import Study

posix = pytest.mark.skipif(sys.platform == "win32", reason="links and permissions are other things on Windows")
NAMES = (
    "..", "../../etc/passwd", "/etc/passwd", "C:\\Windows\\x", "a:b", "two words", " lead", "trail ", "🧠", "člověk",
    "-rf", "con", "NUL.txt", "a/b\\c", ".hidden", "%s%n", "$(touch x)", "<b>x</b>", "x" * 200, "é" * 200, "'; DROP",
)  # fmt: skip


def outside(root: Path, study: Study) -> dict[Path, str]:
    """Every file beside the study, with its content."""
    return {
        path: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.is_symlink() and not path.is_relative_to(study.root)
    }


def is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


# ---------------------------------------------------------------- names


def test_a_case_of_any_name_lives_inside_the_study(empty: Study, files: Path, tmp_path: Path) -> None:
    source = scan(files / "odd.nii.gz")
    before = outside(tmp_path, empty)
    for n, name in enumerate(NAMES):
        empty.add_case(name, {"DWI": source})
        draft(empty, name, ball(1 + n % 2))
    for n, name in enumerate(NAMES):
        opened = empty.read(name)
        assert opened.name == name
        assert np.array_equal(opened.labels, ball(1 + n % 2))
    assert outside(tmp_path, empty) == before
    folders = [path.name for path in empty.layout.cases.iterdir()]
    assert len(folders) == len(NAMES)
    assert all(name.isascii() and len(name) <= 100 for name in folders)


@pytest.mark.parametrize("name", ["", " ", "\n", "a\nb", "a\0b", "x" * 201, "\x1b[31mred"])
def test_a_name_that_is_no_line_is_refused(empty: Study, files: Path, name: str) -> None:
    with pytest.raises(PenumbraError, match="name of 1 to 200"):
        empty.add_case(name, {"DWI": scan(files / "odd.nii.gz")})
    assert empty.cases() == []


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(name=st.text(max_size=220))
def test_any_text_is_a_name_or_a_sentence(empty: Study, files: Path, tmp_path: Path, name: str) -> None:
    path = files / "odd.nii.gz"
    source = path if path.exists() else scan(path)
    before = outside(tmp_path, empty)
    with suppress(PenumbraError):  # anything else that is raised fails here
        empty.add_case(name, {"DWI": source})
        assert name in [row.name for row in empty.cases()]
    assert outside(tmp_path, empty) == before


@pytest.mark.parametrize("name", ["🧠 p 1.nii.gz", "a b'c$(x).nii.gz", "x" * 200 + ".nii.gz", "ä%20:p.nii.gz"])
def test_a_scan_under_any_file_name_is_read(empty: Study, files: Path, name: str) -> None:
    empty.add_case("p1", {"DWI": scan(files / name)})
    assert empty.read("p1").images["DWI"].shape == SHAPE


# ---------------------------------------------------------------- links


@posix
def test_a_linked_scan_is_copied_and_its_target_left_alone(empty: Study, files: Path, tmp_path: Path) -> None:
    target = scan(tmp_path / "real.nii.gz")
    link = files / "link.nii.gz"
    link.symlink_to(target)
    before = outside(tmp_path, empty)
    empty.add_case("p1", {"DWI": link})
    draft(empty, "p1", ball())
    target.unlink()
    assert empty.read("p1").images["DWI"].shape == SHAPE
    assert {p: d for p, d in before.items() if p != target} == outside(tmp_path, empty)
    with pytest.raises(PenumbraError, match="does not exist"):
        empty.add_case("p2", {"DWI": link})
    loop = files / "loop.nii.gz"
    loop.symlink_to(loop)
    with pytest.raises(PenumbraError, match=r"loop\.nii\.gz"):
        empty.add_case("p3", {"DWI": loop})


@posix
def test_an_image_replaced_by_a_link_to_outside_is_not_written_through(study: Study, tmp_path: Path) -> None:
    victim = tmp_path / "victim.nii.gz"
    write_nifti(victim, np.zeros(SHAPE, np.uint8), grid())
    before = victim.read_bytes()
    folder = study.layout.annotations("p0")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "0001.nii.gz").symlink_to(victim)
    draft(study, "p0", ball())
    assert victim.read_bytes() == before, "a save went through a link"
    assert np.array_equal(study.read("p0").labels, ball())


# ---------------------------------------------------------------- folders that cannot be written to


@posix
@pytest.mark.skipif(is_root(), reason="root may write everywhere")
def test_a_read_only_case_keeps_what_was_there(study: Study) -> None:
    draft(study, "p0", ball())
    folder = study.layout.annotations("p0")
    folder.chmod(0o500)
    try:
        with pytest.raises(DiskError, match="cannot be written"):
            draft(study, "p0", ball(2))
    finally:
        folder.chmod(0o700)
    assert np.array_equal(study.read("p0").labels, ball())


# ---------------------------------------------------------------- a share that vanishes


@contextmanager
def vanished(study: Study, monkeypatch: pytest.MonkeyPatch, code: int) -> Iterator[None]:
    """Every system call on the study's cases fails as on a network share that has gone."""
    root = str(study.layout.cases)

    def gone(real: Callable[..., object]) -> Callable[..., object]:
        def call(path: object, *rest: object, **more: object) -> object:
            if isinstance(path, str | os.PathLike) and os.fspath(path).startswith(root):
                raise OSError(code, os.strerror(code))
            return real(path, *rest, **more)

        return call

    import io

    with monkeypatch.context() as patch:
        for module, name in ((os, "open"), (os, "replace"), (os, "mkdir"), (io, "open"), (os, "stat"), (os, "scandir")):
            patch.setattr(module, name, gone(getattr(module, name)))
        yield


@posix
@pytest.mark.parametrize("code", [errno.ESTALE, errno.EIO, errno.EACCES, errno.ENOTCONN])
def test_a_share_that_vanishes_is_told_and_costs_nothing(
    study: Study, files: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    draft(study, "p0", ball())
    source = scan(files / "late.nii.gz")
    with vanished(study, monkeypatch, code):
        for attempt in (
            lambda: draft(study, "p0", ball(2)),
            lambda: study.read("p0"),
            lambda: study.add_case("late", {"DWI": source}),
        ):
            with pytest.raises(PenumbraError) as caught:
                attempt()
            assert caught.value.remedy
        last = list(study.check())[-1]  # says which files cannot be opened, and goes on
        assert {f.case for f in last.findings if f.check == "files"} == {"p0", "p1", "p2"}
    assert np.array_equal(study.read("p0").labels, ball())
    assert "late" not in [row.name for row in study.cases()]
    assert draft(study, "p0", ball(2)) is not None  # the share is back: what is on the screen is saved


@posix
def test_a_study_whose_folder_is_gone_ends_in_sentences(study: Study, files: Path, tmp_path: Path) -> None:
    source = scan(files / "late.nii.gz")
    away = tmp_path / "away"
    os.rename(study.root, away)
    for attempt in (
        lambda: draft(study, "p0", ball()),
        lambda: study.read("p0"),
        lambda: study.add_case("late", {"DWI": source}),
        lambda: Study.open(study.root),
    ):
        with pytest.raises(PenumbraError) as caught:
            attempt()
        assert caught.value.remedy
    if study.root.exists():  # an attempt may have made folders; nothing of worth can be in them
        assert not [p for p in study.root.rglob("*") if p.is_file() and p.name != "study.sqlite"]
        shutil.rmtree(study.root)
    os.rename(away, study.root)
    assert {row.name for row in study.cases()} == {"p0", "p1", "p2"}


def test_a_manifest_nested_without_end_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text("x = " + "[" * 5000)
    with pytest.raises(StudyError, match=r"study\.toml"):
        read_manifest(path)
