"""``penumbra simulate``: what labelling a study would cost with a method, tried out by a robot reader on a copy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_penumbra.cli.follow import INTERRUPTED, follow
from napari_penumbra.cli.learn import FIRST_PRESET, ChangeOption, MethodOption, PresetOption, ThreadsOption, changes
from napari_penumbra.cli.output import say, say_json, table
from napari_penumbra.cli.study import JsonOption, StudyArgument
from napari_penumbra.domain.errors import UsageError
from napari_penumbra.jobs.methods_info import find
from napari_penumbra.session import Session
from napari_penumbra.session.recommend import AUTO
from napari_penumbra.session.simulate import Simulation
from napari_penumbra.session.simulation import CURVE, HEADER, RESULT, SCRATCH, Result, Settings
from napari_penumbra.session.words import duration
from napari_penumbra.study.samples import REFERENCE

app = typer.Typer()


@app.command()
def simulate(
    study: StudyArgument,
    method: MethodOption = AUTO,
    order: Annotated[
        str, typer.Option(help="auto (weakest predictions first), file (as added) or random (by the seed).")
    ] = "auto",
    reference: Annotated[
        Path | None,
        typer.Option(help="Folder of label files named like the cases; by default the study's complete annotations."),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="How often the robot answers and the method is trained anew.")] = 5,
    per_round: Annotated[int, typer.Option(min=1, help="Cases it corrects and accepts each time.")] = 1,
    start: Annotated[int, typer.Option(min=1, help="Cases painted from nothing before the first training.")] = 2,
    held_out: Annotated[
        int | None, typer.Option(min=1, help="Cases to measure on, never learnt from; by default a third.")
    ] = None,
    preset: PresetOption = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Optimiser steps a round; by default the preset's.")] = None,
    seed: Annotated[int, typer.Option(help="Draws the cases and the trainings' random numbers.")] = 0,
    change: ChangeOption = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the copy and the results; by default beside the study.")
    ] = None,
    threads: ThreadsOption = 0,
    json: JsonOption = False,
) -> None:
    """Replay the annotation loop on a copy of a study: a robot corrects predictions from reference labels.

    The study itself is only read. Each round the method learns anew from all labelled and unlabelled cases of the copy,
    predicts, and the robot corrects the next cases to their reference and accepts them. Dice is taken on held-out
    cases. Ctrl+C stops it; the same command goes on, and with more --rounds goes further.
    """
    folder = _reference(study, reference)
    config = changes(change)
    if method != AUTO:
        find(Session().methods(), method).check(preset or FIRST_PRESET, config)
    settings = Settings(
        method=method,
        preset=preset or ("" if method == AUTO else FIRST_PRESET),
        order=order,
        rounds=rounds,
        per_round=per_round,
        start=start,
        held_out=held_out if held_out is not None else _third(study, folder),
        steps=steps,
        seed=seed,
        config=config,
    )
    place = out if out is not None else _beside(study, settings)
    simulation = Simulation(
        study,
        place,
        settings,
        folder,
        wait=lambda session, run: follow(session, run, quiet=json) == 0,
        tell=lambda words: None if json else say(words, "dim"),
        threads=threads,
    )
    _watch(simulation, json)


def _watch(simulation: Simulation, json: bool) -> None:
    """Carry it out, a line a round, the table at the end."""
    result: Result | None = None
    shown = 0
    try:
        for found in simulation.run():
            result, shown = found, shown + 1
            if not json:
                now = found.rounds[shown - 1]
                say(f"Round {shown - 1}: {now.labelled} labelled, Dice {now.mean:.3f} ({duration(now.seconds)})", "dim")
    except KeyboardInterrupt:
        simulation.interrupted = True
    if json and result is not None:
        say_json({**result.to_json(), "folder": simulation.out})
    elif result is not None:
        _show(result, simulation.out)
    if simulation.interrupted:
        if not json:
            say("Stopped. Give the same command to go on.", "yellow")
        raise typer.Exit(INTERRUPTED)


def _show(result: Result, folder: Path) -> None:
    table(HEADER, result.lines(), f"{result.study}: {result.method} ({result.preset}), order {result.settings.order}")
    say(f"Dice: mean over {len(result.held_out)} held-out cases. Counts are sums from the first round on.", "dim")
    say(f"Figure: {folder / CURVE}   data: {folder / RESULT}   copy of the study: {folder / SCRATCH}")


def _reference(study: Path, given: Path | None) -> Path | None:
    """Where the truth is: the folder given, the one that a sample study brings, or None for its own annotations."""
    if given is not None:
        return given
    brought = study / REFERENCE
    return brought if brought.is_dir() else None


def _third(study: Path, folder: Path | None) -> int:
    from napari_penumbra.session.robot import references
    from napari_penumbra.study.store import Study

    with Study.open(study, write=False) as opened:
        count = len(references(opened, folder))
    if not count:
        raise UsageError(
            "No case has reference labels to answer from.",
            "Name their folder with --reference, or close some cases as complete.",
        )
    return max(1, count // 3)


def _beside(study: Path, settings: Settings) -> Path:
    root = study.resolve()
    return root.parent / f"{root.name}-simulation" / f"{settings.method}-{settings.order}-seed{settings.seed}"
