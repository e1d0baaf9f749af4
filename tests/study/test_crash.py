"""What a program killed at any moment leaves behind, and what the next one makes of it."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from study_scans import SHAPE, ball, draft, grid, mask, scan

from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.imaging.files import read_labels
from napari_penumbra.study.lock import read_owner
from napari_penumbra.study.store import Study


def crash(study: Study) -> Path:
    """Let go of everything as the operating system does for a dead process: without a word."""
    study._core.db.close()
    assert study._lock is not None
    study._lock.release(clean=False)
    return study.root


def test_orphan_annotation_is_kept_and_said(study: Study) -> None:
    draft(study, "p0", ball())
    folder = study.layout.annotations("p0")
    mask(folder / "r0002.nii.gz", ball(2))
    (folder / ".penumbra-tmp-1-abcdefgh-r0003.nii.gz").write_bytes(b"half")
    with Study.open(crash(study)) as again:
        (notice,) = again.notices
        assert "p0: r0002.nii.gz was written but not entered" in notice
        kept = again.layout.case_orphans("p0") / "r0002.nii.gz"
        np.testing.assert_array_equal(read_labels(kept).volume.data, ball(2))
        assert [p.name for p in folder.iterdir()] == ["r0001.nii.gz"]
        np.testing.assert_array_equal(again.read("p0").labels, ball())
        mask(folder / "r0002.nii.gz", ball(1))
        crash(again)
    with Study.open(study.root) as third:  # a second orphan of the same name does not replace the first
        assert "r0002-2.nii.gz" in third.notices[0]
    with Study.open(study.root) as fourth:
        assert fourth.notices == []


def test_a_row_without_its_file_is_said(study: Study) -> None:
    saved = draft(study, "p0", ball())
    assert saved is not None
    (study.root / saved.path).unlink()
    with Study.open(crash(study)) as again:
        assert "its file is gone" in again.notices[0]


def test_half_added_cases(study: Study) -> None:
    shutil.copytree(study.layout.case("p0"), study.layout.staging("p9"))
    shutil.copytree(study.layout.case("p0"), study.layout.case("p8"))
    study.close()  # even a clean close: this look costs nothing
    with Study.open(study.root) as again:
        (notice,) = again.notices
        assert "orphans/p8" in notice
        assert (again.layout.orphans / "p8" / "images" / "DWI.nii.gz").exists()
        assert sorted(p.name for p in again.layout.cases.iterdir()) == ["p0", "p1", "p2"]


def test_an_orphan_is_never_written_over(study: Study) -> None:
    folder = study.layout.annotations("p0")
    folder.mkdir(exist_ok=True)
    mask(folder / "r0001.nii.gz", ball(2))
    saved = draft(study, "p0", ball())
    assert saved is not None
    assert saved.revision == 2
    np.testing.assert_array_equal(read_labels(folder / "r0001.nii.gz").volume.data, ball(2))


def test_a_failed_registration_is_swept_after_a_clean_close(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_penumbra.domain.errors import StudyError
    from napari_penumbra.study import revisions

    def refuse(*_: object) -> None:
        raise StudyError("The database is in use.")

    with monkeypatch.context() as patch:
        patch.setattr(revisions, "_register", refuse)
        with pytest.raises(StudyError):
            draft(study, "p0", ball())
    study.close()
    assert read_owner(study.layout.owner) is not None
    with Study.open(study.root) as again:
        assert "r0001.nii.gz was written but not entered" in again.notices[0]


def test_creation_cut_short_may_be_repeated(tmp_path: Path) -> None:
    from study_scans import SCHEME

    study = Study.create(tmp_path / "s", "n", ["A"], SCHEME)
    crash(study)
    study.layout.manifest.unlink()  # it is written last
    study.layout.database.unlink()
    with Study.create(tmp_path / "s", "n", ["A"], SCHEME) as again:
        assert again.cases() == []


SAVER = """
import sys
from pathlib import Path
import numpy as np
from napari_penumbra.domain.case import Closing, Origin
from napari_penumbra.study.store import Study

study = Study.open(Path(sys.argv[1]))
n = int(sys.argv[2])
labels = study.read("p0").labels
while True:
    n += 1
    z, y, x = n % 6, n // 6 % 12, n // 72 % 10
    labels[z, y, x] = 1 if labels[z, y, x] != 1 else 2
    study.journal("p0").append(((z, y, x), (z + 1, y + 1, x + 1)), labels[z : z + 1, y : y + 1, x : x + 1])
    print("s", n, z, y, x, labels[z, y, x], flush=True)
    if n % 3 == 0:
        saved = study.save("p0", labels, Closing.DRAFT, Origin.PAINTED, "ann", 0.1)
        print("r", saved.revision, flush=True)
"""


def test_kill_at_random_moments(study: Study) -> None:
    """Every stroke that was reported as journalled is there after a SIGKILL, and no row lacks its whole file."""
    study.close()
    rng = random.Random(7)
    expected = np.zeros(SHAPE, dtype=np.uint8)
    revision, count = 0, 0
    for _ in range(6):
        child = subprocess.Popen(
            [sys.executable, "-c", SAVER, str(study.root), str(count)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        # So many reports and a little more, to land anywhere between journal, file, row and clearing.
        lines = [child.stdout.readline() for _ in range(rng.randint(1, 20))]
        time.sleep(rng.uniform(0.0, 0.03))
        child.send_signal(signal.SIGKILL)
        lines += child.stdout.read().splitlines()
        child.stdout.close()
        child.wait()
        for line in lines:
            kind, *numbers = line.split()
            if kind == "s":
                count, z, y, x, value = map(int, numbers)
                expected[z, y, x] = value
            elif kind == "r":
                revision = int(numbers[0])
        with Study.open(study.root) as again:
            for annotation in again.annotations("p0", withdrawn=True):
                assert read_labels(again.root / annotation.path).volume.data.shape == SHAPE
            assert not any("gone" in notice for notice in again.notices)
            assert max((a.revision for a in again.annotations("p0")), default=0) >= revision
            labels = again.read("p0").labels
            # One stroke more than was reported may have reached the disk before its report did.
            differs = np.argwhere(labels != expected)
            assert len(differs) <= 1
            for z, y, x in differs:
                expected[z, y, x] = labels[z, y, x]
                count += 1
    assert count > 20
    assert revision > 2


ADDER = """
import sys
from pathlib import Path
from napari_penumbra.study.store import Study

study = Study.open(Path(sys.argv[1]))
print("open", flush=True)
n = 0
while True:
    n += 1
    study.add_case(f"x{sys.argv[3]}-{n}", {"DWI": Path(sys.argv[2])})
"""


def test_kill_while_cases_are_added(study: Study, files: Path) -> None:
    study.close()
    rng = random.Random(3)
    file = scan(files / "big.nii", grid((20, 100, 100)))
    for turn in range(4):
        child = subprocess.Popen(
            [sys.executable, "-c", ADDER, str(study.root), str(file), str(turn)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        assert child.stdout.readline() == "open\n"
        time.sleep(rng.uniform(0.05, 0.4))
        child.kill()
        child.stdout.close()
        child.wait()
        with Study.open(study.root) as again:
            names = [row.name for row in again.cases()]
            assert {p.name for p in again.layout.cases.iterdir()} == set(names)
            for name in names[-2:]:
                try:
                    again.read(name)
                except PenumbraError as error:  # pragma: no cover - the failure this test looks for
                    pytest.fail(f"{name} is not whole: {error}")
