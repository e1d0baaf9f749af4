"""Checks before use: each spoiled case is named, a sound study is not."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from checked_study import SPOILED, cut, file_of, name_of, shifted_grid, values, write
from study_scans import SCHEME, grid, scan

from napari_penumbra.domain.case import Role
from napari_penumbra.domain.errors import ImageError, UsageError
from napari_penumbra.domain.grid import Grid
from napari_penumbra.imaging.nifti import write_nifti
from napari_penumbra.imaging.peek import peek
from napari_penumbra.study import checking, checks, measuring
from napari_penumbra.study.checks import Finding, Severity
from napari_penumbra.study.store import Study


def findings(study: Study, **how: object) -> tuple[Finding, ...]:
    steps = list(study.check(**how))  # type: ignore[arg-type]
    assert steps[-1].over
    return steps[-1].findings


def test_a_sound_study_is_not_suspected(heads: Study) -> None:
    assert findings(heads) == ()


@pytest.mark.parametrize("what", SPOILED)
def test_a_spoiled_case_is_named_with_a_picture_and_a_way_out(heads: Study, what: str) -> None:
    spoil, check, severity, offer = SPOILED[what]
    spoil(heads, 2)
    found = findings(heads)
    mine = [f for f in found if f.check == check]
    assert len(mine) == 1, [f.text for f in found]
    (one,) = mine
    assert (one.case, one.severity) == (name_of(2), severity)
    assert [o.kind for o in one.offers][:1] == ([offer] if offer else [])
    assert one.message.endswith(".")
    # What it is about and nothing else: no second check cries wolf over the same thing.
    assert {f.check for f in found} == {check}, [f.text for f in found]
    assert {f.case for f in found} == {name_of(2)}
    picture = heads.picture_of(one)
    if check in ("files", "grids"):
        assert picture is None
    else:
        assert picture is not None
        assert picture.startswith(b"\x89PNG")
        assert len(picture) < 100_000


def test_findings_come_worst_first_and_progress_names_every_case(heads: Study) -> None:
    for n, what in ((1, "nan"), (2, "units"), (4, "constant")):
        SPOILED[what][0](heads, n)
    steps = list(heads.check())
    assert [f.severity for f in steps[-1].findings] == [Severity.WRONG, Severity.LOOK, Severity.NOTE]
    assert {s.case for s in steps[1:-1]} == {name_of(n) for n in range(7)}
    assert [s.done for s in steps] == [*range(8), 7]


def test_a_second_check_measures_nothing_and_a_changed_file_only_itself(
    heads: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[str] = []
    real = measuring.measure

    def measure(core: object, case: checks.SeenCase, *rest: object) -> object:
        measured.append(case.name)
        return real(core, case, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(checking, "measure", measure)
    findings(heads)
    assert measured == []
    write(heads, 3, "T2", values(heads, 3, "T2") + 1)
    findings(heads)
    assert measured == [name_of(3)]
    file_of(heads, 2, "T2").touch()  # the same content
    findings(heads)
    assert measured == [name_of(3)]
    assert len(list(heads.layout.checks.glob("*.json"))) == 7


def test_damaged_figures_are_measured_again(heads: Study) -> None:
    damage = ["", "[]", '{"numbers": 3}', "\x00"]
    for text, path in zip(damage, heads.layout.checks.glob("*.json"), strict=False):
        path.write_text(text)
    assert findings(heads) == ()


def test_headers_alone_find_what_headers_show(heads: Study) -> None:
    write(heads, 1, "T2", values(heads, 1, "T2"), shifted_grid(heads, 1))
    cut(heads, 2)
    file_of(heads, 3, "T2").unlink()
    found = findings(heads, voxels=False)
    assert {(f.check, f.case) for f in found} == {("grids", name_of(1)), ("files", name_of(3))}


def test_some_cases_are_compared_with_all(heads: Study) -> None:
    SPOILED["copied"][0](heads, 2)
    found = findings(heads, only=[name_of(2)])
    assert [(f.check, f.case, f.beside) for f in found] == [("duplicates", name_of(2), name_of(1))]
    with pytest.raises(UsageError, match="nobody"):
        list(heads.check(["nobody"]))


def test_a_frozen_twin_is_wrong_and_a_case_set_aside_is_left_out(heads: Study) -> None:
    SPOILED["copied"][0](heads, 2)
    heads.set_role(name_of(1), Role.VALIDATION)
    (one,) = findings(heads)
    assert one.severity is Severity.WRONG
    assert "frozen" in one.remedy
    heads.set_role(name_of(2), Role.ASIDE)
    assert findings(heads) == ()


def test_closing_a_check_stops_it(heads: Study) -> None:
    for path in heads.layout.checks.glob("*.json"):
        path.unlink()
    running = heads.check()
    next(running)
    next(running)
    running.close()
    assert len(list(heads.layout.checks.glob("*.json"))) < 7


def test_a_missing_modality_and_a_read_only_study(study: Study) -> None:
    found = findings(study)
    missing = [f for f in found if f.check == "modalities"]
    assert {(f.case, f.modality, f.severity) for f in missing} == {(f"p{n}", "T2", "note") for n in range(3)}
    with Study.open(study.root, write=False) as looking:
        assert {f.case for f in findings(looking)} == {"p0", "p1", "p2"}


@pytest.mark.parametrize(
    ("scale", "words"),
    [((0.005, 0.001, 0.001), "hardly a patient"), ((5.0, 1.0, 40.0), "hardly a patient"), ((5.0, 1.0, 8.0), "middle")],
)
def test_sizes_that_no_scanner_gives(empty: Study, files: Path, scale: tuple[float, ...], words: str) -> None:
    shape = (12, 48, 40)
    for n in range(5):
        empty.add_case(f"p{n}", {"DWI": scan(files / f"a{n}.nii.gz", grid(shape), seed=n)})
    empty.add_case("odd", {"DWI": scan(files / "odd.nii.gz", grid(shape, scale), seed=9)})
    found = [f for f in findings(empty, voxels=False) if f.check == "spacing"]
    assert {f.case for f in found} == {"odd"}
    assert any(words in f.message for f in found)


def test_slices_cut_another_way_and_skewed_axes(empty: Study, files: Path) -> None:
    for n in range(5):
        empty.add_case(f"p{n}", {"DWI": scan(files / f"a{n}.nii.gz", grid((8, 40, 40)), seed=n)})
    turned = np.array([[0, 0, -5.0, 0], [-1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 0, 1]])
    empty.add_case("sagittal", {"DWI": scan(files / "s.nii.gz", Grid.of((40, 40, 8), turned), seed=7)})
    skewed = np.diag([-2.0, -1.0, 5.0, 1.0])
    skewed[1, 2] = 1.5
    empty.add_case("skewed", {"DWI": scan(files / "k.nii.gz", Grid.of((40, 40, 8), skewed), seed=8)})
    found = {f.case: f.message for f in findings(empty, voxels=False) if f.check == "orientation"}
    assert "sagittal" in found["sagittal"]
    assert "axial" in found["sagittal"]
    assert "17°" in found["skewed"]
    assert set(found) == {"sagittal", "skewed"}


def test_memory_stays_under_three_volumes(tmp_path: Path) -> None:
    shape = (60, 224, 224)
    values = np.random.default_rng(0).integers(0, 9, shape).astype(np.float32) + np.float32(0.5)
    with Study.create(tmp_path / "study", "Large", ["A", "B"], SCHEME) as study:
        images = {}
        for m in ("A", "B"):
            images[m] = tmp_path / f"{m}.nii"
            write_nifti(images[m], values, grid(shape, (2.0, 1.0, 1.0)))
        study.add_case("one", images)
        tracemalloc.start()
        list(study.check())
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 3 * values.nbytes


@pytest.mark.parametrize("data", [b"", b"\x1f\x8b\x08 no gzip", b"hello" * 200])
def test_a_look_at_no_image_is_a_sentence(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.nii.gz"
    path.write_bytes(data)
    with pytest.raises(ImageError, match=r"x\.nii\.gz"):
        peek(path)
    with pytest.raises(ImageError, match="gone"):
        peek(tmp_path / "none.nii.gz")


def test_every_check_says_what_it_looks_at() -> None:
    for name in checks.names():
        check = checks.get(name)
        assert check.code == name
        assert check.title
        assert check.about.endswith(".")
    with pytest.raises(UsageError, match="check"):
        checks.get("nothing")
