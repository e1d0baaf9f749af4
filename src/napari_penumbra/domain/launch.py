"""How the workers of a run are started: here, several on this computer, or by a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from napari_penumbra.domain.errors import UsageError

How = Literal["local", "torchrun", "slurm"]
HOWS: tuple[How, ...] = get_args(How)
MAX_PROCESSES = 4096


@dataclass(frozen=True, slots=True)
class Launch:
    """Where and by how many processes a run is done.

    Attributes
    ----------
    how
        ``local``: one worker on this computer. ``torchrun``: several on this computer, one per graphics card or
        processor share. ``slurm``: by a cluster that sees the study's folder under the same path.
    processes
        Workers that train or predict together; each takes the batch that the preset names.
    cluster
        What Slurm is asked for, by submitit's names: ``slurm_partition``, ``timeout_min``, ``gpus_per_node`` …

    Raises
    ------
    UsageError
        The way is not known, or the number of processes does not go with it.
    """

    how: How = "local"
    processes: int = 1
    cluster: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.how not in HOWS:
            raise UsageError(f'"{self.how}" is no way to launch a run.', f"Choose one of: {', '.join(HOWS)}.")
        if not 1 <= self.processes <= MAX_PROCESSES:
            raise UsageError(f"{self.processes} processes cannot work together.", f"Give 1 to {MAX_PROCESSES}.")
        if self.how == "local" and self.processes > 1:
            raise UsageError(
                "A local run is one process.", "Launch it with torchrun, or on a cluster, for more of them."
            )
        if self.cluster and self.how != "slurm":
            raise UsageError("What a cluster is asked for goes with a launch by slurm.", "Add: --launch slurm.")

    @property
    def plain(self) -> bool:
        """Whether it is the ordinary way: one worker here."""
        return self.how == "local"

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``job.json``; nothing for the ordinary way."""
        if self.plain:
            return {}
        data: dict[str, Any] = {"how": self.how, "processes": self.processes}
        return data | ({"cluster": dict(self.cluster)} if self.cluster else {})

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Launch:
        """Inverse of `to_json`; raises `UsageError` when a hand-edited file makes no sense."""
        try:
            return cls(
                data.get("how", "local"), int(data.get("processes", 1)), {**data.get("cluster", {})} if data else {}
            )
        except (TypeError, ValueError, AttributeError) as error:
            raise UsageError(
                "job.json does not say in a sensible way how to launch the run.", "Start a new run.", repr(error)
            ) from error

    @property
    def words(self) -> str:
        """For the list of runs; empty for the ordinary way."""
        if self.plain:
            return ""
        where = "on the cluster" if self.how == "slurm" else "by torchrun"
        return f"{self.processes} process{'es' if self.processes > 1 else ''} {where}"


HERE = Launch()
"""The ordinary way."""
