"""A study for the exports: one patient with an L and an R shape, stored on grids of every sort."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid
from study_scans import draft, predict

from napari_penumbra.domain.case import Closing
from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.labels import LabelScheme
from napari_penumbra.imaging.nifti import write_nifti
from napari_penumbra.study.store import Study

SCHEME = LabelScheme.parse(["2=penumbra", "5=core"])
LEFT, RIGHT, UNKNOWN = 2, 5, 255
_BASE = np.array([[-1.5, 0, 0, 14], [0, -2.0, 0, 18], [0, 0, 4.0, -12], [0, 0, 0, 1]], float)  # LPS
BASE = Grid.of((20, 18, 8), _BASE)


def turned(grid: Grid, degrees: float = 25.0) -> Grid:
    """The same voxels after the patient was tilted about an odd axis."""
    axis = np.array([1.0, 2.0, 0.5]) / np.linalg.norm([1.0, 2.0, 0.5])
    a, (x, y, z) = np.deg2rad(degrees), axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    rotation = np.eye(4)
    rotation[:3, :3] = np.eye(3) + np.sin(a) * cross + (1 - np.cos(a)) * cross @ cross
    return Grid.of(grid.shape, rotation @ grid.matrix)


GRIDS = {
    "lps": BASE,
    "ras": BASE.reorientation("RAS").target,
    "pir": BASE.reorientation("PIR").target,
    "left-handed": BASE.reorientation("RPS").target,
    "oblique": turned(BASE.reorientation("PIR").target, 18.0),
}
"""How each case's file was stored."""


def shapes() -> np.ndarray:
    """An L drawn in the patient's left half (value 2) and an R in the right half (value 5), (z, y, x) on `BASE`."""
    labels = np.zeros(BASE.array_shape, np.uint8)
    l_shape = ["1...", "1...", "1...", "1...", "1111"]
    r_shape = ["111.", "1..1", "111.", "1.1.", "1..1"]
    for shape, column, value in ((l_shape, 13, LEFT), (r_shape, 3, RIGHT)):  # x grows to the left
        for row, line in enumerate(shape):
            for n, sign in enumerate(line):
                if sign == "1":
                    labels[2:5, 6 + row, column + n] = value
    labels[6, 0, 0] = UNKNOWN
    return labels


def millimetres(mask_ijk: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Where the voxels of a mask lie, in RAS mm, in an order that does not depend on the axes."""
    index = np.argwhere(mask_ijk)
    points = (affine @ np.c_[index, np.ones(len(index))].T)[:3].T
    return points[np.lexsort(np.round(points, 2).T)]


def truth(name: str, value: int) -> np.ndarray:
    """Where the voxels of a shape lie in RAS mm, from the drawing itself."""
    grid = turned(BASE, 18.0) if name == "oblique" else BASE
    return millimetres(shapes().transpose(2, 1, 0) == value, grid.matrix)


def stored(name: str, array_zyx: np.ndarray) -> np.ndarray:
    """Bring an array on the canonical grid into the file's order, (z, y, x)."""
    from napari_penumbra.imaging.files import onto_source

    return onto_source(array_zyx, GRIDS[name])


def image(seed: int) -> np.ndarray:
    """Whole numbers that look like no other case's, (z, y, x) on `BASE`."""
    return np.rint(np.random.default_rng(seed).normal(300, 80, BASE.array_shape)).astype(np.float32)


def make(root: Path, *, secret: str = "", modalities: tuple[str, ...] = ("DWI", "T2")) -> Path:
    """One closed case per grid, ``draft`` with a draft, ``predicted`` with a prediction, ``new`` with nothing.

    ``secret`` is part of every path that the images come from.
    """
    files = root / f"files{secret}"
    files.mkdir(parents=True)
    with Study.create(root / "study", "Cohort", modalities, SCHEME) as study:
        for n, name in enumerate([*GRIDS, "draft", "predicted", "new"]):
            kind = name if name in GRIDS else "lps"
            paths = {}
            for m, modality in enumerate(modalities):
                paths[modality] = files / f"{secret}{name}_{modality}.nii.gz"
                write_nifti(paths[modality], stored(kind, image(10 * n + m)), GRIDS[kind])
            study.add_case(name, paths)
            if name in GRIDS:
                draft(study, name, shapes(), closing=Closing.COMPLETE, author="ann")
        draft(study, "draft", shapes())
        predict(study, "predicted", labels=np.where(shapes() == UNKNOWN, 0, shapes()), confidence=0.6)
        predict(study, "lps", labels=np.where(shapes() == UNKNOWN, 0, shapes()), confidence=0.9)
        study.register_predictions()
        return study.root


PLANTED = {
    "PatientName": "Muster^Erika",
    "PatientID": "ID-4711-SECRET",
    "PatientBirthDate": "19630412",
    "AccessionNumber": "ACC998877",
    "StudyDescription": "Stroke Muster",
    "SeriesDescription": "Erika DWI",
    "InstitutionName": "Klinikum Geheim",
    "ReferringPhysicianName": "Doktor^Quelle",
    "DeviceSerialNumber": "SN55443",
    "StudyDate": "20240229",
}
"""What a scanner writes of a patient."""


def dicom_series(folder: Path, grid: Grid, voxels_zyx: np.ndarray, *, shuffle: bool = True) -> list[str]:
    """Write one MR image per slice of a grid (columns, rows, slices); returns their SOP instance UIDs in order."""
    folder.mkdir(parents=True)
    uids, series, study, frame = [], generate_uid(), generate_uid(), generate_uid()
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ grid.matrix
    spacing = grid.spacing
    order = list(range(grid.shape[2]))
    for k in order:
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = MRImageStorage, ExplicitVRLittleEndian
        meta.MediaStorageSOPInstanceUID = generate_uid()
        uids.append(str(meta.MediaStorageSOPInstanceUID))
        data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        data.SOPClassUID, data.SOPInstanceUID = MRImageStorage, meta.MediaStorageSOPInstanceUID
        data.StudyInstanceUID, data.SeriesInstanceUID, data.FrameOfReferenceUID = study, series, frame
        data.Modality, data.SeriesNumber, data.InstanceNumber = "MR", 3, k + 1
        data.ImageType = ["ORIGINAL", "PRIMARY"]
        for key, value in PLANTED.items():
            setattr(data, key, value)
        data.add_new((0x0029, 0x0010), "LO", "SECRET PRIVATE")
        data.Rows, data.Columns = grid.shape[1], grid.shape[0]
        data.PixelSpacing, data.SliceThickness = [spacing[1], spacing[0]], spacing[2]
        data.ImageOrientationPatient = [
            round(float(v), 9) for v in (*lps[:3, 0] / spacing[0], *lps[:3, 1] / spacing[1])
        ]
        data.ImagePositionPatient = [round(float(v), 7) for v in (lps @ [0, 0, k, 1])[:3]]
        data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
        data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 0
        data.PixelData = np.ascontiguousarray(np.clip(voxels_zyx[k], 0, 65535)).astype("<u2").tobytes()
        name = f"IM{(k * 7) % 97:04d}" if shuffle else f"IM{k:04d}"  # names say nothing of the order
        pydicom.dcmwrite(folder / name, data, enforce_file_format=True)
    return uids
