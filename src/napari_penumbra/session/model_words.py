"""Sentences about models."""

from __future__ import annotations

from napari_penumbra.jobs.methods_info import method_title
from napari_penumbra.session.model_info import ModelInfo
from napari_penumbra.session.words import share


def model_words(info: ModelInfo) -> str:
    """Say a model in one line: ``★ Mean teacher · 3,000 steps · Dice .71 · 21 Nov 05:12``."""
    imported = " (imported)" if info.origin == "imported" else ""
    parts = [f"{'★ ' if info.champion else ''}{method_title(info.method)}{imported}"]
    parts.append(f"{info.step:,} steps")
    if info.dice is not None:
        parts.append(f"Dice {share(info.dice)}")
    parts.append(f"{info.created.astimezone():%d\u00a0%b\u00a0%H:%M}")  # a line that wraps keeps it together
    return " · ".join(parts)


def details(info: ModelInfo) -> str:
    """Say what is known of a model in a few sentences."""
    figure = "It was never measured." if info.dice is None else f"Dice {info.dice:.3f}, {info.dice_words}."
    learnt = f"Learnt from {info.pool_words} cases, {info.preset} preset."
    parent = f"Started from {info.parent}." if info.parent else ""
    verdict = f"Judged: {info.verdict}" if info.verdict else ""
    return "\n".join(filter(None, (figure, learnt, parent, verdict)))
