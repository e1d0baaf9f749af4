"""ISLES 2015: two tasks in one distribution, told apart by the sequences that a case has.

A folder per case, in it a folder per sequence with one file of the same name:
``SPES2015_Training/1/VSD.Brain.XX.O.MR_Tmax.70608/VSD.Brain.XX.O.MR_Tmax.70608.nii``; the expert's drawing is called
``OT``. In SPES it has been passed on as two files (``corelabel``, ``penumbralabel``) and as one; both are read.
"""

from __future__ import annotations

import re
from pathlib import Path

from napari_penumbra.study.importers.recipes._base import Found, Recipe
from napari_penumbra.study.importers.recipes._rules import Image, Mask, Rules, match
from napari_penumbra.study.importers.tree import files

_SITE = "https://zenodo.org/records/17736412"
_LICENCE = "see the site"
_SERIES = r"(?P<case>[^/]+)/(?:VSD|SMIR)\.Brain[^/]*/(?:VSD|SMIR)\.Brain[^/]*\.(?:MR_)?"
_END = r"(?:\.\d+)?\.nii(?:\.gz)?"
_ONLY_SPES = r"\.(?:MR_)?(?:Tmax|TTP|CBF|CBV|T1c)\."
_ONLY_SISS = r"\.MR_Flair\."
_SPES = {"tmax": "Tmax", "ttp": "TTP", "cbf": "CBF", "cbv": "CBV", "dwi": "DWI", "t1c": "T1c", "t2": "T2"}
_SISS = {"flair": "FLAIR", "dwi": "DWI", "t1": "T1", "t2": "T2"}


def _images(spelt: dict[str, str]) -> tuple[Image, ...]:
    return (Image(rf"{_SERIES}(?P<modality>{'|'.join(spelt)}){_END}", spelt=spelt),)


def _name(task: str):  # type: ignore[no-untyped-def]
    return lambda case, test: f"{task}-{'test' if test else 'train'}-{case}"


_DRAWING = r"(?P<case>[^/]+)/(?:VSD|SMIR)\.Brain[^/]*OT[^/]*/"
_SPES_RULES = Rules(
    _images(_SPES),
    (
        Mask(rf"{_DRAWING}[^/]*penumbra[^/]*\.nii(?:\.gz)?", rest=1),
        Mask(rf"{_DRAWING}[^/]*core[^/]*\.nii(?:\.gz)?", rest=2),
        Mask(rf"{_DRAWING}(?:VSD|SMIR)\.[^/]*\.nii(?:\.gz)?", {1: 1, 2: 2}),
    ),
    "folders such as VSD.Brain.XX.O.MR_Tmax.70608 inside a folder per case",
    _name("spes"),
)
_SISS_RULES = Rules(
    _images(_SISS),
    (Mask(rf"{_DRAWING}[^/]*\.nii(?:\.gz)?", rest=1),),
    "folders such as VSD.Brain.XX.O.MR_Flair.70616 inside a folder per case",
    _name("siss"),
)


def _find(root: Path, rules: Rules, mine: str, other: str) -> Found:
    """Keep cases that have a sequence of this task and none of the other: both may lie in one folder."""
    names = files(root)
    cases: dict[str, str] = {}
    for name in names:
        if hit := re.search(rf"(?:^|/){_SERIES}", name, re.IGNORECASE):
            cases[_folder(name, hit)] = cases.get(_folder(name, hit), "") + name
    kept = {f for f, all_names in cases.items() if re.search(mine, all_names) and not re.search(other, all_names)}
    return match(root, [name for name in names if any(name.startswith(folder) for folder in kept)], rules)


def _folder(name: str, hit: re.Match[str]) -> str:
    return name[: hit.end("case")] + "/"


def _find_spes(root: Path) -> Found:
    return _find(root, _SPES_RULES, _ONLY_SPES, _ONLY_SISS)


def _find_siss(root: Path) -> Found:
    return _find(root, _SISS_RULES, _ONLY_SISS, _ONLY_SPES)


SPES = Recipe(
    "isles2015-spes",
    "ISLES 2015 SPES",
    ("Tmax", "DWI", "TTP", "CBF", "CBV", "T1c", "T2"),
    {1: "penumbra", 2: "core"},
    _find_spes,
    _SITE,
    _LICENCE,
    "a folder per case with VSD.Brain.XX.O.MR_Tmax.NNN/….nii and so on, the drawing in …OT…/",
)
SISS = Recipe(
    "isles2015-siss",
    "ISLES 2015 SISS",
    ("FLAIR", "DWI", "T1", "T2"),
    {1: "lesion"},
    _find_siss,
    _SITE,
    _LICENCE,
    "a folder per case with VSD.Brain.XX.O.MR_Flair.NNN/….nii and so on, the drawing in …OT…/",
)
