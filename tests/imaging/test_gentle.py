"""A process in the background gives way, as the system itself reports it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from napari_penumbra.imaging.gentle import give_way

pytestmark = pytest.mark.skipif(not psutil.POSIX, reason="niceness is POSIX's")


def group_of(pid: int) -> str:
    return Path(f"/proc/{pid}/autogroup").read_text()


@pytest.mark.parametrize("own_session", [True, False])
def test_a_process_and_the_session_that_it_leads(own_session: bool) -> None:
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    mine = group_of(psutil.Process().pid) if Path("/proc/self/autogroup").exists() else ""
    with subprocess.Popen(sleep, start_new_session=own_session) as process:
        try:
            give_way(process.pid, 7)
            assert psutil.Process(process.pid).nice() == 7
            if not mine:
                pytest.skip("this system shares no time between sessions")
            if own_session:
                until = time.monotonic() + 5
                while not group_of(process.pid).endswith(" nice 7\n") and time.monotonic() < until:
                    time.sleep(0.2)  # the kernel lets a user do so ten times a second, all processes together
                    give_way(process.pid, 7)
                assert group_of(process.pid).endswith(" nice 7\n")
            else:  # the session of whoever started it must not suffer
                assert group_of(process.pid) == group_of(psutil.Process().pid) == mine
        finally:
            process.kill()


def test_a_process_that_has_ended_is_no_error_and_nobody_else_pays() -> None:
    before = psutil.Process().nice()
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
        give_way(process.pid, 7)
    assert psutil.Process().nice() == before
