"""nnU-Net v2's raw data set: ``imagesTr/CASE_0000.nii.gz``, ``labelsTr/CASE.nii.gz``, ``dataset.json``.

nnU-Net wants label values 0, 1, 2 … without a gap, and has an ignore label, which must be the highest. Classes are
therefore renumbered in the order of their values, and unknown voxels become that label, outside its loss as here.
The layout is described in nnU-Net's own ``documentation/dataset_format.md`` and ``ignore_label.md``.
"""

from __future__ import annotations

import io
import json
import re

import numpy as np

from napari_penumbra.domain.colour import COLOUR, has_colour
from napari_penumbra.domain.errors import UsageError
from napari_penumbra.imaging import atomic
from napari_penumbra.study.exporters._base import (
    BACKGROUND_WORD,
    IGNORE,
    NONE,
    TEST,
    UNUSED,
    Exporter,
    ExportOptions,
    Item,
    Job,
)
from napari_penumbra.study.exporters.nifti import eight_bits, write_confidence, write_labels, write_one_image
from napari_penumbra.study.store import Study

SPLITS = "splits_final.json"
_FOLDER = re.compile(r"Dataset\d{3}_.+")


class NnUNet(Exporter):
    """The folder that ``nnUNetv2_plan_and_preprocess`` reads."""

    title = "nnU-Net v2"
    readers = "nnU-Net v2 and what is built on it"
    habit = IGNORE
    images_needed = True
    every_modality = True
    places = (NONE, TEST, UNUSED)

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self._pictures = bool(job.items) and job.items[0].picture

    @classmethod
    def check(cls, study: Study, options: ExportOptions) -> None:
        """Refuse values that nnU-Net would stop at."""
        if options.unknown and options.unknown.strip().lower() not in (IGNORE, BACKGROUND_WORD):
            raise UsageError(
                f'nnU-Net takes no unknown voxels as "{options.unknown}": its labels have no gaps.',
                "Give ignore (its own ignore label) or background.",
            )

    def values(self) -> dict[int, int]:
        """Renumber from 1."""
        return {value: n for n, value in enumerate(sorted(self.job.scheme.values), start=1)}

    def why_not(self, item: Item) -> str:
        """Leave out what is of another sort than the first case: a data set has one file ending."""
        if item.picture != self._pictures:
            return f"it is a {'picture' if item.picture else 'scan'}, the first case is not: nnU-Net wants one sort"
        return ""

    def notes(self) -> list[str]:
        """Say what nnU-Net will look at beyond the files."""
        said = []
        if not _FOLDER.fullmatch(self.job.folder.name):
            said.append(
                f"nnU-Net finds a folder named like Dataset501_Hearts inside nnUNet_raw: rename "
                f"{self.job.folder.name} so, or choose such a name."
            )
        if self._frozen():
            said.append(
                f"{len(self._frozen())} of these cases are frozen for validation: copy {SPLITS} into the data set's "
                "folder in nnUNet_preprocessed, and fold 0 keeps them out of training."
            )
        moved = [(value, n) for value, n in self.job.values.items() if value != n]
        if moved:
            names = ", ".join(f"{self.job.scheme.by_value(v).name} {v} becomes {n}" for v, n in moved)
            said.append(f"nnU-Net wants labels without gaps: {names}.")
        return said

    # ------------------------------------------------------------------ files

    def files(self, item: Item) -> list[str]:
        """Images by channel, then labels, then confidence."""
        folder = "imagesTr" if item.labels is not None else self.job.options.unlabelled
        made = [f"{folder}/{item.stem}_{n:04d}{self._suffix}" for n in range(len(self._channels()))]
        if item.labels is not None:
            made.append(f"labelsTr/{item.stem}{self._suffix}")
            if self.job.options.confidence and item.confidence is not None:
                made.append(f"confidenceTr/{item.stem}{self._suffix}")
        return made

    @property
    def _suffix(self) -> str:
        return ".png" if self._pictures else ".nii.gz"

    def _channels(self) -> list[tuple[str, ...]]:
        """Modalities of each file: one, or the three of a colour picture."""
        modalities = self.job.study.modalities
        if not (self._pictures and has_colour(modalities)):
            return [(m,) for m in modalities]
        return [COLOUR, *((m,) for m in modalities if m not in COLOUR)]

    def write(self, item: Item) -> None:
        """Write a case."""
        job, folder = self.job, "imagesTr" if item.labels is not None else self.job.options.unlabelled
        for n, modalities in enumerate(self._channels()):
            relative = f"{folder}/{item.stem}_{n:04d}{self._suffix}"
            if len(modalities) == 1:
                write_one_image(job, item, modalities[0], relative)
            else:
                self._write_colours(item, modalities, relative)
        if item.labels is not None:
            write_labels(job, item, f"labelsTr/{item.stem}{self._suffix}")
            if job.options.confidence and item.confidence is not None:
                write_confidence(job, item, f"confidenceTr/{item.stem}{self._suffix}")

    def _write_colours(self, item: Item, modalities: tuple[str, ...], relative: str) -> None:
        from PIL import Image

        planes = [eight_bits(self.job.image(item, m)[0], item, m) for m in modalities]
        buffer = io.BytesIO()
        Image.fromarray(np.stack(planes, axis=-1)).save(buffer, format="PNG")
        atomic.write_bytes(self.job.path(relative), buffer.getvalue())

    def index_names(self) -> list[str]:
        """The data set's description; how to split it where cases are frozen for validation."""
        return [*([SPLITS] if self._frozen() else []), "dataset.json"]

    def _frozen(self) -> list[str]:
        return [item.stem for item in self.job.items if item.frozen and item.labels is not None]

    def index(self) -> dict[str, str]:
        """``dataset.json``; the ignore label only when a voxel has it, because it changes how nnU-Net samples."""
        job = self.job
        labels = {"background": 0}
        labels |= {c.name: job.values[c.value] for c in job.scheme.classes}
        if job.unknown and job.met_unknown:
            labels["ignore"] = job.unknown
        channels: list[str] = []
        for modalities in self._channels():
            channels += ("R", "G", "B") if modalities == COLOUR else modalities
        data = {
            "channel_names": {str(n): name for n, name in enumerate(channels)},
            "labels": labels,
            "numTraining": sum(item.labels is not None for item in job.items),
            "file_ending": self._suffix,
            "name": job.folder.name,
            "description": f"{job.study.name}{' (simulated)' if job.study.simulated else ''}",
        }
        made = {"dataset.json": json.dumps(data, indent=1, ensure_ascii=False) + "\n"}
        frozen = self._frozen()
        if frozen:
            train = [item.stem for item in job.items if item.labels is not None and not item.frozen]
            made = {SPLITS: json.dumps([{"train": train, "val": frozen}], indent=1) + "\n", **made}
        return made
