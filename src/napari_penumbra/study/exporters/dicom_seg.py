"""DICOM segmentations that refer to the series they were drawn on, one file per case, by highdicom.

The series are looked for in a folder (``--dicom``) or in what the DICOM importer kept of them. A series belongs to a
case when its slices lie on the case's very millimetres and, where its pixels are at hand, show the case's own image: a
segmentation filed under another patient's scan would be worse than none. The file carries the UIDs of its source and no
name, number or date of the patient.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from napari_penumbra import __version__
from napari_penumbra.domain.errors import GeometryError, PenumbraError, UsageError
from napari_penumbra.domain.labels import LabelArray, LabelClass
from napari_penumbra.domain.terms import SCHEME, Code, term_of
from napari_penumbra.imaging.atomic import replace_into
from napari_penumbra.imaging.dicom_enhanced import as_enhanced, name_frames
from napari_penumbra.imaging.dicom_source import SourceSeries, looks_alike, read_tree
from napari_penumbra.imaging.files import onto_source, read_image
from napari_penumbra.study.exporters._base import KEEP, Exporter, ExportOptions, Item, Job
from napari_penumbra.study.exporters._references import kept_series
from napari_penumbra.study.store import Study

_SAME_MM = 0.05


class DicomSeg(Exporter):
    """``<case>.seg.dcm``."""

    title = "DICOM segmentation"
    readers = "PACS and OHIF, 3D Slicer (QuantitativeReporting), MITK, highdicom, dcmqi"
    habit = KEEP
    pictures = False
    takes_dicom = True
    confidence_beside = False

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self._tree: list[SourceSeries] | None = None

    @classmethod
    def check(cls, study: Study, options: ExportOptions) -> None:
        """Look for the library now, not after the first case."""
        try:
            import highdicom  # noqa: F401
        except ImportError as error:
            raise UsageError(
                "DICOM segmentations need the package highdicom.",
                'Install it: pip install "napari-penumbra[dicom-seg]"',
            ) from error
        if options.images:
            raise UsageError("A DICOM segmentation refers to its images; it does not copy them.", "Leave --images out.")
        if options.dicom is not None and not options.dicom.is_dir():
            raise UsageError(f"The DICOM folder {options.dicom} does not exist.", "Name the folder of the series.")

    def files(self, item: Item) -> list[str]:
        """One file."""
        return [f"{item.stem}.seg.dcm"]

    def why_not(self, item: Item) -> str:
        """Say that nothing is known of the series, before anything is read."""
        if self.job.options.dicom is None and kept_series(self.job.study, item) is None:
            return "nothing is known of its DICOM series: give their folder (--dicom FOLDER)"
        return ""

    def write(self, item: Item) -> None:
        """Write a case.

        Raises
        ------
        GeometryError
            No series lies on the case's grid, or none shows its image.
        """
        series = self._series(item)
        labels = self.job.labels(item, onto=series.grid)
        made = segmentation(item, series, *self._numbered(labels))
        with replace_into(self.job.path(f"{item.stem}.seg.dcm")) as temporary:
            made.save_as(temporary, enforce_file_format=True)

    def _numbered(self, labels: LabelArray) -> tuple[LabelArray, list[LabelClass]]:
        """Number the segments from 1 without a gap, as DICOM wants; unknown only where a voxel is."""
        present = self.job.segments()
        if self.job.unknown and not bool((labels == self.job.unknown).any()):
            present = [c for c in present if c.value != self.job.unknown]
        table = np.zeros(256, dtype=np.uint8)
        for n, segment in enumerate(present, start=1):
            table[segment.value] = n
        return table[labels], [LabelClass(n, c.name, c.color) for n, c in enumerate(present, start=1)]

    # ------------------------------------------------------------------ which series

    def _series(self, item: Item) -> SourceSeries:
        folder = self.job.options.dicom
        if folder is None:
            kept = kept_series(self.job.study, item)
            if kept is None:
                raise UsageError(f"Nothing is known of the DICOM series of {item.name}.", "Give --dicom FOLDER.")
            if not _on_grid(kept, item):
                raise GeometryError(
                    f"What was kept of the DICOM series of {item.name} does not lie on its grid.",
                    "Give the series itself with --dicom FOLDER.",
                )
            return kept
        if self._tree is None:
            self._tree = read_tree(folder)
        return _matching(self._tree, item, folder)


def _matching(tree: list[SourceSeries], item: Item, folder: Path) -> SourceSeries:
    placed = [series for series in tree if _on_grid(series, item)]
    if not placed:
        raise GeometryError(
            f"No DICOM series in {folder.name} lies on the grid of {item.name}.",
            "Name the folder of the series that the case was made from; a case that was cropped or resampled before it "
            "came into the study fits none.",
        )
    for path in item.images.values():
        image = read_image(path).volume.data
        for series in placed:
            seen = onto_source(image, series.grid)
            picked = sorted({len(seen) // 4, len(seen) // 2, 3 * len(seen) // 4})
            if all(looks_alike(seen[k], series.pixels(k)) for k in picked):
                return series
    raise GeometryError(
        f"The DICOM series in {folder.name} that lies on the grid of {item.name} shows other images than the case.",
        "It may be another patient's or another sequence: name the folder of the series that the case was made from.",
    )


def _on_grid(series: SourceSeries, item: Item) -> bool:
    return series.grid.reorientation().target.same_place(item.grid, _SAME_MM)


# ---------------------------------------------------------------------- the file


def segmentation(item: Item, series: SourceSeries, labels: LabelArray, segments: list[LabelClass]) -> Any:
    """Make the segmentation as a pydicom data set.

    Parameters
    ----------
    labels
        (slice, row, column) segment numbers from 1, on ``series.grid``.
    segments
        Number, name and colour of each.
    """
    import highdicom as hd

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about attributes that are empty on purpose
        try:
            made = hd.seg.Segmentation(
                source_images=[as_enhanced(series.images)] if series.frames else list(series.images),
                pixel_array=labels,
                segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
                segment_descriptions=[_description(segment, item) for segment in segments],
                series_instance_uid=hd.UID(),
                series_number=900,
                sop_instance_uid=hd.UID(),
                instance_number=1,
                manufacturer="napari-penumbra",
                manufacturer_model_name="napari-penumbra",
                software_versions=__version__,
                device_serial_number="0",
                content_label="PENUMBRA",
                content_description="Research only",
                omit_empty_frames=bool(labels.any()),
                series_description=f"Labels ({item.kind})",
            )
        except (AttributeError, ValueError, TypeError) as error:
            raise PenumbraError(
                f"The DICOM series of {item.name} cannot be referred to.",
                "Its headers lack what a segmentation needs (frame of reference, study and series UIDs).",
                details=f"{type(error).__name__}",
            ) from error
    if series.frames:
        name_frames(made, series.frames)
    return made


def _description(segment: LabelClass, item: Item) -> Any:
    import highdicom as hd
    from pydicom.sr.codedict import codes

    term = term_of(segment.name)
    kind = hd.seg.SegmentAlgorithmTypeValues
    how = kind.MANUAL if not item.model else kind.AUTOMATIC if item.kind == "predicted" else kind.SEMIAUTOMATIC
    algorithm = None
    if item.model:
        algorithm = hd.AlgorithmIdentificationSequence(item.model[:64], codes.DCM.ArtificialIntelligence, __version__)
    red, green, blue = (int(segment.color[n : n + 2], 16) for n in (1, 3, 5))
    return hd.seg.SegmentDescription(
        segment_number=segment.value,
        segment_label=" ".join(segment.name.split())[:64],
        segmented_property_category=_concept(term.category),
        segmented_property_type=_concept(term.type),
        algorithm_type=how,
        algorithm_identification=algorithm,
        anatomic_regions=None if term.region is None else [_concept(term.region)],
        display_color=hd.color.CIELabColor.from_rgb(red, green, blue),
    )


def _concept(code: Code) -> Any:
    import highdicom as hd

    return hd.sr.CodedConcept(code.value, SCHEME, code.meaning)
