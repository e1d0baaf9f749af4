"""Sentences about models."""

from __future__ import annotations

from napari_penumbra.session.model_info import ModelInfo
from napari_penumbra.session.words import share


def model_words(info: ModelInfo) -> str:
    """Say a model in one line: ``★ mean-teacher · 3,000 steps · Dice .71 · 21 Nov 05:12``."""
    parts = [f"{'★ ' if info.champion else ''}{info.method}{' (imported)' if info.origin == 'imported' else ''}"]
    parts.append(f"{info.step:,} steps")
    if info.dice is not None:
        parts.append(f"Dice {share(info.dice)}")
    parts.append(f"{info.created.astimezone():%d %b %H:%M}")
    return " · ".join(parts)


def details(info: ModelInfo) -> str:
    """Say what is known of a model in a few sentences."""
    figure = "It was never measured." if info.dice is None else f"Dice {info.dice:.3f}, {info.dice_words}."
    learnt = f"Learnt from {info.pool_words} cases, {info.preset} preset."
    parent = f"Started from {info.parent}." if info.parent else ""
    verdict = f"Judged: {info.verdict}" if info.verdict else ""
    return "\n".join(filter(None, (figure, learnt, parent, verdict)))
