"""Lets a process that works in the background give way to the window."""

from __future__ import annotations

import contextlib
import os


def give_way(pid: int, niceness: int) -> None:
    """Leave the processor to others while they want it; nothing happens where a system does not know such a thing.

    Linux shares time between sessions first (autogroup) and heeds niceness only inside one, so a worker that leads a
    session of its own takes as much as the window whatever its niceness. Making its session nice as well
    (``/proc/PID/autogroup``) made trainings that wait in line lose their places in half of the runs of a test; why is
    not known, so it is left alone.

    Parameters
    ----------
    pid
        A process of this user; its threads are those that it starts from now on.
    niceness
        1 to 19, the higher the gentler.
    """
    if os.name == "posix":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, pid, niceness)
