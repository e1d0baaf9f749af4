"""An export said before it is done, and done case by case.

A folder that was exported to holds ``penumbra_export.json``: which file came from which revision of which case, in what
format, and whether the export ran to its end. It is written before the first case (``"complete": false``) and again at
the end. Every other file is written under a temporary name and renamed; files about all cases (``dataset.json``) come
last, so that they never name a file that is not there.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from napari_penumbra import __version__
from napari_penumbra.domain.errors import DiskError, PenumbraError, UsageError
from napari_penumbra.imaging import atomic
from napari_penumbra.study.exporters._base import Exporter, Item, Job, Written
from napari_penumbra.study.layout import Layout

RECORD = "penumbra_export.json"
_MOST_RECORD = 64 << 20


@dataclass(frozen=True, slots=True)
class Plan:
    """What an export will do.

    Attributes
    ----------
    title
        The format in words.
    steps
        How many steps `run` yields.
    files
        Case (empty for files about all) and relative path of everything that will be written, in order.
    left
        Cases that stay behind, and why.
    notes
        Sentences that the reader should see before.
    run
        Does it: yields a `Written` per case. Closing the generator stops it between two cases.
    """

    folder: Path
    title: str
    steps: int
    files: tuple[tuple[str, str], ...]
    left: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    run: Callable[[], Iterator[Written]] = field(repr=False)

    def plain(self) -> dict[str, Any]:
        """For a program to read."""
        return {
            "format": self.title,
            "folder": str(self.folder),
            "files": [{"case": case, "file": path} for case, path in self.files],
            "left_out": [{"case": case, "why": why} for case, why in self.left],
            "notes": list(self.notes),
        }


def check_own(folder: Path, layout: Layout) -> None:
    """Refuse a place where the study itself lies, or a file.

    Raises
    ------
    UsageError
        It is the study's folder or one above it, lies in one of the study's own folders, or is a file.
    """
    place, root = folder.resolve(), layout.root.resolve()
    own = (layout.cases, layout.runs, layout.cache, layout.calibrations, layout.backups, layout.orphans)
    if root.is_relative_to(place):
        raise UsageError(f"{folder} holds the study itself.", "Choose a folder of its own.")
    if any(place.is_relative_to(one.resolve()) for one in own):
        raise UsageError(f"{folder} lies among the study's own files.", "Choose a folder of its own.")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file.", "Choose a folder.")


def check_folder(folder: Path, layout: Layout, overwrite: bool) -> None:
    """Refuse a folder that must not be written to; see `check_own`.

    Raises
    ------
    UsageError
        Also when it holds something and ``overwrite`` was not asked for.
    """
    try:
        check_own(folder, layout)
        holds = folder.is_dir() and any(folder.iterdir())
    except OSError as error:
        raise DiskError(f"The folder {folder} cannot be read.", "Choose another place.", repr(error)) from error
    if holds and not overwrite:
        raise UsageError(
            f"The folder {folder} is not empty.",
            "Choose an empty one, or overwrite it (--overwrite): files of the same name are then replaced.",
        )


def run(job: Job, exporter: Exporter, name: str) -> Iterator[Written]:
    """Write everything; yields a `Written` per case, with its error where one could not be written.

    Raises
    ------
    DiskError
        A file could not be written: nothing after it will be either. What was written stays, and says that it is not
        all.
    """
    _make(job.folder)
    before = _recorded(job.folder)
    planned = [path for item in job.items for path in exporter.files(item)]
    _write_record(job, name, [], sorted({*before, *planned, *exporter.index_names()}), complete=False)
    _sweep(job.folder, {*before, *planned})
    entries: list[dict[str, Any]] = []
    written: list[str] = []
    for item in job.items:
        try:
            exporter.write(item)
        except DiskError:
            raise
        except PenumbraError as error:
            yield Written(item.name, (), error)
            continue
        except OSError as error:
            raise atomic.disk_error(job.folder / item.stem, error) from error
        files = exporter.files(item)
        written += files
        entries.append(_entry(item, files))
        yield Written(item.name, tuple(files))
    for relative, text in exporter.index().items():
        atomic.write_text(job.path(relative), text)
        written.append(relative)
    _remove(job.folder, sorted({*before, *planned} - set(written)))
    _write_record(job, name, entries, written, complete=True)


def _entry(item: Item, files: Sequence[str]) -> dict[str, Any]:
    return {
        "case": item.name,
        "labels": item.kind or "none",
        "revision": item.key,
        "model": item.model,
        "files": list(files),
    }


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DiskError(f"The folder {folder} cannot be made.", "Choose another place.", repr(error)) from error


def _write_record(job: Job, name: str, entries: list[dict[str, Any]], files: Sequence[str], *, complete: bool) -> None:
    values = {c.name: job.values[c.value] for c in job.scheme.classes}
    record = {
        "written_by": f"napari-penumbra {__version__}",
        "format": name,
        "complete": complete,
        "utc": dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "study": job.study.name,
        "simulated": job.study.simulated,
        "label_values": {"background": 0, **values, "unknown": job.unknown},
        "confidence_step": "1/255",
        "cases": entries,
        "files": list(files),
    }
    atomic.write_text(job.folder / RECORD, json.dumps(record, indent=1, ensure_ascii=False) + "\n")


def _recorded(folder: Path) -> list[str]:
    """Files that an earlier export says it has written here, as far as they can be believed."""
    record = folder / RECORD
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        if record.stat().st_size <= _MOST_RECORD:
            return [str(path) for path in json.loads(record.read_text(encoding="utf-8"))["files"]]
    return []


def _remove(folder: Path, relative: Sequence[str]) -> None:
    """Remove files of an earlier export; only ordinary ones inside the folder, whatever the record says."""
    root = folder.resolve()
    for path in relative:
        pure = PurePosixPath(path)
        if pure.is_absolute() or ".." in pure.parts or "\\" in path or ":" in path:
            continue
        file = folder / pure
        with contextlib.suppress(OSError):
            if file.is_file() and not file.is_symlink() and file.resolve().is_relative_to(root):
                file.unlink()


def _sweep(folder: Path, relative: Collection[str]) -> None:
    """Take away what an export that was killed left under temporary names; only in folders that exports write to."""
    root = folder.resolve()
    for place in {folder, *(folder / PurePosixPath(path).parent for path in relative)}:
        with contextlib.suppress(OSError):
            if not place.resolve().is_relative_to(root):
                continue  # a record that was edited by hand
            for path in place.iterdir():
                if atomic.is_temporary(path) and path.is_file():
                    path.unlink()
