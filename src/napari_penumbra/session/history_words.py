"""Events of a case's history as sentences, for the window and for the command line."""

from __future__ import annotations

from napari_penumbra.session.words import duration
from napari_penumbra.study.history import Event, What


def headline(event: Event, model: str = "") -> str:
    """Say what happened in a few words: ``r3 accepted``, ``p5 predicted by ★ Mean teacher``.

    Parameters
    ----------
    model
        Name of the training behind ``event.run``.
    """
    by = f" by {model}" if model and event.what is What.PREDICTED else ""
    what = "read again" if event.what is What.SECOND_READING else event.what.value
    return f"{event.key} {what}{by}".strip()


def costs(event: Event) -> str:
    """Say the rest in one line: how it was closed, what it took, what it changed."""
    parts = [event.words]
    if event.seconds:
        parts.append(duration(event.seconds))
    if event.voxels_changed:
        voxels = "1 voxel" if event.voxels_changed == 1 else f"{event.voxels_changed:,} voxels"
        parts.append(f"{voxels} changed")
    return " · ".join(part for part in parts if part)


def details(event: Event, model: str = "") -> str:
    """Say everything about an event, a fact per line."""
    lines = [f"{event.when.astimezone():%Y-%m-%d %H:%M:%S}", headline(event, model), costs(event)]
    if event.who:
        lines.append(f"by {event.who}")
    if model and event.what is not What.PREDICTED:
        lines.append(f"on a prediction of {model}")
    if event.in_pool:
        lines.append("in the labelled pool now")
    elif event.current:
        lines.append("what the case has now")
    return "\n".join(line for line in lines if line)
