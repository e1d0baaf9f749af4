"""DICOM dropped onto napari, without a study: the right way round, in millimetres, not named after the patient."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from npe2 import PluginManager, PluginManifest

from dicom_phantom import CORONAL, colour_capture, grid_of, phantom, write_series
from napari_penumbra.domain.errors import ImageError
from napari_penumbra.plugin import readers
from napari_penumbra.plugin.dicom_reader import get_reader, read


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_series(tmp_path / "in" / "t2", phantom(), SeriesDescription="t2 Doe", SeriesNumber=1, SeriesInstanceUID="1.5")
    write_series(tmp_path / "in" / "cor", phantom((6, 24, 32)), orientation=CORONAL, SeriesNumber=2,
                 SeriesInstanceUID="1.6")  # fmt: skip
    (tmp_path / "in" / "readme.txt").write_text("not DICOM")
    return tmp_path / "in"


def test_a_folder_opens_like_the_nifti_of_the_same_scan(folder: Path, tmp_path: Path) -> None:
    assert get_reader(str(folder)) is read
    t2, coronal = read(str(folder))
    assert [layer[1]["name"] for layer in (t2, coronal)] == ["T2", "series 2 MR 3 mm"]
    grid = grid_of((6, 24, 32), orientation=CORONAL)
    nib.save(nib.Nifti1Image(phantom((6, 24, 32)).transpose(2, 1, 0), grid.matrix), tmp_path / "same.nii.gz")
    data, arguments, _ = readers.read_one(tmp_path / "same.nii.gz")
    np.testing.assert_array_equal(coronal[0], data)
    np.testing.assert_allclose(coronal[1]["scale"], arguments["scale"])
    np.testing.assert_allclose(coronal[1]["translate"], arguments["translate"])
    assert coronal[1]["units"] == ("mm", "mm", "mm")
    assert coronal[1]["metadata"].keys() == arguments["metadata"].keys()


def test_one_slice_opens_its_series_and_others_are_left_alone(folder: Path) -> None:
    one = next((folder / "t2").iterdir())
    (layer,) = read(str(one))
    assert layer[1]["name"] == "T2"
    assert layer[0].shape == (8, 24, 32)
    assert get_reader(str(folder / "readme.txt")) is None
    assert get_reader(str(folder / "nowhere.dcm")) is None
    (folder.parent / "empty").mkdir()
    assert get_reader(str(folder.parent / "empty")) is None


def test_a_film_of_the_heart_opens_with_a_time_axis(tmp_path: Path) -> None:
    for t in range(3):
        write_series(tmp_path, phantom(seed=t), prefix=f"t{t}_", TriggerTime=40.0 * t, SeriesDescription="cine")
    ((data, arguments, _),) = read(str(tmp_path))
    assert data.shape == (3, 8, 24, 32)
    np.testing.assert_array_equal(data[2], phantom(seed=2))
    assert arguments["scale"] == (1.0, 3.0, 1.5, 1.25)
    assert len(arguments["translate"]) == len(arguments["units"]) == 4


def test_what_cannot_be_opened_is_told(tmp_path: Path) -> None:
    colour_capture(tmp_path / "one.dcm")
    with pytest.raises(ImageError, match="colour picture"):
        read(str(tmp_path))


def test_the_manifest_offers_the_reader() -> None:
    manager = PluginManager()
    manager.register(PluginManifest.from_file(Path(__file__).parents[2] / "napari.yaml"))
    for name in ("a.dcm", "A.IMA", "IM000012", "IM_0012", "I0010", "MR.1.2.840.5", "1.2.840.113619.2.5"):
        found = {one.command for one in manager.iter_compatible_readers([name])}
        assert found == {"napari-penumbra.read_dicom"}, name
    for name in ("a.png", "a.tif", "image.h5", "p01.h5", "scan_01", "img.nii.gz", "im01.tif"):
        found = {one.command for one in manager.iter_compatible_readers([name])}
        assert "napari-penumbra.read_dicom" not in found, name


@pytest.mark.gui
def test_napari_itself_opens_a_folder(folder: Path, make_napari_viewer: object) -> None:
    viewer = make_napari_viewer()  # type: ignore[operator]
    layers = viewer.open(str(folder), plugin="napari-penumbra")
    assert [layer.name for layer in layers] == ["T2", "series 2 MR 3 mm"]
    assert tuple(layers[0].scale) == (3.0, 1.5, 1.25)
    # Radiological: the R, on the patient's right, stands on the left of the screen.
    assert layers[0].data[2][:, :16].max() > 600
    np.testing.assert_allclose(layers[0].extent.world[0], (12.5, -15.0, -20.0), atol=3)
