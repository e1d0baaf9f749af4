"""Commands about workers: train, stop, resume, predict, methods."""

from __future__ import annotations

import json as jsonlib
from typing import Annotated, Any

import typer

from napari_penumbra.cli.follow import follow
from napari_penumbra.cli.launching import LaunchOption, ProcessesOption, SlurmOption, way_of
from napari_penumbra.cli.output import opened, say, say_json, table, warn
from napari_penumbra.cli.study import JsonOption, StudyArgument
from napari_penumbra.domain.errors import UsageError
from napari_penumbra.domain.progress import RunState
from napari_penumbra.jobs.bounds import allowed
from napari_penumbra.jobs.methods_info import MethodInfo, find
from napari_penumbra.session import RunInfo, Session
from napari_penumbra.session.recommend import AUTO

FIRST_PRESET = "laptop"
"""What a method gets when no preset is named: it runs everywhere."""

app = typer.Typer()
ThreadsOption = Annotated[int, typer.Option(min=0, help="CPU threads; 0 for all but one.")]
QueueOption = Annotated[bool, typer.Option("--queue", help="Wait for the training that runs now, and leave.")]
DetachOption = Annotated[bool, typer.Option("--detach", help="Start it and leave; it goes on by itself.")]
MethodOption = Annotated[
    str, typer.Option(help="A method as `penumbra methods` lists it; auto takes the recommended one and says why.")
]
PresetOption = Annotated[
    str | None,
    typer.Option(help="paper, workstation or laptop; by default laptop, with auto the one for this machine."),
]
ChangeOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="A parameter as key=value, as often as needed; the value is read as JSON if it is."),
]
RunArgument = Annotated[str | None, typer.Argument(help="A run's id as `penumbra runs` shows it.", show_default=False)]


@app.command()
def train(
    study: StudyArgument,
    method: MethodOption = AUTO,
    preset: PresetOption = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Optimiser steps; by default the preset's.")] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same training.")] = 0,
    change: ChangeOption = None,
    validation: Annotated[
        int | None, typer.Option(min=0, help="Labelled cases to freeze, if none are frozen yet.")
    ] = None,
    no_reference: Annotated[bool, typer.Option("--no-reference", help="Train no supervised-only twin along.")] = False,
    threads: ThreadsOption = 0,
    queue: QueueOption = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Also write files for TensorBoard into the run's folder.")
    ] = False,
    launch: LaunchOption = None,
    processes: ProcessesOption = None,
    slurm: SlurmOption = None,
    start_from: Annotated[
        str,
        typer.Option(
            help="A model to start from: of this study, a .penumbra-model file, or another study's folder. Method, "
            "preset and network are taken from it unless you name a method.",
            show_default=False,
        ),
    ] = "",
    detach: DetachOption = False,
    json: JsonOption = False,
) -> None:
    """Train a model on labelled and unlabelled cases. Ctrl+C stops it with a checkpoint."""
    config, way = changes(change), way_of(launch, processes, changes(slurm))
    with opened(study) as session:
        session.writable()
        if start_from:
            start_from = session.bring_model(start_from)
            if warning := session.start_warning(start_from):
                warn(warning)
            if method == AUTO:
                method, own, settings = session.start_settings(start_from)
                preset, config = preset or own, {**settings, **config}
        method, preset = choose(session, method, preset, quiet=json)
        ahead = session.preflight(method, preset, config, steps, validation, queue=queue)
        if ahead.problem:
            raise UsageError(ahead.problem, ahead.remedy)
        for text in ahead.warnings:
            warn(text)
        run = session.train(
            method,
            preset,
            steps=steps,
            seed=seed,
            config=config,
            reference=not no_reference,
            validation=validation,
            threads=threads,
            queue=queue,
            tensorboard=tensorboard,
            way=way,
            start_from=start_from,
        )
        _attend(session, run, detach or _waits(session, run), json, f"{ahead.pool_words}, {ahead.steps:,} steps")


def _waits(session: Session, run: str) -> bool:
    """Whether another run is in front: nobody wants to watch that."""
    return any(other != run for other in session.live)


def choose(session: Session, method: str, preset: str | None, quiet: bool = False) -> tuple[str, str]:
    """Put what is recommended in the place of ``auto`` and of a preset that was not given, and say why."""
    if method != AUTO:
        return method, preset or FIRST_PRESET
    advice = session.recommend()
    if not quiet:
        overruled = f" You asked for the {preset} preset." if preset not in (None, advice.preset) else ""
        say(f"Recommended: {advice.reason}{overruled}")
    return advice.method, preset or advice.preset


def changes(texts: list[str] | None) -> dict[str, Any]:
    """Read what was given with ``--set``; raises `UsageError` for what is not key=value."""
    return dict(_change(text) for text in texts or [])


def _change(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise UsageError(f'"{text}" is not a setting.', "Write key=value, for example learning_rate=0.001.")
    try:
        return key.strip(), jsonlib.loads(value)
    except ValueError:
        return key.strip(), value


def _attend(session: Session, run: str, detach: bool, json: bool, what: str) -> None:
    """Follow a run to its end, or say how to find it again."""
    root = session.opened().root
    if detach:
        if json:
            say_json(_run(session, run))
            return
        say(f"Started {run} ({what}).")
        say(f"See how it goes: penumbra runs {root}   end it: penumbra stop {root}", "dim")
        return
    if not json:
        say(f"{run} ({what})", "dim")
    code = follow(session, run, quiet=json)
    session.wait_for_verdict()
    info = _run(session, run)
    if json:
        say_json(info)
    else:
        say(info.message, "green" if info.state is RunState.FINISHED else "")
        if info.state is RunState.STOPPED:
            say(f"Go on with: penumbra resume {root} {run}", "dim")
        verdict = next((model.verdict for model in session.models() if model.id == run), "")
        if verdict:
            say(f"★ It predicts from now on. {verdict}" if info.champion else f"The champion stays. {verdict}", "dim")
    if code:
        raise typer.Exit(code)


def _run(session: Session, run: str) -> RunInfo:
    return next(info for info in session.runs() if info.id == run)


@app.command()
def stop(study: StudyArgument, run: RunArgument = None) -> None:
    """Stop the running worker at its next step, with a checkpoint; asked again, end one that does not answer."""
    with opened(study, write=False) as session:
        run = run or session.active
        if run is None:
            raise UsageError("Nothing runs in this study.", f"See: penumbra runs {study}")
        if session.hangs(run):
            session.end(run)
            say(f"{run} has not answered: it is ended.")
        else:
            session.stop(run)
            say(f"Asked {run} to stop; it saves a checkpoint first.")
        say(f"Go on later with: penumbra resume {study} {run}", "dim")


@app.command()
def resume(
    study: StudyArgument,
    run: RunArgument = None,
    threads: ThreadsOption = 0,
    queue: QueueOption = False,
    launch: LaunchOption = None,
    processes: ProcessesOption = None,
    slurm: SlurmOption = None,
    detach: DetachOption = False,
    json: JsonOption = False,
) -> None:
    """Go on with a run that is paused, was stopped, killed or has failed; by default the newest such training."""
    with opened(study) as session:
        session.writable()
        run = run or _newest_unfinished(session)
        way = way_of(launch, processes, changes(slurm))
        going = session.resume(run, threads=threads or None, queue=queue, way=way)
        _attend(session, going, detach or _waits(session, going), json, "resumed")


def _newest_unfinished(session: Session) -> str:
    unfinished = (RunState.PAUSED, RunState.STOPPED, RunState.LOST, RunState.FAILED)
    for info in session.runs():
        if info.kind == "train" and info.state in unfinished:
            return info.id
    raise UsageError("There is no unfinished training to go on with.", "Start one with `penumbra train`.")


@app.command()
def predict(
    study: StudyArgument,
    run: Annotated[str | None, typer.Option(help="Training to predict with; by default the champion.")] = None,
    case: Annotated[
        list[str] | None, typer.Option(help="Only this case; may be given often. By default all unlabelled ones.")
    ] = None,
    threads: ThreadsOption = 0,
    launch: LaunchOption = None,
    processes: ProcessesOption = None,
    slurm: SlurmOption = None,
    detach: DetachOption = False,
    json: JsonOption = False,
) -> None:
    """Predict labels and confidence for cases."""
    with opened(study) as session:
        session.writable()
        way = way_of(launch, processes, changes(slurm))
        started = session.predict(case or None, run, threads=threads, way=way)
        _attend(session, started, detach, json, "prediction")


@app.command()
def methods(
    name: Annotated[str | None, typer.Argument(help="Show the parameters of this one.", show_default=False)] = None,
    json: JsonOption = False,
) -> None:
    """List the methods and what their confidence means, or one method's parameters with bounds and presets."""
    infos = Session().methods()
    if name is not None:
        infos = [find(infos, name)]
    if json:
        say_json(infos)
        return
    if name is None:
        _list(infos)
        return
    _parameters(infos[0])


def _list(infos: list[MethodInfo]) -> None:
    rows = [(i.name, i.title, _dimensions(i), ", ".join(i.presets), i.summary) for i in infos]
    table(("method", "title", "dimensions", "presets", "what it is"), rows, names=("method", "title"))
    for info in infos:
        say(f"{info.name}: {info.paper}")
        say(f"  Its confidence: {info.confidence_means}", "dim")


def _dimensions(info: MethodInfo) -> str:
    return ", ".join(f"{n}D" for n in info.dimensions)


def _parameters(info: MethodInfo) -> None:
    say(f"{info.title}: {info.summary}")
    say(info.paper, "dim")
    say(f"Learns in {_dimensions(info)}. Its confidence: {info.confidence_means}", "dim")
    presets = tuple(info.presets)
    rows = []
    for key, field in info.parameters.items():
        unit = f" ({field['unit']})" if field.get("unit") else ""
        bounds = f" Allowed: {limits}." if (limits := _limits(field)) else ""
        chosen = (jsonlib.dumps(info.presets[p][key]) if key in info.presets[p] else "" for p in presets)
        meaning = f"{field.get('description', '')}{unit}{bounds}"
        rows.append((key, jsonlib.dumps(field.get("default")), *chosen, meaning))
    table(("parameter", "default", *presets, "meaning"), rows, names=("parameter",))


def _limits(field: dict[str, Any]) -> str:
    return ", ".join(map(str, field["enum"])) if "enum" in field else allowed(field)
