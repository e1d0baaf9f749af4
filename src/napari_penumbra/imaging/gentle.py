"""Lets a process that works in the background give way to the window."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def give_way(pid: int, niceness: int) -> None:
    """Leave the processor to others while they want it; nothing happens where a system does not know such a thing.

    Linux shares time between sessions first (autogroup) and heeds the niceness of a process only inside its own. A
    process that leads a session, as every worker that outlives the window does, would take as much as the window
    whatever its niceness: so its session is made nice as well.

    Parameters
    ----------
    pid
        A process of this user; its threads are those that it starts from now on.
    niceness
        1 to 19, the higher the gentler.
    """
    if os.name != "posix":
        return
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, niceness)
    with contextlib.suppress(OSError):
        if os.getsid(pid) == pid:
            Path(f"/proc/{pid}/autogroup").write_text(str(niceness), encoding="ascii")
