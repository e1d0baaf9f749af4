"""Reads single values out of a header that may be wrong in every way: a number, several, words, or nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

Tag = str | tuple[int, int]


def element(header: Any, tag: Tag) -> Any:
    """Return the value of a tag, None where it is absent or cannot be made sense of."""
    try:
        found = header.get(tag)
    except Exception:  # noqa: BLE001 - pydicom converts values on access; a broken one raises almost anything
        return None
    if found is None or isinstance(tag, str):
        return found
    try:
        return found.value
    except Exception:  # noqa: BLE001 - as above
        return None


def numbers(header: Any, tag: Tag, count: int | None = None) -> tuple[float, ...] | None:
    """Return finite numbers; None unless there are ``count`` of them (any, if None, but at least one)."""
    value = element(header, tag)
    if value is None:
        return None
    if isinstance(value, bytes):  # private and of unknown type: most write text
        value = value.decode("ascii", "ignore").strip("\0 ").split("\\")
    items = value if isinstance(value, Sequence) and not isinstance(value, str) else _several(value)
    try:
        found = tuple(float(item) for item in items)
    except (TypeError, ValueError, OverflowError):
        return None
    if not found or not all(map(math.isfinite, found)) or (count is not None and len(found) != count):
        return None
    return found


def number(header: Any, tag: Tag) -> float | None:
    """Return the first number of a tag, None without one."""
    found = numbers(header, tag)
    return found[0] if found else None


def whole(header: Any, tag: Tag) -> int | None:
    """Return a number that is whole, None otherwise."""
    found = number(header, tag)
    return int(found) if found is not None and found == int(found) else None


def words(header: Any, tag: Tag) -> str:
    """Return a tag's text in upper case, its parts joined by blanks; empty where absent. Never to be shown."""
    value = element(header, tag)
    if value is None:
        return ""
    if isinstance(value, bytes):
        return value.decode("ascii", "ignore").upper()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return " ".join(str(part) for part in value).upper()
    return str(value).upper()


def items(header: Any, tag: Tag) -> Sequence[Any]:
    """Return the items of a sequence, none where it is absent or no sequence."""
    value = element(header, tag)
    return value if isinstance(value, Sequence) and not isinstance(value, str | bytes) else ()


def _several(value: Any) -> Sequence[Any]:
    if isinstance(value, str):
        return value.split("\\")
    try:
        return list(value)  # pydicom's MultiValue and array.array are no Sequence of typing
    except TypeError:
        return [value]
