"""When a study's disk or network share goes away in the middle: one sentence, whichever call noticed it first."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from napari_penumbra.domain.errors import DiskError
from napari_penumbra.study.core import Core

Method = TypeVar("Method", bound=Callable[..., Any])


def reaching(method: Method) -> Method:
    """Turn what the operating system says inside a method of `store.Study` into a sentence."""

    @wraps(method)
    def called(self: Any, *arguments: Any, **options: Any) -> Any:
        try:
            return method(self, *arguments, **options)
        except OSError as error:
            raise _gone(self._core, error) from error

    return called  # type: ignore[return-value]


def check_there(core: Core) -> None:
    """Raise `DiskError` when the study's folder is gone or was moved.

    Folders are made where they are missing; in a folder that has gone away, that would put what was drawn where nobody
    looks for it, while the open database lies elsewhere.
    """
    try:
        there = core.layout.manifest.is_file()
    except OSError as error:
        raise _gone(core, error) from error
    if not there:
        raise _gone(core, None)


def _gone(core: Core, error: OSError | None) -> DiskError:
    return DiskError(
        f"The study's folder {core.layout.root} cannot be reached.",
        "Check that it was not moved and that its disk or network share is connected, then try again; what is on the "
        "screen is still there.",
        "" if error is None else f"{type(error).__name__} {error.errno}: {error.strerror}",
    )
