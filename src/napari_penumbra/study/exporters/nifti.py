"""NIfTI for scans, PNG for pictures: one label file per case, on the grid of the file that the case came from."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_penumbra.domain.errors import ImageError
from napari_penumbra.domain.grid import AnyArray
from napari_penumbra.domain.labels import LabelClass
from napari_penumbra.imaging import atomic
from napari_penumbra.imaging.nifti import write_nifti
from napari_penumbra.imaging.pictures import encode_png
from napari_penumbra.study.exporters._base import CONFIDENCE_STEP, Exporter, Item, Job


class Nifti(Exporter):
    """``<case>.nii.gz``, or ``<case>.png`` on the pixels of a case that is a picture."""

    title = "NIfTI"
    readers = "ITK-SNAP, 3D Slicer, FSL, FreeSurfer, SPM, MITK, napari, nibabel, MONAI"

    def files(self, item: Item) -> list[str]:
        """Labels, then confidence, then images."""
        suffix = ".png" if item.picture else ".nii.gz"
        made = [f"{item.stem}{suffix}"]
        if self.job.options.confidence and item.confidence is not None:
            made.append(f"{item.stem}_confidence{suffix}")
        if self.images_wanted:
            made += [f"images/{item.stem}_{modality}{suffix}" for modality in item.images]
        return made

    def write(self, item: Item) -> None:
        """Write a case."""
        suffix = ".png" if item.picture else ".nii.gz"
        write_labels(self.job, item, f"{item.stem}{suffix}")
        if self.job.options.confidence and item.confidence is not None:
            write_confidence(self.job, item, f"{item.stem}_confidence{suffix}")
        if self.images_wanted:
            for modality in item.images:
                write_one_image(self.job, item, modality, f"images/{item.stem}_{modality}{suffix}")


def write_labels(job: Job, item: Item, relative: str) -> None:
    """Write the labels of a case as ``.nii.gz`` or ``.png``."""
    stored, target = job.labels(item), job.path(relative)
    if relative.endswith(".png"):
        atomic.write_bytes(target, encode_png(stored, item.source, _values(job.segments(), job.unknown)))
    else:
        write_nifti(target, stored, item.source, np.uint8)


def write_confidence(job: Job, item: Item, relative: str) -> None:
    """Write the confidence map of a case: ``.nii.gz`` from 0 to 1, ``.png`` from 0 to 255."""
    stored, target = job.confidence(item), job.path(relative)
    if relative.endswith(".png"):
        atomic.write_bytes(target, encode_png(stored, item.source, "confidence: 0 none to 255 full"))
    else:
        write_nifti(target, stored * np.float64(CONFIDENCE_STEP), item.source, np.uint8, slope=CONFIDENCE_STEP)


def write_one_image(job: Job, item: Item, modality: str, relative: str) -> None:
    """Write one modality as ``.nii.gz``, or as a grey ``.png`` of 8 bits."""
    stored, target = job.image(item, modality), job.path(relative)
    if relative.endswith(".png"):
        atomic.write_bytes(target, encode_png(eight_bits(stored, item, modality), item.source, f"image: {modality}"))
    else:
        write_nifti(target, stored, item.source)


def eight_bits(stored: AnyArray, item: Item, modality: str) -> npt.NDArray[np.uint8]:
    """Turn the intensities of a picture into bytes; raises `ImageError` when that would change them."""
    if float(stored.min()) < 0 or float(stored.max()) > 255 or bool((stored != np.rint(stored)).any()):
        raise ImageError(
            f"{modality} of {item.name} has more than 8 bits: a PNG of it would not be what the study holds.",
            "Export it without its images.",
        )
    return stored.astype(np.uint8)


def _values(segments: list[LabelClass], unknown: int) -> str:
    """Say what the values of an exported picture mean, in ASCII for a PNG's text field."""
    parts = ["0 background", *(f"{c.value} {c.name}" for c in segments)]
    if not unknown:
        parts.append("0 unknown")
    return "labels: " + ", ".join(parts).encode("ascii", "replace").decode("ascii")
