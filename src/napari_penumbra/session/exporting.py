"""What leaves a study: labels for other tools, the cohort table, the report page; the same for window and shell."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.session.base import Base
from napari_penumbra.study import exporters
from napari_penumbra.study.exporters import ExportOptions, Plan, Written

_log = logging.getLogger(__name__)

COHORT, REPORT = "cohort-table", "report-page"


@dataclass(frozen=True, slots=True)
class ExportKind:
    """One thing that can be exported.

    Attributes
    ----------
    places
        Where images of cases without labels can go, ``none`` first.
    readers
        Which tools read it.
    unknown
        What unknown voxels become unless something else is asked for; empty where that means nothing.
    """

    name: str
    title: str
    readers: str
    unknown: str = ""
    confidence: bool = False
    images: bool = False
    images_needed: bool = False
    dicom: bool = False
    references: bool = False
    places: tuple[str, ...] = ("none",)


class Exporting(Base):
    """Plans and carries out exports."""

    def export_kinds(self) -> list[ExportKind]:
        """Everything that can be exported, label formats first."""
        made = []
        for name in exporters.names():
            try:
                made.append(_label_kind(name))
            except PenumbraError as error:  # another package's format that cannot be loaded
                _log.warning("%s", error)
        made.append(ExportKind(COHORT, "Cohort table (CSV, Parquet)", "Excel, R, pandas, SPSS", references=True))
        made.append(ExportKind(REPORT, "Report page (HTML)", "Any browser", references=True))
        return made

    def plan_export(
        self,
        folder: Path,
        kind: str = "nifti",
        options: ExportOptions | None = None,
        references: Path | None = None,
    ) -> Plan:
        """Say what an export would write; nothing is written before `Plan.run`.

        Parameters
        ----------
        folder
            Made when missing; must be empty unless ``options.overwrite``.
        kind
            Name of a format, `COHORT` or `REPORT`.
        references
            Folder of label files to measure overlap and distances against; for the table and the report.

        Raises
        ------
        UsageError
            There is nothing to export, or it cannot be done as asked.
        """
        study, options = self.opened(), options or ExportOptions()
        if kind in (COHORT, REPORT):
            from napari_penumbra.session.cohort_files import plan_cohort
            from napari_penumbra.session.report_page import plan_report

            plan = plan_cohort if kind == COHORT else plan_report
            return plan(study, Path(folder), options, references, self.reader)
        return exporters.plan(study, Path(folder), kind, options)

    def export(self, folder: Path, kind: str = "nifti", options: ExportOptions | None = None) -> list[Path]:
        """Export at once; returns the files, the first error is raised."""
        plan = self.plan_export(folder, kind, options)
        return [plan.folder / file for step in _raising(plan.run()) for file in step.files]


def _label_kind(name: str) -> ExportKind:
    kind = exporters.get(name)
    return ExportKind(
        name,
        kind.title,
        kind.readers,
        kind.habit,
        kind.confidence_beside,
        not kind.takes_dicom,
        kind.images_needed,
        kind.takes_dicom,
        places=kind.places,
    )


def _raising(steps: Iterator[Written]) -> Iterator[Written]:
    for step in steps:
        if step.error is not None:
            raise step.error
        yield step
