"""The command that takes a folder of DICOM files in: preview, changes, import."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress as Bar

from napari_penumbra.cli.output import console, errors, opened, say, say_error, say_json, table, warn
from napari_penumbra.domain.errors import PenumbraError, UsageError
from napari_penumbra.session import Session
from napari_penumbra.study.importers.dicom import DicomCase, DicomPlan, check_cases
from napari_penumbra.study.importers.dicom_changes import with_cases, with_label, with_names, with_row

app = typer.Typer()


@app.command("import-dicom")
def import_dicom(
    folder: Annotated[Path, typer.Argument(help="A folder of DICOM files, or a whole tree of patients.")],
    study: Annotated[Path, typer.Option(help="The study's folder.", show_default=False)],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be added; write nothing.")] = False,
    name: Annotated[
        list[str] | None, typer.Option(help="NUMBER=NAME: what to call a case of the preview, for example 1=p007.")
    ] = None,
    only: Annotated[list[int] | None, typer.Option(help="Number of a case to add; the others are left out.")] = None,
    series: Annotated[
        list[str] | None,
        typer.Option(
            help='"SERIES=MODALITY": take the series of this name in every case, for example '
            '"series 3 MR 5 mm=T2". @4 behind it takes the 4th point in time; nothing behind = leaves it out.'
        ),
    ] = None,
    take: Annotated[
        list[str] | None,
        typer.Option(help="CASE.ROW=MODALITY: the same for one row of the preview, for example 2.5=ADC."),
    ] = None,
    keep_references: Annotated[
        bool,
        typer.Option(
            "--keep-references",
            help="Keep the UIDs of the slices in the study: needed to export DICOM segmentations that refer to them. "
            "UIDs and the folder's name can lead back to the patient.",
        ),
    ] = False,
    show_folders: Annotated[
        bool, typer.Option("--show-folders", help="Show where each case's files lie. Folders may hold names.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the preview as JSON for a program to read.")] = False,
) -> None:
    """Add cases from DICOM files: series become modalities, patients become case-001, case-002 and so on.

    Nothing that names a patient enters the study. Run it with --dry-run first. What is in the study already is left
    out, so that an interrupted import can be repeated.
    """
    with opened(study, write=not dry_run) as session:
        plan = _plan(session, folder)
        modalities = session.opened().modalities
        plan = with_names(plan, dict(_numbered(text) for text in name or ()))
        plan = with_cases(plan, only or ())
        for text in series or ():
            label, modality, time = _assignment(text)
            plan = with_label(plan, label, modality, time, modalities)
        for text in take or ():
            place, modality, time = _assignment(text)
            match = re.fullmatch(r"(\d+)\.(\d+)", place)
            if match is None:
                raise UsageError(f'"{text}" names no row.', "Write CASE.ROW=MODALITY, for example 2.5=ADC.")
            plan = with_row(plan, int(match[1]), int(match[2]), modality, time, modalities)
        if json:
            say_json(as_json(plan, show_folders))
        else:
            _preview(plan, show_folders)
        if not dry_run:
            _add(session, plan, str(folder) if keep_references else "")


def _plan(session: Session, folder: Path) -> DicomPlan:
    shown = errors()
    with Bar(console=shown, transient=True, disable=not shown.is_terminal) as bar:
        task = bar.add_task("Looking through the files", total=None)

        def progress(done: int, total: int) -> bool:
            bar.update(task, completed=done, total=total)
            return True

        return session.plan_dicom(folder, progress)


def _numbered(text: str) -> tuple[int, str]:
    number, equals, name = text.partition("=")
    if not equals or not number.strip().isdigit() or not name.strip():
        raise UsageError(f'"{text}" names no case.', "Write NUMBER=NAME, for example 1=p007.")
    return int(number), name.strip()


def _assignment(text: str) -> tuple[str, str, int]:
    what, equals, modality = text.rpartition("=")
    if not equals or not what.strip():
        raise UsageError(f'"{text}" says no modality.', 'Write "SERIES=MODALITY", for example "DWI b1000=DWI".')
    modality, at, time = modality.partition("@")
    if at and not (time.isdigit() and int(time) > 0):
        raise UsageError(f'"{text}" names no point in time.', "Write @4 for the fourth.")
    return what.strip(), modality.strip(), int(time) - 1 if at else 0


def _preview(plan: DicomPlan, show_folders: bool) -> None:
    cells = []
    for n, case in enumerate(plan.cases, 1):
        for m, row in enumerate(case.rows, 1):
            grid = row.offer.grid
            size = (
                ""
                if grid is None
                else f"{'×'.join(map(str, grid.shape))} · " + " × ".join(f"{edge:.3g}" for edge in grid.spacing)
            )
            first = m == 1
            cells.append(
                (
                    f"{n}.{m}",
                    case.title if first else "",
                    (f"{case.name} (there already)" if case.present else case.name or "–") if first else "",
                    row.offer.label,
                    size,
                    row.modality or ("cannot be read" if row.offer.problem else "–"),
                )
            )
    table(("row", "patient", "case", "series", "voxels · mm", "modality"), cells, names=("row", "case", "series"))
    for n, case in enumerate(plan.cases, 1):
        if show_folders:
            say(f"{n}. {case.title}: {case.folder}", "dim")
        for row in case.rows:
            for note in (row.offer.problem, *row.offer.notes):
                if note:
                    warn(f"{n}. {note}")
    for note in plan.notes:
        warn(note)


def as_json(plan: DicomPlan, show_folders: bool = False) -> dict[str, Any]:
    """A plan as plain data."""
    return {
        "files": plan.files,
        "notes": plan.notes,
        "cases": [_case_json(n, case, show_folders) for n, case in enumerate(plan.cases, 1)],
    }


def _case_json(number: int, case: DicomCase, show_folders: bool) -> dict[str, Any]:
    rows = [
        {
            "row": f"{number}.{m}",
            "series": row.offer.label,
            "modality": row.modality,
            "points_in_time": row.offer.times,
            "grid": None if row.offer.grid is None else row.offer.grid.to_json(),
            "problem": row.offer.problem,
            "notes": row.offer.notes,
        }
        for m, row in enumerate(case.rows, 1)
    ]
    found = {
        "patient": case.title,
        "name": case.name,
        "present": bool(case.present),
        "add": case.wanted,
        "series": rows,
    }
    return {**found, "folder": case.folder} if show_folders else found


def _add(session: Session, plan: DicomPlan, keep_references: str) -> None:
    present = [case.name for case in plan.cases if case.present]
    wanted = [case for case in plan.cases if case.wanted]
    if not wanted and present:
        say(f"Nothing new: {len(present)} cases are in the study already.")
        return
    problem = check_cases(plan.cases)
    if problem:
        raise UsageError(problem, "Say which series is which with --series or --take; the table shows what there is.")
    added, failed = 0, []
    shown = console(stderr=True)
    with Bar(console=shown, transient=True, disable=not shown.is_terminal) as bar:
        for name, outcome in bar.track(session.add_dicom(wanted, keep_references), total=len(wanted)):
            if isinstance(outcome, PenumbraError):
                failed.append(outcome)
                say_error(PenumbraError(f"{name}: {outcome.message}", outcome.remedy, outcome.details))
                continue
            added += 1
            for text in outcome:
                warn(f"{name}: {text}")
    rest = f", {len(present)} were there already" if present else ""
    say(f"Added {added} case{'' if added == 1 else 's'}; {len(failed)} could not be added{rest}.")
    if failed:
        raise typer.Exit(failed[0].exit_code)
