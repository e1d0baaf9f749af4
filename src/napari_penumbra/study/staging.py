"""Putting a case together in a folder of its own: read, check, bring onto one grid, write. Touches no database.

It runs in this process or in a helper (`import_worker`), one case at a time. One volume is held at a
time, and the mask and the thumbnail are made as soon as the reference image is there, so that it need not stay.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from napari_penumbra.domain.case import Closing, ImageArray
from napari_penumbra.domain.colour import COLOUR, PICTURE
from napari_penumbra.domain.errors import GeometryError
from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.labels import LabelArray, LabelScheme
from napari_penumbra.imaging.atomic import write_bytes
from napari_penumbra.imaging.files import ReadImage, is_picture_file, read_channels, read_image
from napari_penumbra.imaging.nifti import write_nifti
from napari_penumbra.imaging.resample import resample
from napari_penumbra.study import references
from napari_penumbra.study.importers.source import ImageSource
from napari_penumbra.study.label_files import class_voxels, fill_unknown, revision_name
from napari_penumbra.study.mask_parts import read_mask
from napari_penumbra.study.masks import read_meaning
from napari_penumbra.study.newcase import NewCase
from napari_penumbra.study.overlap import check_not_picture, check_overlap, difference, mm
from napari_penumbra.study.thumbnails import write_thumbnail


@dataclass(frozen=True, slots=True)
class Order:
    """Everything that staging needs, as plain data.

    Attributes
    ----------
    modalities
        Those that the case has, the one that gives the grid first.
    folder
        Where to put the case together; must not exist.
    """

    new: NewCase
    modalities: tuple[str, ...]
    labels: LabelScheme
    slug: str
    folder: Path


@dataclass(frozen=True, slots=True)
class StagedLabel:
    """What the database wants to know of a mask."""

    foreground: int
    class_voxels: dict[str, int]
    drawn: bool


@dataclass(slots=True)
class Staged:
    """A case whose files are whole: what the database needs, and no voxels.

    Attributes
    ----------
    images
        Modality to how far it was moved onto the grid, in mm.
    key
        Changes with the voxels and the grid.
    label
        None without a mask, and when the mask is a reference.
    warnings
        What the reader should know.
    """

    slug: str
    folder: Path
    grid: Grid
    source: Grid
    images: dict[str, float] = field(default_factory=dict)
    key: str = ""
    label: StagedLabel | None = None
    reference: bool = False
    warnings: list[str] = field(default_factory=list)


def stage(order: Order) -> Staged:
    """Put a case together.

    Raises
    ------
    ImageError, GeometryError, LabelError
        A file cannot be used; the message names it.
    DiskError, OSError
        Something could not be written.
    """
    new, folder = order.new, order.folder
    (folder / "images").mkdir(parents=True)
    (folder / "predictions").mkdir()
    digest = hashlib.blake2b(digest_size=16)
    opened: dict[Path | ImageSource, dict[str, ReadImage]] = {}
    colours: list[ImageArray] = []
    staged: Staged | None = None
    labels: LabelArray | None = None
    told: list[str] = []
    for modality in order.modalities:
        found = _read(new, modality, opened)
        whole = PICTURE if new.images[modality] in opened else modality
        if staged is None:
            staged = Staged(order.slug, folder, found.volume.grid, found.source)
        staged.warnings += [f"{whole}: {text}" for text in found.warnings]
        data = _onto(found, staged, modality, order)
        digest.update(modality.encode())
        digest.update(data.data)
        write_nifti(folder / "images" / f"{modality}.nii.gz", data, staged.grid, _compact(data))
        if len(staged.images) == 1:  # the reference: mask and thumbnail now, so that its voxels can go
            labels = _label(order, staged, told) if new.masked else None
            write_thumbnail(folder / "thumbnail.png", data, staged.grid, labels)
        if modality in COLOUR and set(COLOUR) <= set(order.modalities):
            colours.append(data)
        del found, data  # not while the next one is read
    for name, content in new.beside.items():
        write_bytes(folder / name, content)
    assert staged is not None  # whoever made the order refuses a case without images
    if colours:
        write_thumbnail(folder / "thumbnail.png", np.stack(colours), staged.grid, labels)
    digest.update(repr(staged.grid).encode())
    staged.key = digest.hexdigest()
    staged.warnings += told
    return staged


def _read(new: NewCase, modality: str, opened: dict[Path | ImageSource, dict[str, ReadImage]]) -> ReadImage:
    """Read a file; a picture that is given for a colour channel is taken apart, once for all three."""
    path = new.images[modality]
    if not isinstance(path, Path):
        return path.read()
    if modality not in COLOUR or not is_picture_file(path):
        return read_image(path, new.hints.frames.get(modality), new.hints.spacing)
    if path not in opened:
        opened[path] = read_channels(path)
    return opened[path][modality]


def _onto(found: ReadImage, staged: Staged, modality: str, order: Order) -> ImageArray:
    """Bring a modality onto the case's grid, and note how far that moved it."""
    volume, moved = found.volume, 0.0
    if not volume.grid.same_place(staged.grid):
        what = f"{modality} ({order.new.images[modality].name})"
        check_not_picture(volume.grid, staged.grid, what)
        moved = check_overlap(volume.grid, staged.grid, what)
        volume = resample(volume, staged.grid, "linear")
        staged.warnings.append(
            f"{modality} was resampled onto the grid of {order.modalities[0]}, by up to {mm(moved)}."
        )
    staged.images[modality] = moved
    return np.ascontiguousarray(volume.data, dtype=np.float32)


def _label(order: Order, staged: Staged, told: list[str]) -> LabelArray:
    """Read, check and write the mask; what the reader should know of it goes into ``told``."""
    new = order.new
    what = f"The label {_label_name(new)} of {new.name}"
    found = read_mask(new)
    told += [f"Label: {text}" for text in found.warnings]
    volume = found.volume
    if not volume.grid.same_place(staged.grid):
        check_not_picture(volume.grid, staged.grid, what)
        moved = check_overlap(volume.grid, staged.grid, what)
        if not new.resample_label:
            raise GeometryError(
                f"{what} lies on another grid than its image: {difference(volume.grid, staged.grid, moved)}.",
                "Check that it belongs to this scan; if it does, add it again with resampling (--resample-label).",
            )
        volume = resample(volume, staged.grid, "nearest")
        told.append(f"The label was resampled onto the grid of the image, by up to {mm(moved)}.")
    labels, more = read_meaning(replace(found, volume=volume), order.labels, what)
    told += more
    if new.reference:
        write_nifti(staged.folder / references.STAGED, labels, staged.grid, np.uint8)
        staged.reference = True
    else:
        staged.label = _write_label(staged, labels, new.closing)
    return labels


def _write_label(staged: Staged, kept: LabelArray, closing: Closing) -> StagedLabel:
    labels = fill_unknown(kept, ()) if closing is Closing.PARTIAL else kept
    folder = staged.folder / "annotations"
    folder.mkdir(exist_ok=True)
    write_nifti(folder / revision_name(1), labels, staged.grid, np.uint8)
    drawn = not np.array_equal(labels, kept)
    if drawn:
        write_nifti(folder / revision_name(1, drawn=True), kept, staged.grid, np.uint8)
    return StagedLabel(int(np.count_nonzero(labels)), class_voxels(labels), drawn)


def _label_name(new: NewCase) -> str:
    names = [part.path.name for part in new.hints.mask] or [new.label.name if new.label else ""]
    return " and ".join(names)


def _compact(data: ImageArray) -> type[np.generic]:
    """Choose int16 where that changes no value: most scans are whole numbers, and read twice as fast then."""
    if float(data.min()) < -32768 or float(data.max()) > 32767:
        return np.float32
    # Slice by slice: one that is not whole ends the look, and no second volume is needed.
    return np.int16 if all(bool((plane == np.rint(plane)).all()) for plane in data) else np.float32
