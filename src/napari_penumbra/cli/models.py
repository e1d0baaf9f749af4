"""Commands about models: models, and model export, import, champion, back, keep, compare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_penumbra.cli.output import opened, say, say_json, table
from napari_penumbra.cli.study import JsonOption, StudyArgument
from napari_penumbra.domain.errors import UsageError
from napari_penumbra.session import Session
from napari_penumbra.session.model_info import ModelInfo

app = typer.Typer()
group = typer.Typer(
    name="model", help="Export, import and compare models, and say which one predicts.", no_args_is_help=True
)
ModelArgument = Annotated[
    str,
    typer.Argument(
        help="A model as `penumbra models` shows it, its beginning or end, or champion.", show_default=False
    ),
]


@app.command()
def models(study: StudyArgument, json: JsonOption = False) -> None:
    """List the models with what they come from and how good they are; the one that predicts is marked ★."""
    with opened(study, write=False) as session:
        found = session.models()
        if json:
            say_json({"rule": session.rule, "kept": session.kept, "models": found})
            return
        if not found:
            say("No model yet: label two cases, then train.")
            return
        headers = ("", "model", "method", "preset", "steps", "learnt from", "dice", "measured", "started from", "date")
        table(headers, [_row(info) for info in found], names=("model",))
        for info in found:
            if info.verdict:
                say(f"{info.id}: {info.verdict}", "dim")
        say(session.rule, "dim")
        if session.kept:
            say("The champion is kept whatever comes: `penumbra model keep --off` lets the rule decide again.")


def _row(info: ModelInfo) -> tuple[str, ...]:
    return (
        "★" if info.champion else "",
        info.id,
        info.method,
        info.preset,
        f"{info.step:,}/{info.steps:,}",
        info.pool_words,
        "" if info.dice is None else f"{info.dice:.3f}",
        info.dice_words,
        info.parent,
        f"{info.created.astimezone():%Y-%m-%d %H:%M}",
    )


@group.command("export")
def export_model(
    study: StudyArgument,
    model: ModelArgument,
    file: Annotated[Path, typer.Argument(help="The file to write; ends in .penumbra-model.", show_default=False)],
    cases: Annotated[bool, typer.Option("--cases", help="Also write the names of the cases it learnt from.")] = False,
) -> None:
    """Write a model as one file: weights, how to build and feed it, figures; no code, and no case's name."""
    with opened(study, write=False) as session:
        say(f"Wrote {session.export_model(model, file, cases=cases)}.")


@group.command("import")
def import_model(
    study: StudyArgument,
    file: Annotated[Path, typer.Argument(help="A .penumbra-model file.", show_default=False)],
    json: JsonOption = False,
) -> None:
    """Take a model file into the study, after a check of all that can be wrong with it."""
    with opened(study) as session:
        session.writable()
        name = session.import_model(file)
        if json:
            say_json(session.model(name))
            return
        say(f"Imported {name}.")
        say(f"Let it predict: penumbra model champion {study} {name}", "dim")
        say(f"Learn on from it: penumbra train {study} --start-from {name}", "dim")


@group.command()
def champion(study: StudyArgument, model: ModelArgument) -> None:
    """Let a model predict from now on, whatever the figures say."""
    with opened(study) as session:
        before = session.make_champion(model)
        _say_champion(session, before)


@group.command()
def back(study: StudyArgument) -> None:
    """Let the champion before the present one predict again."""
    with opened(study) as session:
        before = session.writable().champion()
        session.roll_back()
        _say_champion(session, before)


def _say_champion(session: Session, before: str | None) -> None:
    now = session.opened().champion()
    if now == before:
        say(f"{now} is the champion already.")
        return
    say(f"★ {now} predicts from now on" + (f", instead of {before}." if before else "."))


@group.command()
def keep(
    study: StudyArgument, off: Annotated[bool, typer.Option("--off", help="Let the rule decide again.")] = False
) -> None:
    """Keep the champion whatever comes: new models are made, but none takes over by itself."""
    with opened(study) as session:
        session.keep_champion(not off)
        say(session.rule if off else f"★ {session.kept} stays champion until you say otherwise.")


@group.command()
def compare(study: StudyArgument, json: JsonOption = False) -> None:
    """Measure every model on the frozen cases, by the same code; what is known is not measured again."""
    with opened(study) as session:
        if not session.compare_models():
            if not any(row.role.value == "validation" for row in session.cases()):
                raise UsageError("No case is frozen: there is nothing to measure on.", "Training freezes some.")
        else:
            session.wait_for_verdict()
        found = sorted(session.models(), key=lambda info: -1.0 if info.dice is None else info.dice, reverse=True)
        if json:
            say_json(found)
            return
        table(("", "model", "dice", "measured"), [(r[0], r[1], r[6], r[7]) for r in map(_row, found)], names=("model",))
