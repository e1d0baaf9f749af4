"""``study.toml``: what a study is about, in a file that a person can read and edit."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_penumbra.domain.errors import PenumbraError, StudyError, StudyTooNewError, UsageError
from napari_penumbra.domain.labels import LabelClass, LabelScheme
from napari_penumbra.imaging import atomic
from napari_penumbra.study.schema import SCHEMA
from napari_penumbra.study.team.address import Address

_COLOR = re.compile(r"#[0-9a-fA-F]{6}")
# A modality is part of file names, so it holds nothing that a file name may not hold.
_MODALITY = re.compile(r"[A-Za-z0-9][A-Za-z0-9+-]{0,31}(?:[_.][A-Za-z0-9+-]{1,31})*")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What ``study.toml`` says.

    Attributes
    ----------
    name
        The study's name, for people.
    modalities
        In order; the first that a case has is its reference grid.
    labels
        The classes.
    simulated
        Whether no real patient is in it.
    schema
        Version of the database's tables.
    team
        Where the index is when it is on a server; None when it is the SQLite file in the folder.
    """

    name: str
    modalities: tuple[str, ...]
    labels: LabelScheme
    simulated: bool = False
    schema: int = SCHEMA
    team: Address | None = None

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise UsageError("A study needs a name.", "Give it one that your colleagues will recognise.")
        check_modalities(self.modalities)
        for c in self.labels.classes:
            if not c.name.strip() or not _COLOR.fullmatch(c.color):
                raise UsageError(
                    f"The class of value {c.value} needs a name and a colour written #rrggbb.",
                    'For example name = "core", color = "#e69f00".',
                )


def check_modalities(modalities: Sequence[str]) -> None:
    """Raise `UsageError` in words when the modality names cannot be used as file names."""
    if not modalities:
        raise UsageError("A study needs at least one modality.", "Name it as your scans do, for example T2.")
    if len({m.lower() for m in modalities}) != len(modalities):
        raise UsageError("Two modalities share a name.", "Names that differ only in capitals count as the same.")
    for name in modalities:
        if not _MODALITY.fullmatch(name):
            raise UsageError(
                f'"{name}" cannot be a modality.', "Use letters, digits, +, - and _, for example DWI or T1_gd."
            )


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write ``study.toml`` whole or not at all; raises `DiskError` in words."""
    lines = [
        "# A study of napari-penumbra. Names and colours may be edited while no window has the study open.",
        f"name = {quote(manifest.name)}",
        f"modalities = [{', '.join(map(quote, manifest.modalities))}]",
        f"simulated = {'true' if manifest.simulated else 'false'}",
        f"schema = {manifest.schema}",
    ]
    for c in manifest.labels.classes:
        lines += ["", "[[labels]]", f"value = {c.value}", f"name = {quote(c.name)}", f"color = {quote(c.color)}"]
    if manifest.team is not None:
        lines += ["", "[team]", f"url = {quote(manifest.team.url)}", f"schema = {quote(manifest.team.schema)}"]
    atomic.write_text(path, "\n".join(lines) + "\n")


def quote(text: str) -> str:
    """Write a TOML basic string."""
    plain = {"\\": "\\\\", '"': '\\"', "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}
    out = []
    for char in text:
        if char in plain:
            out.append(plain[char])
        elif ord(char) < 0x20 or ord(char) == 0x7F:
            out.append(f"\\u{ord(char):04x}")
        else:
            out.append(char)
    return '"' + "".join(out) + '"'


def read_manifest(path: Path) -> Manifest:
    """Read ``study.toml``.

    Raises
    ------
    StudyError
        Not there, not TOML, or hand-edited into nonsense; the message says what.
    StudyTooNewError
        Written by a newer version of the program.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise StudyError(
            f"{path.parent} is not a study: it has no study.toml.",
            "Choose the folder that holds study.toml, or make a new study.",
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise StudyError(f"{path} cannot be read: {error}.", "Correct that line by hand.", repr(error)) from error
    except (OSError, UnicodeDecodeError, RecursionError) as error:
        raise StudyError(
            f"{path} cannot be read.", "Check that it is a text file and that you may read it.", repr(error)
        ) from error
    schema = data.get("schema")
    if isinstance(schema, int) and schema > SCHEMA:
        raise too_new(path.parent)
    try:
        return _manifest(data)
    except PenumbraError as error:
        raise StudyError(f"{path} is wrong: {error.message}", error.remedy) from error


def too_new(root: Path) -> StudyTooNewError:
    """Say that a study needs a newer program."""
    return StudyTooNewError(
        f"The study {root} was written by a newer version of the program.", "Update napari-penumbra."
    )


def _manifest(data: dict[str, Any]) -> Manifest:
    modalities = _get(data, "modalities", list, 'a list such as ["DWI", "T2"]')
    if not all(isinstance(m, str) for m in modalities):
        raise UsageError("modalities must be a list of names in quotes.", 'For example ["DWI", "T2"].')
    classes = []
    for entry in _get(data, "labels", list, "one [[labels]] block per class"):
        if not isinstance(entry, dict):
            raise UsageError("labels must be [[labels]] blocks.", "Each with value, name and color.")
        value = _get(entry, "value", int, "a whole number from 1 to 254")
        name = _get(entry, "name", str, 'a name in quotes such as "core"')
        classes.append(LabelClass(value, name, _get(entry, "color", str, 'a colour such as "#e69f00"')))
    return Manifest(
        name=_get(data, "name", str, "a name in quotes"),
        modalities=tuple(modalities),
        labels=LabelScheme(tuple(classes)),
        simulated=_get({"simulated": False, **data}, "simulated", bool, "true or false"),
        schema=_get(data, "schema", int, f"the number {SCHEMA}"),
        team=_team(data),
    )


def _team(data: dict[str, Any]) -> Address | None:
    if "team" not in data:
        return None
    team = _get(data, "team", dict, "a [team] block with url and schema")
    return Address(
        _get(team, "url", str, "postgresql://user@host/database"), _get(team, "schema", str, "what was there before")
    )


def _get(data: dict[str, Any], key: str, kind: type, wanted: str) -> Any:
    if key not in data:
        raise UsageError(f'"{key}" is missing.', f"Write {wanted}.")
    value = data[key]
    # bool is an int to Python, but not to a reader.
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise UsageError(f'"{key}" is not what it should be.', f"Write {wanted}.")
    return value
