from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import pytest
from study_scans import draft

from napari_penumbra.domain.errors import StudyLockedError
from napari_penumbra.study.lock import Owner, WriterLock, read_owner
from napari_penumbra.study.store import Study


def test_second_writer_is_told_who(study: Study) -> None:
    with pytest.raises(StudyLockedError, match=rf"is being written by .+ \(process {os.getpid()}\) since"):
        Study.open(study.root)
    assert study.owner() is not None
    with Study.open(study.root, write=False) as other:
        assert other.readonly
        assert [row.name for row in other.cases()] == ["p0", "p1", "p2"]
        assert other.owner() == study.owner()
        assert not other.read("p0").labels.any()


def test_reader_cannot_write_and_sees_what_is_written_meanwhile(study: Study, files: Path) -> None:
    with Study.open(study.root, write=False) as reader:
        labels = reader.read("p0").labels
        labels[2, 2, 2] = 1
        with pytest.raises(StudyLockedError, match="reading only"):
            draft(reader, "p0", labels)
        with pytest.raises(StudyLockedError):
            reader.add_case("x", {"DWI": files / "p0.nii.gz"})
        assert not list(study.layout.annotations("p0").glob("*"))
        draft(study, "p0", labels)
        assert reader.read("p0").labels[2, 2, 2] == 1


def test_released_on_close_and_on_failure(study: Study) -> None:
    root = study.root
    study.close()
    study.close()
    assert study.owner() is None
    (root / "study.toml").rename(root / "hidden.toml")
    with pytest.raises(Exception, match="not a study"):
        Study.open(root)
    (root / "hidden.toml").rename(root / "study.toml")
    Study.open(root).close()


def test_other_process(study: Study) -> None:
    root = study.root
    study.close()
    code = "import sys, time; from napari_penumbra.study.store import Study; from pathlib import Path\n"
    code += "s = Study.open(Path(sys.argv[1])); print('open', flush=True); time.sleep(60)"
    child = subprocess.Popen([sys.executable, "-c", code, str(root)], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "open\n"
        with pytest.raises(StudyLockedError, match=f"process {child.pid}"):
            Study.open(root)
    finally:
        child.kill()
        child.wait()
        assert child.stdout is not None
        child.stdout.close()
    # Its lock died with it, and nobody is named any more.
    with Study.open(root, write=False) as reader:
        assert reader.owner() is None
    Study.open(root).close()


def test_owner_gone() -> None:
    mine = Owner("ann", platform.node(), os.getpid(), time.time())
    assert not mine.gone
    assert Owner("ann", platform.node(), os.getpid(), 1000.0).gone  # the number was given to somebody else since
    assert not Owner("ann", "another-host", 1, 1000.0).gone


@pytest.mark.parametrize("text", ["", "[]", "{}", json.dumps({"user": "a", "host": "b", "pid": "x", "since": 1})])
def test_unreadable_owner(tmp_path: Path, text: str) -> None:
    (tmp_path / "o.json").write_text(text)
    assert read_owner(tmp_path / "o.json") is None
    lock = WriterLock(tmp_path / "l.lock", tmp_path / "o.json")
    assert lock.unclean
    with pytest.raises(StudyLockedError):
        WriterLock(tmp_path / "l.lock", tmp_path / "o.json")
    lock.release()
    assert not (tmp_path / "o.json").exists()
