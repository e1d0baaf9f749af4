"""Errors whose text is meant for the reader: one sentence, the file or case by name, one way on."""

from __future__ import annotations

from typing import ClassVar


class PenumbraError(Exception):
    """A problem that is told to the reader in plain words.

    Parameters
    ----------
    message
        One sentence: what is wrong with which file or case.
    remedy
        What the reader can do about it. Shown after the message.
    details
        Technical text (an exception's own words), shown only behind "Details".
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, remedy: str = "", details: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.details = details

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()


class UsageError(PenumbraError):
    """The request itself makes no sense (unknown case, unknown method, bad value)."""

    exit_code = 2


class ImageError(PenumbraError):
    """A file cannot be read as an image: missing, truncated, not an image, absurd header."""

    exit_code = 3


class GeometryError(PenumbraError):
    """Grids that must agree do not: a label on another grid, a sheared affine."""

    exit_code = 4


class LabelError(PenumbraError):
    """Label values outside the study's scheme, or labels that are not whole numbers."""

    exit_code = 4


class StudyError(PenumbraError):
    """The study's folder or database is missing, damaged or in use."""

    exit_code = 5


class StudyLockedError(StudyError):
    """Another window is writing to this study."""


class StudyTooNewError(StudyError):
    """The study was written by a newer version of the program."""


class DiskError(PenumbraError):
    """A file could not be written: disk full, folder read-only, share gone."""

    exit_code = 6


class JobError(PenumbraError):
    """A training or prediction failed or could not be started.

    Parameters
    ----------
    run
        The run that it is about, if there is one: its log says more.
    """

    exit_code = 7

    def __init__(self, message: str, remedy: str = "", details: str = "", run: str = "") -> None:
        super().__init__(message, remedy, details)
        self.run = run


class ModelError(PenumbraError):
    """A checkpoint is damaged, of another shape, or does not fit the study."""

    exit_code = 8
