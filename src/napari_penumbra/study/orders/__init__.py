"""What to label next. A new order is one file and one line here; another package adds its own by an entry point.

In that package's ``pyproject.toml``::

    [project.entry-points."napari_penumbra.orders"]
    my-order = "my_package.my_module:MyOrder"

Nothing is imported until it is asked for.
"""

from __future__ import annotations

from napari_penumbra.domain.plugins import Plugins
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

_plugins = Plugins(GROUP, REGISTRY, "order")


def names() -> list[str]:
    """List every order: ours first, then those of installed packages in alphabetical order."""
    return _plugins.names()


def get(name: str) -> Order:
    """Make an order.

    Raises
    ------
    UsageError
        No order has this name; or the package that offers it cannot be imported, or offers something else.
    """
    loaded = _plugins.load(name)
    if not (isinstance(loaded, type) and issubclass(loaded, Order)):
        raise _plugins.refused(name)
    return loaded()


__all__ = ["GROUP", "REGISTRY", "SEED", "Candidate", "Order", "Pool", "Ranked", "get", "names"]
