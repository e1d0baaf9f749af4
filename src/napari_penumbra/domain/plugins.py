"""Things that are found by name: ours in a table, others' by an entry point of their package."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cached_property
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

from napari_penumbra.domain.errors import UsageError

_log = logging.getLogger(__name__)


class Plugins:
    """One kind of thing that other packages may add to. Nothing is imported until it is asked for.

    Parameters
    ----------
    group
        Name of the entry points.
    own
        Name to ``module:Class``; these win over others' of the same name.
    noun
        What one is called in messages: ``method``.
    """

    def __init__(self, group: str, own: Mapping[str, str], noun: str) -> None:
        self.group = group
        self.own = own
        self.noun = noun

    def names(self) -> list[str]:
        """List all: ours first, then those of installed packages in alphabetical order."""
        return [*self.own, *sorted(self.others)]

    def load(self, name: str) -> object:
        """Import what a name stands for.

        Raises
        ------
        UsageError
            Nothing has this name, or the package that offers it cannot be imported.
        """
        if name in self.own:
            module, _, attribute = self.own[name].partition(":")
            return getattr(import_module(module), attribute)
        if name not in self.others:
            raise UsageError(f'There is no {self.noun} called "{name}".', f"Choose one of: {', '.join(self.names())}.")
        point = self.others[name]
        try:
            return point.load()
        except Exception as error:
            # Whatever a foreign package raises must not end the program.
            raise UsageError(
                f'The {self.noun} "{name}" could not be loaded from {point.value}.',
                "Update or uninstall the package that brings it.",
                details=repr(error),
            ) from error

    def look_again(self) -> None:
        """Forget what installed packages offer: one has come or gone."""
        self.__dict__.pop("others", None)

    def refused(self, name: str) -> UsageError:
        """Make the error for something that is not what its entry point says."""
        return UsageError(
            f'The {self.noun} "{name}" is not a napari-penumbra {self.noun}.',
            "Tell the author of the package that brings it.",
        )

    @cached_property
    def others(self) -> dict[str, EntryPoint]:
        """What installed packages offer; looked up once, as reading what is installed takes 10 ms."""
        found: dict[str, EntryPoint] = {}
        for point in entry_points(group=self.group):
            if point.name in self.own or point.name in found:
                # Ours, or the first one found, stays: a record that names it must mean one thing only.
                _log.warning("A second %s called %s (%s) is left out.", self.noun, point.name, point.value)
                continue
            found[point.name] = point
        return found
