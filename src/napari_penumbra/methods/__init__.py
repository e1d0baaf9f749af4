"""The methods by name. A new one is one file and one line here; another package adds its own by an entry point.

In that package's ``pyproject.toml``::

    [project.entry-points."napari_penumbra.methods"]
    my-method = "my_package.my_module:MyMethod"

Nothing is imported until it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_penumbra.domain.plugins import Plugins

if TYPE_CHECKING:
    from napari_penumbra.methods._base import Method

GROUP = "napari_penumbra.methods"
REGISTRY: dict[str, str] = {
    "mean-teacher": "napari_penumbra.methods.mean_teacher:MeanTeacher",
    "col-net": "napari_penumbra.methods.col_net:ColNet",
    "co-learning": "napari_penumbra.methods.co_learning:CoLearning",
    "self-correction": "napari_penumbra.methods.self_correction:SelfCorrection",
    "asdnet": "napari_penumbra.methods.asdnet:AsdNet",
    "supervised": "napari_penumbra.methods.supervised:Supervised",
}

_plugins = Plugins(GROUP, REGISTRY, "method")


def names() -> list[str]:
    """List every method: ours first, then those of installed packages in alphabetical order."""
    return _plugins.names()


def get(name: str) -> type[Method]:
    """Import a method's class.

    Raises
    ------
    UsageError
        No method has this name; or the package that offers it cannot be imported, or offers something else.
    """
    from napari_penumbra.methods._base import Method

    loaded = _plugins.load(name)
    if not (isinstance(loaded, type) and issubclass(loaded, Method)):
        raise _plugins.refused(name)
    return loaded
