"""Which format a file has: its name promises one, its first bytes must agree."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from napari_penumbra.domain.errors import ImageError
from napari_penumbra.imaging import nifti, sitk
from napari_penumbra.imaging.raw import COPY_AGAIN
from napari_penumbra.imaging.stored import head_of

Format = Literal["NIfTI", "Analyze", "NRRD", "MetaImage", "HDF5", "PNG", "JPEG", "TIFF", "BMP"]

SUFFIXES: dict[str, Format] = {
    ".nii": "NIfTI", ".nii.gz": "NIfTI", ".hdr": "NIfTI", ".hdr.gz": "NIfTI", ".img": "NIfTI", ".img.gz": "NIfTI",
    ".nrrd": "NRRD", ".nhdr": "NRRD", ".mha": "MetaImage", ".mhd": "MetaImage",
    ".h5": "HDF5", ".hdf5": "HDF5",
    ".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".tif": "TIFF", ".tiff": "TIFF", ".bmp": "BMP",
}  # fmt: skip
"""What each file name ending promises."""

PICTURES: tuple[Format, ...] = ("PNG", "JPEG", "TIFF", "BMP")
"""Formats of flat pictures, which know no millimetres; a TIFF of several pages is a stack and no picture."""

_ENDINGS: dict[Format, str] = {
    "NIfTI": ".nii or .nii.gz", "Analyze": ".hdr (its voxels .img)", "NRRD": ".nrrd",
    "MetaImage": ".mha or .mhd", "HDF5": ".h5",
    "PNG": ".png", "JPEG": ".jpg", "TIFF": ".tif", "BMP": ".bmp",
}  # fmt: skip
_PICTURE_STARTS: tuple[tuple[bytes, Format], ...] = (
    (b"\x89PNG", "PNG"), (b"\xff\xd8\xff", "JPEG"), (b"II*\0", "TIFF"), (b"MM\0*", "TIFF"), (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
)  # fmt: skip
_OTHER_KINDS = (
    (b"GIF8", "a GIF picture"),
    (b"RIFF", "a WebP picture or another RIFF file"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"%PDF", "a PDF document"),
)
_SAVE_AS = "Save a scan as NIfTI (.nii.gz), NRRD or MHA, a picture as PNG, and add that."


def suffix_of(path: Path) -> str:
    """Ending of a file name in lower case, ``.nii.gz`` in one piece; empty if it is not one of `SUFFIXES`."""
    name = path.name.lower()
    return max((s for s in SUFFIXES if name.endswith(s)), key=len, default="")


def is_picture_file(path: Path) -> bool:
    """Whether a file's name says that it is a flat picture: PNG, JPEG, TIFF or BMP."""
    return SUFFIXES.get(suffix_of(path)) in PICTURES


def check_present(path: Path) -> None:
    """Raise `ImageError` in words unless a path is an ordinary file with something in it."""
    if path.is_dir():
        raise ImageError(f"{path.name} is a folder, not an image.", "Choose a file inside it.")
    if not path.exists():
        raise ImageError(f"{path.name} does not exist.", "Check the name and that its disk or share is connected.")
    if not path.is_file():
        raise ImageError(f"{path.name} is not an ordinary file.", _SAVE_AS)
    if path.stat().st_size == 0:
        raise ImageError(f"{path.name} is empty (0 bytes).", COPY_AGAIN)


def format_of(path: Path) -> Format:
    """Decide by name and by content; when they disagree, say so instead of guessing."""
    named = SUFFIXES.get(suffix_of(path))
    if named == "NIfTI" and suffix_of(path).startswith(".img"):
        # The voxel half of a pair has no header of its own.
        return "Analyze" if nifti.looks_like_analyze(head_of(nifti.header_file(path))) else named
    content, what = _content(path)
    if content == "Analyze" and named == "NIfTI" and suffix_of(path).startswith(".hdr"):
        return content
    if named is not None and content == named:
        return named
    if content is not None:
        raise ImageError(
            f"{path.name} is a {content} file under a wrong name.",
            f"Rename it so that it ends in {_ENDINGS[content]}.",
        )
    if named is None and not what:
        raise ImageError(f"{path.name} is not an image of a kind that can be read.", _SAVE_AS)
    raise ImageError(f"{path.name} is {what or f'not a {named} image, although its name says so'}.", _SAVE_AS)


def _content(path: Path) -> tuple[Format | None, str]:
    """Find the format of the first bytes, or words for what else they are."""
    head = head_of(path)
    if nifti.looks_like_nifti(head):
        return "NIfTI", ""
    if sitk.looks_like_nrrd(head):
        return "NRRD", ""
    if sitk.looks_like_meta(head):
        return "MetaImage", ""
    if head[128:132] == b"DICM":
        return None, "a DICOM file; give a mask as NIfTI, NRRD or MHA"
    if nifti.looks_like_analyze(head):
        return "Analyze", ""
    if head.startswith(b"\x89HDF\r\n"):
        return "HDF5", ""
    for magic, kind in _PICTURE_STARTS:
        if head.startswith(magic):
            return kind, ""
    if head.startswith(b"BM") and head[6:10] == bytes(4):
        return "BMP", ""
    for magic, what in _OTHER_KINDS:
        if head.startswith(magic):
            return None, what
    if head and all(byte in b"\t\n\r\f" or 32 <= byte < 127 for byte in head):
        return None, "a text file"
    return None, ""
