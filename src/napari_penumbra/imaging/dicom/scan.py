"""Looks through a folder, or a tree of patients, and says what is there. Headers only; several files at a time."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from napari_penumbra.domain.errors import ImageError, UsageError
from napari_penumbra.imaging.dicom._quiet import quiet
from napari_penumbra.imaging.dicom.frames import Header
from napari_penumbra.imaging.dicom.headers import Left, looks_like_dicom, read_header
from napari_penumbra.imaging.dicom.offers import Offer, computed_adc, offers_of
from napari_penumbra.imaging.files import ReadImage

Progress = Callable[[int, int], bool]
"""Called with (files read, files in all) from time to time; returning False gives up."""

_AT_ONCE = 8
_BLOCK = 256


class Stopped(UsageError):
    """Someone has cancelled the search."""

    def __init__(self) -> None:
        super().__init__("Looking through the folder was stopped.", "Nothing was changed.")


@dataclass(frozen=True, slots=True)
class Exam:
    """One visit of one patient: what becomes a case.

    Attributes
    ----------
    patient, visit
        Numbers from 1 in the order of the folders; they stand for a name that nobody is told.
    offers
        In the order of series numbers; a computed ADC last.
    folder
        The folder that all its files lie in. For the screen only, and only where the reader asks: it may hold a name.
    """

    patient: int
    visit: int
    offers: tuple[Offer, ...]
    files: int
    folder: Path = field(repr=False)

    @property
    def usable(self) -> bool:
        """Whether any of its volumes can be read."""
        return any(offer.usable for offer in self.offers)

    @property
    def title(self) -> str:
        """``patient 2``, with the visit where there are several."""
        return f"patient {self.patient}" + (f", exam {self.visit}" if self.visit else "")


@dataclass(frozen=True, slots=True)
class Found:
    """What a folder holds.

    Attributes
    ----------
    notes
        Sentences about what was left out.
    """

    exams: tuple[Exam, ...]
    files: int
    notes: tuple[str, ...]


def scan(paths: Path | Sequence[Path], progress: Progress | None = None) -> Found:
    """Find the series in a folder and everything below it, or in single files.

    A DICOMDIR is not used: what counts is what is there. Links to folders are not followed.

    Raises
    ------
    UsageError
        No such folder, it cannot be read, or `Stopped`.
    """
    closed: list[OSError] = []
    files = list(_files([paths] if isinstance(paths, Path) else paths, closed.append))
    headers: list[Header] = []
    left: Counter[Left] = Counter()
    with quiet(), ThreadPoolExecutor(_AT_ONCE) as pool:  # threads: what is waited for is the disk or the network
        for start in range(0, len(files), _BLOCK):
            if progress is not None and not progress(start, len(files)):
                raise Stopped
            block = files[start : start + _BLOCK]
            places = [f"File {start + n} of {len(files)}" for n in range(1, len(block) + 1)]
            for found in pool.map(read_header, block, places):
                if isinstance(found, Header):
                    headers.append(found)
                else:
                    left[found] += 1
    if progress is not None:
        progress(len(files), len(files))
    return Found(_exams(headers), len(files), (*_left_out(left), *_closed(len(closed))))


def has_dicom(folder: Path, most: int = 60) -> bool:
    """Whether one of the first few files of a folder is DICOM; quick, reads 132 bytes each."""
    try:
        for n, path in enumerate(_files([folder])):
            if looks_like_dicom(path):
                return True
            if n >= most:
                break
    except (OSError, UsageError):
        return False
    return False


def only_volume(path: Path) -> Offer:
    """Return the one volume in a folder or file; raises `ImageError` in words when there is none or there are several.

    The file named as one slice of a series stands for itself only, not for its folder.
    """
    if path.is_dir() and not has_dicom(path, most=1000):
        raise ImageError(f"{path.name} is a folder, not an image.", "Choose a file inside it.")
    found = scan(path)
    offers = [offer for exam in found.exams for offer in exam.offers if not offer.computed]
    usable = [offer for offer in offers if offer.usable and not offer.localiser] or [o for o in offers if o.usable]
    if len(usable) == 1:
        return usable[0]
    if len(usable) > 1:
        listed = ", ".join(offer.label for offer in usable[:6])
        raise ImageError(
            f"{path.name} holds {len(usable)} DICOM volumes: {listed}{' …' if len(usable) > 6 else ''}.",
            "Import the folder as DICOM and choose which one is which (penumbra import-dicom).",
        )
    if offers:
        raise ImageError(offers[0].problem, "See docs/dicom.md for what can be read.")
    raise ImageError(f"{path.name} holds no DICOM image. {' '.join(found.notes)}".strip(), "Choose another folder.")


def read_path(path: Path, time: int | None = None) -> ReadImage:
    """Read the one volume in a folder or file.

    Parameters
    ----------
    time
        Which of several points in time, from 0; None wants a series of one.

    Raises
    ------
    ImageError
        None, or several volumes, or points in time; it cannot be read. An empty folder is told as one.
    """
    offer = only_volume(path)
    if not 0 <= (time or 0) < offer.times or (time is None and offer.times > 1):
        raise ImageError(
            f"{path.name} holds {offer.times} points in time, not one volume.",
            "Import the folder as DICOM and choose one (penumbra import-dicom).",
        )
    return offer.read(time or 0)


def _files(paths: Sequence[Path], closed: Callable[[OSError], object] | None = None) -> Iterator[Path]:
    for path in paths:
        if path.is_file():
            yield path
            continue
        if not path.is_dir():
            raise UsageError(f"The folder {path} does not exist.", "Name a folder that holds DICOM files.")
        if not os.access(path, os.R_OK | os.X_OK):
            raise UsageError(f"The folder {path} cannot be read.", "Check its permissions.")
        for folder, folders, names in os.walk(path, onerror=closed):
            folders.sort()
            for name in sorted(names):
                file = Path(folder, name)
                if not name.startswith(".") and name.upper() != "DICOMDIR" and file.is_file():
                    yield file


def _exams(headers: Sequence[Header]) -> tuple[Exam, ...]:
    by_exam: dict[bytes, list[Header]] = {}
    for header in headers:
        by_exam.setdefault(header.about.exam, []).append(header)
    found = [(group[0].about.patient, group, _offers(group)) for group in by_exam.values()]
    # What holds nothing that can be read comes last, with its reasons, and takes no number away.
    found.sort(key=lambda one: not any(offer.usable for offer in one[2]))
    visits: dict[bytes, list[Exam]] = {}
    total = Counter(patient for patient, _, _ in found)
    for patient, group, offers in found:
        mine = visits.setdefault(patient, [])
        folder = Path(os.path.commonpath({str(header.frames[0].path.parent) for header in group}))
        number = list(visits).index(patient) + 1
        mine.append(Exam(number, len(mine) + 1 if total[patient] > 1 else 0, offers, len(group), folder))
    return tuple(exam for mine in visits.values() for exam in mine)


def _offers(headers: Sequence[Header]) -> tuple[Offer, ...]:
    series: dict[bytes, list[Header]] = {}
    for header in headers:
        series.setdefault(header.about.series, []).append(header)
    ordered = sorted(series.values(), key=lambda group: (group[0].about.number is None, group[0].about.number or 0))
    offers = [
        offer
        for group in ordered
        for offer in offers_of(group[0].about, [frame for header in group for frame in header.frames])
    ]
    if not any(o.usable and o.named.family == "ADC" for o in offers):
        made = computed_adc(offers)
        offers += [made] if made is not None else []
    return tuple(offers)


def _closed(count: int) -> tuple[str, ...]:
    words = "1 folder" if count == 1 else f"{count} folders"
    return (f"{words} inside could not be opened and may hold more: check the permissions.",) if count else ()


def _left_out(left: Counter[Left]) -> tuple[str, ...]:
    words = {
        Left.OTHER: ("1 file is not DICOM and was left out.", "{} files are not DICOM and were left out."),
        Left.NO_PICTURE: ("1 DICOM file holds no scan (a report, a plan, a dose) and was left out.",
                          "{} DICOM files hold no scan (reports, plans, doses) and were left out."),
        Left.SEGMENTATION: ("1 DICOM segmentation was left out: it is no scan.",
                            "{} DICOM segmentations were left out: they are no scans."),
        Left.CLOSED: ("1 file could not be opened: check its permissions, and that the disk or share is connected.",
                      "{} files could not be opened: check the permissions, and that the disk or share is connected."),
        Left.DAMAGED: ("1 DICOM file is damaged and was left out.", "{} DICOM files are damaged and were left out."),
    }  # fmt: skip
    return tuple(words[kind][left[kind] > 1].format(left[kind]) for kind in Left if left[kind])
