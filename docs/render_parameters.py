"""Write ``docs/parameters.md`` from the methods' own parameters: ``python docs/render_parameters.py``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_penumbra.methods import REGISTRY, get
from napari_penumbra.methods._base import Method

PAGE = Path(__file__).with_name("parameters.md")
PRESETS = ("laptop", "workstation", "paper")
HEAD = """# Parameters

What the Train page's form, `penumbra train --set name=value` and a run's `job.json` know of each method, read off the
code. A parameter that a preset leaves alone has its default.

"""
FOOT = "\n<!-- Made by docs/render_parameters.py from the methods' Config classes. -->\n"


def text() -> str:
    """The page."""
    return HEAD + "\n".join(_section(name, get(name)) for name in REGISTRY) + FOOT


def _section(name: str, method: type[Method]) -> str:
    chosen = {preset: method.configure(preset, {}).model_dump() for preset in PRESETS}
    rows = [
        "| " + " | ".join([f"`{key}`", _help(field), *(_value(chosen[preset][key]) for preset in PRESETS)]) + " |"
        for key, field in method.Config.model_fields.items()
    ]
    table = [f"| name | what it does | {' | '.join(PRESETS)} |", "|---" * (2 + len(PRESETS)) + "|", *rows]
    return f"## {method.title} (`{name}`)\n\n" + "\n".join(table) + "\n"


def _help(field: Any) -> str:
    unit = (field.json_schema_extra or {}).get("unit")
    words = f"{field.title}. {field.description}" + (f" In {unit}." if unit else "")
    return words.replace("|", "\\|")


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, (list, tuple)):
        return " x ".join(map(str, value))
    return str(value) or "(none)"


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
