"""``penumbra demo``: a simulated cohort to try everything on, in the window where there is a screen."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from napari_penumbra.cli.output import say
from napari_penumbra.domain.errors import StudyError, UsageError

STUDY_VARIABLE = "PENUMBRA_STUDY"
"""The dock opens the study of this folder when it starts."""

app = typer.Typer()


class Cohort(StrEnum):
    """What is simulated."""

    STROKE = "stroke"
    ATRIUM = "atrium"
    PELVIS = "pelvis"
    LESIONS_2D = "lesions-2d"


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(help="Where to put the sample study.")] = Path("penumbra-demo"),
    cases: Annotated[int, typer.Option(min=2, max=500, help="How many simulated cases.")] = 24,
    cohort: Annotated[
        Cohort, typer.Option(help="Strokes, left atria, pelvic organs, or colour pictures of lesions; all simulated.")
    ] = Cohort.STROKE,
    window: Annotated[
        bool | None, typer.Option("--window/--no-window", help="Open the window; without either, see below.")
    ] = None,
) -> None:
    """Make a sample study of simulated cases (by default strokes on a real brain's anatomy) and open napari on it.

    Where there is no screen, a robot works the same window on a virtual one (Xvfb) through a whole loop, and leaves
    screenshots and a report page in FOLDER-report. --no-window only makes the study.
    """
    study = _sample(folder, cases, cohort)
    if window is False:
        say(f"The sample study is in {study}.")
        say(f"Try: penumbra status {study}   penumbra train {study} --steps 200", "dim")
        return
    if has_screen():
        say(f"Opening napari on {study} …")
        code = open_window(study)
    else:
        report = study.with_name(f"{study.name}-report")
        say(f"No screen here: a robot works the window on a virtual one; pictures and a report go to {report} …")
        code = run_robot(study, report)
    if code:
        raise StudyError("napari did not open or ended with a fault.", "`penumbra doctor` says what is missing.")


def _sample(folder: Path, cases: int, cohort: Cohort) -> Path:
    from napari_penumbra.study.samples import make_sample_study

    if (folder / "study.toml").exists():
        say(f"{folder} has a study already; it is used as it is.")
        return folder
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not empty.", "Name a new folder for the sample study.")
    say(f"Making {cases} simulated cases …", "dim")
    return Path(make_sample_study(folder, cases=cases, labelled=min(4, cases // 2), cohort=cohort.value))


def has_screen() -> bool:
    """Whether a window can be shown here."""
    return sys.platform != "linux" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def open_window(study: Path) -> int:
    """Start napari with the dock on a study and wait until it is closed; returns its exit code."""
    command = [sys.executable, "-m", "napari", "-w", "napari-penumbra", "Penumbra"]
    environment = {**os.environ, STUDY_VARIABLE: str(study.resolve())}
    return subprocess.run(command, env=environment, check=False).returncode


def run_robot(study: Path, report: Path) -> int:
    """Walk through the whole loop in the real window under Xvfb; returns the exit code.

    Qt's own offscreen platform has no OpenGL, so napari could draw nothing there.
    """
    xvfb = shutil.which("xvfb-run")
    if xvfb is None:
        raise UsageError(
            "There is no screen to open a window on, and no Xvfb to stand in for one.",
            "Install it (Debian: apt-get install xvfb), or use --no-window.",
        )
    command = [xvfb, "-a", "-s", "-screen 0 1366x768x24", sys.executable, "-m", "napari_penumbra.plugin.demo"]
    return subprocess.run([*command, str(study.resolve()), str(report.resolve())], check=False).returncode
