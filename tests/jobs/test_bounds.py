"""Values against a JSON schema, as pydantic writes it."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field, ValidationError

from napari_penumbra.jobs.bounds import allowed, complaint, resolved


class Config(BaseModel):
    """One field of every kind that methods use."""

    steps: int = Field(10, ge=1, le=100)
    rate: float = Field(0.1, gt=0, lt=1)
    patch: tuple[int, int, int] = (1, 2, 3)
    levels: list[int] = Field([1], min_length=1, max_length=3)
    backbone: Literal["unet", "vnet"] = "unet"
    mirror: bool = True
    seed: int | None = None
    note: str = ""


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("steps", 5, ""),
        ("steps", 0, "at least 1 and at most 100, not 0"),
        ("steps", 101, "at most 100"),
        ("steps", 2.5, "a whole number"),
        ("steps", "many", "a whole number"),
        ("steps", float("nan"), "a whole number"),
        ("rate", 0.5, ""),
        ("rate", 0, "more than 0 and less than 1, not 0"),
        ("rate", 1, "less than 1"),
        ("rate", float("inf"), "a number"),
        ("patch", [4, 5, 6], ""),
        ("patch", [4, 5], "must have 3 values, not 2"),
        ("patch", [4, 5, "x"], "patch, value 3 must be a whole number"),
        ("levels", [], "1 to 3 values"),
        ("levels", [1, 2, "x"], "value 3"),
        ("backbone", "vnet", ""),
        ("backbone", "alexnet", "one of unet, vnet"),
        ("mirror", False, ""),
        ("mirror", "perhaps", "true or false"),
        ("seed", None, ""),
        ("seed", 3, ""),
        ("seed", "x", "a whole number"),
        ("note", "words", ""),
        ("note", 3, "a text"),
    ],
)
def test_says_no_exactly_when_pydantic_does(name: str, value: Any, words: str) -> None:
    said = complaint(name, value, Config.model_json_schema()["properties"][name])
    try:
        Config.model_validate({name: value})
        valid = True
    except ValidationError:
        valid = False
    assert (said is None) == valid
    assert words in (said or "")


def test_what_is_allowed_stands_in_the_sentence() -> None:
    assert allowed({"exclusiveMinimum": 0, "maximum": 10_000_000}) == "more than 0 and at most 10,000,000"
    assert allowed({}) == ""
    assert complaint("rate", "fast", {"type": "number", "maximum": 3}) == (
        "rate must be a number, at most 3, not 'fast'."
    )
    assert complaint("flag", True, {"type": "boolean", "maximum": 0}) is None


def test_references_are_followed_wherever_they_stand() -> None:
    definitions = {"Net": {"type": "string", "enum": ["a", "b"]}}
    one = {"$ref": "#/$defs/Net", "default": "a"}
    assert "one of a, b" in str(complaint("net", "c", resolved(one, definitions)))
    maybe = resolved({"anyOf": [{"$ref": "#/$defs/Net"}, {"type": "null"}]}, definitions)
    assert complaint("net", None, maybe) is None
    assert complaint("net", "c", maybe) is not None
    many = resolved({"type": "array", "items": {"$ref": "#/$defs/Net"}}, definitions)
    assert "value 2" in str(complaint("nets", ["a", "c"], many))
    fixed = resolved({"type": "array", "prefixItems": [{"$ref": "#/$defs/Net"}]}, definitions)
    assert complaint("nets", ["c"], fixed) is not None
