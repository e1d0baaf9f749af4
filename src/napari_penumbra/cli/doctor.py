"""``penumbra doctor``: what works on this machine, what does not, why, and what to do."""

from __future__ import annotations

import ctypes.util
import json as jsonlib
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import psutil
import typer

from napari_penumbra.cli.output import say, say_json, table
from napari_penumbra.cli.study import JsonOption
from napari_penumbra.jobs.machine import TORCH_PROBE, TORCH_SECONDS, cores
from napari_penumbra.session.words import memory

app = typer.Typer()

QT_BINDINGS = ("PyQt6", "PySide6", "PyQt5", "PySide2")
# What Qt's xcb platform and vispy load at run time on Linux, and the Debian package that has it.
LIBRARIES = {
    "GL": "libgl1",
    "EGL": "libegl1",
    "OpenGL": "libopengl0",
    "xkbcommon-x11": "libxkbcommon-x11-0",
    "xcb-cursor": "libxcb-cursor0",
    "xcb-icccm": "libxcb-icccm4",
    "xcb-image": "libxcb-image0",
    "xcb-keysyms": "libxcb-keysyms1",
    "xcb-randr": "libxcb-randr0",
    "xcb-render-util": "libxcb-render-util0",
    "xcb-shape": "libxcb-shape0",
    "xcb-xinerama": "libxcb-xinerama0",
    "xcb-xfixes": "libxcb-xfixes0",
    "dbus-1": "libdbus-1-3",
    "fontconfig": "libfontconfig1",
}
_FOR_TRAINING = {"torch", "MONAI, safetensors"}
"""Parts that a desk which annotates and reviews can do without."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: ``state`` is ``works``, ``slow`` (works, with a drawback) or ``does not``; ``advice`` is the way on."""

    part: str
    state: str
    what: str
    advice: str = ""


@app.command()
def doctor(json: JsonOption = False) -> None:
    """Say what works on this machine, what does not, why, and what to do. Exit code 1 if something does not."""
    findings = examine()
    if json:
        say_json(findings)
    else:
        signs = {"works": "✓", "slow": "⚠", "does not": "✗"}
        table(
            ("", "part", "what was found", "what to do"),
            [(signs[f.state], f.part, f.what, f.advice) for f in findings],
        )
        say(_sum(findings))
    if any(f.state == "does not" for f in findings):
        raise typer.Exit(1)


def _sum(findings: Sequence[Finding]) -> str:
    """Say in one or two sentences what the findings mean for the reader."""
    bad = [f.part for f in findings if f.state == "does not"]
    if not bad:
        return "Everything needed works."
    if set(bad) <= _FOR_TRAINING:
        return f"Annotating and reviewing work. Missing for training only: {', '.join(bad)}."
    return f"Does not work: {', '.join(bad)}."


def examine() -> list[Finding]:
    """Look at everything the program needs; seconds, because torch is imported in a process of its own."""
    looks: tuple[Callable[[], Finding], ...] = (
        _python, _napari, _qt, _libraries, _display, _torch, _monai, _cores, _ram, _disk,
    )  # fmt: skip
    return [look() for look in looks]


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _python() -> Finding:
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return Finding("Python", "works", found)


def _napari() -> Finding:
    version = _version("napari")
    if version is None:
        return Finding("napari", "does not", "not installed", 'pip install "napari-penumbra[all]"')
    return Finding("napari", "works", version)


def _qt() -> Finding:
    found = [f"{name} {version}" for name in QT_BINDINGS if (version := _version(name))]
    if not found:
        return Finding("Qt binding", "does not", "none installed", "pip install PyQt6")
    return Finding("Qt binding", "works", ", ".join(found))


def _libraries() -> Finding:
    if sys.platform != "linux":
        return Finding("Qt and OpenGL libraries", "works", "come with the system")
    missing = [name for name in LIBRARIES if ctypes.util.find_library(name) is None]
    if not missing:
        return Finding("Qt and OpenGL libraries", "works", f"all {len(LIBRARIES)} found")
    packages = " ".join(LIBRARIES[name] for name in missing)
    found = f"missing: {', '.join('lib' + name for name in missing)}"
    return Finding("Qt and OpenGL libraries", "does not", found, f"sudo apt-get install {packages}")


def _display() -> Finding:
    if sys.platform != "linux":
        return Finding("Display", "works", "the desktop")
    screen = os.environ.get("WAYLAND_DISPLAY") or os.environ.get("DISPLAY")
    if screen:
        return Finding("Display", "works", screen)
    if shutil.which("Xvfb"):
        return Finding(
            "Display", "slow", "no screen, but Xvfb", "The command line works; for the window: xvfb-run -a …"
        )
    return Finding("Display", "slow", "no screen", "The command line works; for the window: apt-get install xvfb")


def _torch() -> Finding:
    version = _version("torch")
    if version is None:
        return Finding("torch", "does not", "not installed", 'To train: pip install "napari-penumbra[train]"')
    try:
        # In a process of its own: a broken driver may hang or crash the one that asks.
        done = subprocess.run(
            [sys.executable, "-c", TORCH_PROBE],
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=TORCH_SECONDS,
            check=False,
        )
        told = jsonlib.loads(done.stdout.strip().splitlines()[-1])
    except subprocess.TimeoutExpired:
        return Finding(
            "torch", "does not", f"{version} does not start", "Check the graphics driver, then reinstall it."
        )
    except (ValueError, IndexError, OSError):
        why = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        return Finding("torch", "does not", f"{version} does not start: {why[:120]}", "Reinstall torch.")
    if told["cuda"]:
        return Finding("torch", "works", f"{version} on {told['card']}, {memory(told['bytes'])}")
    if told["mps"]:
        return Finding("torch", "works", f"{version} on Apple's graphics")
    if shutil.which("nvidia-smi") and not told["built"]:
        advice = "There is an NVIDIA card: install the CUDA build of torch (pytorch.org, Get started)."
        return Finding("torch", "slow", f"{version} without CUDA", advice)
    return Finding("torch", "slow", f"{version}, processor only", "Training works; take the laptop preset.")


def _monai() -> Finding:
    lacking = [name for name in ("monai", "safetensors") if _version(name) is None]
    if lacking:
        return Finding(
            "MONAI, safetensors",
            "does not",
            f"{', '.join(lacking)} not installed",
            'To train: pip install "napari-penumbra[train]"',
        )
    return Finding("MONAI, safetensors", "works", f"{_version('monai')}, {_version('safetensors')}")


def _cores() -> Finding:
    count = cores()
    if count < 2:
        return Finding("Processor", "slow", "1 core", "The window may stutter while a training runs.")
    return Finding("Processor", "works", f"{count} cores")


def _ram() -> Finding:
    found = psutil.virtual_memory()
    words = f"{memory(found.available)} free of {memory(found.total)}"
    if found.available < 3e9:
        return Finding("Memory", "slow", words, "Close other programs before training; take the laptop preset.")
    return Finding("Memory", "works", words)


def _disk() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free
    if free < 2e9:
        return Finding("Disk", "slow", f"{memory(free)} free here", "A study with its cache needs some gigabytes.")
    return Finding("Disk", "works", f"{memory(free)} free here")
