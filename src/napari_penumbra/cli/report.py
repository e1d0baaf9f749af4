"""The command about results: evaluate."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from napari_penumbra.cli.output import opened, say, say_json, table
from napari_penumbra.cli.study import JsonOption, StudyArgument
from napari_penumbra.domain.errors import UsageError
from napari_penumbra.evaluation.confidence import CONFIDENCE_DEFINITIONS, HEADER, ConfidenceTable
from napari_penumbra.evaluation.figures import reliability_figure
from napari_penumbra.evaluation.report import DEFINITIONS, Table
from napari_penumbra.imaging.atomic import write_text


class Source(StrEnum):
    """What is scored."""

    PREDICTION = "prediction"
    ANNOTATION = "annotation"


app = typer.Typer()


@app.command()
def evaluate(
    study: StudyArgument,
    reference: Annotated[Path, typer.Option(help="Folder of label files named like the cases.")],
    cases: Annotated[list[str] | None, typer.Option(help="Only this case; may be given often.")] = None,
    source: Annotated[Source, typer.Option(help="Score predictions or annotations.")] = Source.PREDICTION,
    reliability: Annotated[
        Path | None, typer.Option(help="Also draw how far the confidence can be believed, into this SVG file.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Score predictions against reference labels: per case, per class and the mean; distances in mm.

    Where predictions have confidence maps, also how sure they are where right and where wrong, and how well calibrated.
    """
    with opened(study, write=False) as session:
        scores = session.evaluate(reference, source.value, cases)
        name = session.opened().name
    if reliability is not None:
        _draw(scores, reliability, name)
    if json:
        say_json(scores.to_json())
        return
    table(scores.header, scores.lines())
    if scores.skipped:
        say(f"{len(scores.skipped)} cases were left out: no {source} or no reference.")
    for term, text in DEFINITIONS.items():
        say(f"{term}: {text}", "dim")
    if scores.confidence is not None:
        _confidence(scores.confidence)
    if reliability is not None:
        say(f"Drawn in {reliability}.")


def _draw(scores: Table, file: Path, name: str) -> None:
    if scores.confidence is None:
        raise UsageError("There is no confidence to draw.", "Score predictions that have confidence maps.")
    write_text(file, reliability_figure(scores.confidence, name))


def _confidence(found: ConfidenceTable) -> None:
    table(HEADER, found.lines())
    if found.validation is not None:
        say("The temperature was fitted on the frozen validation cases.")
    for term, text in CONFIDENCE_DEFINITIONS.items():
        say(f"{term}: {text}", "dim")
