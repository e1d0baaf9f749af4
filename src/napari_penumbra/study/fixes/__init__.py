"""Ways to put a case right after a check. A new one is one file and one line here, or an entry point of a package.

In that package's ``pyproject.toml``::

    [project.entry-points."napari_penumbra.fixes"]
    my-fix = "my_package.my_module:MyFix"
"""

from __future__ import annotations

from napari_penumbra.domain.plugins import Plugins
from napari_penumbra.study.fixes._base import Change, Fix, Target

GROUP = "napari_penumbra.fixes"
_HERE = "napari_penumbra.study.fixes"
REGISTRY: dict[str, str] = {
    "resample": f"{_HERE}.resample:Resample",
    "register": f"{_HERE}.register:Register",
    "swap": f"{_HERE}.swap:Swap",
    "mirror": f"{_HERE}.mirror:Mirror",
    "missing": f"{_HERE}.missing:Missing",
    "aside": f"{_HERE}.aside:Aside",
    "back": f"{_HERE}.aside:Back",
}

_plugins = Plugins(GROUP, REGISTRY, "fix")


def names() -> list[str]:
    """List every fix: ours first, then those of installed packages in alphabetical order."""
    return _plugins.names()


def get(name: str) -> Fix:
    """Make a fix; raises `UsageError` when there is none of this name or it cannot be loaded."""
    loaded = _plugins.load(name)
    if not (isinstance(loaded, type) and issubclass(loaded, Fix)):
        raise _plugins.refused(name)
    return loaded()


__all__ = ["GROUP", "REGISTRY", "Change", "Fix", "Target", "get", "names"]
