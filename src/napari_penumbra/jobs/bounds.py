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


def resolved(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Put what a ``$ref`` points to in its place, in a parameter's schema and in what it is made of.

    Parameters
    ----------
    definitions
        The ``$defs`` of the whole schema.
    """
    result = dict(schema)
    target = str(result.pop("$ref", "")).rpartition("/")[2]
    if target:
        result = {**definitions.get(target, {}), **result}
    for key in ("anyOf", "prefixItems"):
        if key in result:
            result[key] = [resolved(part, definitions) for part in result[key]]
    if isinstance(result.get("items"), dict):
        result["items"] = resolved(result["items"], definitions)
    return result


def allowed(schema: dict[str, Any]) -> str:
    """Say the bounds of a number: ``more than 0 and at most 10``; empty without any."""
    return " and ".join(f"{words} {schema[key]:,.12g}" for key, (words, _) in _BOUNDS.items() if key in schema)


def complaint(name: str, value: Any, schema: dict[str, Any]) -> str | None:
    """Say what is wrong with a value and what is allowed, or None.

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
        bounds = allowed(schema)
        return f"{name} must be {words}{f', {bounds}' if bounds else ''}, not {value!r}."
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    if numeric and any(key in schema and not holds(value, schema[key]) for key, (_, holds) in _BOUNDS.items()):
        return f"{name} must be {allowed(schema)}, not {value:g}."
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
