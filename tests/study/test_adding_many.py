"""Many cases at once: the same as one by one, whole or not at all, and again where an import broke off."""

from __future__ import annotations

import gzip
import os
import shutil
import signal
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import nibabel as nib
import numpy as np
import psutil
import pytest
from PIL import Image
from study_scans import SCHEME, ball, grid, mask, scan

from napari_penumbra.domain.errors import GeometryError, LabelError, PenumbraError, UsageError
from napari_penumbra.domain.grid import Grid
from napari_penumbra.imaging.files import read_labels, read_volume
from napari_penumbra.imaging.nifti import write_nifti
from napari_penumbra.study import bulk
from napari_penumbra.study.importers.folder import FolderPlan, PlannedCase
from napari_penumbra.study.newcase import Hints, MaskPart, NewCase
from napari_penumbra.study.references import REFERENCE
from napari_penumbra.study.staging import Order, stage
from napari_penumbra.study.store import Study


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five cases of two modalities; the last one's second image is damaged, the first has a mask."""
    folder = tmp_path_factory.mktemp("many")
    for n in range(5):
        scan(folder / f"q{n}_DWI.nii.gz", seed=n)
        scan(folder / f"q{n}_T2.nii.gz", seed=10 + n, where=grid(scale=(5.0, 1.0, 2.0), shift=0.5 * (n == 1)))
    mask(folder / "q0_label.nii.gz")
    (folder / "q4_T2.nii.gz").write_bytes(b"damaged")
    return folder


def planned(folder: Path) -> FolderPlan:
    cases = []
    for n in range(5):
        images = {m: folder / f"q{n}_{m}.nii.gz" for m in ("DWI", "T2")}
        cases.append(PlannedCase(f"q{n}", images, folder / "q0_label.nii.gz" if n == 0 else None))
    return FolderPlan(tuple(cases), ())


def content(study: Study) -> dict[str, np.ndarray]:
    """What each file holds, unpacked: header and voxels, or pixels. How tightly a library packs is its own affair."""
    return {
        path.relative_to(study.layout.cases).as_posix(): _unpacked(path)
        for path in sorted(study.layout.cases.rglob("*"))
        if path.is_file()
    }


def _unpacked(path: Path) -> np.ndarray:
    if path.suffix == ".png":
        return np.asarray(Image.open(path))
    return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8)


def differing(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> dict[str, str]:
    """File to how it differs: thousands of bytes in a failure's message would hide which file it is."""
    told = dict.fromkeys(one.keys() ^ other.keys(), "there once only")
    for name in one.keys() & other.keys():
        a, b = one[name], other[name]
        if a.shape != b.shape:
            told[name] = f"{a.shape} and {b.shape}"
        elif (a != b).any():
            at = np.flatnonzero(a.ravel() != b.ravel())
            told[name] = f"{at.size} bytes of {a.size} differ, the first at {at[0]}"
    return told


def test_side_by_side_is_the_same_as_one_by_one(empty: Study, many: Path, tmp_path: Path) -> None:
    alone = dict(empty.add_planned(planned(many), jobs=1))
    with Study.create(tmp_path / "other", "Cohort", ["DWI", "T2"], SCHEME) as other:
        together = dict(other.add_planned(planned(many), "ann", jobs=2))
        assert {k: str(v) for k, v in together.items()} == {k: str(v) for k, v in alone.items()}
        assert type(together["q4"]) is type(alone["q4"])
        assert "resampled" in str(together["q1"])
        assert {Path(name).suffix for name in content(other)} == {".gz", ".png"}
        assert not differing(content(other), content(empty))
        assert [(r.name, r.state, r.modalities) for r in other.cases()] == [
            (r.name, r.state, r.modalities) for r in empty.cases()
        ]
        assert other.annotations("q0")[0].author == "ann"
        assert dict(other.add_planned(planned(many), jobs=2)).keys() == {"q4"}, "what is there is passed over"
        assert not list(other.layout.cases.glob(".adding-*"))


def test_closing_in_the_middle_leaves_whole_cases_only(empty: Study, many: Path) -> None:
    adding = empty.add_planned(planned(many), jobs=2)
    first, _ = next(adding)
    from child_processes import children  # here: another test runs this file where that one is not found

    before = {p.pid for p in psutil.Process().children()}
    adding.close()
    assert not [p for p in children("import_worker") if p.pid in before]
    assert not list(empty.layout.cases.glob(".adding-*"))
    assert [row.name for row in empty.cases()] == [first]
    assert {p.name for p in empty.layout.cases.iterdir()} == {first}
    rest = dict(empty.add_planned(planned(many), jobs=2))
    assert first not in rest
    assert sorted(row.name for row in empty.cases()) == ["q0", "q1", "q2", "q3"]


_IMPORT = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_adding_many import planned
from napari_penumbra.study.store import Study
with Study.open(Path(sys.argv[1])) as study:
    for name, outcome in study.add_planned(planned(Path(sys.argv[2])), jobs=2):
        print(name, flush=True)
        sys.stdin.readline()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="kills with a POSIX signal")
def test_an_import_that_was_killed_goes_on(made: Path, many: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(made / "empty", tmp_path / "killed"))
    program = _IMPORT.format(tests=str(Path(__file__).parent))
    pipe = subprocess.PIPE
    run = subprocess.Popen([sys.executable, "-c", program, root, many], stdin=pipe, stdout=pipe, text=True)
    assert run.stdin is not None
    assert run.stdout is not None
    first = run.stdout.readline().strip()
    helpers = psutil.Process(run.pid).children()
    run.send_signal(signal.SIGKILL)
    run.wait()
    run.stdin.close()
    run.stdout.close()
    _, alive = psutil.wait_procs(helpers, timeout=20)
    assert not alive, "a helper outlived the program by more than a case"
    with Study.open(root) as study:
        there = [row.name for row in study.cases()]
        assert first in there
        assert not list(study.layout.cases.glob(".adding-*"))
        outcome = dict(study.add_planned(planned(many), jobs=2))
        assert set(outcome) == {"q0", "q1", "q2", "q3", "q4"} - set(there)
        for n in range(4):
            assert set(study.read(f"q{n}").images) == {"DWI", "T2"}


def test_a_helper_that_dies_is_told_and_the_rest_go_on(
    empty: Study, many: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_penumbra.study.crew.sys.executable", "/nonexistent/python")
    outcome = dict(empty.add_planned(planned(many), jobs=2))
    assert all(isinstance(error, PenumbraError) for error in outcome.values())
    assert "the helper that read it has ended" in str(outcome["q0"])
    assert not empty.cases()


def test_helpers_are_used_where_they_pay(many: Path, tmp_path: Path) -> None:
    assert bulk.helpers(planned(many).cases) == 1, "small files"
    big = tmp_path / "big.nii.gz"
    with big.open("wb") as file:
        os.truncate(file.fileno(), 50_000_000)
    cases = [PlannedCase(f"p{n}", {"DWI": big}) for n in range(3)]
    assert 1 <= bulk.helpers(cases) <= 3


def test_truth_of_test_cases_is_kept_apart(empty: Study, many: Path) -> None:
    case = PlannedCase("t1", {"DWI": many / "q0_DWI.nii.gz"}, many / "q0_label.nii.gz", reference=True)
    odd = PlannedCase("t/2", {"DWI": many / "q1_DWI.nii.gz"}, many / "q0_label.nii.gz", reference=True)
    outcome = dict(empty.add_planned(FolderPlan((case, odd), ())))
    assert isinstance(outcome["t1"], list)
    assert isinstance(outcome["t/2"], UsageError)
    assert empty.counts().labelled == 0
    assert not empty.annotations("t1")
    truth = empty.root / REFERENCE / "t1.nii.gz"
    np.testing.assert_array_equal(read_labels(truth).volume.data, ball())
    assert read_labels(truth).volume.grid.same_place(empty.grid("t1"))


def test_masks_in_parts(empty: Study, files: Path) -> None:
    image = scan(files / "i.nii.gz")
    disc, cup = ball(255), ball(255, z=slice(3, 4))
    parts = Hints(
        mask=(MaskPart(mask(files / "d.nii.gz", disc), {255: 1}), MaskPart(mask(files / "c.nii.gz", cup), rest=2))
    )
    add = [PlannedCase("e", {"DWI": image}, hints=parts)]
    strange = Hints(mask=(MaskPart(files / "d.nii.gz", {1: 1}),))
    elsewhere = Hints(mask=(*parts.mask, MaskPart(mask(files / "o.nii.gz", where=grid(shift=3.0)), {1: 2})))
    add += [PlannedCase("s", {"DWI": image}, hints=strange), PlannedCase("o", {"DWI": image}, hints=elsewhere)]
    outcome = dict(empty.add_planned(FolderPlan(tuple(add), ())))
    expected = ball(1)
    expected[3][expected[3] > 0] = 2
    np.testing.assert_array_equal(empty.read("e").labels, expected)
    assert isinstance(outcome["s"], LabelError)
    assert "has the value 255, which its data set does not describe" in str(outcome["s"])
    assert isinstance(outcome["o"], GeometryError)


def test_one_volume_of_a_4d_file_and_a_stated_voxel_size(empty: Study, files: Path) -> None:
    four = np.random.default_rng(0).integers(0, 99, (5, 6, 4, 2)).astype(np.int16)
    nib.save(nib.Nifti1Image(four, np.diag([-1.0, -1.0, 2.0, 1.0])), files / "f.nii.gz")
    case = PlannedCase("f", dict.fromkeys(("DWI", "T2"), files / "f.nii.gz"), hints=Hints(frames={"DWI": 0, "T2": 1}))
    assert dict(empty.add_planned(FolderPlan((case,), ()), jobs=2)) == {"f": []}
    for n, modality in enumerate(("DWI", "T2")):
        stored = read_volume(empty.layout.images("f") / f"{modality}.nii.gz").data
        np.testing.assert_array_equal(stored, four[..., n].transpose())


def test_staging_holds_less_than_three_volumes(tmp_path: Path) -> None:
    shape = (40, 160, 160)
    where = Grid.of(shape[::-1], np.diag([1.0, 1.0, 2.0, 1.0]))
    values = np.random.default_rng(0).integers(0, 4000, shape)
    for name, dtype in (("a", np.int16), ("b", np.float32)):
        write_nifti(tmp_path / f"{name}.nii.gz", (values + 0.5 * (name == "b")).astype(dtype), where)
    write_nifti(tmp_path / "m.nii.gz", (values > 3900).astype(np.uint8), where)
    new = NewCase("p", {"DWI": tmp_path / "a.nii.gz", "T2": tmp_path / "b.nii.gz"}, tmp_path / "m.nii.gz")
    order = Order(new, ("DWI", "T2"), SCHEME, "p", tmp_path / "staged")
    stage(order)
    shutil.rmtree(order.folder)
    tracemalloc.start()
    stage(order)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * 4 * np.prod(shape), f"{peak / (4 * np.prod(shape)):.2f} volumes of float32"


def test_opening_a_case_stays_under_a_second(empty: Study, tmp_path: Path) -> None:
    shape = (60, 256, 256)
    where = Grid.of(shape[::-1], np.diag([-1.0, -1.0, 2.0, 1.0]))
    values = np.random.default_rng(0).normal(500, 200, shape).astype(np.int16)
    write_nifti(tmp_path / "p.nii.gz", values, where)
    empty.add_case("p", {"DWI": tmp_path / "p.nii.gz", "T2": tmp_path / "p.nii.gz"})
    times = []
    for _ in range(3):
        start = time.perf_counter()
        empty.read("p")
        times.append(time.perf_counter() - start)
    assert min(times) < 1.0
