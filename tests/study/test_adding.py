from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from study_scans import SCHEME, SHAPE, ball, grid, mask, scan

from napari_penumbra.domain.case import CaseState, Closing, Origin
from napari_penumbra.domain.errors import GeometryError, ImageError, LabelError, PenumbraError, UsageError
from napari_penumbra.domain.grid import Grid, ijk_to_zyx, zyx_to_ijk
from napari_penumbra.imaging.nifti import write_nifti
from napari_penumbra.study.adding import MAX_NAME
from napari_penumbra.study.store import Study


def test_case_and_label(empty: Study, files: Path) -> None:
    warnings = empty.add_case("Müller/1", {"DWI": scan(files / "a.nii.gz")}, mask(files / "l.nii.gz"), author="ann")
    assert warnings == ["T2 is missing."]
    row = empty.case("Müller/1")
    assert (row.modalities, row.missing, row.state, row.closing) == (
        ("DWI",),
        ("T2",),
        CaseState.ANNOTATED,
        Closing.COMPLETE,
    )
    opened = empty.read("Müller/1")
    np.testing.assert_array_equal(opened.labels, ball())
    np.testing.assert_array_equal(opened.images["DWI"].shape, SHAPE)
    assert opened.images["DWI"].dtype == np.float32
    assert opened.grid.same_place(grid())
    (first,) = empty.annotations("Müller/1")
    assert (first.origin, first.author, first.path.as_posix()) == (
        Origin.IMPORTED,
        "ann",
        "cases/Muller_1/annotations/r0001.nii.gz",
    )
    assert row.thumbnail is not None
    with Image.open(row.thumbnail) as picture:
        assert max(picture.size) == 64
        assert picture.size == (64, 38)  # 20 mm wide, 12 mm high


def test_partial_label(empty: Study, files: Path) -> None:
    empty.add_case("p", {"T2": scan(files / "a.nii.gz")}, mask(files / "l.nii.gz"), label_closing=Closing.PARTIAL)
    labels = empty.read("p").labels
    assert (labels[:2] == 255).all()
    assert (labels[4:] == 255).all()
    np.testing.assert_array_equal(labels[2:4], ball()[2:4])


@pytest.mark.parametrize("axes", ["RAS", "LPS", "PIR", "SLA"])
def test_every_orientation_gives_the_same_voxels(empty: Study, files: Path, axes: str) -> None:
    empty.add_case("lps", {"DWI": scan(files / "lps.nii.gz")})
    turn = grid().reorientation(axes)
    values = empty.read("lps").images["DWI"]
    write_nifti(files / "turned.nii.gz", ijk_to_zyx(turn.apply(zyx_to_ijk(values))), turn.target)
    # The label stays as it was: on the same millimetres, in another order.
    empty.add_case(axes, {"DWI": files / "turned.nii.gz"}, mask(files / "l.nii.gz"))
    opened = empty.read(axes)
    np.testing.assert_array_equal(opened.images["DWI"], values)
    np.testing.assert_array_equal(opened.labels, ball())
    assert empty.source_grid(axes).axes() == axes
    assert empty.grid(axes).same_place(grid())


def test_second_modality_is_resampled_and_said(empty: Study, files: Path) -> None:
    other = grid((6, 24, 20), (5.0, 0.5, 1.0), shift=1.2)
    warnings = empty.add_case("p", {"T2": scan(files / "t.nii.gz", other), "DWI": scan(files / "d.nii.gz")})
    assert len(warnings) == 1
    assert "T2 was resampled onto the grid of DWI, by up to" in warnings[0]
    assert empty.read("p").images["T2"].shape == SHAPE


@pytest.mark.parametrize(
    ("where", "words"),
    [
        (grid((7, 12, 10)), "10×12×7 instead of 10×12×6 voxels"),
        (grid(shift=0.5), "apart"),
        (grid(shift=500.0), "do not overlap"),
    ],
)
def test_label_on_another_grid_is_refused(empty: Study, files: Path, where: Grid, words: str) -> None:
    label = mask(files / "l.nii.gz", ball(shape=where.array_shape), where)
    with pytest.raises(GeometryError, match=words) as caught:
        empty.add_case("p", {"DWI": scan(files / "a.nii.gz")}, label)
    assert "l.nii.gz" in str(caught.value)
    assert empty.cases() == []
    assert list(empty.layout.cases.iterdir()) == []


def test_label_resampled_when_asked(empty: Study, files: Path) -> None:
    where = grid((7, 12, 10))
    label = mask(files / "l.nii.gz", ball(shape=where.array_shape), where)
    warnings = empty.add_case("p", {"DWI": scan(files / "a.nii.gz")}, label, resample_label=True)
    assert any("label was resampled" in w for w in warnings)
    np.testing.assert_array_equal(empty.read("p").labels, ball())


def test_bad_requests_add_nothing(empty: Study, files: Path) -> None:
    good = scan(files / "a.nii.gz")
    torn = files / "torn.nii.gz"
    torn.write_bytes(good.read_bytes()[:-200])
    floats = files / "floats.nii.gz"
    write_nifti(floats, ball().astype(np.float32) * 0.5, grid())
    bad: list[tuple[type[PenumbraError], str, dict[str, Path], Path | None]] = [
        (UsageError, "", {"DWI": good}, None),
        (UsageError, "a\nb", {"DWI": good}, None),
        (UsageError, "x" * (MAX_NAME + 1), {"DWI": good}, None),
        (UsageError, "p", {}, None),
        (UsageError, "p", {"CT": good}, None),
        (ImageError, "p", {"DWI": files / "none.nii.gz"}, None),
        (ImageError, "p", {"DWI": good, "T2": torn}, None),
        (ImageError, "p", {"DWI": files}, None),
        (LabelError, "p", {"DWI": good}, floats),
        (LabelError, "p", {"DWI": good}, mask(files / "nine.nii.gz", ball(9))),
        (GeometryError, "p", {"DWI": good, "T2": scan(files / "far.nii.gz", grid(shift=900.0))}, None),
    ]
    for kind, name, images, label in bad:
        with pytest.raises(kind) as caught:
            empty.add_case(name, images, label)
        assert caught.value.remedy
        assert empty.cases() == []
        assert list(empty.layout.cases.iterdir()) == []
    empty.add_case("p", {"DWI": good})
    with pytest.raises(UsageError, match="already has"):
        empty.add_case("p", {"DWI": good})


def test_names_that_share_a_folder_name(empty: Study, files: Path) -> None:
    for name in ("p/1", "p 1", "P:1"):
        empty.add_case(name, {"DWI": scan(files / "a.nii.gz")})
    assert sorted(p.name for p in empty.layout.cases.iterdir()) == ["P_1-3", "p_1", "p_1-2"]


def test_whole_numbers_are_kept_small_and_exact(empty: Study, files: Path) -> None:
    values = np.random.default_rng(0).integers(-3024, 3000, SHAPE)
    write_nifti(files / "ct.nii.gz", values.astype(np.int16), grid())
    empty.add_case("p", {"DWI": files / "ct.nii.gz"})
    np.testing.assert_array_equal(empty.read("p").images["DWI"], values)
    first, second = (case.key for case in [*empty.pool(), *empty.pool()])
    assert first == second
    assert len(first) == 32


def test_unknown_case(study: Study) -> None:
    for ask in (study.case, study.read, study.grid, study.annotations, study.prediction, study.withdraw, study.journal):
        with pytest.raises(UsageError, match='no case "nobody"'):
            ask("nobody")


@pytest.mark.parametrize(
    ("name", "modalities", "words"),
    [("", ["A"], "needs a name"), ("n", [], "modality"), ("n", ["A", "a"], "share"), ("n", ["a/b"], "cannot be")],
)
def test_create_refuses(tmp_path: Path, name: str, modalities: list[str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Study.create(tmp_path / "s", name, modalities, SCHEME)
    assert not (tmp_path / "s").exists()


def test_create_only_in_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "thesis.doc").write_text("x")
    with pytest.raises(UsageError, match="not empty"):
        Study.create(tmp_path, "n", ["A"], SCHEME)
    Study.create(tmp_path / "deep" / "er", "n", ["A"], SCHEME).close()
    with pytest.raises(UsageError, match="already holds a study"):
        Study.create(tmp_path / "deep" / "er", "n", ["A"], SCHEME)


def test_a_study_may_move(study: Study, tmp_path: Path) -> None:
    study.close()
    study.root.rename(tmp_path / "elsewhere with ünicode & spaces?")
    with Study.open(tmp_path / "elsewhere with ünicode & spaces?") as moved:
        assert moved.name == "Cohort"
        assert set(moved.read("p1").images) == {"DWI"}
