"""What to label next. A new order is one file and one line here; another package adds its own by an entry point.

In that package's ``pyproject.toml``::

    [project.entry-points."napari_penumbra.orders"]
    my-order = "my_package.my_module:MyOrder"

Nothing is imported until it is asked for.
"""

from __future__ import annotations

import logging
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

from napari_penumbra.domain.errors import UsageError
from napari_penumbra.study.orders._base import SEED, Candidate, Order, Pool, Ranked

GROUP = "napari_penumbra.orders"
REGISTRY: dict[str, str] = {
    "auto": "napari_penumbra.study.orders.auto:LabelNext",
    "file": "napari_penumbra.study.orders.plain:AsAdded",
    "foreground": "napari_penumbra.study.orders.plain:WithForeground",
    "random": "napari_penumbra.study.orders.plain:AtRandom",
    "classes": "napari_penumbra.study.orders.stratified:ByClass",
    "entropy": "napari_penumbra.study.orders.doubt:MostEntropy",
    "confidence": "napari_penumbra.study.orders.doubt:LeastConfident",
    "disagreement": "napari_penumbra.study.orders.doubt:MostDisagreement",
    "coverage": "napari_penumbra.study.orders.coverage:MostDifferent",
}

_log = logging.getLogger(__name__)


def names() -> list[str]:
    """List every order: ours first, then those of installed packages in alphabetical order."""
    return [*REGISTRY, *sorted(_third_party())]


def get(name: str) -> Order:
    """Make an order.

    Raises
    ------
    UsageError
        No order has this name; or the package that offers it cannot be imported, or offers something else.
    """
    if name in REGISTRY:
        module, _, attribute = REGISTRY[name].partition(":")
        return _checked(name, getattr(import_module(module), attribute))
    others = _third_party()
    if name not in others:
        raise UsageError(f'"{name}" is not an order of cases.', f"Choose one of {', '.join(names())}.")
    try:
        loaded = others[name].load()
    except Exception as error:
        # Whatever a foreign package raises must not end the program.
        raise UsageError(
            f'The order "{name}" could not be loaded from {others[name].value}.',
            "Update or uninstall the package that brings it.",
            details=repr(error),
        ) from error
    return _checked(name, loaded)


def _checked(name: str, loaded: object) -> Order:
    if not (isinstance(loaded, type) and issubclass(loaded, Order)):
        raise UsageError(
            f'The order "{name}" is not a napari-penumbra order.', "Tell the author of the package that brings it."
        )
    return loaded()


@cache
def _third_party() -> dict[str, EntryPoint]:
    """Look once: reading what is installed takes 10 ms, and orders are asked for at every look at the table."""
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=GROUP):
        if point.name in REGISTRY or point.name in found:
            _log.warning("A second order called %s (%s) is left out.", point.name, point.value)
            continue
        found[point.name] = point
    return found


__all__ = ["GROUP", "REGISTRY", "SEED", "Candidate", "Order", "Pool", "Ranked", "get", "names"]
