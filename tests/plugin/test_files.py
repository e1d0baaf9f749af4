"""Readers, writer and samples: right way round, on the right millimetres, back onto the same grid."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import slicerio
import tifffile

from napari_penumbra.domain.errors import GeometryError, ImageError, LabelError
from napari_penumbra.domain.grid import Grid
from napari_penumbra.imaging.nifti import write
from napari_penumbra.plugin.readers import get_reader, read
from napari_penumbra.plugin.sample_data import chest_ct, make_or_find_sample_study, spine_mr, stroke_case
from napari_penumbra.plugin.writers import write_labels

# The same patient, stored three ways: RAS, LPS and PIR.
RAS = np.array([[2.0, 0, 0, -20], [0, 3.0, 0, -30], [0, 0, 4.0, -10], [0, 0, 0, 1]])


def copies(tmp_path: Path, array_ijk: Any, name: str) -> dict[str, Path]:
    image = nib.Nifti1Image(array_ijk, RAS)
    paths = {}
    for axes in ("RAS", "LPS", "PIR"):
        turn = nib.orientations.ornt_transform(
            nib.orientations.io_orientation(RAS), nib.orientations.axcodes2ornt(tuple(axes))
        )
        paths[axes] = tmp_path / f"{name}_{axes}.nii.gz"
        nib.save(image.as_reoriented(turn), paths[axes])
    return paths


def test_three_orientations_are_one_picture(tmp_path: Path) -> None:
    array = np.random.default_rng(0).normal(size=(6, 7, 8)).astype(np.float32)
    layers = [read(str(path))[0] for path in copies(tmp_path, array, "scan").values()]
    for data, arguments, kind in layers:
        assert kind == "image"
        assert data.shape == (8, 7, 6)
        np.testing.assert_array_equal(data, layers[0][0])
        assert arguments["scale"] == (4, 3, 2)
        np.testing.assert_allclose(arguments["translate"], layers[0][1]["translate"])
    # z grows towards S, y towards P, x towards L: the first voxel is the most right, front and low one.
    assert layers[0][0][0, 0, 0] == array[-1, -1, 0]
    np.testing.assert_allclose(layers[0][1]["translate"], (-10, -(-30 + 6 * 3), -(-20 + 5 * 2)))


def test_labels_go_back_onto_the_files_own_grid(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 3, (6, 7, 8)).astype(np.uint8)
    for path in copies(tmp_path, array, "labels").values():
        data, arguments, kind = read(str(path))[0]
        assert kind == "labels"
        saved = write_labels(str(tmp_path / f"back_{path.name}"), data, arguments)
        first, second = nib.load(path), nib.load(saved[0])
        np.testing.assert_array_equal(np.asarray(second.dataobj), np.asarray(first.dataobj))
        np.testing.assert_allclose(second.affine, first.affine, atol=1e-4)


def test_a_layer_drawn_on_a_scan_lies_on_its_millimetres(tmp_path: Path) -> None:
    scan = copies(tmp_path, np.ones((6, 7, 8), np.float32), "scan")["PIR"]
    _, arguments, _ = read(str(scan))[0]
    labels = np.zeros((8, 7, 6), np.int64)
    labels[1, 2, 3] = 300
    attributes = {k: arguments[k] for k in ("scale", "translate")} | {"name": "Labels", "metadata": {}}
    (saved,) = write_labels(str(tmp_path / "drawn"), labels, attributes)
    assert saved.endswith("drawn.nii.gz")
    back = nib.load(saved)
    found = np.argwhere(np.asarray(back.dataobj) == 300)[0]
    wanted = np.array([-(-20 + 5 * 2.0) + 3 * 2, -(-30 + 6 * 3.0) + 2 * 3, -10 + 4.0])  # L, P, S
    np.testing.assert_allclose(nib.affines.apply_affine(back.affine, found), wanted * [-1, -1, 1], atol=1e-4)


@pytest.mark.parametrize("axes", ["RAS", "LPS", "PIR"])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".seg.nrrd", ".mha"])
def test_labels_go_back_in_every_format(tmp_path: Path, axes: str, suffix: str) -> None:
    array = np.random.default_rng(0).integers(0, 3, (6, 7, 8)).astype(np.uint8)
    path = copies(tmp_path, array, "labels")[axes]
    data, arguments, _ = read(str(path))[0]
    (saved,) = write_labels(str(tmp_path / f"back{suffix}"), data, arguments)
    assert saved.endswith(f"back{suffix}")
    first, second = nib.load(path), sitk.ReadImage(saved)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(second).transpose(2, 1, 0), np.asarray(first.dataobj))
    affine = np.eye(4)
    affine[:3, :3] = np.array(second.GetDirection()).reshape(3, 3) * np.array(second.GetSpacing())
    affine[:3, 3] = second.GetOrigin()
    np.testing.assert_allclose(np.diag([-1, -1, 1, 1]) @ affine, first.affine, atol=1e-4)


def test_a_slicer_segmentation_keeps_names_and_colours(tmp_path: Path) -> None:
    from napari.layers import Labels

    from napari_penumbra.domain.labels import LabelScheme
    from napari_penumbra.plugin.layers import label_colormap, label_names

    scheme = LabelScheme.parse(["1=left atrium", "4=wall"])
    data = np.zeros((4, 5, 6), np.uint8)
    data[1, 2, 3], data[2, 2, 2] = 1, 4
    layer = Labels(data, colormap=label_colormap(scheme), features=label_names(scheme), scale=(3, 2, 1))
    _, attributes, _ = layer.as_layer_data_tuple()
    (saved,) = write_labels(str(tmp_path / "a.seg.nrrd"), data, attributes)
    segments = slicerio.read_segmentation(saved)["segments"]
    assert [(s["name"], s["labelValue"]) for s in segments] == [("left atrium", 1), ("wall", 4)]
    for segment, c in zip(segments, scheme.classes, strict=True):
        wanted = [int(c.color[n : n + 2], 16) / 255 for n in (1, 3, 5)]
        np.testing.assert_allclose(segment["color"], wanted, atol=1e-3)
    assert segments[0]["terminology"]["type"] == ["SCT", "82471001", "Left atrium"]
    plain = Labels(data).as_layer_data_tuple()[1]
    (saved,) = write_labels(str(tmp_path / "b.seg.nrrd"), data, plain)
    assert [s["name"] for s in slicerio.read_segmentation(saved)["segments"]] == ["label 1", "label 4"]


@pytest.mark.parametrize(
    "attributes",
    [
        {"rotate": [[0, 1, 0], [1, 0, 0], [0, 0, 1]]},
        {"shear": [0.1, 0, 0]},
        {"affine": 2 * np.eye(4)},
        {"scale": (-1, 1, 1)},
    ],
)
def test_what_cannot_be_placed_is_refused(tmp_path: Path, attributes: dict[str, Any]) -> None:
    with pytest.raises(GeometryError):
        write_labels(str(tmp_path / "x.nii.gz"), np.zeros((2, 3, 4), np.uint8), attributes)
    with pytest.raises(GeometryError):
        write_labels(str(tmp_path / "x.nii.gz"), np.zeros((2, 3), np.uint8), {})
    with pytest.raises(LabelError):
        write_labels(str(tmp_path / "x.nii.gz"), np.full((2, 3, 4), -1), {})
    assert not list(tmp_path.iterdir())


def test_reader_takes_only_what_it_can_read(tmp_path: Path) -> None:
    assert get_reader("a.tif") is None
    assert get_reader([]) is None
    assert get_reader(["a.nii.gz", "b.png"]) is None
    assert get_reader("a.NRRD") is read
    with pytest.raises(ImageError, match=r"gone\.nii"):
        read(str(tmp_path / "gone.nii"))


def test_a_file_of_several_volumes_gets_a_slider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    array = np.random.default_rng(0).normal(0, 1, (4, 5, 6, 3)).astype(np.float32)
    path = tmp_path / "perfusion.nii.gz"
    nib.save(nib.Nifti1Image(array, RAS), path)
    assert get_reader(str(path)) is read
    ((data, arguments, kind),) = read(str(path))
    assert (data.shape, kind) == ((3, 6, 5, 4), "image")
    for time in range(3):
        one = tmp_path / f"one{time}.nii.gz"
        nib.save(nib.Nifti1Image(array[..., time], RAS), one)
        ((alone, placed, _),) = read(str(one))
        np.testing.assert_allclose(data[time], alone)
    assert arguments["scale"] == (1.0, *placed["scale"])
    assert arguments["translate"] == (0.0, *placed["translate"])
    monkeypatch.setattr("napari_penumbra.plugin.time_axis.MOST_BYTES", 100)
    said: list[str] = []
    monkeypatch.setattr("napari.utils.notifications.show_warning", said.append)
    ((first, _, _),) = read(str(path))
    assert "holds 3 volumes" in said[0]
    np.testing.assert_allclose(first, data[0])


def test_stacks_and_hdf5_open_as_volumes_and_flat_pictures_are_left_to_napari(tmp_path: Path) -> None:
    stack = tmp_path / "scan.tif"
    volume = np.arange(4 * 5 * 6, dtype=np.uint16).reshape(4, 5, 6)
    units = {"axes": "ZYX", "spacing": 3.0, "unit": "mm"}
    tifffile.imwrite(stack, volume, imagej=True, resolution=(2, 2), metadata=units)
    flat = tmp_path / "picture.tif"
    tifffile.imwrite(flat, volume[0])
    assert get_reader(str(stack)) is read
    assert get_reader(str(flat)) is None
    ((data, arguments, kind),) = read(str(stack))
    assert (data.shape, kind) == ((4, 5, 6), "image")
    assert sorted(np.abs(arguments["scale"])) == pytest.approx([0.5, 0.5, 3.0])
    assert sorted(data.ravel()) == sorted(volume.ravel())
    h5 = tmp_path / "atrium.h5"
    with h5py.File(h5, "w") as file:
        file["image"] = volume.astype(np.float32)
    assert get_reader(str(h5)) is read
    ((data, _, _),) = read(str(h5))
    assert sorted(data.ravel()) == sorted(volume.ravel())


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("p1_label", "labels"),
        ("lesion-mask", "labels"),
        ("gt", "labels"),
        ("case.seg", "labels"),
        ("t1_masked_brain", "image"),
        ("segovia", "image"),
    ],
)
def test_masks_are_told_by_their_name(tmp_path: Path, name: str, kind: str) -> None:
    path = tmp_path / f"{name}.nii.gz"
    write(path, np.ones((2, 3, 4), np.uint8), Grid.of((4, 3, 2), np.diag([-1.0, -1, 1, 1])))
    assert read(str(path))[0][2] == kind


def test_real_samples_have_labels_on_the_scan() -> None:
    for made in (spine_mr(), chest_ct()):
        (image, place, _), (labels, label_place, kind) = made[0], made[-1]
        assert kind == "labels"
        assert image.shape == labels.shape
        assert place["scale"] == pytest.approx(label_place["scale"])
        assert place["translate"] == pytest.approx(label_place["translate"], abs=1e-3)
        assert labels.any()
        assert "simulated" not in place["name"]


def test_simulated_sample_says_so_on_every_layer() -> None:
    made = stroke_case()
    assert len(made) == 8
    assert all("(simulated)" in arguments["name"] for _, arguments, _ in made)
    assert [arguments["visible"] for _, arguments, kind in made if kind == "image"] == [True] + 6 * [False]


def test_samples_in_the_menu(make_napari_viewer: Any) -> None:
    from npe2 import PluginManager

    viewer = make_napari_viewer()
    manifest = PluginManager.instance().get_manifest("napari-penumbra")
    assert manifest.contributions.sample_data is not None
    for sample in manifest.contributions.sample_data:
        assert ("simulated" in sample.display_name) == (sample.key not in ("spine-mr", "chest-ct"))
    assert len(viewer.open_sample("napari-penumbra", "stroke-case")) == 8
    viewer.layers.clear()
    assert len(viewer.open_sample("napari-penumbra", "chest-ct")) == 2


def test_napari_opens_and_saves_with_this_plugin(make_napari_viewer: Any, tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 3, (6, 7, 8)).astype(np.uint8)
    path = copies(tmp_path, array, "labels")["RAS"]
    viewer = make_napari_viewer()
    (layer,) = viewer.open(str(path), plugin="napari-penumbra")
    layer.data[:] = 0
    layer.save(str(tmp_path / "saved.nii.gz"), plugin="napari-penumbra")
    saved = nib.load(tmp_path / "saved.nii.gz")
    np.testing.assert_allclose(saved.affine, RAS)
    assert not np.asarray(saved.dataobj).any()


def test_sample_study_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_penumbra.study import samples

    made: list[Path] = []
    original = samples.make_sample_study

    def small(root: Path, cohort: str) -> Path:
        made.append(root)
        return original(root, cases=1, labelled=1, cohort=cohort)

    monkeypatch.setattr(samples, "make_sample_study", small)
    root = tmp_path / "study"
    assert make_or_find_sample_study(root) == root
    assert make_or_find_sample_study(root) == root
    assert make_or_find_sample_study(tmp_path / "2d", "lesions-2d") == tmp_path / "2d"
    assert made == [root, tmp_path / "2d"]
