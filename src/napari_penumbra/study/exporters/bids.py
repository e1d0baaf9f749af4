"""A BIDS derivative: ``sub-X/anat/sub-X_desc-penumbra_dseg.nii.gz`` with the look-up table of its values.

After the Brain Imaging Data Structure 1.10, "Imaging derivatives: discrete segmentations". Copied images and confidence
maps are listed in ``.bidsignore``: of an image in a derivative BIDS wants to be told whether its skull was stripped,
which a study does not know, and for most of them and for confidence it has no suffix.
"""

from __future__ import annotations

import json
import re

from napari_penumbra import __version__
from napari_penumbra.imaging import atomic
from napari_penumbra.study.exporters._base import Exporter, Item, Job
from napari_penumbra.study.exporters._plan import RECORD
from napari_penumbra.study.exporters.nifti import write_confidence, write_labels, write_one_image

VERSION = "1.10.0"
_SUFFIXES = {
    "t1": "T1w", "t1w": "T1w", "t2": "T2w", "t2w": "T2w", "flair": "FLAIR", "pd": "PDw", "pdw": "PDw",
    "t2star": "T2starw", "t2starw": "T2starw", "swi": "swi", "inplanet2": "inplaneT2",
}  # fmt: skip
_COLUMNS = {
    "participant_id": {"Description": "Name within this data set: letters and digits of the case's name."},
    "case": {"Description": "Name of the case in the study that was exported."},
}


class Bids(Exporter):
    """A derivative data set of its own."""

    title = "BIDS derivative"
    readers = "PyBIDS and BIDS apps; as NIfTI also FSL, FreeSurfer, nilearn"
    pictures = False

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self._subjects: dict[str, str] = {}

    def subject(self, item: Item) -> str:
        """Letters and digits of the case's name: BIDS allows nothing else; ``x2`` and so on where two meet."""
        if item.name not in self._subjects:
            base = re.sub(r"[^A-Za-z0-9]", "", item.stem.removeprefix("sub-")) or "case"
            label, n = base, 2
            taken = {other.lower() for other in self._subjects.values()}
            while label.lower() in taken:
                label, n = f"{base}x{n}", n + 1
            self._subjects[item.name] = label
        return self._subjects[item.name]

    def _start(self, item: Item) -> str:
        label = self.subject(item)
        return f"sub-{label}/anat/sub-{label}_"

    def files(self, item: Item) -> list[str]:
        """Labels and their sidecar, then confidence, then images."""
        start = self._start(item)
        made = [f"{start}desc-penumbra_dseg.nii.gz", f"{start}desc-penumbra_dseg.json"]
        if self.job.options.confidence and item.confidence is not None:
            made.append(f"{start}desc-penumbra_confidence.nii.gz")
        if self.images_wanted:
            made += [f"{start}desc-penumbra_{suffix_of_modality(m)}.nii.gz" for m in item.images]
        return made

    def write(self, item: Item) -> None:
        """Write a case; the sidecar comes after its labels."""
        job, start = self.job, self._start(item)
        write_labels(job, item, f"{start}desc-penumbra_dseg.nii.gz")
        how = {
            "accepted": "Predicted by a model, corrected and accepted by a reader",
            "predicted": "Predicted by a model; seen by nobody",
            "draft": "A draft that no reader has closed",
        }
        about = {
            "Description": how.get(item.kind, "Annotated by a reader"),
            "Manual": item.manual,
            "SpatialReference": "orig",
        }
        text = json.dumps(about, indent=1, ensure_ascii=False) + "\n"
        atomic.write_text(job.path(f"{start}desc-penumbra_dseg.json"), text)
        if job.options.confidence and item.confidence is not None:
            write_confidence(job, item, f"{start}desc-penumbra_confidence.nii.gz")
        if self.images_wanted:
            for modality in item.images:
                name = f"{start}desc-penumbra_{suffix_of_modality(modality)}.nii.gz"
                write_one_image(job, item, modality, name)

    # ------------------------------------------------------------------ about all

    def index_names(self) -> list[str]:
        """Table, participants, description and what a validator should pass over."""
        about = ["participants.tsv", "participants.json", "dataset_description.json"]
        return [".bidsignore", "README", "desc-penumbra_dseg.tsv", *about]

    def index(self) -> dict[str, str]:
        """See `index_names`."""
        job = self.job
        simulated = "Every case is simulated.\n" if job.study.simulated else ""
        description = {
            "Name": job.study.name,
            "BIDSVersion": VERSION,
            "DatasetType": "derivative",
            "GeneratedBy": [{"Name": "napari-penumbra", "Version": __version__}],
        }
        people = "".join(f"sub-{self.subject(item)}\t{_cell(item.name)}\n" for item in job.items)
        return {
            ".bidsignore": f"{RECORD}\n" + "".join(f"*_{name}.nii.gz\n" for name in self._not_bids()),
            "README": f"Labels of the study {job.study.name}, written by napari-penumbra {__version__}.\n{simulated}"
            "The values are named in desc-penumbra_dseg.tsv. Not a medical device: for research only.\n",
            "desc-penumbra_dseg.tsv": self._table(),
            "participants.tsv": f"participant_id\tcase\n{people}",
            "participants.json": json.dumps(_COLUMNS, indent=1) + "\n",
            "dataset_description.json": json.dumps(description, indent=1, ensure_ascii=False) + "\n",
        }

    def _not_bids(self) -> list[str]:
        return ["confidence", *(suffix_of_modality(modality) for modality in self.job.study.modalities)]

    def _table(self) -> str:
        lines = ["index\tname\tabbreviation\tcolor", "0\tbackground\tBG\t#000000"]
        for c in self.job.segments():
            short = re.sub(r"[^A-Za-z0-9]", "", c.name)[:6].upper() or f"L{c.value}"
            lines.append(f"{c.value}\t{_cell(c.name)}\t{short}\t{c.color}")
        return "\n".join(lines) + "\n"


def suffix_of_modality(modality: str) -> str:
    """BIDS suffix of a modality, or its name's letters and digits where BIDS has none."""
    plain = re.sub(r"[^A-Za-z0-9]", "", modality)
    return _SUFFIXES.get(plain.lower(), plain or "image")


def _cell(text: str) -> str:
    """Keep a cell of a table on its line and in its column."""
    return " ".join(text.split())
