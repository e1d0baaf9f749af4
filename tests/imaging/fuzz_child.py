"""Reads files in a process of its own, with 2 GB of memory to spare: what it is asked to read may do what it wants.

Started by `Reader`. One path a line on stdin, one JSON answer a line on stdout.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

SPARE = 2 << 30
SECONDS = 10.0
ASLEEP = 120.0
"""Seconds after which a child that does nothing at all hangs too."""


@dataclass(frozen=True)
class Answer:
    """What came of reading a file: ``read``, ``refused``, or how the program failed."""

    outcome: str
    words: str = ""
    seconds: float = 0.0

    @property
    def well(self) -> bool:
        return self.outcome in ("read", "refused")


class Reader:
    """A child that reads; started anew when a file has killed it."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._child is not None:
            assert self._child.stdin is not None
            assert self._child.stdout is not None
            self._child.kill()
            self._child.wait()
            self._child.stdin.close()
            self._child.stdout.close()
            self._child = None

    def _start(self) -> subprocess.Popen[bytes]:
        if self._child is None:
            self._child = subprocess.Popen(
                [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            assert self._child.stdout is not None
            assert self._child.stdout.readline() == b"ready\n"
        return self._child

    def _answers(self, child: subprocess.Popen[bytes]) -> bool:
        """Wait for an answer as long as it may take: in the child's own time, because a busy machine is no hang."""
        process = psutil.Process(child.pid)
        began, worked = time.monotonic(), sum(process.cpu_times()[:2])
        while not select.select([child.stdout], [], [], 0.5)[0]:
            if sum(process.cpu_times()[:2]) - worked > SECONDS or time.monotonic() - began > ASLEEP:
                return False
        return True

    def read(self, path: Path) -> Answer:
        """Have a file read as an image and as labels."""
        child = self._start()
        assert child.stdin is not None
        assert child.stdout is not None
        began = time.monotonic()
        child.stdin.write(json.dumps(str(path)).encode() + b"\n")
        child.stdin.flush()
        if not self._answers(child):
            self.close()
            return Answer("hangs", str(path))
        line = child.stdout.readline()
        if not line:
            code = child.wait()
            self.close()
            return Answer("dies", f"{path} (exit code {code})")
        data = json.loads(line)
        return Answer(data["outcome"], data["words"], time.monotonic() - began)


def _main() -> None:
    import resource

    from napari_penumbra.domain.errors import PenumbraError
    from napari_penumbra.imaging.files import load_readers, read_image, read_labels

    load_readers()
    import pydicom  # noqa: F401 - what is loaded now is not counted as a file's doing
    import SimpleITK as sitk

    sitk.ReadImage  # noqa: B018
    with open("/proc/self/statm", encoding="ascii") as file:
        now = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (now + SPARE, now + SPARE))
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not look like an answer
    out.write(b"ready\n")
    out.flush()
    for line in sys.stdin:
        path = Path(json.loads(line))
        answer: dict[str, Any] = {"outcome": "read", "words": ""}
        for read in (read_image, read_labels):
            try:
                found = read(path)
                assert found.volume.data.shape == found.volume.grid.array_shape
            except PenumbraError as error:
                answer = {"outcome": "refused", "words": str(error)}
                if "memory" in str(error):
                    answer["outcome"] = "asks for over 2 GB"
            except BaseException as error:  # noqa: BLE001 - this is what the test is about
                answer = {"outcome": "raises", "words": repr(error)[:500]}
            if answer["outcome"] not in ("read", "refused"):
                break
        with contextlib.suppress(BrokenPipeError):
            out.write(json.dumps(answer).encode() + b"\n")
            out.flush()


if __name__ == "__main__":
    _main()
