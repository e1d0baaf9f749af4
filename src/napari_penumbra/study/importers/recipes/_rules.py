"""Finding the cases of a data set by rules over its file names: most published layouts are no more than that."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from napari_penumbra.study.importers.folder import PlannedCase, natural
from napari_penumbra.study.importers.recipes._base import Found
from napari_penumbra.study.importers.tree import files, is_image
from napari_penumbra.study.newcase import Hints, MaskPart


@dataclass(frozen=True, slots=True)
class Image:
    """Names of images: a regular expression over the end of a relative path, with the group ``case``.

    ``modality`` names what it is; None reads the group ``modality`` in ``spelt`` (in lower case).
    """

    pattern: str
    modality: str | None = None
    spelt: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Mask:
    """Names of masks, with the group ``case``; what their values mean is as in `MaskPart`. Later rules lie on top."""

    pattern: str
    values: Mapping[int, int] = field(default_factory=dict)
    rest: int | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """How to read the names of one data set.

    Attributes
    ----------
    wanted
        What to say when no image or no mask was found.
    name
        Case and whether it is a test case to the case's name.
    is_test
        Whether a relative path lies in the official test part.
    ignored
        Images that are known and not wanted.
    hints
        What the files of every case do not say.
    """

    images: tuple[Image, ...]
    masks: tuple[Mask, ...]
    wanted: str
    name: Callable[[str, bool], str] = lambda case, test: case
    is_test: Callable[[str], bool] = lambda path: in_test_folder(path)
    ignored: str = r"(?!)"
    hints: Hints = field(default_factory=Hints)


def in_test_folder(path: str) -> bool:
    """Whether a folder of a relative path says test."""
    return any("test" in folder.lower() for folder in path.split("/")[:-1])


def find(root: Path, rules: Rules) -> Found:
    """Apply rules to a folder."""
    return match(root, files(root), rules)


def match(root: Path, names: Iterable[str], rules: Rules) -> Found:
    """Apply rules to names that were listed before."""
    images: dict[tuple[str, bool], dict[str, Path]] = {}
    masks: dict[tuple[str, bool], dict[int, MaskPart]] = {}
    unused: list[str] = []
    for name in names:
        if not _take(root, name, rules, images, masks) and is_image(name) and not re.search(rules.ignored, name):
            unused.append(name)
    if not images:
        return Found(lacks=rules.wanted)
    cases = []
    for (case, test), found in images.items():
        parts = masks.pop((case, test), {})
        mask = tuple(parts[n] for n in sorted(parts))
        hints = Hints(rules.hints.frames, rules.hints.spacing, mask)
        cases.append(PlannedCase(rules.name(case, test), found, hints=hints, reference=test and bool(mask)))
    for parts in masks.values():
        unused += [part.path.relative_to(root).as_posix() for part in parts.values()]
    return Found(tuple(sorted(cases, key=lambda case: natural(case.name))), unused=tuple(unused))


def _take(
    root: Path,
    name: str,
    rules: Rules,
    images: dict[tuple[str, bool], dict[str, Path]],
    masks: dict[tuple[str, bool], dict[int, MaskPart]],
) -> bool:
    for n, mask in enumerate(rules.masks):
        if hit := _search(mask.pattern, name):
            part = MaskPart(root / name, mask.values, mask.rest)
            masks.setdefault((hit["case"], rules.is_test(name)), {}).setdefault(n, part)
            return True
    for image in rules.images:
        if hit := _search(image.pattern, name):
            modality = image.modality or image.spelt[hit["modality"].lower()]
            images.setdefault((hit["case"], rules.is_test(name)), {}).setdefault(modality, root / name)
            return True
    return False


def _search(pattern: str, name: str) -> re.Match[str] | None:
    return re.search(rf"(?:^|/){pattern}$", name, re.IGNORECASE)
