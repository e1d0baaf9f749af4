"""Options that say where and by how many processes a run is done."""

from __future__ import annotations

from typing import Annotated, Any, cast

import typer

from napari_penumbra.domain.errors import UsageError
from napari_penumbra.domain.launch import How, Launch
from napari_penumbra.jobs.launchers import processes_here

LaunchOption = Annotated[
    str | None,
    typer.Option(
        "--launch",
        help="local: one process here; torchrun: several here, one per graphics card; slurm: on a cluster.",
        show_default="local",
    ),
]
ProcessesOption = Annotated[
    int | None,
    typer.Option(
        "--processes", min=1, help="How many work together; by default one per graphics card, or two without any."
    ),
]
SlurmOption = Annotated[
    list[str] | None,
    typer.Option("--slurm", help="What Slurm is asked for, as key=value by submitit's names; as often as needed."),
]


def way_of(launch: str | None, processes: int | None, slurm: dict[str, Any]) -> Launch | None:
    """What the options say; None when none of them was given.

    Raises
    ------
    UsageError
        They contradict each other.
    """
    if launch is None and processes is None and not slurm:
        return None
    if launch is None:
        raise UsageError("How should the run be launched?", "Add --launch torchrun or --launch slurm.")
    if processes is None:
        processes = processes_here() if launch == "torchrun" else 1
    return Launch(cast("How", launch), processes, slurm)
