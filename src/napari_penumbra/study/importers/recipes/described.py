"""Data sets that describe themselves in a ``dataset.json``: the Medical Segmentation Decathlon and nnU-Net."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from napari_penumbra.domain.errors import UsageError
from napari_penumbra.domain.labels import UNKNOWN
from napari_penumbra.imaging.files import suffix_of
from napari_penumbra.study.importers.folder import PlannedCase, natural
from napari_penumbra.study.importers.recipes._base import Found, Recipe, description, is_unknown, title_of
from napari_penumbra.study.importers.tree import image_files
from napari_penumbra.study.newcase import Hints, MaskPart

_MSD_LACKS = "dataset.json with modality, labels and training, beside imagesTr and labelsTr"
_NNUNET_LACKS = "dataset.json with channel_names and labels, beside imagesTr (CASE_0000.nii.gz …) and labelsTr"


def _find_msd(root: Path) -> Found:
    root, told = _description(root)
    entries = told.get("training")
    if "modality" not in told or not isinstance(entries, list):
        return Found(lacks=_MSD_LACKS)
    modalities = _in_order(told["modality"])
    classes, values = _classes(told.get("labels", {}))
    cases = []
    for entry in entries:
        if not isinstance(entry, dict) or "image" not in entry:
            continue
        image, label = _inside(root, entry["image"]), _inside(root, entry.get("label", ""))
        if image is not None:
            mask = () if label is None else (MaskPart(label, values),)
            cases.append(_case(image, modalities, mask))
    for entry in told.get("test", []) or []:
        image = _inside(root, entry["image"] if isinstance(entry, dict) else entry)
        if image is not None:
            cases.append(_case(image, modalities, ()))
    if not cases:
        return Found(lacks="the images that dataset.json names, such as imagesTr/CASE.nii.gz")
    return Found(tuple(_ordered(cases)), modalities=modalities, classes=classes, title=title_of(told.get("name")))


def _case(image: Path, modalities: tuple[str, ...], mask: tuple[MaskPart, ...]) -> PlannedCase:
    name = image.name[: len(image.name) - len(suffix_of(image))]
    frames = {m: n for n, m in enumerate(modalities)} if len(modalities) > 1 else {}
    return PlannedCase(name, dict.fromkeys(modalities, image), hints=Hints(frames, mask=mask))


def _find_nnunet(root: Path) -> Found:
    root, told = _description(root)
    channels = told.get("channel_names", told.get("modality"))
    if not isinstance(channels, dict):
        return Found(lacks=_NNUNET_LACKS)
    modalities = _in_order(channels)
    classes, values = _classes(told.get("labels", {}))
    images: dict[tuple[str, str], dict[str, Path]] = {}
    unused = []
    labels: dict[tuple[str, str], Path] = {}
    for name in image_files(root):
        folder, _, file = name.rpartition("/")
        stem = file[: len(file) - len(suffix_of(Path(file)))]
        channel = re.fullmatch(r"(.+)_(\d{4})", stem)
        if folder in ("imagesTr", "imagesTs") and channel and int(channel[2]) < len(modalities):
            images.setdefault((folder[-2:], channel[1]), {})[modalities[int(channel[2])]] = root / name
        elif folder in ("labelsTr", "labelsTs"):
            labels[(folder[-2:], stem)] = root / name
        else:
            unused.append(name)
    if not images:
        return Found(lacks="imagesTr with names such as CASE_0000.nii.gz")
    cases = []
    for (part, name), found in images.items():
        label = labels.pop((part, name), None)
        mask = () if label is None else (MaskPart(label, values),)
        cases.append(PlannedCase(name, found, hints=Hints(mask=mask), reference=part == "Ts" and bool(mask)))
    unused += [path.relative_to(root).as_posix() for path in labels.values()]
    # A folder that nnU-Net itself would find has a name; any other may be called anything.
    title = title_of(told.get("name")) or (root.name if re.fullmatch(r"Dataset\d{3}_.+", root.name) else "")
    return Found(tuple(_ordered(cases)), unused=tuple(unused), modalities=modalities, classes=classes, title=title)


def _ordered(cases: Iterable[PlannedCase]) -> list[PlannedCase]:
    return sorted(cases, key=lambda case: natural(case.name))


def _description(root: Path) -> tuple[Path, dict[str, Any]]:
    """The folder that has a ``dataset.json`` (this one, or the only one in it), and what it says."""
    for folder in (root, *sorted(p for p in root.iterdir() if p.is_dir())) if root.is_dir() else ():
        if told := description(folder / "dataset.json"):
            return folder, told
    return root, {}


def _inside(root: Path, name: Any) -> Path | None:
    """A file that a description names, when it lies in the folder and is there."""
    if not isinstance(name, str) or not name:
        return None
    path = (root / name).resolve()
    return root / name if path.is_relative_to(root.resolve()) and path.is_file() else None


def _in_order(told: dict[str, Any]) -> tuple[str, ...]:
    names = [str(told[key]) for key in sorted(told, key=lambda key: int(key) if str(key).isdigit() else 0)]
    # Two channels of one name would be one modality.
    return tuple(name if names.count(name) == 1 else f"{name} {n + 1}" for n, name in enumerate(names))


def _classes(told: Any) -> tuple[dict[int, str], dict[int, int]]:
    """Classes by value, and what each stored value becomes: nnU-Net's ``ignore`` is unknown here."""
    if not isinstance(told, dict):
        told = {}
    pairs = []
    for key, value in told.items():
        name, stored = (value, key) if str(key).isdigit() else (key, value)
        if isinstance(stored, list):
            raise UsageError(
                f'The class "{name}" in dataset.json is a region made of several values, which overlap.',
                "Only data sets with one value per class can be imported.",
            )
        pairs.append((int(stored), str(name)))
    classes = {v: name for v, name in sorted(pairs) if v != 0 and not is_unknown(name)}
    if any(v > 254 for v in classes):
        raise UsageError("dataset.json has label values above 254.", "A study's classes have values from 1 to 254.")
    values = {v: UNKNOWN if is_unknown(name) else v for v, name in pairs if v != 0}
    return classes, values


MSD = Recipe(
    "msd",
    "Medical Segmentation Decathlon",
    (),
    {},
    _find_msd,
    "http://medicaldecathlon.com",
    "see the site",
    "TaskNN_Name/dataset.json, imagesTr/CASE.nii.gz (4D when there are several modalities), labelsTr, imagesTs",
)
NNUNET = Recipe(
    "nnunet",
    "nnU-Net raw data set",
    (),
    {},
    _find_nnunet,
    "https://github.com/MIC-DKFZ/nnUNet/blob/master/documentation/dataset_format.md",
    "the data set's own",
    "DatasetNNN_Name/dataset.json, imagesTr/CASE_0000.nii.gz, labelsTr/CASE.nii.gz, imagesTs, perhaps labelsTs",
)
