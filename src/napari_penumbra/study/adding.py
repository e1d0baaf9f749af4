"""Taking a case into the study: read, check, bring onto one grid, write, register. All of it or nothing."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sqlalchemy import select

from napari_penumbra.domain.case import Closing, ImageArray, Origin, Role
from napari_penumbra.domain.colour import COLOUR, PICTURE, expand_images
from napari_penumbra.domain.errors import DiskError, GeometryError, PenumbraError, UsageError
from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.labels import LabelArray
from napari_penumbra.imaging.files import ReadImage, is_picture_file, read_channels, read_image, read_labels
from napari_penumbra.imaging.nifti import write_nifti
from napari_penumbra.imaging.resample import displacement_mm, resample
from napari_penumbra.study.core import Core
from napari_penumbra.study.importers.folder import PlannedCase
from napari_penumbra.study.journal import sync_folder
from napari_penumbra.study.layout import slug_of
from napari_penumbra.study.masks import read_meaning
from napari_penumbra.study.revisions import class_voxels, fill_unknown, revision_name
from napari_penumbra.study.schema import AnnotationTable, CaseTable, ImageTable, now
from napari_penumbra.study.thumbnails import write_thumbnail

MAX_NAME = 200
PIXELS_NOTE = "Pictures have no millimetres: one pixel counts as 1 mm, whatever resolution the file names."
"""Said once for a folder of pictures; true of every one."""


@dataclass(frozen=True, slots=True)
class NewCase:
    """What is asked to be added.

    Attributes
    ----------
    images
        Modality to file; ``RGB`` stands for the three colours of one picture.
    label
        A mask to start from, or None.
    resample_label
        Bring a mask of another grid onto the case's instead of refusing it.
    closing
        How the mask is to be understood.
    """

    name: str
    images: Mapping[str, Path]
    label: Path | None = None
    resample_label: bool = False
    closing: Closing = Closing.COMPLETE
    author: str = ""


@dataclass(slots=True)
class _Staged:
    """Files written so far, in the staging folder; ``shown`` is (3, z, y, x) of a colour picture."""

    slug: str
    folder: Path
    grid: Grid
    source: Grid
    images: dict[str, float]
    key: str
    reference: ImageArray
    labels: LabelArray | None = None
    drawn: bool = False
    shown: ImageArray | None = None


def add_case(core: Core, new: NewCase) -> list[str]:
    """Take a case in.

    Returns
    -------
    list of str
        What the reader should know: a missing modality, a resampled one, non-finite voxels.

    Raises
    ------
    UsageError
        The name is taken or empty, a modality is not the study's, or no image is given.
    ImageError, GeometryError, LabelError
        A file cannot be used; the message names it.
    DiskError, StudyError
        Nothing was added.
    """
    if PICTURE not in core.manifest.modalities:
        new = replace(new, images=expand_images(new.images))
    order = _check(core, new)
    with core.db.read() as session:
        taken = set(session.scalars(select(CaseTable.slug)))
    if core.layout.cases.exists():
        taken |= {p.name for p in core.layout.cases.iterdir()}
    slug = slug_of(new.name, taken)
    folder = core.layout.staging(slug)
    shutil.rmtree(folder, ignore_errors=True)
    warnings: list[str] = []
    try:
        staged = _write_images(core, new, order, slug, folder, warnings)
        if new.label is not None:
            _write_label(core, new, staged, warnings)
        (folder / "predictions").mkdir(exist_ok=True)
        picture = staged.reference if staged.shown is None else staged.shown
        write_thumbnail(folder / "thumbnail.png", picture, staged.grid, staged.labels)
        _into_place(core, staged, new)
    except OSError as error:
        raise _disk(core, error) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if staged.grid.is_picture:
        warnings.append(PIXELS_NOTE)
    missing = [m for m in core.manifest.modalities if m not in new.images]
    if missing:
        warnings.append(
            f"{', '.join(missing)} is missing." if len(missing) == 1 else f"{', '.join(missing)} are missing."
        )
    return warnings


def add_all(core: Core, cases: Iterable[PlannedCase]) -> Iterator[tuple[str, list[str] | PenumbraError]]:
    """Add cases one at a time; see `store.Study.add_folder`. `PIXELS_NOTE` is said of the first picture only."""
    said: set[str] = set()
    for case in cases:
        try:
            warnings = add_case(core, NewCase(case.name, case.images, case.label))
        except PenumbraError as error:
            yield case.name, error
            continue
        yield case.name, [text for text in warnings if text not in said]
        said |= {PIXELS_NOTE} & set(warnings)


def _check(core: Core, new: NewCase) -> list[str]:
    """Refuse what can be refused without reading a file; return the modalities in the study's order."""
    if not new.name.strip() or len(new.name) > MAX_NAME or any(ord(c) < 32 for c in new.name):
        raise UsageError(
            f"A case needs a name of 1 to {MAX_NAME} characters on one line.", "Give it one, for example p007."
        )
    core.db.check_writable()
    with core.db.read() as session:
        if session.scalar(select(CaseTable.id).where(CaseTable.name == new.name)) is not None:
            raise UsageError(f'The study already has a case "{new.name}".', "Choose another name.")
    strange = [m for m in new.images if m not in core.manifest.modalities]
    if strange:
        known = ", ".join(core.manifest.modalities)
        raise UsageError(f'The study has no modality "{strange[0]}".', f"Its modalities are {known}.")
    order = [m for m in core.manifest.modalities if m in new.images]
    if not order:
        raise UsageError(f"No image was given for {new.name}.", "A case needs at least one modality.")
    return order


def _write_images(core: Core, new: NewCase, order: list[str], slug: str, folder: Path, warnings: list[str]) -> _Staged:
    staged: _Staged | None = None
    digest = hashlib.blake2b(digest_size=16)
    opened: dict[Path, dict[str, ReadImage]] = {}
    colours: list[ImageArray] = []
    for modality in order:
        found = _read(new.images[modality], modality, opened)
        whole = PICTURE if new.images[modality] in opened else modality
        warnings += [f"{whole}: {text}" for text in found.warnings]
        volume = found.volume
        moved = 0.0
        if staged is None:
            reference = np.asarray(volume.data, dtype=np.float32)
            staged = _Staged(slug, folder, volume.grid, found.source, {}, "", reference)
        elif not volume.grid.same_place(staged.grid):
            _check_not_picture(volume.grid, staged.grid, f"{modality} ({new.images[modality].name})")
            moved = _check_overlap(volume.grid, staged.grid, f"{modality} ({new.images[modality].name})")
            volume = resample(volume, staged.grid, "linear")
            warnings.append(f"{modality} was resampled onto the grid of {order[0]}, by up to {_mm(moved)}.")
        data = np.ascontiguousarray(volume.data, dtype=np.float32)
        digest.update(modality.encode())
        digest.update(data.data)
        (folder / "images").mkdir(parents=True, exist_ok=True)
        write_nifti(folder / "images" / f"{modality}.nii.gz", data, staged.grid, _compact(data))
        staged.images[modality] = moved
        if modality in COLOUR:
            colours.append(data)
    assert staged is not None  # _check refuses a case without images
    digest.update(repr(staged.grid).encode())
    staged.key = digest.hexdigest()
    if len(colours) == len(COLOUR):
        staged.shown = np.stack(colours)
    return staged


def _read(path: Path, modality: str, opened: dict[Path, dict[str, ReadImage]]) -> ReadImage:
    """Read a file; a picture that is given for a colour channel is taken apart, once for all three."""
    if modality not in COLOUR or not is_picture_file(path):
        return read_image(path)
    if path not in opened:
        opened[path] = read_channels(path)
    return opened[path][modality]


def _write_label(core: Core, new: NewCase, staged: _Staged, warnings: list[str]) -> None:
    assert new.label is not None  # the caller asked
    found = read_labels(new.label)
    warnings += [f"Label: {text}" for text in found.warnings]
    volume = found.volume
    what = f"The label {new.label.name} of {new.name}"
    if not volume.grid.same_place(staged.grid):
        _check_not_picture(volume.grid, staged.grid, what)
        moved = _check_overlap(volume.grid, staged.grid, what)
        if not new.resample_label:
            raise GeometryError(
                f"{what} lies on another grid than its image: {_difference(volume.grid, staged.grid, moved)}.",
                "Check that it belongs to this scan; if it does, add it again with resampling (--resample-label).",
            )
        volume = resample(volume, staged.grid, "nearest")
        warnings.append(f"The label was resampled onto the grid of the image, by up to {_mm(moved)}.")
    labels, more = read_meaning(replace(found, volume=volume), core.manifest.labels, what)
    warnings += more
    kept = labels
    if new.closing is Closing.PARTIAL:
        labels = fill_unknown(kept, ())
    folder = staged.folder / "annotations"
    folder.mkdir(parents=True, exist_ok=True)
    write_nifti(folder / revision_name(1), labels, staged.grid, np.uint8)
    staged.drawn = not np.array_equal(labels, kept)
    if staged.drawn:
        write_nifti(folder / revision_name(1, drawn=True), kept, staged.grid, np.uint8)
    staged.labels = labels


def _into_place(core: Core, staged: _Staged, new: NewCase) -> None:
    """Rename the finished folder, then write its rows; a crash in between leaves a folder that the sweep finds."""
    final = core.layout.case(staged.slug)
    os.replace(staged.folder, final)
    sync_folder(core.layout.cases)
    try:
        with core.db.write() as session:
            case = CaseTable(
                name=new.name,
                slug=staged.slug,
                role=Role.TRAINING.value,
                grid=staged.grid.to_json(),
                source_grid=staged.source.to_json(),
                content_key=staged.key,
                thumbnail=core.layout.relative(final / "thumbnail.png"),
                added=now(),
            )
            session.add(case)
            session.flush()
            for modality, moved in staged.images.items():
                path = core.layout.relative(core.layout.images(staged.slug) / f"{modality}.nii.gz")
                session.add(ImageTable(case_id=case.id, modality=modality, path=path, resampled_mm=moved))
            if staged.labels is not None:
                session.add(_first_revision(core, staged, new, case.id))
    except PenumbraError:
        core.unclean = True
        if _surely_absent(core, staged.slug):
            shutil.rmtree(final, ignore_errors=True)  # copies only: nobody has drawn in it yet
        raise


def _surely_absent(core: Core, slug: str) -> bool:
    # A commit that raised may still have reached the disk; then the files must stay.
    try:
        with core.db.read() as session:
            return session.scalar(select(CaseTable.id).where(CaseTable.slug == slug)) is None
    except PenumbraError:
        return False


def _first_revision(core: Core, staged: _Staged, new: NewCase, case_id: int) -> AnnotationTable:
    assert staged.labels is not None  # asked for only with labels
    folder = core.layout.annotations(staged.slug)
    return AnnotationTable(
        case_id=case_id,
        revision=1,
        path=core.layout.relative(folder / revision_name(1)),
        drawn=core.layout.relative(folder / revision_name(1, drawn=True)) if staged.drawn else None,
        closing=new.closing.value,
        origin=Origin.IMPORTED.value,
        author=new.author,
        created=now(),
        seconds=0.0,
        voxels_changed=int(np.count_nonzero(staged.labels)),
        touched=[],
        class_voxels=class_voxels(staged.labels),
    )


def _compact(data: ImageArray) -> type[np.generic]:
    """Choose int16 where that changes no value: most scans are whole numbers, and read twice as fast then."""
    if float(data.min()) >= -32768 and float(data.max()) <= 32767 and bool((data == np.rint(data)).all()):
        return np.int16
    return np.float32


def _check_not_picture(grid: Grid, reference: Grid, what: str) -> None:
    """Refuse to lay a picture over anything of another size: without millimetres nobody knows how it would fit."""
    if grid.is_picture and reference.is_picture:
        mine, other = ("×".join(map(str, g.shape[:2])) for g in (grid, reference))
        raise GeometryError(
            f"{what} has {mine} pixels, its picture {other}.",
            "Export it in the size of the picture; masks must be scaled without smoothing (nearest neighbour).",
        )
    if grid.is_picture or reference.is_picture:
        one, other = ("a picture", "a scan") if grid.is_picture else ("a scan", "a picture")
        raise GeometryError(
            f"{what} is {one} and its reference image {other}: it is not known where they lie on each other.",
            "Give files of one sort; a mask is best saved by the program that opened the image.",
        )


def _check_overlap(grid: Grid, reference: Grid, what: str) -> float:
    """Return how far two grids lie apart in mm; raises `GeometryError` when they share no space at all."""
    low, high = _extent(grid)
    other_low, other_high = _extent(reference)
    if bool((low >= other_high).any() or (high <= other_low).any()):
        raise GeometryError(
            f"{what} lies at another place in space than the reference image: they do not overlap.",
            "Check that it belongs to this scan, or register it to the reference first.",
        )
    return displacement_mm(grid, reference)


def _extent(grid: Grid) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    ends = np.array(np.meshgrid(*[(-0.5, n - 0.5) for n in grid.shape], [1.0], indexing="ij")).reshape(4, -1)
    corners = (grid.matrix @ ends)[:3]
    return corners.min(axis=1), corners.max(axis=1)


def _difference(grid: Grid, reference: Grid, moved: float) -> str:
    if grid.shape != reference.shape:
        mine, other = ("×".join(map(str, g.shape)) for g in (grid, reference))
        return f"{mine} instead of {other} voxels"
    return f"up to {_mm(moved)} apart" if moved > 0 else "its voxels run in another direction"


def _mm(length: float) -> str:
    return f"{length:.1f} mm" if length >= 0.05 else "less than 0.1 mm"


def _disk(core: Core, error: OSError) -> DiskError:
    return DiskError(
        f"The case could not be written to {core.layout.cases}.",
        "Make room on the disk and check that you may write there; nothing was added.",
        details=repr(error),
    )
