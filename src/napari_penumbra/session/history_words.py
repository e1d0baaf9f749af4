"""Events of a case's history as sentences, for the window and for the command line."""

from __future__ import annotations

from napari_penumbra.session.words import duration
from napari_penumbra.study.history import Event, What


def line(event: Event, model: str = "", champion: str | None = None) -> str:
    """Say an event in one line: ``r3 accepted · 40 s · 1,234 voxels changed``.

    Parameters
    ----------
    model
        The training behind ``event.run``.
    champion
        The model that predicts now.
    """
    what = f"read again, {event.words}" if event.what is What.SECOND_READING else event.what.value
    parts = [f"{event.key} {what}".strip()]
    if event.words and event.what is not What.SECOND_READING:
        parts.append(event.words)
    if model and event.what is What.PREDICTED:
        parts.insert(1, f"by {model_words(model, champion)}")
    if event.seconds:
        parts.append(duration(event.seconds))
    if event.voxels_changed:
        parts.append(f"{event.voxels_changed:,} voxels changed")
    return " · ".join(parts)


def details(event: Event, model: str = "", champion: str | None = None) -> str:
    """Say everything about an event, a fact per line."""
    lines = [f"{event.when.astimezone():%Y-%m-%d %H:%M:%S}", line(event, model, champion)]
    if event.who:
        lines.append(f"by {event.who}")
    if model and event.what is not What.PREDICTED:
        lines.append(f"on a prediction of {model_words(model, champion)}")
    if event.in_pool:
        lines.append("teaches now")
    elif event.current:
        lines.append("what the case has now")
    return "\n".join(lines)


def model_words(model: str, champion: str | None) -> str:
    """Name a model, with a star when it predicts now."""
    return f"★ {model}" if model == champion else model
