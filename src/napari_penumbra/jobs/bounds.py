"""Values held against the JSON schema of a method's parameters, in words and without torch.

Covers what pydantic writes for plain fields (types, bounds, choices, fixed-length lists, alternatives); anything finer
is left to the worker, which validates for good.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

_TYPES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "integer": ("a whole number", lambda v: isinstance(v, int | float) and not isinstance(v, bool) and v == v // 1),
    "number": (
        "a number",
        lambda v: isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v),
    ),
    "string": ("a text", lambda v: isinstance(v, str)),
    "boolean": ("true or false", lambda v: isinstance(v, bool)),
    "array": ("a list", lambda v: isinstance(v, list | tuple)),
    "object": ("an object", lambda v: isinstance(v, dict)),
    "null": ("null", lambda v: v is None),
}
_BOUNDS: dict[str, tuple[str, Callable[[Any, Any], bool]]] = {
    "minimum": ("at least", operator.ge),
    "exclusiveMinimum": ("more than", operator.gt),
    "maximum": ("at most", operator.le),
    "exclusiveMaximum": ("less than", operator.lt),
}


def complaint(name: str, value: Any, schema: dict[str, Any]) -> str | None:
    """Say what is wrong with a value, or None.

    Parameters
    ----------
    name
        How the parameter is called, for the sentence.
    schema
        Its JSON schema.
    """
    choices = schema.get("anyOf")
    if choices:
        found = [complaint(name, value, choice) for choice in choices]
        return None if None in found else found[0]
    if "enum" in schema and value not in schema["enum"]:
        return f"{name} must be one of {', '.join(map(str, schema['enum']))}, not {value}."
    words, fits = _TYPES.get(str(schema.get("type")), ("", lambda v: True))
    if not fits(value):
        return f"{name} must be {words}, not {value!r}."
    if isinstance(value, int | float):
        for key, (relation, holds) in _BOUNDS.items():
            if key in schema and not holds(value, schema[key]):
                return f"{name} must be {relation} {schema[key]:g}, not {value:g}."
    if isinstance(value, list | tuple):
        return _in_list(name, value, schema)
    return None


def _in_list(name: str, value: list[Any] | tuple[Any, ...], schema: dict[str, Any]) -> str | None:
    least, most = schema.get("minItems", 0), schema.get("maxItems", math.inf)
    if not least <= len(value) <= most:
        wanted = str(least) if least == most else f"{least} to {most}"
        return f"{name} must have {wanted} values, not {len(value)}."
    each = schema.get("prefixItems") or [schema.get("items", {})] * len(value)
    wrong = (complaint(f"{name}, value {n}", v, s) for n, (v, s) in enumerate(zip(value, each, strict=False), 1))
    return next((text for text in wrong if text), None)
