"""Every path of a study. Nothing else in the program joins a study's file names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

MAX_SLUG = 100
ACQUISITION = "acquisition.json"
"""How a case's images were measured: technical values only, from DICOM."""
DICOM_REFERENCES = "dicom_references.json"
"""UIDs of the slices that a case came from; written only where the reader asked for it."""

# Windows opens devices under these names whatever the extension.
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def slug_of(name: str, taken: Collection[str] = ()) -> str:
    """Make a folder name out of a case's name that is safe on every system.

    Parameters
    ----------
    name
        What the reader calls the case; anything.
    taken
        Folder names in use. Compared without case, because Windows and macOS do so.

    Returns
    -------
    str
        Letters, digits, ``.``, ``_`` and ``-`` only, at most `MAX_SLUG` long, not in ``taken``.
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode("ascii")
    base = re.sub(r"[^A-Za-z0-9._-]+", "_", plain)
    base = re.sub(r"\.{2,}", ".", base).strip("._- ")[:MAX_SLUG].rstrip("._- ") or "case"
    if _RESERVED.fullmatch(base):
        base = f"case_{base}"[:MAX_SLUG]
    used = {slug.lower() for slug in taken}
    slug, n = base, 2
    while slug.lower() in used:
        end = f"-{n}"
        slug, n = base[: MAX_SLUG - len(end)] + end, n + 1
    return slug


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths under a study's root folder.

    ``root`` is absolute. Methods that end in a file name create nothing.
    """

    root: Path

    @property
    def manifest(self) -> Path:
        """Name, modalities and label scheme, to be read and edited by people."""
        return self.root / "study.toml"

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.root / "study.sqlite"

    @property
    def lock(self) -> Path:
        """The file whose lock makes its holder the only writer."""
        return self.root / "writer.lock"

    @property
    def owner(self) -> Path:
        """Who holds the lock; left behind only by a program that was killed."""
        return self.root / "writer.json"

    @property
    def cases(self) -> Path:
        """One folder per case."""
        return self.root / "cases"

    @property
    def runs(self) -> Path:
        """One folder per training or prediction."""
        return self.root / "runs"

    @property
    def cache(self) -> Path:
        """May be deleted at any time."""
        return self.root / "cache"

    @property
    def checks(self) -> Path:
        """What checks have measured, by content; may be deleted at any time."""
        return self.cache / "checks"

    @property
    def pieces(self) -> Path:
        """How many pieces each class has in the finished cases; may be deleted at any time."""
        return self.cache / "pieces.json"

    @property
    def calibrations(self) -> Path:
        """What confidence was worth, one file per champion; may be deleted at any time."""
        return self.root / "calibration"

    @property
    def backups(self) -> Path:
        """Copies of the database from before each upgrade."""
        return self.root / "backups"

    @property
    def orphans(self) -> Path:
        """Case folders that the database does not know, kept for their content."""
        return self.root / "orphans"

    def case(self, slug: str) -> Path:
        """Folder of a case."""
        return self.cases / slug

    def staging(self, slug: str) -> Path:
        """Where a case is put together before it is renamed into place."""
        return self.cases / f".adding-{slug}"

    def images(self, slug: str) -> Path:
        """Folder of a case's modalities."""
        return self.case(slug) / "images"

    def acquisition(self, slug: str) -> Path:
        """How a case's images were measured; absent unless they came from DICOM."""
        return self.case(slug) / ACQUISITION

    def dicom_references(self, slug: str) -> Path:
        """UIDs of the DICOM slices of a case; absent unless the reader asked to keep them."""
        return self.case(slug) / DICOM_REFERENCES

    def annotations(self, slug: str) -> Path:
        """Folder of a case's revisions."""
        return self.case(slug) / "annotations"

    def fixes(self, slug: str) -> Path:
        """Folder of what was put right in a case after a check, one record each."""
        return self.case(slug) / "fixes"

    def readings(self, slug: str) -> Path:
        """Folder of the annotations of a case's second readers, one folder each."""
        return self.case(slug) / "readings"

    def predictions(self, slug: str) -> Path:
        """Folder of a case's predictions and their sidecars."""
        return self.case(slug) / "predictions"

    def journal(self, slug: str) -> Path:
        """Folder of a case's unsaved strokes."""
        return self.case(slug) / "journal"

    def case_orphans(self, slug: str) -> Path:
        """Annotation files of a case that no row of the database names."""
        return self.case(slug) / "orphans"

    def run(self, run_id: str) -> Path:
        """Folder of a run."""
        return self.runs / run_id

    def calibration(self, run_id: str) -> Path:
        """What is known about the confidence of a run's model."""
        return self.calibrations / f"{run_id}.json"

    def relative(self, path: Path) -> str:
        """Write a path inside the study as the database does: POSIX, relative to the root."""
        return path.relative_to(self.root).as_posix()

    def absolute(self, relative: str | Path) -> Path:
        """Inverse of `relative`."""
        return self.root / PurePosixPath(relative)

    def inside(self, relative: str, folder: Path) -> Path | None:
        """Resolve a path that came from outside, or None when it would leave ``folder``.

        Parameters
        ----------
        relative
            POSIX path relative to the root, as a worker wrote it.
        folder
            Folder of the study in which it must lie, symbolic links followed.
        """
        pure = PurePosixPath(relative)
        if not relative or pure.is_absolute() or ".." in pure.parts or "\\" in relative or ":" in relative:
            return None
        path = (self.root / pure).resolve()
        return self.root / pure if path.is_relative_to(folder.resolve()) else None
