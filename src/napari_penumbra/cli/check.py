"""Commands that look whether cases are fit for use, and put them right: check, fix."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from napari_penumbra.cli.output import errors, opened, say, say_json, table, warn
from napari_penumbra.cli.study import JsonOption, StudyArgument
from napari_penumbra.domain.errors import GeometryError, UsageError
from napari_penumbra.imaging import atomic
from napari_penumbra.session import Session
from napari_penumbra.session.check_report import write_report
from napari_penumbra.session.checking import SIGNS, asks, summary
from napari_penumbra.study import fixes
from napari_penumbra.study.checking import Step
from napari_penumbra.study.checks import Offer, Severity

app = typer.Typer()


@app.command()
def check(
    study: StudyArgument,
    case: Annotated[list[str] | None, typer.Option(help="Check this case only; may be given several times.")] = None,
    headers: Annotated[bool, typer.Option("--headers", help="Look at headers only: seconds for 1,000 cases.")] = False,
    report: Annotated[
        Path | None, typer.Option(help="Also write an HTML page with a picture of every finding.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Look whether every case is fit for use. Ends with exit code 4 when something is wrong."""
    with opened(study, write=False) as session:
        last = _run(session, case, voxels=not headers)
        if report is not None:
            name = session.opened().name
            write_report(report, name, last, session.picture_of, simulated=session.opened().simulated)
        if json:
            say_json({"cases": last.cases, "headers_only": headers, "findings": last.findings})
        else:
            if last.findings:
                cells = [(f.case, f"{SIGNS[f.severity]} {f.severity.value}", f.text) for f in last.findings]
                table(("case", "severity", "what was found"), cells)
            say(summary(last))
            if report is not None:
                say(f"Written: {report}")
            _say_ways(study, last)
    if any(finding.severity is Severity.WRONG for finding in last.findings):
        raise typer.Exit(GeometryError.exit_code)


def _run(session: Session, only: list[str] | None, *, voxels: bool) -> Step:
    """Work through the steps, saying how far on a terminal."""
    last: Step | None = None
    watched = sys.stderr.isatty()
    with errors().status("checking…") if watched else _Quiet() as status:
        for last in session.check(only or None, voxels=voxels):
            if last.case:
                status.update(f"{last.done} of {last.cases}: {last.case}")
    assert last is not None  # a check has at least a first and a last step
    return last


class _Quiet:
    """Stands in for a spinner where nobody looks."""

    def __enter__(self) -> _Quiet:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, words: str) -> None:
        """Say nothing."""


def _say_ways(study: Path, last: Step) -> None:
    ways = [(f.case, f.offers[0]) for f in last.findings if f.offers]
    if not ways:
        return
    case, offer = ways[0]
    words = [f"penumbra fix {study} {case} {offer.kind}"]
    words += [f"--modality {offer.modality}"] if offer.modality else []
    words += [f"--with {offer.other}"] if offer.other else []
    say(f"To put it right, for example: {' '.join(words)}", "dim")


@app.command()
def fix(
    study: StudyArgument,
    case: Annotated[str, typer.Argument(help="Name of the case.")],
    way: Annotated[str, typer.Argument(help=f"One of {', '.join(fixes.REGISTRY)}; or undo, or list.")],
    modality: Annotated[str, typer.Option(help="The modality it is about.")] = "",
    other: Annotated[str, typer.Option("--with", help="The second modality, to swap.")] = "",
    accept: Annotated[
        bool, typer.Option("--accept", help="Register and mirror: use the result. Without it, only say and draw it.")
    ] = False,
    picture: Annotated[Path | None, typer.Option(help="Write a PNG of before and after.")] = None,
) -> None:
    """Put a case right after a check, or take that back. No file that was there is changed."""
    with opened(study, write=way != "list") as session:
        if way == "list":
            done = [
                (str(d.number), d.kind, d.words, "undone" if d.undone else "") for d in session.opened().fixes(case)
            ]
            if done:
                table(("number", "way", "what was done", ""), done)
            say(f"{len(done)} fix{'' if len(done) == 1 else 'es'} of {case}.")
            return
        if way == "undo":
            say(f"{case}: undone: {session.undo_fix(case).words}.")
            return
        if way not in fixes.names():
            raise UsageError(f'There is no way "{way}" to put a case right.', f"Choose {', '.join(fixes.names())}.")
        _fix(session, case, Offer(way, modality, other), accept=accept, picture=picture)


def _fix(session: Session, case: str, offer: Offer, *, accept: bool, picture: Path | None) -> None:
    prepared = session.prepare_fix(case, offer)
    if picture is not None:
        drawn = session.before_and_after(prepared) if prepared.written else None
        if drawn is None:
            warn("There is nothing to draw.")
        else:
            atomic.write_bytes(picture, drawn)
    if asks(offer) and not accept:
        session.refuse_fix(prepared)
        say(f"{case}: {prepared.words}. Nothing was changed: give --accept to use it, --picture FILE to see it.")
        return
    session.apply_fix(prepared)
    say(f"{case}: {prepared.words}. Undo: penumbra fix {session.opened().root} {case} undo")
