"""Taking a case into the study: read, check, bring onto one grid, write, register. All of it or nothing."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Collection
from contextlib import nullcontext
from dataclasses import replace

from sqlalchemy import select

from napari_penumbra.domain.case import Origin, Role
from napari_penumbra.domain.colour import PICTURE, expand_images
from napari_penumbra.domain.errors import DiskError, PenumbraError, UsageError
from napari_penumbra.study import references
from napari_penumbra.study.core import Core
from napari_penumbra.study.journal import sync_folder
from napari_penumbra.study.label_files import revision_name
from napari_penumbra.study.layout import slug_of
from napari_penumbra.study.newcase import NewCase
from napari_penumbra.study.reachable import check_there
from napari_penumbra.study.schema import AnnotationTable, CaseTable, ImageTable, now
from napari_penumbra.study.staging import Order, Staged, stage

__all__ = ["MAX_NAME", "PIXELS_NOTE", "NewCase", "Staged", "add_alone", "add_case", "disk", "make_order", "register"]
MAX_NAME = 200
PIXELS_NOTE = "Pictures have no millimetres: one pixel counts as 1 mm, whatever resolution the file names."
"""Said once for a folder of pictures; true of every one."""


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
    with nullcontext() if core.team is None else core.team.adding():
        return add_alone(core, new)


def add_alone(core: Core, new: NewCase) -> list[str]:
    """`add_case` for a caller that has seen to the team and to the colours of pictures."""
    order = make_order(core, new)
    try:
        return register(core, new, stage(order))
    except OSError as error:
        raise disk(core, error) from error
    finally:
        shutil.rmtree(order.folder, ignore_errors=True)


def make_order(core: Core, new: NewCase, given_out: Collection[str] = ()) -> Order:
    """Refuse what can be refused without reading a file; otherwise say how and where the case is put together.

    Parameters
    ----------
    given_out
        Folder names of cases that are being put together at this moment.
    """
    modalities = _check(core, new)
    if new.reference:
        references.check_name(new.name)
    with core.db.read() as session:
        taken = set(session.scalars(select(CaseTable.slug)))
    if core.layout.cases.exists():
        taken |= {p.name for p in core.layout.cases.iterdir()}
    slug = slug_of(new.name, taken | set(given_out))
    # A name of its own: a helper of a program that was killed may still be writing into the folder before.
    folder = core.layout.staging(f"{slug}-{uuid.uuid4().hex[:8]}")
    return Order(new, tuple(modalities), core.manifest.labels, slug, folder)


def register(core: Core, new: NewCase, staged: Staged) -> list[str]:
    """Move a finished case into its place and write its rows; returns what the reader should know."""
    _into_place(core, staged, new)
    warnings = staged.warnings
    if staged.grid.is_picture:
        warnings.append(PIXELS_NOTE)
    missing = [m for m in core.manifest.modalities if m not in new.images]
    if missing:
        warnings.append(
            f"{', '.join(missing)} is missing." if len(missing) == 1 else f"{', '.join(missing)} are missing."
        )
    return warnings


def _check(core: Core, new: NewCase) -> list[str]:
    """Refuse what can be refused without reading a file; return the modalities in the study's order."""
    if not new.name.strip() or len(new.name) > MAX_NAME or any(ord(c) < 32 for c in new.name):
        raise UsageError(
            f"A case needs a name of 1 to {MAX_NAME} characters on one line.", "Give it one, for example p007."
        )
    core.db.check_writable()
    check_there(core)
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


def _into_place(core: Core, staged: Staged, new: NewCase) -> None:
    """Rename the finished folder, then write its rows; a crash in between leaves a folder that the sweep finds."""
    final = core.layout.case(staged.slug)
    if staged.reference:
        references.place(core.layout.root, staged.folder, new.name)
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
            if staged.label is not None:
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


def _first_revision(core: Core, staged: Staged, new: NewCase, case_id: int) -> AnnotationTable:
    assert staged.label is not None  # asked for only with labels
    folder = core.layout.annotations(staged.slug)
    return AnnotationTable(
        case_id=case_id,
        revision=1,
        path=core.layout.relative(folder / revision_name(1)),
        drawn=core.layout.relative(folder / revision_name(1, drawn=True)) if staged.label.drawn else None,
        closing=new.closing.value,
        origin=Origin.IMPORTED.value,
        author=new.author,
        created=now(),
        seconds=0.0,
        voxels_changed=staged.label.foreground,
        touched=[],
        class_voxels=staged.label.class_voxels,
    )


def disk(core: Core, error: OSError) -> DiskError:
    """Say that a case could not be written."""
    return DiskError(
        f"The case could not be written to {core.layout.cases}.",
        "Make room on the disk and check that you may write there; nothing was added.",
        details=repr(error),
    )
