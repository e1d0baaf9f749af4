"""Exporting in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_penumbra.study import exporters
from napari_penumbra.study.exporters import ExportOptions
from napari_penumbra.study.store import Study


def export_nifti(study: Study, folder: Path, **options: Any) -> list[Path]:
    """Export as NIfTI or PNG; the files of the cases, in order."""
    plan = exporters.plan(study, folder, "nifti", ExportOptions(**options))
    written = []
    for step in plan.run():
        assert step.error is None, step.error
        written += [folder / file for file in step.files]
    return written
