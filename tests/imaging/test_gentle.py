"""A process in the background gives way, as the system itself reports it."""

from __future__ import annotations

import subprocess
import sys

import psutil
import pytest

from napari_penumbra.imaging.gentle import give_way

pytestmark = pytest.mark.skipif(not psutil.POSIX, reason="niceness is POSIX's")


def test_a_process_becomes_nice() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True) as process:
        try:
            give_way(process.pid, 7)
            assert psutil.Process(process.pid).nice() == 7
        finally:
            process.kill()


def test_a_process_that_has_ended_is_no_error() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
        give_way(process.pid, 7)
