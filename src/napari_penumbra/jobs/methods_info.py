"""What methods there are and what may be set, without importing torch: asked of a worker once, then remembered."""

from __future__ import annotations

import contextlib
import difflib
import functools
import hashlib
import json
import sys
from dataclasses import asdict, dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import platformdirs

import napari_penumbra
from napari_penumbra.domain.errors import DiskError, JobError, UsageError
from napari_penumbra.imaging.atomic import write_text
from napari_penumbra.jobs.bounds import complaint, resolved
from napari_penumbra.jobs.launch import ask

ENTRY_POINTS = "napari_penumbra.methods"
TITLES = {
    "asdnet": "ASDNet",
    "co-learning": "Co-learning with mixed crops",
    "col-net": "COL-Net",
    "mean-teacher": "Mean teacher",
    "self-correction": "Self-correction",
    "supervised": "Supervised only",
}
"""Titles of the methods that come along: known where there is no PyTorch to ask, and before anybody has asked."""


@dataclass(frozen=True, slots=True)
class MethodInfo:
    """One method as the window and the command line show it.

    Attributes
    ----------
    name
        What is typed: ``mean-teacher``.
    title, summary, paper
        Name in the window; one sentence what it is and when to take it; the citation.
    uses_unlabelled
        Whether unlabelled cases teach it anything.
    presets
        Preset name to the values that differ from the defaults.
    schema
        JSON schema of its parameters, as pydantic writes it.
    dimensions
        Spatial dimensions it can learn in, the published one first.
    confidence_means
        What its confidence tells the reader, in words.
    """

    name: str
    title: str
    summary: str
    paper: str
    uses_unlabelled: bool
    presets: dict[str, dict[str, Any]]
    schema: dict[str, Any] = field(default_factory=dict)
    dimensions: tuple[int, ...] = ()
    confidence_means: str = ""

    @property
    def parameters(self) -> dict[str, dict[str, Any]]:
        """Parameter name to its schema: type, default, title, description, unit, bounds."""
        definitions = self.schema.get("$defs", {})
        return {name: resolved(raw, definitions) for name, raw in self.schema.get("properties", {}).items()}

    def steps(self, preset: str, steps: int | None = None) -> int:
        """How many steps a run of this preset takes, unless ``steps`` says otherwise."""
        default = self.parameters.get("steps", {}).get("default", 0)
        return int(steps or self.presets.get(preset, {}).get("steps", default))

    def check(self, preset: str, config: dict[str, Any]) -> None:
        """Refuse an unknown preset or parameter, or a value out of its bounds, in words."""
        if preset not in self.presets:
            raise UsageError(f'{self.title} has no preset "{preset}".', f"It has: {', '.join(self.presets)}.")
        parameters = self.parameters
        strange = sorted(set(config) - set(parameters))
        if strange and self.schema:
            raise UsageError(
                f"{self.title} has no parameter {', '.join(strange)}.", _meant(strange[0], list(parameters))
            )
        for name, value in config.items():
            wrong = complaint(name, value, parameters.get(name, {}))
            if wrong:
                raise UsageError(wrong, f"`penumbra methods {self.name}` shows what it means.")


def method_infos(python: str = sys.executable, *, refresh: bool = False) -> list[MethodInfo]:
    """List every method that is installed.

    Takes seconds the first time after an installation (a process imports torch), milliseconds afterwards.

    Parameters
    ----------
    refresh
        Ask the worker even if the answer is known.

    Raises
    ------
    JobError
        The training part is not installed, or the worker failed.
    """
    file = _remembered(python)
    if not refresh:
        with contextlib.suppress(OSError, ValueError, TypeError):
            return _infos(json.loads(file.read_text(encoding="utf-8")))
    try:
        infos = _infos(ask("describe", python=python))
    except TypeError as error:
        raise JobError("The worker's list of methods was not understood.", "Reinstall it.", repr(error)) from error
    with contextlib.suppress(OSError, DiskError):  # a full disk must not hide the methods
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, json.dumps([asdict(info) for info in infos]))
        _foreign_titles.cache_clear()
    return infos


def method_title(name: str) -> str:
    """Say a method's name as people read it, without asking a worker: ``COL-Net`` for ``col-net``."""
    return TITLES.get(name) or _foreign_titles().get(name) or name.replace("-", " ")


@functools.cache
def _foreign_titles() -> dict[str, str]:
    """Titles of other packages' methods, as far as the worker was ever asked."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        return {info.name: info.title for info in _infos(json.loads(_remembered().read_text(encoding="utf-8")))}
    return {}


def _remembered(python: str = sys.executable) -> Path:
    """Return the file that holds the worker's last answer."""
    return Path(platformdirs.user_cache_dir("napari-penumbra", appauthor=False)) / f"methods-{_key(python)}.json"


def find(infos: list[MethodInfo], name: str) -> MethodInfo:
    """Pick a method by its name; `UsageError` lists what there is."""
    for info in infos:
        if info.name == name:
            return info
    raise UsageError(f'There is no method "{name}".', _meant(name, [i.name for i in infos]))


def _meant(name: str, known: list[str]) -> str:
    """Guess what was meant; list what there is when nothing is near."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"Did you mean {near[0]}?" if near else f"There are: {', '.join(known)}."


def _infos(data: Any) -> list[MethodInfo]:
    if not isinstance(data, list):
        raise TypeError(f"expected a list of methods, got {type(data).__name__}")
    known = set(MethodInfo.__dataclass_fields__)
    infos = [MethodInfo(**{k: v for k, v in item.items() if k in known}) for item in data]
    return [replace(info, dimensions=tuple(info.dimensions)) for info in infos]


def _key(python: str) -> str:
    """Changes whenever a method's file, the package, the interpreter or a third party's entry point does."""
    home = Path(napari_penumbra.__file__).parent
    parts = [napari_penumbra.__version__, python, str(home)]
    for file in sorted(
        [*home.glob("methods/*.py"), home / "training" / "worker.py", home / "training" / "describe.py"]
    ):
        parts.append(f"{file.name}:{file.stat().st_mtime_ns}")
    for point in sorted(metadata.entry_points(group=ENTRY_POINTS), key=lambda p: p.name):
        version = point.dist.version if point.dist else ""
        parts.append(f"{point.name}={point.value}@{version}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
