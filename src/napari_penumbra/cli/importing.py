"""Commands that bring many cases in: import (published data sets), and what ``add --images`` shares with it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from napari_penumbra.cli.output import opened, say, say_error, table, warn
from napari_penumbra.domain.errors import PenumbraError, UsageError
from napari_penumbra.session import Session
from napari_penumbra.session.importing import Ask, preview_dataset
from napari_penumbra.study.importers.folder import FolderPlan
from napari_penumbra.study.importers.preview import Preview
from napari_penumbra.study.importers.recipes import RECIPES
from napari_penumbra.study.importers.splitting import Spacing, Split

app = typer.Typer()
_MOST_LEFT = 12

Pattern = Annotated[
    str,
    typer.Option(help="Names of the files, for example {case}/{modality}.nii.gz; guess: the best guess, shown first."),
]
Split4d = Annotated[
    Split, typer.Option("--split-4d", help="Files of several volumes: each a modality, each a case, or refused.")
]
VoxelSize = Annotated[str, typer.Option(help="Voxel size x,y,z in mm, for files that do not say theirs.")]
Jobs = Annotated[int | None, typer.Option(min=1, help="Cases read at once; by default as many as there are cores.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be added, and add nothing.")]


@app.command("import")
def import_dataset(
    dataset: Annotated[str, typer.Argument(help="Name of the data set's recipe; --list shows all.")] = "",
    folder: Annotated[Path | None, typer.Argument(help="The data set's folder, unpacked.")] = None,
    study: Annotated[Path | None, typer.Option(help="Study to import into; made when it does not exist.")] = None,
    name: Annotated[str, typer.Option(help="Name of a new study; by default the data set's.")] = "",
    jobs: Jobs = None,
    dry_run: DryRun = False,
    every: Annotated[bool, typer.Option("--list", help="List the recipes.")] = False,
) -> None:
    """Import a published data set: its layout recognised, its labels mapped, its official split kept.

    Training cases come in labelled, test cases without labels; labels of test cases go into the study's folder
    reference, for `penumbra evaluate`. Run it again to go on where it broke off.
    """
    if every:
        rows = [(one.key, one.title, ", ".join(one.modalities) or "its own", one.site) for one in RECIPES]
        table(("recipe", "data set", "modalities", "where to get it"), rows, names=("recipe",))
        return
    if not dataset or folder is None:
        raise UsageError(
            "Say what to import.", "penumbra import RECIPE FOLDER --study STUDY; --list shows the recipes."
        )
    new = study is None or not (study / "study.toml").exists()
    if new and dry_run:
        show(preview_dataset(dataset, folder))
        return
    if study is None:
        raise UsageError("Say where to.", f"penumbra import {dataset} {folder} --study STUDY, or --dry-run to look.")
    if new:
        with_study = Session()
        with_study.create_for(dataset, folder, study, name)
        with_study.close()
        say(f"Made the study {study}.")
    with opened(study, write=not dry_run) as session:
        plan = session.plan_dataset(dataset, folder)
        add_plan(session, plan, jobs, dry_run, folder)


def ask(images: Path, labels: Path | None, pattern: str, split: Split, spacing: str) -> Ask:
    """Read the options of ``add --images``."""
    return Ask(images, labels, pattern, split, _spacing(spacing))


def add_files(session: Session, wanted: Ask, jobs: int | None, dry_run: bool) -> None:
    """Add one's own files, or show what would be added."""
    if wanted.pattern == "guess":
        guessed = session.guess_patterns(wanted.images)
        if not guessed:
            raise UsageError(
                f"No pattern fits the names in {wanted.images}.",
                f"The study has {', '.join(session.opened().modalities)}: are they in the names?",
            )
        say(f"Pattern: {guessed[0]}")
        wanted = Ask(wanted.images, wanted.labels, guessed[0], wanted.split, wanted.spacing)
    add_plan(session, session.plan_files(wanted), jobs, dry_run, wanted.images)


def add_plan(session: Session, plan: FolderPlan, jobs: int | None, dry_run: bool, source: Path) -> None:
    """Show a plan, or carry it out and say how it went."""
    shown = session.preview(plan)
    if dry_run:
        show(shown)
        return
    for note in shown.notes:
        warn(note)
    there = len(shown.rows) - shown.adding
    if not shown.adding and there:
        say(f"Nothing new in {source}: the study has all {there} cases.")
        return
    added, failed = 0, []
    for name, outcome in _with_progress(session.add_planned(plan, jobs), shown.adding):
        if isinstance(outcome, PenumbraError):
            failed.append(outcome)
            say_error(outcome)
            continue
        added += 1
        for text in outcome:
            warn(f"{name}: {text}")
    passed = f"; {there} were there already" if there else ""
    say(f"Added {added} case{'' if added == 1 else 's'}; {len(failed)} could not be added{passed}.")
    if failed:
        raise typer.Exit(failed[0].exit_code)


def show(shown: Preview) -> None:
    """Print the table of a plan."""
    table(shown.headers, shown.rows)
    for name in shown.left_over[:_MOST_LEFT]:
        say(f"left over: {name}", "dim")
    if len(shown.left_over) > _MOST_LEFT:
        say(f"left over: {len(shown.left_over) - _MOST_LEFT} more", "dim")
    for note in shown.notes:
        warn(note)
    say(f"{shown.summary} Nothing was written.")


def _with_progress(
    outcomes: Iterable[tuple[str, list[str] | PenumbraError]], total: int
) -> Iterable[tuple[str, list[str] | PenumbraError]]:
    """Show a bar on a terminal; nothing where nobody looks."""
    from rich.progress import track

    from napari_penumbra.cli.output import errors

    console = errors()
    return track(outcomes, "Adding", total, console=console, disable=not console.is_terminal, transient=True)


def _spacing(text: str) -> Spacing | None:
    if not text:
        return None
    try:
        x, y, z = (float(part) for part in text.split(","))
    except ValueError:
        x = y = z = 0.0
    if min(x, y, z) <= 0 or max(x, y, z) > 1000:
        raise UsageError(f'"{text}" is no voxel size.', "Write three lengths in mm, for example 0.5,0.5,2.")
    return x, y, z
