"""``penumbra simulate``: what labelling a study would cost with a method, tried out by a robot reader on a copy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_penumbra.cli.follow import INTERRUPTED, follow
from napari_penumbra.cli.learn import FIRST_PRESET, ChangeOption, PresetOption, ThreadsOption, changes
from napari_penumbra.cli.output import say, say_json, table
from napari_penumbra.cli.study import JsonOption, StudyArgument
from napari_penumbra.domain.errors import UsageError
from napari_penumbra.jobs.methods_info import find
from napari_penumbra.session import Session, comparison
from napari_penumbra.session.comparison import Way, folder_of, write_comparison
from napari_penumbra.session.reader_cost import Costs
from napari_penumbra.session.recommend import AUTO
from napari_penumbra.session.simulate import Simulation
from napari_penumbra.session.simulation import CURVE, HEADER, RESULT, SCRATCH, Result, Settings
from napari_penumbra.session.words import duration
from napari_penumbra.study import orders
from napari_penumbra.study.samples import REFERENCE

app = typer.Typer()


OPENING, STROKE, DECISION = Costs().opening, Costs().stroke, Costs().decision
SecondsOption = typer.Option(min=0.0, help="Reader seconds, see docs/tools/minutes.md.")


@app.command()
def simulate(
    study: StudyArgument,
    method: Annotated[list[str] | None, typer.Option(help="A method, or auto; may be given often.")] = None,
    order: Annotated[
        list[str] | None, typer.Option(help=f"One of {', '.join(orders.REGISTRY)}; may be given often.")
    ] = None,
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
    seed: Annotated[
        list[int] | None, typer.Option(help="Draws the cases and the trainings' random numbers; may be given often.")
    ] = None,
    change: ChangeOption = None,
    seconds_per_opening: Annotated[float, SecondsOption] = OPENING,
    seconds_per_stroke: Annotated[float, SecondsOption] = STROKE,
    seconds_per_decision: Annotated[float, SecondsOption] = DECISION,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the copies and the results; by default beside the study.")
    ] = None,
    threads: ThreadsOption = 0,
    json: JsonOption = False,
) -> None:
    """Replay the annotation loop on a copy of a study: a robot corrects predictions from reference labels.

    The study itself is only read. Each round the method learns anew from all labelled and unlabelled cases of the copy,
    predicts, and the robot corrects the next cases to their reference and accepts them. Dice is taken on held-out
    cases, and each act of the robot costs the seconds written above. Several methods, orders or seeds are tried one
    after the other and drawn into one figure. Ctrl+C stops it; the same command goes on, and with more --rounds
    further.
    """
    folder = _reference(study, reference)
    config = changes(change)
    methods, kinds, seeds = method or [AUTO], order or ["auto"], [0] if seed is None else seed
    for name in methods:
        if name != AUTO:
            find(Session().methods(), name).check(preset or FIRST_PRESET, config)
    for kind in kinds:
        orders.get(kind)  # says in words when there is no such order, before anything is copied
    held = held_out if held_out is not None else _third(study, folder)
    # Seed by seed: after the first one there is something to compare.
    wanted = [
        Settings(
            method=name,
            preset=preset or ("" if name == AUTO else FIRST_PRESET),
            order=kind,
            rounds=rounds,
            per_round=per_round,
            start=start,
            held_out=held,
            steps=steps,
            seed=number,
            config=config,
            costs=Costs(seconds_per_opening, seconds_per_stroke, seconds_per_decision),
        )
        for number in dict.fromkeys(seeds)
        for name in dict.fromkeys(methods)
        for kind in dict.fromkeys(kinds)
    ]
    base = out if out is not None else _beside(study)
    alone = len(wanted) == 1 and out is not None
    places = [base if alone else base / folder_of(settings) for settings in wanted]
    results: list[Result] = []
    for settings, place in zip(wanted, places, strict=True):
        if len(wanted) > 1 and not json:
            say(f"{settings.method}, order {settings.order}, seed {settings.seed}:")
        result = _watch(_simulation(study, place, settings, folder, threads, json), json, alone=len(wanted) == 1)
        if result is not None:
            results.append(result)
        if len(wanted) > 1:
            found = write_comparison(base, results) if results else []
    if len(wanted) > 1:
        _show_comparison(found, base, json)


def _simulation(
    study: Path, place: Path, settings: Settings, reference: Path | None, threads: int, json: bool
) -> Simulation:
    return Simulation(
        study,
        place,
        settings,
        reference,
        wait=lambda session, run: follow(session, run, quiet=json) == 0,
        tell=lambda words: None if json else say(words, "dim"),
        threads=threads,
    )


def _watch(simulation: Simulation, json: bool, *, alone: bool) -> Result | None:
    """Carry it out, a line a round, the table at the end; leaves the program when it is stopped."""
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
    if json and alone and result is not None:
        say_json({**result.to_json(), "folder": simulation.out})
    elif result is not None and not json:
        _show(result, simulation.out)
    if simulation.interrupted:
        if not json:
            say("Stopped. Give the same command to go on.", "yellow")
        raise typer.Exit(INTERRUPTED)
    return result


def _show(result: Result, folder: Path) -> None:
    table(HEADER, result.lines(), f"{result.study}: {result.method} ({result.preset}), order {result.settings.order}")
    say(f"Dice: mean over {len(result.held_out)} held-out cases. Counts are sums from the first round on.", "dim")
    say(f"Figure: {folder / CURVE}   data: {folder / RESULT}   copy of the study: {folder / SCRATCH}")


def _show_comparison(found: list[Way], folder: Path, json: bool) -> None:
    if json:
        say_json({"ways": found, "folder": folder})
    elif found:
        table(comparison.HEADER, comparison.lines(found), "Compared", names=("way",))
        say(f"Figure: {folder / comparison.FIGURE}   data: {folder / comparison.DATA}")


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


def _beside(study: Path) -> Path:
    root = study.resolve()
    return root.parent / f"{root.name}-simulation"
