"""Looks at an order (``job.json``) that somebody may have edited by hand, and names the key that is wrong."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from napari_penumbra.domain.errors import JobError

_Rule = tuple[Callable[[Any], bool], str]
MOST_VOXELS = 1 << 34
MOST_THREADS = 4096


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _affine(value: Any) -> bool:
    rows = isinstance(value, list) and len(value) == 4 and all(isinstance(row, list) and len(row) == 4 for row in value)
    return rows and all(_number(entry) for row in value for entry in row)


def _shape(value: Any) -> bool:
    whole = isinstance(value, list) and len(value) == 3 and all(_whole(n) and n > 0 for n in value)
    return whole and math.prod(value) <= MOST_VOXELS


_TEXT: _Rule = (_text, "a text in quotes")
_NAMED: _Rule = (lambda v: isinstance(v, Mapping), "a block in braces")
_YES: _Rule = (lambda v: isinstance(v, bool), "true or false")
_WHOLE: _Rule = (_whole, "a whole number")
_TEXT_OR_NONE: _Rule = (lambda v: v is None or _text(v), "a text in quotes, or null")
_NEEDED: Mapping[str, _Rule] = {
    "version": _WHOLE,
    "kind": (lambda v: v in ("train", "predict"), '"train" or "predict"'),
    "modalities": (lambda v: isinstance(v, list) and bool(v) and all(map(_text, v)), 'a list such as ["DWI", "T2"]'),
    "labels": (lambda v: isinstance(v, list) and bool(v), "a list of classes"),
    "cases": (lambda v: isinstance(v, list), "a list of cases"),
    "steps": (lambda v: v is None or _whole(v), "a whole number, or null"),
}
_OTHERS: Mapping[str, _Rule] = {
    "method": _TEXT,
    "preset": _TEXT,
    "device": _TEXT,
    "config": _NAMED,
    "launch": _NAMED,
    "seed": _WHOLE,
    "threads": (lambda v: _whole(v) and 0 <= v <= MOST_THREADS, f"a whole number from 0 to {MOST_THREADS}"),
    "disk_reserve": (lambda v: _number(v) and v >= 0, "a number of bytes"),
    "reference": _YES,
    "tensorboard": _YES,
    "checkpoint": _TEXT_OR_NONE,
}
_CLASS: Mapping[str, _Rule] = {
    "value": (lambda v: _whole(v) and 1 <= v <= 254, "a whole number from 1 to 254"),
    "name": _TEXT,
    "color": _TEXT,
}
_CASE: Mapping[str, _Rule] = {
    "name": _TEXT,
    "images": (lambda v: isinstance(v, list) and all(x is None or _text(x) for x in v), "a list of files or null"),
    "grid": _NAMED,
    "label": _TEXT_OR_NONE,
    "role": (
        lambda v: v in ("labelled", "unlabelled", "validation", "predict"),
        '"labelled", "unlabelled", "validation" or "predict"',
    ),
    "key": _TEXT,
}
_GRID: Mapping[str, _Rule] = {
    "shape": (_shape, "three whole numbers above 0"),
    "affine": (_affine, "four rows of four numbers"),
}


def check_order(data: Any) -> None:
    """Check every value of an order that has come out of a file.

    Raises
    ------
    JobError
        Names the key, and says what belongs there.
    """
    if not isinstance(data, Mapping):
        raise JobError("job.json does not hold an order.", "Start the run anew from the Train page.")
    _check(data, _NEEDED, "")
    _check({key: value for key, value in data.items() if key in _OTHERS}, _OTHERS, "", needed=False)
    for n, entry in enumerate(data["labels"]):
        _check(entry, _CLASS, f"labels[{n}].")
    for n, case in enumerate(data["cases"]):
        _check(case, _CASE, f"cases[{n}].")
        _check(case["grid"], _GRID, f"cases[{n}].grid.")
        if len(case["images"]) != len(data["modalities"]):
            raise wrong(f"cases[{n}].images", f"one entry for each of the {len(data['modalities'])} modalities")


def _check(data: Any, rules: Mapping[str, _Rule], place: str, *, needed: bool = True) -> None:
    if not isinstance(data, Mapping):
        raise wrong(place.rstrip("."), "a block in braces")
    for key, (fits, wanted) in rules.items():
        if key not in data:
            if needed:
                raise JobError(f'"{place}{key}" is missing in job.json.', f"Write {wanted}, or start the run anew.")
        elif not fits(data[key]):
            raise wrong(f"{place}{key}", wanted)


def wrong(key: str, wanted: str) -> JobError:
    """Say that a value of ``job.json`` is not what it should be."""
    return JobError(f'"{key}" in job.json is not what it should be.', f"Write {wanted}, or start the run anew.")
