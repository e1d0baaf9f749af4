"""Keeps pydicom's and GDCM's own remarks off the console and out of every log: they quote header values.

A damaged header makes pydicom warn with the value in the text, and that value may be a patient's name.
"""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_LOCK = threading.Lock()
_MODULES = r"pydicom(\.|$)"


class _Counter:
    depth = 0
    saved: tuple[bool, int] = (False, 0)


@contextmanager
def quiet() -> Iterator[None]:
    """Silence pydicom while the block runs, in all threads; may be nested and entered by several threads at once.

    Warnings of its modules stay switched off afterwards, too: the list of filters belongs to the whole process, and
    taking an entry out again while another thread reads would switch them on for that one.
    """
    from pydicom import config

    logger = logging.getLogger("pydicom")
    with _LOCK:
        warnings.filterwarnings("ignore", module=_MODULES)
        if _Counter.depth == 0:
            _Counter.saved = (logger.disabled, config.settings.reading_validation_mode)
            logger.disabled = True
            config.settings.reading_validation_mode = config.IGNORE
        _Counter.depth += 1
    try:
        yield
    finally:
        with _LOCK:
            _Counter.depth -= 1
            if _Counter.depth == 0:
                logger.disabled, config.settings.reading_validation_mode = _Counter.saved
