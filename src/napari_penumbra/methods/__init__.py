"""The methods by name. A new one is one file and one line here; another package adds its own by an entry point.

In that package's ``pyproject.toml``::

    [project.entry-points."napari_penumbra.methods"]
    my-method = "my_package.my_module:MyMethod"

Nothing is imported until it is asked for.
"""

from __future__ import annotations

import logging
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

from napari_penumbra.domain.errors import UsageError

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

_log = logging.getLogger(__name__)


def names() -> list[str]:
    """List every method: ours first, then those of installed packages in alphabetical order."""
    return [*REGISTRY, *sorted(_third_party())]


def get(name: str) -> type[Method]:
    """Import a method's class.

    Raises
    ------
    UsageError
        No method has this name; or the package that offers it cannot be imported, or offers something else.
    """
    others = {} if name in REGISTRY else _third_party()
    if name not in REGISTRY and name not in others:
        raise UsageError(f'There is no method called "{name}".', f"Choose one of: {', '.join(names())}.")
    target = REGISTRY.get(name) or others[name].value
    if name in REGISTRY:
        return _checked(name, _load(target))
    try:
        loaded = others[name].load()
    except Exception as error:
        # Whatever a foreign package raises must not end the program.
        raise UsageError(
            f'The method "{name}" could not be loaded from {target}.',
            "Update or uninstall the package that brings it.",
            details=repr(error),
        ) from error
    return _checked(name, loaded)


def _load(target: str) -> object:
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)


def _checked(name: str, loaded: object) -> type[Method]:
    from napari_penumbra.methods._base import Method

    if not (isinstance(loaded, type) and issubclass(loaded, Method)):
        raise UsageError(
            f'The method "{name}" is not a napari-penumbra method.', "Tell the author of the package that brings it."
        )
    return loaded


def _third_party() -> dict[str, EntryPoint]:
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=GROUP):
        if point.name in REGISTRY or point.name in found:
            # Ours, or the first one found, stays: a run's record must mean one method only.
            _log.warning("A second method called %s (%s) is left out.", point.name, point.value)
            continue
        found[point.name] = point
    return found
