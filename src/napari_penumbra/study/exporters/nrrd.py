"""``.seg.nrrd`` for 3D Slicer: one file per case with the names, colours and coded terms of its segments."""

from __future__ import annotations

import numpy as np

from napari_penumbra.imaging.seg_nrrd import write_seg_nrrd
from napari_penumbra.imaging.sitk_writing import write_image
from napari_penumbra.study.exporters._base import CONFIDENCE_STEP, Exporter, Item


class SlicerNrrd(Exporter):
    """``<case>.seg.nrrd``."""

    title = "NRRD segmentation (3D Slicer)"
    readers = "3D Slicer (names, colours and terms kept), slicerio, ITK-SNAP, SimpleITK, MITK"

    def files(self, item: Item) -> list[str]:
        """Labels, then confidence, then images."""
        made = [f"{item.stem}.seg.nrrd"]
        if self.job.options.confidence and item.confidence is not None:
            made.append(f"{item.stem}_confidence.nrrd")
        if self.images_wanted:
            made += [f"images/{item.stem}_{modality}.nrrd" for modality in item.images]
        return made

    def write(self, item: Item) -> None:
        """Write a case."""
        job = self.job
        write_seg_nrrd(job.path(f"{item.stem}.seg.nrrd"), job.labels(item), item.source, job.segments())
        if job.options.confidence and item.confidence is not None:
            sure = job.confidence(item).astype(np.float32) * np.float32(CONFIDENCE_STEP)
            write_image(job.path(f"{item.stem}_confidence.nrrd"), sure, item.source)
        if self.images_wanted:
            for modality in item.images:
                target = job.path(f"images/{item.stem}_{modality}.nrrd")
                write_image(target, job.image(item, modality), item.source)
