"""Full disks, damaged and busy databases: a sentence each, and nothing lost."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from study_scans import ball, draft, predict, scan

from napari_penumbra.domain.case import Closing, Origin
from napari_penumbra.domain.errors import DiskError, PenumbraError, StudyError
from napari_penumbra.study import database
from napari_penumbra.study.store import Study


def full(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_disk_full_while_saving(study: Study, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    first = draft(study, "p0", ball())
    study.journal("p0").append(((0, 0, 0), (1, 1, 1)), np.ones((1, 1, 1), dtype=np.uint8))
    changed = ball()
    changed[0, 0, 0] = 1
    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        with pytest.raises(DiskError, match="full") as caught:
            draft(study, "p0", changed)
    assert caught.value.remedy
    assert study.annotations("p0") == [first]
    assert [p.name for p in study.layout.annotations("p0").iterdir()] == ["r0001.nii.gz"]
    opened = study.read("p0")
    assert opened.restored == 1
    np.testing.assert_array_equal(opened.labels, changed)
    assert draft(study, "p0", changed) is not None  # room was made


def test_disk_full_before_the_row(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    real = sqlite3.connect

    class Full(sqlite3.Connection):
        def cursor(self, *args: Any, **kwargs: Any) -> sqlite3.Cursor:  # type: ignore[override]
            return super().cursor(FullCursor)

    class FullCursor(sqlite3.Cursor):
        def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
            if sql.startswith("INSERT INTO annotation"):
                raise sqlite3.OperationalError("database or disk is full")
            return super().execute(sql, *args)

    study._core.db.engine.dispose()
    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", lambda *a, **k: real(*a, factory=Full, **k))
        with pytest.raises(DiskError, match="could not be written"):
            draft(study, "p0", ball())
        study._core.db.engine.dispose()
    assert study.annotations("p0") == []
    assert draft(study, "p0", ball()) is not None


def test_disk_full_while_adding(study: Study, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = scan(files / "new.nii.gz")
    for call in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, call, full)
            with pytest.raises(DiskError):
                study.add_case("new", {"DWI": file})
        assert [row.name for row in study.cases()] == ["p0", "p1", "p2"]
        assert sorted(p.name for p in study.layout.cases.iterdir()) == ["p0", "p1", "p2"]


def test_database_in_use(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    study.close()
    monkeypatch.setattr(database, "BUSY_MS", 200)
    with Study.open(study.root) as again, closing(sqlite3.connect(again.layout.database)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StudyError, match="in use by another program") as caught:
            draft(again, "p0", ball())
        assert "nothing that you drew is lost" in str(caught.value)
        assert again.annotations("p0") == []  # reading goes on
        other.rollback()
        assert draft(again, "p0", ball()) is not None


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.write_bytes(b"this is no database at all" * 50),
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(file.read_bytes()[:100] + b"\xff" * 30_000),
        lambda file: file.unlink(),
    ],
)
def test_damaged_database(study: Study, damage: Any) -> None:
    study.close()
    damage(study.layout.database)
    for write in (True, False):
        with pytest.raises(StudyError) as caught:
            Study.open(study.root, write=write)
        assert str(study.root) in str(caught.value)
        assert caught.value.remedy
    assert not study.layout.owner.exists()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('modalities = ["DWI", "T2"]', 'modalities = ["T2"]', "no longer lists the modality DWI"),
        ("value = 1", "value = 5", "no longer lists the class 1"),
    ],
)
def test_manifest_that_lost_something_in_use(study: Study, old: str, new: str, words: str) -> None:
    draft(study, "p0", ball())
    study.close()
    text = study.layout.manifest.read_text()
    study.layout.manifest.write_text(text.replace(old, new, 1))
    with pytest.raises(StudyError, match=words):
        Study.open(study.root)
    study.layout.manifest.write_text(text.replace('name = "core"', 'name = "infarct"'))
    with Study.open(study.root) as again:
        assert again.labels.by_value(2).name == "infarct"


def test_not_a_study(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none", Path(__file__)):
        with pytest.raises(StudyError):
            Study.open(path)


def test_a_copy_on_a_medium_that_cannot_be_written(study: Study, tmp_path: Path) -> None:
    draft(study, "p0", ball(), closing=Closing.COMPLETE)
    predict(study, "p1")
    study.register_predictions()
    study.close()
    copy = tmp_path / "cd"
    shutil.copytree(study.root, copy)
    for path in sorted(copy.rglob("*"), reverse=True):
        path.chmod(0o555 if path.is_dir() else 0o444)
    copy.chmod(0o555)
    try:
        with Study.open(copy, write=False) as reader:
            assert reader.counts().labelled == 1
            np.testing.assert_array_equal(reader.read("p0").labels, ball())
        if os.geteuid() != 0:  # the superuser may write anywhere
            with pytest.raises(PenumbraError):
                Study.open(copy)
    finally:
        copy.chmod(0o755)
        for path in copy.rglob("*"):
            path.chmod(0o755)


def test_errors_name_no_patient(study: Study) -> None:
    """A case's name is shown to its reader; the text behind "Details" may be sent to us and holds none."""
    study.close()
    (study.layout.images("p0") / "DWI.nii.gz").write_bytes(b"x")
    with Study.open(study.root) as again, pytest.raises(PenumbraError) as caught:
        again.read("p0")
    assert "p0" not in caught.value.details


def test_save_without_its_folder(study: Study) -> None:
    shutil.rmtree(study.layout.case("p0"))
    with pytest.raises(PenumbraError) as caught:
        study.read("p0")
    assert caught.value.remedy
    saved = study.save("p0", ball(), Closing.DRAFT, Origin.PAINTED, "ann", 0.0)
    assert saved is not None


def test_annotation_folder_cannot_be_made(study: Study) -> None:
    shutil.rmtree(study.layout.annotations("p0"), ignore_errors=True)
    study.layout.annotations("p0").write_bytes(b"a file stands in its place")
    with pytest.raises(DiskError) as caught:
        draft(study, "p0", ball())
    assert caught.value.remedy
