"""Application-wide keys: every action that has one, by name, as the reader has set it.

A key is a `QShortcut` of the whole application, so napari's own bindings lose to it; it lives only while its owner
shows. `bind` makes one; `Shortcuts` finds every one below the dock, and every `ActionButton` with keys that nobody has
bound, so that no page needs to know of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from qtpy.QtCore import QObject, Qt, Signal
from qtpy.QtGui import QAction, QKeySequence
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QDialog,
    QKeySequenceEdit,
    QLineEdit,
    QPlainTextEdit,
    QShortcut,
    QTextEdit,
    QWidget,
)

from napari_penumbra.domain.errors import UsageError
from napari_penumbra.widgets.buttons import ActionButton, key_words
from napari_penumbra.widgets.shortcut_file import read_keys, write_keys

EVERYWHERE = "Everywhere"

_WRITERS = (QLineEdit, QPlainTextEdit, QTextEdit, QAbstractSpinBox, QComboBox, QKeySequenceEdit)
_WALKERS = (QAbstractItemView, QAbstractSlider)
_WALKING = frozenset({"Up", "Down", "Left", "Right", "PgUp", "PgDown", "Home", "End"})


class Key(QShortcut):
    """One key of one owner: see `bind`. ``default`` is what it is without the reader's own settings."""

    def __init__(self, owner: QWidget, keys: str, name: str, text: str, shown_on: Sequence[QAbstractButton]) -> None:
        super().__init__(QKeySequence(keys), owner)
        self.owner = owner
        self.default = normal(keys)
        self.name = name
        self.text = text
        self.shown_on = [button for button in shown_on if isinstance(button, ActionButton)]
        for button in self.shown_on:
            button.key = self
        self.setContext(Qt.ShortcutContext.ApplicationShortcut)

    def set_keys(self, keys: str) -> None:
        """Listen to other keys, none if empty, and show them on the buttons."""
        self.setKey(QKeySequence(keys))
        for button in self.shown_on:
            button.show_keys(keys)


@dataclass(frozen=True, slots=True)
class Action:
    """An action with a key, as the sheet shows it. ``places`` are the pages on which the key works."""

    name: str
    text: str
    places: tuple[str, ...]
    default: str
    keys: str


def bind(
    owner: QWidget,
    keys: str,
    action: Callable[[], object],
    *,
    button: QAbstractButton | None = None,
    shown_on: Sequence[ActionButton] = (),
    name: str = "",
    text: str = "",
    repeat: bool = False,
) -> Key:
    """Call ``action`` when ``keys`` are pressed anywhere in the application.

    Parameters
    ----------
    owner
        The keys work while this widget is visible and no modal dialog stands before it: give a page to limit them
        to that page, the dock for all pages.
    button
        Keys of a button do what a click does: nothing while it is disabled. A button is bound once: the second time
        gives back the first key.
    shown_on
        Buttons that show the keys, although the keys do not press them.
    name
        What the reader's own settings call the action; the same on two pages is one action. Taken from the button's
        object name by default.
    text
        What it does, for the sheet of all keys; the button's words by default.
    repeat
        Whether holding the key down does it again and again.
    """
    if isinstance(button, ActionButton) and isinstance(button.key, Key):
        return button.key
    name = name or (button.objectName() if button is not None else "") or f"key {keys}"
    buttons = [*shown_on, *([button] if button is not None else [])]
    key = Key(owner, keys, name, text or (button.text() if button is not None else name), buttons)
    key.setAutoRepeat(repeat)

    def fire() -> None:
        if button is not None and not (button.isEnabled() and button.isVisibleTo(owner)):
            return
        action()

    key.activated.connect(fire)
    return key


class Shortcuts(QObject):
    """All keys below a widget: known by name, changeable, remembered, and silent while the reader types.

    Parameters
    ----------
    root
        The dock.
    places
        Pages by their titles; a key whose owner is none of them works everywhere.
    file
        Where the reader's own keys are kept.

    Signals
    -------
    changed
        A key has been changed or found.
    """

    changed = Signal()

    def __init__(self, root: QWidget, places: Mapping[str, QWidget], file: Path) -> None:
        super().__init__(root)
        self._root = root
        self._places = dict(places)
        self._file = file
        self._own = read_keys(file)
        QApplication.instance().focusChanged.connect(self._on_focus)
        self.collect()

    def stop(self) -> None:
        """Stop listening."""
        QApplication.instance().focusChanged.disconnect(self._on_focus)

    # ---------------------------------------------------------------- finding

    def collect(self) -> None:
        """Bind every button with keys that nobody has bound, and give each key what the reader has set."""
        for button in self._root.findChildren(ActionButton):
            if button.shortcut_keys:
                bind(self._page_of(button), button.shortcut_keys, button.click, button=button)
        for key in self._keys():
            key.set_keys(self._own.get(key.name, key.default))
        self._on_focus(None, QApplication.focusWidget())
        self.changed.emit()

    def adopt(self, button: ActionButton) -> None:
        """Take up one button that came later; called by the button when it shows."""
        if button.shortcut_keys and button.key is None:
            key = bind(self._page_of(button), button.shortcut_keys, button.click, button=button)
            key.set_keys(self._own.get(key.name, key.default))
            self._on_focus(None, QApplication.focusWidget())
            self.changed.emit()

    def actions(self) -> list[Action]:
        """Return every action with a key, in the order of the pages, as it is now."""
        found: dict[str, Action] = {}
        order = (EVERYWHERE, *self._places)
        for key in self._keys():
            before = found.get(key.name)
            places = {self._place_of(key.owner), *(before.places if before is not None else ())}
            found[key.name] = Action(
                key.name,
                before.text if before is not None else key.text,
                tuple(place for place in order if place in places),
                before.default if before is not None else key.default,
                self._own.get(key.name, key.default),
            )
        return sorted(found.values(), key=lambda action: [order.index(place) for place in action.places])

    def _keys(self) -> list[Key]:
        return list(self._root.findChildren(Key))

    def _page_of(self, widget: QWidget) -> QWidget:
        pages = [page for page in self._places.values() if page.isAncestorOf(widget)]
        return pages[0] if pages else self._root

    def _place_of(self, owner: QWidget) -> str:
        page = self._page_of(owner) if owner not in self._places.values() else owner
        return next((title for title, known in self._places.items() if known is page), EVERYWHERE)

    # ---------------------------------------------------------------- changing

    def set_keys(self, name: str, keys: str) -> None:
        """Give an action other keys, or none if empty, and remember them.

        Raises
        ------
        UsageError
            They belong to another action of the same page, or to napari's own menus.
        """
        action = next(action for action in self.actions() if action.name == name)
        keys = normal(keys)
        taken = self.clash(name, keys)
        if taken:
            raise UsageError(f"{key_words(keys)} is taken: {taken}.", "Choose another key, or change that one first.")
        if keys == action.default:
            self._own.pop(name, None)
        else:
            self._own[name] = keys
        self._keep()

    def reset(self) -> None:
        """Give every action its default keys."""
        self._own = {}
        self._keep()

    def clash(self, name: str, keys: str) -> str:
        """Say which other action these keys would fire as well; empty when none."""
        if not keys:
            return ""
        actions = self.actions()
        mine = next(action for action in actions if action.name == name)
        for other in actions:
            if other.name != name and other.keys == normal(keys) and _overlap(mine, other):
                return f"{other.text} ({', '.join(other.places)})"
        return menu_action(self._root.window(), keys)

    def clashes(self) -> list[str]:
        """Say all clashes there are."""
        found = ((action, self.clash(action.name, action.keys)) for action in self.actions())
        return [f"{action.keys}: {action.text} and {other}" for action, other in found if other]

    def _keep(self) -> None:
        write_keys(self._file, self._own)
        self.collect()

    # ---------------------------------------------------------------- typing

    def _on_focus(self, _old: QWidget | None, now: QWidget | None) -> None:
        """Letters reach a text that has the keyboard, and Tab the next field; a dialog that has it has all keys.

        Arrows move in a list or slider that has it.
        """
        elsewhere = now is not None and isinstance(now.window(), QDialog)
        typing = isinstance(now, _WRITERS)
        walking = isinstance(now, _WALKERS)
        for key in self._keys():
            words = normal(key.key().toString())
            key.setEnabled(not elsewhere and not (typing and is_bare(words)) and not (walking and words in _WALKING))


def normal(keys: str) -> str:
    """Write a key sequence as Qt writes it: ``ctrl+right`` as ``Ctrl+Right``."""
    return str(QKeySequence(keys).toString(QKeySequence.SequenceFormat.PortableText))


def is_bare(keys: str) -> bool:
    """Whether keys are typed in a text: neither Ctrl, Alt nor Meta, and no function key."""
    last = keys.rsplit("+", 1)[-1] or "+"
    function = last.startswith("F") and last[1:].isdigit()
    return not any(f"{word}+" in keys for word in ("Ctrl", "Alt", "Meta")) and not function


def menu_action(window: QWidget, keys: str) -> str:
    """Name the entry of the window's menus that has these keys: Qt would then do neither."""
    wanted = QKeySequence(keys)
    for action in window.findChildren(QAction):
        if wanted in action.shortcuts() and action.isEnabled():
            return f"{action.text().replace('&', '')} (napari's menu)"
    return ""


def _overlap(a: Action, b: Action) -> bool:
    return EVERYWHERE in (*a.places, *b.places) or bool(set(a.places) & set(b.places))
