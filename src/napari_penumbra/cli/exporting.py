"""Commands that bring something out of a study: export, cohort, report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from napari_penumbra.cli.output import errors, opened, say, say_error, say_json, warn
from napari_penumbra.cli.study import JsonOption, StudyArgument
from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.session.exporting import COHORT, REPORT
from napari_penumbra.study.exporters import NONE, ExportOptions, Plan

app = typer.Typer()

FolderArgument = Annotated[Path, typer.Argument(help="Folder to write to; made when missing.", show_default=False)]
CasesOption = Annotated[list[str] | None, typer.Option("--case", help="Only this case; may be given often.")]
DraftsOption = Annotated[bool, typer.Option("--drafts", help="Also cases that nobody has closed: their last draft.")]
PredictionsOption = Annotated[bool, typer.Option("--predictions", help="Also cases that only a model has labelled.")]
OverwriteOption = Annotated[
    bool,
    typer.Option("--overwrite", help="Replace files; what an earlier export left is removed."),
]
DryOption = Annotated[bool, typer.Option("--dry-run", help="Say what would be written, and write nothing.")]
ReferencesOption = Annotated[
    Path | None,
    typer.Option("--references", help="Folder of label files named like the cases: adds overlap and distances in mm."),
]


@app.command()
def export(
    study: StudyArgument,
    folder: FolderArgument,
    file_format: Annotated[
        str, typer.Option("--format", help="nifti, nnunet, msd, bids, dicom-seg or nrrd; see docs/export.md.")
    ] = "nifti",
    cases: CasesOption = None,
    drafts: DraftsOption = False,
    predictions: PredictionsOption = False,
    confidence: Annotated[bool, typer.Option("--confidence", help="Also the confidence maps.")] = False,
    unknown: Annotated[
        str,
        typer.Option(
            help="What unknown voxels become: keep (255), background (0), ignore (one above the highest class), or a "
            "number. By default ignore for nnunet, keep for the others."
        ),
    ] = "",
    images: Annotated[bool, typer.Option("--images", help="Copy the images too (nnunet and msd always do).")] = False,
    unlabelled: Annotated[
        str, typer.Option(help="Images of cases without labels: none, imagesTs (nnunet, msd) or imagesUn (nnunet).")
    ] = NONE,
    dicom: Annotated[
        Path | None, typer.Option(help="For dicom-seg: folder with the DICOM series that the cases came from.")
    ] = None,
    overwrite: OverwriteOption = False,
    dry_run: DryOption = False,
    json: JsonOption = False,
) -> None:
    """Write labels for another tool, each on its case's own original grid; those of pictures on their pixels."""
    options = ExportOptions(
        cases=tuple(cases or ()),
        drafts=drafts,
        predictions=predictions,
        confidence=confidence,
        unknown=unknown,
        images=images,
        unlabelled=unlabelled,
        dicom=dicom,
        overwrite=overwrite,
    )
    with opened(study, write=False) as session:
        _carry_out(session.plan_export(folder, file_format, options), dry_run=dry_run, json=json)


@app.command()
def cohort(
    study: StudyArgument,
    folder: FolderArgument,
    references: ReferencesOption = None,
    cases: CasesOption = None,
    drafts: DraftsOption = False,
    predictions: PredictionsOption = False,
    overwrite: OverwriteOption = False,
    dry_run: DryOption = False,
    json: JsonOption = False,
) -> None:
    """Write the cohort as a table (CSV and Parquet): volumes in ml, mismatch, distances, effort, provenance.

    Every case has a row; those without labels that count have no volumes. Other readers than this machine's are
    numbered.
    """
    options = ExportOptions(tuple(cases or ()), drafts, predictions, overwrite=overwrite)
    with opened(study, write=False) as session:
        _carry_out(session.plan_export(folder, COHORT, options, references), dry_run=dry_run, json=json)


@app.command()
def report(
    study: StudyArgument,
    folder: FolderArgument,
    references: ReferencesOption = None,
    cases: CasesOption = None,
    drafts: DraftsOption = False,
    predictions: PredictionsOption = False,
    overwrite: OverwriteOption = False,
    dry_run: DryOption = False,
    json: JsonOption = False,
) -> None:
    """Write a page (report.html) with pictures of every case and its contours, the table, effort and models.

    The page is one file that needs nothing else, for any browser.
    """
    options = ExportOptions(tuple(cases or ()), drafts, predictions, overwrite=overwrite)
    with opened(study, write=False) as session:
        _carry_out(session.plan_export(folder, REPORT, options, references), dry_run=dry_run, json=json)


def _carry_out(plan: Plan, *, dry_run: bool, json: bool) -> None:
    for note in plan.notes:
        warn(note)
    if dry_run:
        _say_plan(plan, json)
        return
    files, failed = _write(plan)
    if json:
        left = [{"case": case, "why": why} for case, why in plan.left]
        left += [{"case": name, "why": str(error)} for name, error in failed]
        say_json({"format": plan.title, "files": [plan.folder / file for file in files], "left_out": left})
    else:
        _say_left(plan)
        say(f"Wrote {len(files)} file{'' if len(files) == 1 else 's'} to {plan.folder}.")
    for name, error in failed:
        say_error(type(error)(f"{name}: {error.message}", error.remedy, error.details))
    if failed:
        raise typer.Exit(failed[0][1].exit_code)


def _write(plan: Plan) -> tuple[list[str], list[tuple[str, PenumbraError]]]:
    """Run a plan; a bar on the terminal says how far it is."""
    files: list[str] = []
    failed: list[tuple[str, PenumbraError]] = []
    shown = errors()
    layout = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*layout, console=shown, transient=True, disable=not shown.is_terminal) as bar:
        task = bar.add_task(plan.title, total=plan.steps)
        steps = plan.run()
        try:
            for step in steps:
                bar.advance(task)
                files += step.files
                if step.error is not None:
                    failed.append((step.name, step.error))
        except KeyboardInterrupt:
            steps.close()  # type: ignore[attr-defined] # a generator
            warn(f"Stopped after {len(files)} files; what is in {plan.folder} is not the whole export.")
            raise
    return files, failed


def _say_plan(plan: Plan, json: bool) -> None:
    if json:
        say_json(plan.plain())
        return
    for case, file in plan.files:
        say(f"{file}    {case}".rstrip())
    _say_left(plan)
    say(f"{len(plan.files)} files would be written to {plan.folder}; nothing was.")


def _say_left(plan: Plan) -> None:
    for case, why in plan.left:
        say(f"Left out: {case} ({why})", "dim")
