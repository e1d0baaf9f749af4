"""Commands that make and fill a study: new, add, status, accept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_penumbra.cli import importing
from napari_penumbra.cli.output import opened, say, say_json, table, warn
from napari_penumbra.domain.case import CaseState, Closing
from napari_penumbra.domain.errors import UsageError
from napari_penumbra.domain.labels import LabelScheme
from napari_penumbra.session import Session
from napari_penumbra.session.words import duration
from napari_penumbra.study.importers.splitting import Split

app = typer.Typer()
StudyArgument = Annotated[Path, typer.Argument(help="The study's folder.", show_default=False)]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]


@app.command()
def new(
    study: StudyArgument,
    modality: Annotated[
        list[str],
        typer.Option(help="Name of an image per case, in order; the first is the reference. RGB: colour pictures."),
    ],
    label: Annotated[list[str], typer.Option(help='A class as value=name, for example "1=left atrium".')],
    name: Annotated[str, typer.Option(help="The study's name; by default its folder's.")] = "",
    simulated: Annotated[bool, typer.Option("--simulated", help="Mark every case as not from a patient.")] = False,
) -> None:
    """Make a new study."""
    session = Session()
    scheme = LabelScheme.parse(label)
    session.create(study, name or study.resolve().name, modality, scheme, simulated=simulated)
    session.close()
    say(f"Made the study {name or study.resolve().name} in {study}.")
    say(f"Next: penumbra add {study} --images FOLDER [--labels FOLDER]", "dim")


@app.command()
def add(
    study: StudyArgument,
    case: Annotated[str, typer.Option(help="Name of one case to add.")] = "",
    image: Annotated[
        list[str] | None, typer.Option(help="MODALITY=FILE, once per image of the case; RGB=FILE for a colour picture.")
    ] = None,
    label: Annotated[Path | None, typer.Option(help="A label file to start from.")] = None,
    images: Annotated[Path | None, typer.Option(help="Folder with the images of many cases.")] = None,
    labels: Annotated[Path | None, typer.Option(help="Folder with their labels, named alike.")] = None,
    resample_label: Annotated[
        bool, typer.Option("--resample-label", help="Bring a label of another grid onto the case's.")
    ] = False,
    partial: Annotated[
        bool, typer.Option("--partial", help="Unpainted slices of the label are unknown, not background.")
    ] = False,
    pattern: importing.Pattern = "",
    split_4d: importing.Split4d = Split.REFUSE,
    spacing: importing.VoxelSize = "",
    jobs: importing.Jobs = None,
    dry_run: importing.DryRun = False,
) -> None:
    """Add one case, or a folder of them; cases of a folder that are in the study already are passed over."""
    one = bool(case or image or label)
    if one == (images is not None):
        raise UsageError("Say what to add.", "Either --case NAME --image MODALITY=FILE … or --images FOLDER.")
    with opened(study) as session:
        if images is not None:
            importing.add_files(session, importing.ask(images, labels, pattern, split_4d, spacing), jobs, dry_run)
            return
        if not case or not image:
            raise UsageError("A case needs --case NAME and --image MODALITY=FILE.", "Give --image once per modality.")
        for text in session.add_case(
            case,
            dict(_image(text) for text in image),
            label,
            resample_label=resample_label,
            label_closing=Closing.PARTIAL if partial else Closing.COMPLETE,
        ):
            warn(f"{case}: {text}")
        say(f"Added {case}{' with its label' if label else ''}.")


def _image(text: str) -> tuple[str, Path]:
    modality, equals, file = text.partition("=")
    if not equals or not modality or not file:
        raise UsageError(f'"{text}" is not an image.', "Write MODALITY=FILE, for example DWI=p007/dwi.nii.gz.")
    return modality, Path(file)


@app.command()
def status(study: StudyArgument, json: JsonOption = False) -> None:
    """Show the cases, the pools and what is running."""
    with opened(study, write=False) as session:
        opened_study, rows, counts = session.opened(), session.cases(), session.counts()
        if json:
            running = [run for run in session.runs() if not run.state.over]
            say_json(
                {
                    "study": opened_study.name,
                    "folder": opened_study.root,
                    "modalities": opened_study.modalities,
                    "labels": opened_study.labels.to_json(),
                    "simulated": opened_study.simulated,
                    "counts": counts,
                    "champion": opened_study.champion(),
                    "running": running,
                    "cases": rows,
                }
            )
            return
        cells = [
            (
                row.name,
                ", ".join(row.modalities) + (f" (no {', '.join(row.missing)})" if row.missing else ""),
                row.state + (" (partial)" if row.closing is Closing.PARTIAL else ""),
                row.role,
                duration(row.seconds) if row.seconds else "",
            )
            for row in rows
        ]
        mark = " (simulated)" if opened_study.simulated and "simulated" not in opened_study.name.lower() else ""
        table(("case", "images", "state", "role", "time"), cells, f"{opened_study.name}{mark}")
        say(
            f"{counts.cases} cases · {counts.labelled} labelled · {counts.unlabelled} unlabelled · "
            f"{counts.predicted} predicted · {counts.validation} validation"
        )
        say(_background(session))


def _background(session: Session) -> str:
    """What runs; looking read-only is this command's habit and not worth a word."""
    running = [run for run in session.runs() if not run.state.over]
    if running:
        return running[0].message
    owner = session.opened().owner()
    return f"Nothing runs. In use by {owner}." if owner else "Nothing runs."


@app.command()
def accept(
    study: StudyArgument,
    case: Annotated[list[str] | None, typer.Argument(help="Cases whose predictions are right.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every predicted case that nobody has touched.")] = False,
    json: JsonOption = False,
) -> None:
    """Accept predictions as annotations: these cases then teach as if painted.

    Corrections saved during a review are kept. A case that was annotated by hand is refused.
    """
    if bool(case) == everything:
        raise UsageError("Say which cases to accept.", "Name them, or give --all.")
    with opened(study) as session:
        session.writable()
        names = case or [row.name for row in session.cases() if row.state is CaseState.PREDICTED]
        if not names:
            raise UsageError("No case has an untouched prediction.", f"Run: penumbra predict {study}")
        for name in names:  # all are checked before the first is accepted
            _check_acceptable(session, name)
        for name in names:
            session.accept(name, session.load(name).labels)
        if json:
            say_json({"accepted": names, "counts": session.counts()})
            return
        counts = session.counts()
        say(f"Accepted {len(names)}: {', '.join(names)}. {counts.labelled} cases are labelled now.")


def _check_acceptable(session: Session, name: str) -> None:
    study = session.opened()
    state = study.case(name).state
    if study.prediction(name) is None:
        raise UsageError(f"{name} has no prediction to accept.", f"Run: penumbra predict {study.root} --case {name}")
    if state.labelled:
        raise UsageError(f"{name} is {state} already.", "Leave it out.")
