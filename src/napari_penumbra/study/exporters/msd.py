"""The Medical Segmentation Decathlon's layout: ``imagesTr``, ``labelsTr``, ``imagesTs``, ``dataset.json``.

Several modalities lie in one file along a fourth axis, as in the Decathlon's own Task01 (Antonelli et al., Nat Commun
2022;13:4128).
"""

from __future__ import annotations

import json

from napari_penumbra.imaging import atomic
from napari_penumbra.imaging.nifti4d import encode_4d
from napari_penumbra.study.exporters._base import NONE, TEST, Exporter, Item
from napari_penumbra.study.exporters.nifti import write_confidence, write_labels, write_one_image


class Decathlon(Exporter):
    """What MONAI's ``DecathlonDataset`` and ``load_decathlon_datalist`` read."""

    title = "Medical Segmentation Decathlon"
    readers = "MONAI (load_decathlon_datalist), Auto3DSeg, nnU-Net (by its converter)"
    images_needed = True
    every_modality = True
    pictures = False
    places = (NONE, TEST)

    def files(self, item: Item) -> list[str]:
        """Image, then labels, then confidence."""
        if item.labels is None:
            return [f"imagesTs/{item.stem}.nii.gz"]
        made = [f"imagesTr/{item.stem}.nii.gz", f"labelsTr/{item.stem}.nii.gz"]
        if self.job.options.confidence and item.confidence is not None:
            made.append(f"confidenceTr/{item.stem}.nii.gz")
        return made

    def write(self, item: Item) -> None:
        """Write a case."""
        job, modalities = self.job, self.job.study.modalities
        image = f"{'imagesTr' if item.labels is not None else 'imagesTs'}/{item.stem}.nii.gz"
        if len(modalities) == 1:
            write_one_image(job, item, modalities[0], image)
        else:
            data = encode_4d([job.image(item, m) for m in modalities], item.source)
            atomic.write_bytes(job.path(image), data)
        if item.labels is not None:
            write_labels(job, item, f"labelsTr/{item.stem}.nii.gz")
            if job.options.confidence and item.confidence is not None:
                write_confidence(job, item, f"confidenceTr/{item.stem}.nii.gz")

    def index_names(self) -> list[str]:
        """One file."""
        return ["dataset.json"]

    def index(self) -> dict[str, str]:
        """``dataset.json`` with the Decathlon's keys."""
        job = self.job
        training = [item for item in job.items if item.labels is not None]
        test = [item for item in job.items if item.labels is None]
        data = {
            "name": job.study.name,
            "description": f"{job.study.name}{' (simulated)' if job.study.simulated else ''}",
            "reference": "",
            "licence": "",
            "release": "1.0",
            "tensorImageSize": "3D" if len(job.study.modalities) == 1 else "4D",
            "modality": {str(n): name for n, name in enumerate(job.study.modalities)},
            "labels": {"0": "background", **{str(c.value): c.name for c in job.segments() if self._used(c.value)}},
            "numTraining": len(training),
            "numTest": len(test),
            "training": [
                {"image": f"./imagesTr/{item.stem}.nii.gz", "label": f"./labelsTr/{item.stem}.nii.gz"}
                for item in training
            ],
            "test": [f"./imagesTs/{item.stem}.nii.gz" for item in test],
        }
        return {"dataset.json": json.dumps(data, indent=1, ensure_ascii=False) + "\n"}

    def _used(self, value: int) -> bool:
        return value != self.job.unknown or self.job.met_unknown
