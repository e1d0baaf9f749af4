"""DICOM in: a folder or a tree of patients becomes named volumes on grids, and nothing that names a patient.

Parts, each a file: `headers` (one file's header), `groups` (enhanced multi-frame), `split` (one series into volumes),
`geometry` (slices onto a grid), `decode` (pixels), `volume` (voxels), `names` (what a series is called), `adc`, `scan`
(a whole tree), `references` (UIDs, only where asked for).
"""

from napari_penumbra.imaging.dicom.headers import looks_like_dicom
from napari_penumbra.imaging.dicom.names import VOCABULARY, recognise
from napari_penumbra.imaging.dicom.offers import ADC_COMPUTED, Offer
from napari_penumbra.imaging.dicom.scan import Exam, Found, Progress, Stopped, has_dicom, only_volume, read_path, scan

__all__ = [
    "ADC_COMPUTED",
    "VOCABULARY",
    "Exam",
    "Found",
    "Offer",
    "Progress",
    "Stopped",
    "has_dicom",
    "looks_like_dicom",
    "only_volume",
    "read_path",
    "recognise",
    "scan",
]
