"""What all tests share: one torch thread, no user cache touched, a display that must exist in CI."""

from __future__ import annotations

import gc
import os
import signal

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
# Figures are compared to many digits, and must not depend on the processor; bfloat16 has tests of its own.
os.environ.setdefault("PENUMBRA_BFLOAT16", "0")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts background jobs deaf to Ctrl+C, and their children inherit it: tests that send one would wait.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _own_user_folders(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep caches and settings of whoever runs the tests out of them, and the tests out of those."""
    home = tmp_path_factory.mktemp("home")
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        folder = home / name.lower()
        folder.mkdir()
        os.environ[name] = str(folder)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip window tests where there is no screen, but never silently in CI."""
    if os.environ.get("DISPLAY") or os.name == "nt" or os.uname().sysname == "Darwin":
        return
    if os.environ.get("CI"):
        return  # they will fail and say that no display was found
    skip = pytest.mark.skip(reason="no display: install Xvfb (pytest-xvfb starts it) or run on a desktop")
    for item in items:
        if "gui" in item.keywords:
            item.add_marker(skip)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Leave what is imported out of every later garbage collection.

    napari's own fixture collects several times a test, to see that no viewer was leaked. With torch and all test
    modules imported, going through those alone took a quarter of the time of the tests with a window.
    """
    gc.collect()
    gc.freeze()
