"""The importing of DICOM: one function for the window and the command line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.imaging.dicom import Progress
from napari_penumbra.session.base import Base
from napari_penumbra.study.importers.dicom import DicomCase, DicomPlan


class DicomImport(Base):
    """Plans and adds cases from DICOM files."""

    def plan_dicom(self, folder: Path, progress: Progress | None = None) -> DicomPlan:
        """Look through a folder or a tree of patients; writes nothing. Headers only: a second or two per 1,000 files.

        Parameters
        ----------
        progress
            Called with (files read, files in all); returning False stops the search.

        Raises
        ------
        UsageError
            No such folder, no scan in it, or the search was stopped.
        """
        return self.opened().plan_dicom(folder, progress)

    def add_dicom(
        self, cases: Iterable[DicomCase], keep_references: str = ""
    ) -> Iterator[tuple[str, list[str] | PenumbraError]]:
        """Add the wanted cases of a plan, one at a time; one that cannot be added does not stop the rest.

        Parameters
        ----------
        keep_references
            The folder as the reader named it, to keep the UIDs of the slices for an export as DICOM segmentation;
            empty keeps none.
        """
        study = self.writable()
        try:
            yield from study.add_dicom(cases, keep_references)
        finally:
            self.study_changed.emit()
            self._update_status()
