"""Commands that look at runs and steer them: runs, queue, pause."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.text import Text

from napari_penumbra.cli.output import console, made_table, opened, say, say_json
from napari_penumbra.cli.study import JsonOption, StudyArgument
from napari_penumbra.domain.errors import UsageError
from napari_penumbra.domain.progress import RunState
from napari_penumbra.session import RunInfo, Session

_INTERVAL = 0.5
_NEWEST_WARNINGS = 3

app = typer.Typer()
RunArgument = Annotated[str | None, typer.Argument(help="A run's id as `penumbra runs` shows it.", show_default=False)]


@app.command()
def runs(
    study: StudyArgument,
    follow: Annotated[bool, typer.Option("--follow", help="Go on showing how they stand until all are over.")] = False,
    json: JsonOption = False,
) -> None:
    """List trainings and predictions with what they warn of; the model that predicts is marked ★."""
    with opened(study, write=False) as session:
        if json:
            say_json(session.runs())
        elif follow:
            _follow(session)
        else:
            console().print(_picture(session.runs()))


def _follow(session: Session) -> None:
    """Draw the list anew twice a second; Ctrl+C leaves, and the runs go on."""
    with Live(_picture(session.runs()), console=console(), auto_refresh=False) as live:
        try:
            while session.live:
                time.sleep(_INTERVAL)
                session.poll()
                live.update(_picture(session.runs()), refresh=True)
        except KeyboardInterrupt:
            return
    say("Nothing runs any more.", "dim")


def _picture(infos: Sequence[RunInfo]) -> RenderableType:
    rows = [
        (
            "★" if info.champion else "",
            info.id,
            f"{info.state} {info.place}" if info.place else info.state,
            f"{info.step:,}/{info.steps:,}",
            "" if info.dice is None else f"{info.dice:.3f}",
            "" if info.state is RunState.FINISHED else info.message,
        )
        for info in infos
    ]
    headers = ("", "run", "state", "step", "dice", "how it stands")
    lines: list[RenderableType] = [made_table(headers, rows)]
    for info in infos:
        for warning in info.warnings[-_NEWEST_WARNINGS:]:
            lines.append(Text.from_markup(f"[yellow]⚠ {escape(info.id)}: {escape(warning)}[/yellow]"))
    return Group(*lines)


@app.command()
def queue(
    study: StudyArgument,
    cancel: Annotated[
        str | None, typer.Option(help="Take this run out of the queue; it can be resumed later.", show_default=False)
    ] = None,
    json: JsonOption = False,
) -> None:
    """List the trainings that wait for their turn, one at a time per device (add one with `train --queue`)."""
    with opened(study, write=False) as session:
        going = [info for info in session.runs() if not info.state.over]
        if cancel is not None:
            _cancel(session, going, cancel)
            return
        going.sort(key=lambda info: info.place)
        if json:
            say_json(going)
        elif not going:
            say("Nothing runs and nothing waits.")
        else:
            rows = [(str(info.place) if info.place else "now", info.id, info.state, info.message) for info in going]
            console().print(made_table(("place", "run", "state", "how it stands"), rows))


def _cancel(session: Session, going: Sequence[RunInfo], run: str) -> None:
    if not any(info.id == run and info.state is RunState.QUEUED for info in going):
        raise UsageError(f"Run {run} does not wait in a queue.", "`penumbra queue` lists those that do.")
    session.stop(run)
    say(f"Took {run} out of the queue; go on with `penumbra resume` when you want it after all.")


@app.command()
def pause(study: StudyArgument, run: RunArgument = None) -> None:
    """Let the running training step aside: it saves, frees the graphics card and waits for `penumbra resume`."""
    with opened(study, write=False) as session:
        run = run or session.active
        if run is None:
            raise UsageError("Nothing runs in this study.", f"See: penumbra runs {study}")
        session.pause(run)
        say(f"Asked {run} to pause after this step; nothing is lost.")
        say(f"Go on with: penumbra resume {study} {run}", "dim")
