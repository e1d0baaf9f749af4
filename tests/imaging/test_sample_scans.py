"""The scans that ship: present, small, readable, labelled as they say, attributed."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from napari_penumbra.imaging.files import read_image, read_labels
from napari_penumbra.imaging.samples import SAMPLES, Sample, sample, sample_dir

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.parametrize("one", SAMPLES, ids=lambda s: s.key)
def test_sample_reads_and_its_labels_lie_on_it(one: Sample) -> None:
    labels = read_labels(one.label_path())
    assert set(np.unique(labels.volume.data)) == {0, *one.label_names}
    for path in one.image_paths().values():
        image = read_image(path)
        assert image.volume.data.std() > 0
        assert labels.source.same_place(image.source)
        assert not image.warnings
        assert path.stat().st_size < 2e6
    assert sample(one.key) is one


def test_lungs_are_on_their_own_side() -> None:
    """A patient's left lung lies towards the left: the whole chain from file to canonical axes, on a real scan."""
    labels = read_labels(sample("chest-ct").label_path()).volume
    x = {name: np.argwhere(labels.data == value)[:, 2].mean() for value, name in sample("chest-ct").label_names.items()}
    assert labels.grid.axes() == "LPS"
    assert x["left lung"] > x["right lung"] + 10
    image = read_image(sample("chest-ct").image_paths()["CT"]).volume.data
    assert np.median(image[labels.data == 6]) < -500 < np.median(image[labels.data == 3])


def test_odd_axes_of_the_spine_are_turned() -> None:
    read = read_image(sample("spine-mr").image_paths()["T2"])
    assert read.source.axes() == "PIR"
    assert read.volume.grid.axes() == "LPS"


def test_unknown_key() -> None:
    with pytest.raises(KeyError):
        sample("nothing")


def test_all_files_are_small_and_attributed() -> None:
    text = (REPOSITORY / "sample_data" / "README.md").read_text(encoding="utf-8")
    files = [p for p in sample_dir().iterdir() if p.is_file() and not p.name.startswith(".")]
    assert sum(p.stat().st_size for p in files) < 3e6
    for path in files:
        assert path.name in text, f"{path.name} has no attribution in sample_data/README.md"


def test_anatomy_holds_fractions() -> None:
    image = nib.load(sample_dir() / "mni152_anatomy_2mm.nii.gz")
    total = np.asarray(image.dataobj).astype(int).sum(axis=-1)
    assert image.shape[3] == 3
    assert total.max() <= 2 * 255
    assert 0.9 < np.median(total[total > 100]) / 255 < 1.1
    packed = (sample_dir() / "mni152_anatomy_2mm.nii.gz").read_bytes()
    assert packed[4:8] == bytes(4)  # no time stamp: the maker gives the same bytes again
    assert gzip.decompress(packed)


def test_make_stroke_writes_files_that_read_back(tmp_path: Path) -> None:
    script = REPOSITORY / "sample_data" / "make_stroke.py"
    subprocess.run([sys.executable, str(script), str(tmp_path), "--cases", "1", "--seed", "5"], check=True, timeout=60)
    names = {p.name for p in tmp_path.iterdir()}
    assert "simulated-0005_DWI.nii.gz" in names
    assert len(names) == 8
    assert nib.load(tmp_path / "simulated-0005_ADC.nii.gz").header["descrip"].item() == b"simulated"
    assert set(np.unique(read_labels(tmp_path / "simulated-0005_labels.nii.gz").volume.data)) == {0, 1, 2}
