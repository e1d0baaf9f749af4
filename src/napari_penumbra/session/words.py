"""Sentences for the status line and for figures."""

from __future__ import annotations

from napari_penumbra.domain.progress import Kind, Progress, RunState


def duration(seconds: float) -> str:
    """Say a time span as a person would: ``40 s``, ``6 min``, ``2 h 05 min``."""
    if not 0 <= seconds < 1e9:
        return "an unknown time"
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} min"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min"


def memory(size: float) -> str:
    """Say a size in GB or MB."""
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.0f} MB"


def share(value: float) -> str:
    """Say a Dice as readers write it: ``.71``."""
    text = f"{value:.2f}"
    return text[1:] if text.startswith("0") else text


def gain(dice: float, reference: float) -> str:
    """Say how far the method is from labels only: ``▲.08 over labels only``."""
    difference = dice - reference
    if abs(difference) < 0.005:
        return "as good as labels only"
    arrow, relation = ("▲", "over") if difference > 0 else ("▼", "under")
    return f"{arrow}{share(abs(difference))} {relation} labels only"


def dice_words(figures: Progress | None) -> str:
    """Say the last validation, empty when there is none."""
    if figures is None or "dice" not in figures.metrics:
        return ""
    dice = figures.metrics["dice"]
    if dice != dice:
        return ""
    reference = figures.metrics.get("reference_dice")
    if reference is None or reference != reference:
        return f"Dice {share(dice)}"
    return f"Dice {share(dice)} ({gain(dice, reference)})"


_SAID = (Kind.STAGE, Kind.WARNING, Kind.POOL, Kind.QUEUED, Kind.PAUSED)
"""Events whose own words are worth a place in the status line."""


def running(kind: str, title: str, last: Progress | None, furthest: Progress | None, figures: Progress | None) -> str:
    """Say what a running worker does: ``Mean teacher · step 1,240/3,000 · Dice .71 (…) · 6 min left``."""
    if last is None:
        return f"{title} · starting…"
    parts = [title]
    if furthest is not None and furthest.steps:
        if kind == "predict":
            parts.append(f"predicting · case {furthest.step:,}/{furthest.steps:,}")
        elif furthest.step or last.kind is not Kind.STAGE:
            parts.append(f"step {furthest.step:,}/{furthest.steps:,}")
    if last.kind in _SAID and last.message:
        parts.append(last.message)
    if kind == "train":
        parts.append(dice_words(figures))
    waits = last.kind in (Kind.QUEUED, Kind.PAUSED)
    if not waits and furthest is not None and furthest.eta_seconds is not None and furthest.step < furthest.steps:
        parts.append(f"{duration(furthest.eta_seconds)} left")
    return " · ".join(part for part in parts if part)


def ended(kind: str, title: str, state: RunState, last: Progress | None, furthest: Progress | None, saved: bool) -> str:
    """Say how a run ended and what can be done now."""
    steps = f" at step {furthest.step:,} of {furthest.steps:,}" if furthest is not None and furthest.steps else ""
    if kind == "predict":
        steps = f" after {furthest.step:,} of {furthest.steps:,} cases" if furthest is not None else ""
    back = "Resume goes on from the last checkpoint." if saved and kind == "train" else "Start it again."
    if state is RunState.FINISHED:
        return f"{title} finished{steps}."
    if state is RunState.STOPPED:
        if last is not None and last.about:  # not by the reader
            return f"{title} stopped{steps}: {last.message} {last.remedy}"
        return f"{title} was stopped{steps}. {back}"
    if state is RunState.LOST:
        said = f' Its last words: "{last.message}".' if last is not None and last.message else ""
        return f"{title} ended without a last word{steps} (killed, or the power went).{said} {back}"
    if last is not None and last.message:
        return f"{title} failed{steps}: {last.message} {last.remedy}".strip()
    return f"{title} failed{steps}. The log says why. {back}"
