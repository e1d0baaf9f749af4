"""Processes that a test has started."""

from __future__ import annotations

import psutil


def children(word: str) -> list[psutil.Process]:
    """Children whose command holds a word and that still run: one that has ended and was not waited for does not."""
    found = []
    for process in psutil.Process().children():
        try:
            if word in " ".join(process.cmdline()):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return found
