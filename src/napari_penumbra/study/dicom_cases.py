"""The part of `store.Study` that takes DICOM in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.imaging.dicom import Progress
from napari_penumbra.study.core import Core
from napari_penumbra.study.importers import dicom, dicom_adding
from napari_penumbra.study.importers.dicom import DicomCase, DicomPlan


class DicomCases:
    """Plans cases from a folder of DICOM files and adds them."""

    _core: Core

    def plan_dicom(self, folder: Path, progress: Progress | None = None) -> DicomPlan:
        """Say what a folder, or a tree of patients, would add; changes nothing. See `importers.dicom.plan_dicom`."""
        return dicom.plan_dicom(self._core, folder, progress)

    def add_dicom(
        self, cases: Iterable[DicomCase], keep_references: str = ""
    ) -> Iterator[tuple[str, list[str] | PenumbraError]]:
        """Add the wanted cases of a plan, one at a time. See `importers.dicom_adding.add_dicom`."""
        yield from dicom_adding.add_dicom(self._core, cases, keep_references=keep_references)
