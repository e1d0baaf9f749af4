"""Matching the files of a folder to cases, before anything is read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from napari_penumbra.domain.colour import PICTURE, expand_images, has_colour, sources
from napari_penumbra.domain.errors import UsageError
from napari_penumbra.imaging.dicom import has_dicom
from napari_penumbra.imaging.files import suffix_of
from napari_penumbra.study.newcase import Hints

LABEL_ENDINGS = ("label", "labels", "seg", "segmentation", "mask", "gt")
"""What may stand behind a case's name in a label file, after ``_`` or ``-``."""


@dataclass(frozen=True, slots=True)
class PlannedCase:
    """A case as it would be added.

    Attributes
    ----------
    images
        Modality to file.
    label
        Its mask if one was found.
    hints
        What the files do not say; a mask in parts is in there.
    reference
        The mask is the truth of a test case: it is kept apart from training.
    present
        The study has a case of this name: it is left out.
    problem
        Why it will be refused, as far as names and headers tell.
    """

    name: str
    images: dict[str, Path]
    label: Path | None = None
    hints: Hints = field(default_factory=Hints)
    reference: bool = False
    present: bool = False
    problem: str = ""

    @property
    def masked(self) -> bool:
        """Whether it comes with a mask."""
        return self.label is not None or bool(self.hints.mask)


@dataclass(frozen=True, slots=True)
class FolderPlan:
    """What a folder holds.

    Attributes
    ----------
    cases
        In the natural order of their names (p2 before p10).
    unused
        Files that belong to no case, relative to the folder they lie in.
    notes
        What the reader should know before anything is added.
    """

    cases: tuple[PlannedCase, ...]
    unused: tuple[str, ...]
    notes: tuple[str, ...] = ()


def plan_folder(images: Path, labels: Path | None, modalities: Sequence[str]) -> FolderPlan:
    """Match files to cases by their names.

    Understood are ``<case>.*`` (one modality), ``<case>_<MODALITY>.*``, nnU-Net's ``<case>_0000.*`` and a folder per
    case with ``<MODALITY>.*``. A colour picture ``<case>.*`` or ``<case>_RGB.*`` gives red, green and blue at once.
    Labels: ``<case>.*``, ``<case>_label.*`` (see `LABEL_ENDINGS`), or either of them, or ``label.*``, in a folder per
    case.

    Raises
    ------
    UsageError
        No such folder, no image in it, or two files for the same modality of a case.
    """
    found: dict[str, dict[str, Path]] = {}
    unused = []
    files = list(_files(images, "images"))
    names = _Names.of(modalities, [_stem(path) for _, path in files])
    for folder, path in files:
        match = _match(folder, _stem(path), names)
        if match is None:
            if not is_label(_stem(path)):
                unused.append(path.relative_to(images).as_posix())
            continue
        case, modality = match
        twin = found.setdefault(case, {}).setdefault(modality, path)
        if twin != path:
            raise UsageError(
                f"Two files claim to be {modality} of {case}: {twin.name} and {path.name}.", "Move one of them away."
            )
    if not found and has_dicom(images):
        raise UsageError(
            f"{images} holds DICOM files.",
            f"Add them on the DICOM page of Add cases, or: penumbra import-dicom {images} --study STUDY --dry-run",
        )
    if not found:
        raise UsageError(f"No image for a study of {', '.join(modalities)} was found in {images}.", _naming(modalities))
    masks = {} if labels is None else masks_of(labels, set(found), unused)
    cases = (PlannedCase(name, expand_images(found[name]), masks.get(name)) for name in sorted(found, key=natural))
    return FolderPlan(tuple(cases), tuple(unused))


def natural(text: str) -> list[tuple[int, int, str]]:
    """Sort key under which p2 comes before p10."""
    return [
        (0, int(part), "") if part.isdigit() else (1, 0, part.lower()) for part in re.findall(r"[0-9]+|[^0-9]+", text)
    ]


def _files(root: Path, what: str) -> Iterator[tuple[str, Path]]:
    """Image files in a folder and in its folders, with the name of the inner folder."""
    if not root.is_dir():
        raise UsageError(f"The folder of {what} {root} does not exist.", "Name a folder that holds them.")
    try:
        entries = sorted(root.iterdir(), key=lambda p: natural(p.name))
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                inner = sorted(entry.iterdir(), key=lambda p: natural(p.name))
                yield from ((entry.name, p) for p in inner if _is_image(p))
            elif _is_image(entry):
                yield "", entry
    except OSError as error:
        raise UsageError(f"The folder {root} cannot be read.", "Check its permissions.", repr(error)) from error


def _is_image(path: Path) -> bool:
    # The voxel half of a pair (.img beside .hdr) is read along with its header.
    suffix = suffix_of(path)
    return bool(suffix) and not path.name.startswith(".") and not suffix.startswith(".img") and path.is_file()


def _stem(path: Path) -> str:
    return path.name[: len(path.name) - len(suffix_of(path))]


@dataclass(frozen=True, slots=True)
class _Names:
    """What a file may call itself: all names, the longest first; the files of a case in order; whether by number."""

    known: tuple[str, ...]
    ordered: tuple[str, ...]
    numbered: bool

    @classmethod
    def of(cls, modalities: Sequence[str], stems: Sequence[str]) -> _Names:
        ordered = sources(modalities)
        known = (*modalities, PICTURE) if has_colour(modalities) else tuple(modalities)
        # image_0000, image_0001 … of a study with one file per case are cases and not channels.
        numbers = [int(m[1]) for stem in stems if (m := re.search(r"_(\d{4})$", stem))]
        numbered = len(ordered) > 1 or not any(numbers)
        return cls(tuple(sorted(known, key=len, reverse=True)), ordered, numbered)  # T1_gd before gd


def _match(folder: str, stem: str, names: _Names) -> tuple[str, str] | None:
    """Find case and modality of a file name, or None."""
    for modality in names.known:
        if folder and stem.lower() == modality.lower():
            return folder, modality
        end = re.search(rf"[_-]{re.escape(modality)}$", stem, re.IGNORECASE)
        if end and end.start() > 0:
            return folder or stem[: end.start()], modality
    number = re.search(r"_(\d{4})$", stem)
    if names.numbered and number and number.start() > 0 and int(number[1]) < len(names.ordered):
        return folder or stem[: number.start()], names.ordered[int(number[1])]
    if len(names.ordered) == 1 and not is_label(stem):
        return folder or stem, names.ordered[0]
    return None


def _bare_label(stem: str) -> bool:
    return stem.lower() in LABEL_ENDINGS


def is_label(stem: str) -> bool:
    """Whether a file calls itself a mask; it may lie beside its image."""
    return re.search(rf"(^|[_-])({'|'.join(LABEL_ENDINGS)})$", stem, re.IGNORECASE) is not None


def masks_of(root: Path, cases: set[str], unused: list[str]) -> dict[str, Path]:
    """Masks of known cases in a folder; files that belong to none go into ``unused``."""
    found: dict[str, Path] = {}
    for folder, path in _files(root, "labels"):
        case = _case_of_mask(folder, _stem(path), cases)
        if case is None:
            # A folder per case may hold images and mask together; its images are no masks that went astray.
            if not folder:
                unused.append(path.relative_to(root).as_posix())
            continue
        twin = found.setdefault(case, path)
        if twin != path:
            raise UsageError(
                f"Two files claim to be the label of {case}: {twin.name} and {path.name}.", "Move one away."
            )
    return found


def _case_of_mask(folder: str, stem: str, cases: set[str]) -> str | None:
    if folder in cases and (stem == folder or _bare_label(stem)):
        return folder
    if not folder and stem in cases:
        return stem
    short = re.sub(rf"[_-]({'|'.join(LABEL_ENDINGS)})$", "", stem, flags=re.IGNORECASE)
    if short != stem and short in cases and (not folder or folder == short):
        return short
    return None


def _naming(modalities: Sequence[str]) -> str:
    if sources(modalities) == (PICTURE,):
        return "Put one picture per case there, named by case, for example p001.png."
    if len(modalities) == 1:
        return "Put one file per case there, named by case, for example p001.nii.gz."
    first = modalities[0]
    return f"Name them p001_{first}.nii.gz and so on, or make a folder per case with {first}.nii.gz in it."
