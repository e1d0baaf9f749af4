"""Lets a process that works in the background give way to the window."""

from __future__ import annotations

import contextlib
import os


def give_way(pid: int, niceness: int) -> None:
    """Leave the processor to others while they want it; nothing happens where a system does not know such a thing.

    Linux shares time between sessions first (autogroup) and heeds niceness only inside one, so a worker that leads a
    session of its own takes as much as the window whatever its niceness. Its session can be made nice as well
    (``/proc/PID/autogroup``); until a queue that loses its order now and then is understood, it is left alone.

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
