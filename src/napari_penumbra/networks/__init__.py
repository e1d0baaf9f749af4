"""Segmentation networks in plain torch, one file each; `build` makes one by name.

Every network has ``margin`` and ``divisor``, both (z, y, x): how many voxels its output is smaller than its input on
each side, and which multiples a patch should have.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from torch import nn

from napari_penumbra.domain.errors import UsageError
from napari_penumbra.networks.colnet import ColNet
from napari_penumbra.networks.deepmedic import DeepMedic
from napari_penumbra.networks.resunet import ResUNet
from napari_penumbra.networks.svnet import SVNet
from napari_penumbra.networks.unet import UNet
from napari_penumbra.networks.vnet import VNet

NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "unet": UNet,
    "vnet": VNet,
    "deepmedic": DeepMedic,
    "colnet": ColNet,
    "svnet": SVNet,
    "resunet": ResUNet,
}
"""Made with (in_channels, classes, spacing, spatial_dims, **options)."""


class Wanted(Protocol):
    """What `build` reads off a problem (`napari_penumbra.methods._base.Problem` is one)."""

    @property
    def in_channels(self) -> int:
        """Number of modalities."""

    @property
    def classes(self) -> int:
        """Number of classes with background."""

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel edges (z, y, x) in mm."""

    @property
    def spatial_dims(self) -> int:
        """2 or 3."""


def build(name: str, problem: Wanted, **options: Any) -> nn.Module:
    """Make a network that fits the problem.

    Parameters
    ----------
    name
        One of `NETWORKS`.
    problem
        Channels, classes, spacing and dimensions.
    **options
        What that network takes besides: ``widths`` (unet), ``filters`` and ``dropout`` (vnet), ``scale`` and
        ``dropout`` (deepmedic), ``width`` (svnet).

    Raises
    ------
    UsageError
        No network has this name, or none can be built for this many dimensions or classes.
    """
    if name not in NETWORKS:
        raise UsageError(f'There is no network called "{name}".', f"Choose one of: {', '.join(NETWORKS)}.")
    if problem.spatial_dims not in (2, 3):
        raise UsageError(f"Images of {problem.spatial_dims} dimensions cannot be learnt.", "Use 2D or 3D images.")
    if problem.classes < 2 or problem.in_channels < 1:
        raise UsageError("A network needs at least one modality and one label class.", "Check the study's settings.")
    return NETWORKS[name](problem.in_channels, problem.classes, problem.spacing, problem.spatial_dims, **options)


def context(network: nn.Module) -> tuple[int, int, int]:
    """How many voxels (z, y, x) the output is smaller than the input, on each side."""
    return _triple(getattr(network, "margin", (0, 0, 0)))


def divisor(network: nn.Module) -> tuple[int, int, int]:
    """Which multiples (z, y, x) a patch should have."""
    return _triple(getattr(network, "divisor", (1, 1, 1)))


def _triple(values: Sequence[int]) -> tuple[int, int, int]:
    z, y, x = values
    return z, y, x
