"""Checks before use. A new one is one file and one line here; another package adds its own by an entry point.

In that package's ``pyproject.toml``::

    [project.entry-points."napari_penumbra.checks"]
    my-check = "my_package.my_module:MyCheck"
"""

from __future__ import annotations

from napari_penumbra.domain.plugins import Plugins
from napari_penumbra.study.checks._base import Check, Figures, Finding, Offer, Picture, Scan, SeenCase, Severity

GROUP = "napari_penumbra.checks"
_HERE = "napari_penumbra.study.checks"
REGISTRY: dict[str, str] = {
    "files": f"{_HERE}.files:Files",
    "modalities": f"{_HERE}.modalities:Modalities",
    "grids": f"{_HERE}.grids:Grids",
    "spacing": f"{_HERE}.spacing:Spacing",
    "orientation": f"{_HERE}.orientation:Orientation",
    "numbers": f"{_HERE}.numbers:Numbers",
    "constant": f"{_HERE}.constant:Constant",
    "alignment": f"{_HERE}.alignment:OnEachOther",
    "mirrored": f"{_HERE}.mirrored:Mirrored",
    "labels": f"{_HERE}.labels:Labels",
    "duplicates": f"{_HERE}.duplicates:Duplicates",
    "intensities": f"{_HERE}.intensities:Intensities",
}

_plugins = Plugins(GROUP, REGISTRY, "check")


def names() -> list[str]:
    """List every check: ours first, then those of installed packages in alphabetical order."""
    return _plugins.names()


def get(name: str) -> Check:
    """Make a check; raises `UsageError` when there is none of this name or it cannot be loaded."""
    loaded = _plugins.load(name)
    if not (isinstance(loaded, type) and issubclass(loaded, Check)):
        raise _plugins.refused(name)
    return loaded()


def every() -> list[Check]:
    """Make all checks, in the order in which they are listed."""
    return [get(name) for name in names()]


__all__ = [
    "GROUP", "REGISTRY", "Check", "Figures", "Finding", "Offer", "Picture", "Scan", "SeenCase", "Severity", "every",
    "get", "names",
]  # fmt: skip
