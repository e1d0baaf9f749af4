"""How the command line speaks: tables and sentences for a person, JSON for a program, errors on stderr."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import traceback
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import platformdirs
import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from napari_penumbra import __version__
from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.session import Session

_PIPE_WIDTH = 160
_NAME_WIDTH = 48
_MAX_LOG_BYTES = 1_000_000


def console(stderr: bool = False) -> Console:
    """Console for the current stdout or stderr; wide when nobody looks, so that piped tables keep their words."""
    made = Console(stderr=stderr)
    if not made.is_terminal:
        made = Console(stderr=stderr, width=_PIPE_WIDTH)
    return made


def errors() -> Console:
    """Console for stderr."""
    return console(stderr=True)


def say(text: str, style: str = "") -> None:
    """Print one sentence."""
    console().print(escape(text), style=style or None, highlight=False, soft_wrap=True)


def warn(text: str) -> None:
    """Print a warning on stderr."""
    errors().print(escape(f"⚠ {text}"), style="yellow", highlight=False, soft_wrap=True)


def say_error(error: PenumbraError, details: bool = False) -> None:
    """Print an error as one red sentence on stderr."""
    errors().print(escape(str(error)), style="bold red", highlight=False, soft_wrap=True)
    if details and error.details:
        errors().print(escape(error.details), highlight=False, soft_wrap=True)


def say_json(data: Any) -> None:
    """Print JSON; paths, times and dataclasses become plain values, NaN becomes null."""
    typer.echo(json.dumps(_plain(data), indent=2, ensure_ascii=False, allow_nan=False))


def table(
    headers: Sequence[str], rows: Sequence[Sequence[str]], title: str = "", names: Collection[str] = ("run", "case")
) -> None:
    """Print a table; columns of figures are set right, those of ``names`` are never cut."""
    console().print(made_table(headers, rows, title, names))


def made_table(
    headers: Sequence[str], rows: Sequence[Sequence[str]], title: str = "", names: Collection[str] = ("run", "case")
) -> Table:
    """Make what `table` prints."""
    made = Table(title=escape(title) if title else None, title_justify="left", header_style="bold", box=SIMPLE_HEAD)
    for n, header in enumerate(headers):
        figures = bool(rows) and all(_is_figure(row[n]) for row in rows)
        # Names are typed into the next command: they are neither cut nor broken.
        width = min(_NAME_WIDTH, max(map(len, (row[n] for row in rows)), default=0)) if header in names else None
        justify: Literal["left", "right"] = "right" if figures else "left"
        made.add_column(escape(header), justify=justify, min_width=width, overflow="fold")
    for row in rows:
        made.add_row(*(escape(cell) for cell in row))
    return made


@contextmanager
def opened(study: Path, *, write: bool = True) -> Iterator[Session]:
    """Open a study for one command; what the opening found goes to stderr.

    Parameters
    ----------
    write
        Ask for the writer's role. When another program has it, the first thing that would be saved is refused in words.
    """
    session = Session()
    session.auto_predict = False
    session.open(study, write=write)
    try:
        for notice in session.notices:
            warn(notice)
        yield session
    finally:
        session.close()


def log_unexpected(error: BaseException) -> PenumbraError:
    """Write where an unexpected fault came from to the log; return the sentence for the reader.

    The message of the exception is left out of the log: it may name a patient.
    """
    file = Path(platformdirs.user_log_dir("napari-penumbra", appauthor=False)) / "penumbra.log"
    frames = "".join(traceback.format_tb(error.__traceback__))
    entry = f"{dt.datetime.now(dt.UTC).isoformat()} {__version__} {type(error).__name__}\n{frames}\n"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        mode = "a" if not file.exists() or file.stat().st_size < _MAX_LOG_BYTES else "w"
        with file.open(mode, encoding="utf-8") as log:
            log.write(entry)
    except OSError:
        return PenumbraError(f"Something unexpected went wrong ({type(error).__name__}).", "Repeat it with --debug.")
    return PenumbraError(
        f"Something unexpected went wrong ({type(error).__name__}); where it happened is written in {file}.",
        "Repeat it with --debug to see more, and report it.",
    )


def _is_figure(cell: str) -> bool:
    return bool(cell) and not cell.strip("0123456789.,:%–- /")


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(v) for v in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, dt.datetime):
        return value.isoformat()
    return value
