"""``penumbra demo``: a simulated stroke cohort to try everything on, in the window where there is a screen."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from napari_penumbra.cli.output import say
from napari_penumbra.domain.errors import StudyError, UsageError

STUDY_VARIABLE = "PENUMBRA_STUDY"
"""The dock opens the study of this folder when it starts."""

app = typer.Typer()


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(help="Where to put the sample study.")] = Path("penumbra-demo"),
    cases: Annotated[int, typer.Option(min=2, max=500, help="How many simulated cases.")] = 24,
    window: Annotated[
        bool | None, typer.Option("--window/--no-window", help="Open napari on it; by default where there is a screen.")
    ] = None,
) -> None:
    """Make the sample study (simulated strokes on a real brain's anatomy) and open napari on it."""
    study = _sample(folder, cases)
    if window is False or (window is None and not has_screen()):
        say(f"The sample study is in {study}.")
        say(f"Try: penumbra status {study}   penumbra train {study} --steps 200", "dim")
        return
    if not has_screen():
        raise UsageError(
            "There is no screen to open a window on.",
            f"Use --no-window, or: xvfb-run -a penumbra demo {folder} --window",
        )
    say(f"Opening napari on {study} …")
    code = open_window(study)
    if code:
        raise StudyError("napari did not open or ended with a fault.", "`penumbra doctor` says what is missing.")


def _sample(folder: Path, cases: int) -> Path:
    from napari_penumbra.study.samples import make_sample_study

    if (folder / "study.toml").exists():
        say(f"{folder} has a study already; it is used as it is.")
        return folder
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not empty.", "Name a new folder for the sample study.")
    say(f"Making {cases} simulated cases …", "dim")
    return Path(make_sample_study(folder, cases=cases))


def has_screen() -> bool:
    """Whether a window can be shown here."""
    return sys.platform != "linux" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def open_window(study: Path) -> int:
    """Start napari with the dock on a study and wait until it is closed; returns its exit code."""
    command = [sys.executable, "-m", "napari", "-w", "napari-penumbra", "Penumbra"]
    environment = {**os.environ, STUDY_VARIABLE: str(study.resolve())}
    return subprocess.run(command, env=environment, check=False).returncode
