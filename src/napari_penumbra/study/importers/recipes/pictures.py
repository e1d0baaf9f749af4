"""Flat colour pictures: Kvasir-SEG, ISIC 2016 and RIM-ONE DL."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from napari_penumbra.domain.colour import PICTURE
from napari_penumbra.study.importers.recipes._base import Found, Recipe
from napari_penumbra.study.importers.recipes._rules import Image, Mask, Rules, find, match
from napari_penumbra.study.importers.tree import files

_KVASIR = Rules(
    (Image(r"(?:images|train|val)/(?P<case>[^/]+)\.(?:jpg|png)", PICTURE),),
    (Mask(r"masks/(?:train/|val/)?(?P<case>[^/]+)\.(?:jpg|png)", rest=1),),
    "the folders images and masks with files of the same names",
    is_test=lambda path: False,
)
_ISIC = Rules(
    (Image(r"ISBI2016_ISIC_Part1_[^/]*Data/(?P<case>ISIC_\d+)\.jpg", PICTURE),),
    (Mask(r"ISBI2016_ISIC_Part1_[^/]*GroundTruth/(?P<case>ISIC_\d+)_segmentation\.png", rest=1),),
    "ISBI2016_ISIC_Part1_Training_Data/ISIC_0000000.jpg",
)
_RIMONE = Rules(
    (Image(r"(?:training_set|test_set)/(?:glaucoma|normal)/(?P<case>r\d_Im\d+)\.png", PICTURE),),
    (
        Mask(r"(?:glaucoma|normal)/(?:Disc/)?(?P<case>r\d_Im\d+)-\d-Disc-T\.png", rest=1),
        Mask(r"(?:glaucoma|normal)/(?:Cup/)?(?P<case>r\d_Im\d+)-\d-Cup-T\.png", rest=2),
    ),
    "RIM-ONE_DL_images/partitioned_randomly/training_set/glaucoma/r1_Im001.png",
    is_test=lambda path: False,
)
_ONLY_KVASIR = r"(^|/)(images|masks)(/\w+)?/c[jk][a-z0-9]{20,}\.jpg$|k[av]+sir_bboxes\.json$"
"""Nothing else about two folders called images and masks is this set's own."""
_RANDOM, _HOSPITAL = "partitioned_randomly/", "partitioned_by_hospital/"


def _find_kvasir(root: Path) -> Found:
    names = files(root)
    if not any(re.search(_ONLY_KVASIR, name, re.IGNORECASE) for name in names):
        return Found(lacks="images and masks of names such as cju0qkwl35piu0993l0dewei2.jpg")
    found = match(root, names, _KVASIR)
    held_back = {
        line.strip().removesuffix(".jpg")
        for name in names
        if name.rsplit("/", 1)[-1] == "val.txt"
        for line in (root / name).read_text("utf-8", "replace").splitlines()
        if line.strip()
    }
    cases = tuple(replace(case, reference=case.name in held_back and case.masked) for case in found.cases)
    notes = () if held_back or not cases else ("No val.txt was found: all pictures come in as labelled.",)
    return replace(found, cases=cases, notes=notes)


def _find_rimone(root: Path) -> Found:
    """The two partitions hold the same pictures: the random one is taken, else the one by hospital."""
    names = files(root)
    taken = _RANDOM if any(_RANDOM in name for name in names) else _HOSPITAL
    other = _HOSPITAL if taken == _RANDOM else _RANDOM
    found = match(root, [name for name in names if other not in f"/{name}"], _RIMONE)
    cases = []
    for case in found.cases:
        path = next(iter(case.images.values())).as_posix()
        cases.append(replace(case, reference="/test_set/" in path and case.masked))
    notes: tuple[str, ...] = (
        (f"The split of {taken.rstrip('/')} is kept.",) if cases and any(taken in n for n in names) else ()
    )
    if cases and not any(case.masked for case in cases):
        notes += ("No masks were found: put RIM-ONE_DL_reference_segmentations beside the pictures.",)
    return replace(found, cases=tuple(cases), notes=notes)


KVASIR = Recipe(
    "kvasir",
    "Kvasir-SEG",
    (PICTURE,),
    {1: "polyp"},
    _find_kvasir,
    "https://datasets.simula.no/kvasir-seg/",
    "see the site",
    "Kvasir-SEG/images/NAME.jpg and masks/NAME.jpg, the official split in train.txt and val.txt",
)
ISIC2016 = Recipe(
    "isic2016",
    "ISIC 2016, part 1",
    (PICTURE,),
    {1: "skin lesion"},
    lambda root: find(root, _ISIC),
    "https://challenge.isic-archive.com/data/#2016",
    "see the site",
    "ISBI2016_ISIC_Part1_Training_Data/ISIC_0000000.jpg, …_GroundTruth/ISIC_0000000_Segmentation.png, …_Test_…",
)
RIMONE = Recipe(
    "rimone",
    "RIM-ONE DL",
    (PICTURE,),
    {1: "optic disc", 2: "optic cup"},
    _find_rimone,
    "https://github.com/miag-ull/rim-one-dl",
    "see the site",
    "RIM-ONE_DL_images/partitioned_…/training_set/…/r1_Im001.png and RIM-ONE_DL_reference_segmentations/…",
    ("The cup lies inside the disc: class 1 is the rim around it, 1 and 2 together the disc.",),
)
