"""BIDS: subjects, sessions and suffixes; masks come from ``derivatives``.

https://bids-specification.readthedocs.io/en/stable/ (imaging derivatives: ``_dseg`` and ``_mask``, with the entities
``space``, ``desc`` and ``label``).
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from pathlib import Path

from napari_penumbra.domain.labels import UNKNOWN
from napari_penumbra.study.importers.folder import PlannedCase, natural
from napari_penumbra.study.importers.recipes._base import Found, Recipe, description, is_unknown, title_of
from napari_penumbra.study.importers.tree import files
from napari_penumbra.study.newcase import Hints, MaskPart

_NAME = re.compile(
    r"(?P<subject>sub-[A-Za-z0-9]+)(?:_(?P<session>ses-[A-Za-z0-9]+))?(?P<more>(?:_[A-Za-z]+-[A-Za-z0-9+]+)*)"
    r"_(?P<suffix>[A-Za-z0-9]+)\.nii(?:\.gz)?$"
)
_MASKS = {"dseg", "mask", "msk", "roi", "lesion"}
_SERIES = {"bold", "sbref", "asl", "m0scan", "epi", "phasediff", "phase1", "phase2", "magnitude1", "magnitude2"}
_MAPS = {"probseg", "confidence"}
"""How sure somebody was of a mask: no image of the patient."""
_LACKS = "subjects such as sub-01/anat/sub-01_T1w.nii.gz"


def _find(root: Path) -> Found:
    images: dict[str, dict[str, Path]] = {}
    masks: dict[str, list[Path]] = {}
    unused = []
    names = files(root)
    for name in names:
        hit = _NAME.search(name.rsplit("/", 1)[-1])
        if hit is None:
            continue
        case = "_".join(filter(None, (hit["subject"], hit["session"])))
        derived = "derivatives" in name.split("/")
        if hit["suffix"].lower() in _MASKS:
            masks.setdefault(case, []).append(root / name)
        elif derived or hit["suffix"] in _SERIES | _MAPS:
            unused.append(name)
        else:
            kind = _kind(hit)
            images.setdefault(case, {}).setdefault(kind, root / name)
    if not images:
        return Found(lacks=_LACKS)
    modalities = _common(images)
    classes, values = _table(root, names)
    chosen = {case: _best(found) for case, found in masks.items()}
    cases = []
    for case in sorted(images, key=natural):
        mask = chosen.pop(case, None)
        parts = () if mask is None else (_part(mask, values),)
        kept = {m: path for m, path in images[case].items() if m in modalities}
        unused += [p.relative_to(root).as_posix() for m, p in images[case].items() if m not in modalities]
        if kept:
            cases.append(PlannedCase(case, kept, hints=Hints(mask=parts)))
    unused += [path.relative_to(root).as_posix() for path in chosen.values()]
    title = title_of(description(root / "dataset_description.json").get("Name"))
    return Found(tuple(cases), unused=tuple(unused), modalities=modalities, classes=classes, title=title)


def _kind(hit: re.Match[str]) -> str:
    """Suffix, with what tells apart several of one kind: contrast agent, reconstruction, echo."""
    told = dict(pair.split("-", 1) for pair in hit["more"].split("_") if "-" in pair)
    more = "".join(f"_{told[key]}" for key in ("ce", "rec", "echo", "acq") if key in told)
    return hit["suffix"] + more


def _common(images: dict[str, dict[str, Path]]) -> tuple[str, ...]:
    """Kinds that at least half of the cases have; the rarer ones would be missing in most."""
    counts = Counter(kind for found in images.values() for kind in found)
    return tuple(sorted((kind for kind, n in counts.items() if 2 * n >= len(images)), key=lambda k: (-counts[k], k)))


def _best(found: list[Path]) -> Path:
    """One mask per case: a dseg, else one whose name says lesion, else the first."""
    order = [*(p for p in found if "dseg" in p.name), *(p for p in found if "lesion" in p.name.lower()), *found]
    return order[0]


def _part(mask: Path, values: dict[int, int]) -> MaskPart:
    return MaskPart(mask, values) if "dseg" in mask.name and values else MaskPart(mask, rest=1)


def _table(root: Path, names: list[str]) -> tuple[dict[int, str], dict[int, int]]:
    """Classes of the ``_dseg.tsv`` or ``dseg.tsv`` of the data set; one class without it."""
    for name in names:
        if not name.endswith("dseg.tsv"):
            continue
        with (root / name).open(encoding="utf-8-sig", errors="replace", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
        pairs = [(r.get("index") or "", r.get("name") or "") for r in rows]
        named = {int(i): n for i, n in pairs if i.isdigit() and int(i) > 0 and n}
        classes = {value: name for value, name in named.items() if value <= 254 and not is_unknown(name)}
        if classes:
            unknown = {value: UNKNOWN for value, name in named.items() if is_unknown(name)}
            return classes, {value: value for value in classes} | unknown
    return {1: "lesion"}, {}


BIDS = Recipe(
    "bids",
    "BIDS",
    (),
    {},
    _find,
    "https://bids-specification.readthedocs.io",
    "the data set's own",
    "sub-01/[ses-01/]anat/sub-01_T1w.nii.gz …, masks in derivatives/…_dseg.nii.gz or …_mask.nii.gz",
)
