"""`penumbra team`: several readers on one study."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from napari_penumbra.cli.output import opened, say, say_json, table, warn
from napari_penumbra.cli.study import JsonOption, StudyArgument
from napari_penumbra.domain.errors import UsageError
from napari_penumbra.session.together import heard_words, leave_team, start_team, unsaved_words
from napari_penumbra.study.team.address import VARIABLE

app = typer.Typer(no_args_is_help=True, help="Several readers on one study: its index on a PostgreSQL server.")
YesOption = Annotated[bool, typer.Option("--yes", help="Do it although the reader was heard of just now.")]


@app.command()
def init(
    study: StudyArgument,
    url: Annotated[
        str, typer.Option(help=f"postgresql://user@host/database; by default the variable {VARIABLE}.")
    ] = "",
) -> None:
    """Move a study's index to a server, so that several readers may work on it at once.

    The folder stays where it is: put it on a disk that all readers share. A password is written nowhere; keep it in
    ~/.pgpass or in PGPASSWORD.
    """
    url = url or os.environ.get(VARIABLE, "")
    if not url:
        raise UsageError("Say where the server is.", "Give --url postgresql://user@host/database.")
    moved = start_team(study, url)
    say(f"Moved {moved.rows} rows of {moved.tables} tables to the server and compared them.")
    say(f"The index from before is kept in {moved.kept}. Readers open the folder as before.", "dim")


@app.command()
def status(study: StudyArgument, json: JsonOption = False) -> None:
    """Show who has which case, since when, and whose strokes are not saved yet."""
    with opened(study, write=False) as session:
        found = session.opened()
        held, unsaved = found.checked_out(), found.unsaved()
        if json:
            say_json({
                "study": found.name,
                "server": found.server,
                "checked_out": [
                    {"case": name, "reader": h.reader, "since": h.since, "silent_s": h.silent, "expired": h.expired}
                    for name, h in held.items()
                ],
                "unsaved": unsaved,
            })  # fmt: skip
            return
        if held:
            cells = [
                (name, h.reader, f"{h.since.astimezone():%Y-%m-%d %H:%M}", heard_words(h)) for name, h in held.items()
            ]
            table(("case", "reader", "since", "last heard of"), cells, f"{found.name} on {found.server}")
        else:
            say(f"{found.name} on {found.server}: every case is free.")
        for one in unsaved:
            say(unsaved_words(one))


@app.command()
def release(
    study: StudyArgument, case: Annotated[str, typer.Argument(help="Name of a case.")], yes: YesOption = False
) -> None:
    """Take a case back from a reader whose machine died. What that reader has not saved is kept as a draft beside."""
    with opened(study) as session:
        found = session.opened()
        holder = found.checked_out().get(case)
        if holder is not None and not holder.expired and not yes:
            raise UsageError(
                f"{case} is checked out by {holder}, who was heard of {heard_words(holder)}.",
                "Ask first. With --yes it is taken back all the same; what is still drawn there is kept beside.",
            )
        before, kept = found.release_case(case)
        if before is None and not kept:
            say(f"{case} is free, and nobody has unsaved strokes on it.")
            return
        if before is not None:
            say(f"{case} was taken back from {before.reader}.")
            warn(f"If {before.reader} still draws on it, that will be saved beside the case's own line, not in it.")
        for annotation in kept:
            say(f"Unsaved strokes of {annotation.author} are kept beside, as the draft r{annotation.revision}.")


@app.command()
def leave(
    study: StudyArgument,
    copy: Annotated[
        bool, typer.Option("--copy", help="The folder is a copy: take the index along and leave the team as it is.")
    ] = False,
) -> None:
    """Move the index back into the study's folder; one reader at a time writes to it from then on."""
    left = leave_team(study, copy=copy)
    say(f"Moved {left.moved.rows} rows of {left.moved.tables} tables into the folder and compared them.")
    say(f"The server's index is kept {left.moved.kept}.", "dim")
    for annotation in left.drafts:
        say(f"{annotation.case}: unsaved strokes of {annotation.author} are kept as the draft r{annotation.revision}.")
