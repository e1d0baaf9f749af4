"""The real sample scans that ship with the program, and where they lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from napari_penumbra.domain.errors import ImageError

SIMULATED_NOTE = "simulated"
"""Word that every name, screen and file of the simulated cohort must carry."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A real, labelled scan. File names are relative to `sample_dir`.

    Attributes
    ----------
    key
        Short name for commands and manifests.
    title
        What a menu shows.
    images
        Modality to file name.
    labels
        File name of the label map.
    label_names
        Label value to name.
    credit
        Whom to thank, in one line.
    """

    key: str
    title: str
    images: Mapping[str, str]
    labels: str
    label_names: Mapping[int, str] = field(default_factory=dict)
    credit: str = ""

    def image_paths(self) -> dict[str, Path]:
        """Modality to full path."""
        return {modality: sample_dir() / name for modality, name in self.images.items()}

    def label_path(self) -> Path:
        """Full path of the label map."""
        return sample_dir() / self.labels


SAMPLES: tuple[Sample, ...] = (
    Sample(
        key="spine-mr",
        title="Spine, T2 MR (real, 13 classes)",
        images=MappingProxyType({"T2": "spine_mr_t2.nii.gz"}),
        labels="spine_mr_labels.nii.gz",
        label_names=MappingProxyType(
            {
                41: "vertebral arch",
                42: "spinous process",
                43: "costal process left",
                44: "costal process right",
                45: "superior articular left",
                46: "superior articular right",
                47: "inferior articular left",
                48: "inferior articular right",
                49: "vertebral body",
                60: "spinal cord",
                61: "spinal canal",
                62: "endplate",
                100: "disc",
            }
        ),
        credit="TPTBox 1.1.0, Apache-2.0",
    ),
    Sample(
        key="chest-ct",
        title="Chest, CT (real, 7 classes)",
        images=MappingProxyType({"CT": "chest_ct.nrrd"}),
        labels="chest_ct_labels.seg.nrrd",
        label_names=MappingProxyType(
            {
                1: "ribs",
                2: "cervical vertebral column",
                3: "thoracic vertebral column",
                4: "lumbar vertebral column",
                5: "right lung",
                6: "left lung",
                7: "tissue",
            }
        ),
        credit="slicerio 1.4.0 and 3D Slicer, MIT",
    ),
)


def sample_dir() -> Path:
    """Folder of the sample files: inside the installed package, or the repository's own in a development install.

    Raises
    ------
    ImageError
        Neither is there: the installation is incomplete.
    """
    here = Path(__file__).resolve()
    for folder in (here.parents[1] / "sample_files", here.parents[3] / "sample_data" / "files"):
        if folder.is_dir():
            return folder
    raise ImageError("The sample files are missing from this installation.", "Install napari-penumbra again.")


def sample(key: str) -> Sample:
    """Find a sample by its key; raises ``KeyError`` when there is none."""
    for one in SAMPLES:
        if one.key == key:
            return one
    raise KeyError(key)
