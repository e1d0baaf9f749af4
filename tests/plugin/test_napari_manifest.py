"""What napari is promised by the manifest, and what the package asks of a machine that only annotates and reviews."""

from __future__ import annotations

import ast
import pkgutil
import re
import tomllib
from pathlib import Path

import pytest
from napari._app_model.constants import MenuId
from npe2 import PluginManifest

ROOT = Path(__file__).parents[2]
BINDINGS = {"PyQt5", "PyQt6", "PySide2", "PySide6"}


@pytest.fixture(scope="module")
def manifest() -> PluginManifest:
    return PluginManifest.from_file(ROOT / "napari.yaml")


def test_every_command_leads_to_something(manifest: PluginManifest) -> None:
    commands = manifest.contributions.commands or []
    assert commands
    for command in commands:
        assert callable(pkgutil.resolve_name(str(command.python_name))), command.id


def test_menus_are_napari_s_own_and_show_commands_that_exist(manifest: PluginManifest) -> None:
    known = {menu.value for menu in MenuId}
    commands = {command.id for command in manifest.contributions.commands or []}
    menus = manifest.contributions.menus
    assert menus
    for menu, entries in menus.items():
        assert menu in known, "napari would leave its entries out without a word"
        assert {entry.command for entry in entries} <= commands


def test_keys_are_not_bound_by_the_manifest(manifest: PluginManifest) -> None:
    assert not manifest.contributions.keybindings, (
        "undocumented, and they lose to the layers': see widgets/shortcuts.py"
    )


def test_annotating_needs_neither_torch_nor_a_qt_binding() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = {re.split(r"[\s\[<>=!~;]", line, maxsplit=1)[0].lower(): line for line in project["dependencies"]}
    assert not asked.keys() & {"torch", "monai", *map(str.lower, BINDINGS)}
    assert "[" not in asked["napari"], "napari[all] would bring a binding of its own choice"
    assert "<" not in asked["napari"], "a rival that forbids the next napari is left behind by it"


def test_qt_is_asked_for_by_its_neutral_name() -> None:
    found = []
    for path in sorted((ROOT / "src").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if "Py" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            found += [f"{path.name}: {name}" for name in names if name.split(".")[0] in BINDINGS]
    assert found == []
