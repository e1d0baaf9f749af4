"""Prepared cases on disk: each is made once, kept in the study's ``cache/`` and memory-mapped ever after.

Files are named by content and plan, so a renamed or copied case is found again and a changed one never mistaken. The
folder may be deleted at any time; whatever is missing or damaged is made anew.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_penumbra.domain.errors import ImageError
from napari_penumbra.domain.labels import LabelArray
from napari_penumbra.domain.spec import RunSpec, SpecCase
from napari_penumbra.imaging.atomic import disk_error, replace_into
from napari_penumbra.inference.cases import read_case_images, read_case_labels
from napari_penumbra.inference.plan import Plan

HalfVolume = npt.NDArray[np.float16]


class CaseCache:
    """Prepared images and labels of a run's cases.

    Nothing is held in memory: every call maps the file anew (0.1 ms), so memory does not grow with the study.

    Parameters
    ----------
    root
        The study's folder.
    """

    def __init__(self, root: Path, spec: RunSpec, plan: Plan) -> None:
        self.root = root
        self.spec = spec
        self.plan = plan
        self.folder = root / "cache"
        self._names: dict[str, str] = {}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise disk_error(self.folder, error) from error

    def image(self, case: SpecCase) -> HalfVolume:
        """Map a case's images, (C, z, y, x) float16 on the plan's grid; made first if need be.

        Half precision keeps 3 decimals of a normalised intensity and halves what is read from disk.
        """
        path = self.folder / f"{self._content(case)}-{self.plan.image_key}.npy"
        shape = (len(self.plan.modalities), *self.plan.shape_of(case.grid))
        known = _load(path, shape, np.dtype(np.float16))
        if known is None:
            image = read_case_images(self.root, case, self.spec.modalities, self.plan)
            _save(path, image.numpy().astype(np.float16))
            known = _must_load(path, shape, np.dtype(np.float16), case)
        return known

    def label(self, case: SpecCase) -> LabelArray:
        """Map a case's labels, (z, y, x) uint8: class indices, 255 unknown."""
        path = self.folder / f"{self._content(case)}-{self.plan.label_key}-{self._label_content(case)}.npy"
        shape = self.plan.shape_of(case.grid)
        known = _load(path, shape, np.dtype(np.uint8))
        if known is None:
            _save(path, read_case_labels(self.root, case, self.spec.labels, self.plan))
            known = _must_load(path, shape, np.dtype(np.uint8), case)
        return known

    def _content(self, case: SpecCase) -> str:
        """Name of the images' content: the study's key, else a hash of the files."""
        if case.name not in self._names:
            files = [self.root / p for p in case.images if p is not None]
            # The key comes from a file that people may edit: only its hash may become part of a path.
            text = case.key or "".join(_hash_file(f) for f in files)
            modalities = [m for m, p in zip(self.spec.modalities, case.images, strict=True) if p is not None]
            self._names[case.name] = _hash(f"{text}|{','.join(modalities)}".encode())
        return self._names[case.name]

    def _label_content(self, case: SpecCase) -> str:
        known = f"label of {case.name}\0{case.label}"
        if known not in self._names:
            self._names[known] = _hash_file(self.root / str(case.label))
        return self._names[known]


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _hash_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError as error:
        raise ImageError(
            f"{path.name} cannot be read.", "Check that the study's folder is complete and connected.", repr(error)
        ) from error


def _load(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> npt.NDArray[Any] | None:
    """Map a file; None when it is missing, cut off or not what is expected."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return array if array.shape == shape and array.dtype == dtype else None


def _must_load(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], case: SpecCase) -> npt.NDArray[Any]:
    array = _load(path, shape, dtype)
    if array is None:
        raise ImageError(
            f"Case {case.name} could not be prepared for training: what was written could not be read back.",
            "Check the disk, delete the study's cache folder and start again.",
        )
    return array


def _save(path: Path, array: npt.NDArray[Any]) -> None:
    with replace_into(path) as temporary, temporary.open("wb") as file:
        np.save(file, array, allow_pickle=False)
