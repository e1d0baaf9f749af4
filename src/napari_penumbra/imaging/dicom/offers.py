"""What a folder offers: volumes that may become modalities, each with a name, a grid and all that is to be told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from napari_penumbra.domain.case import ImageArray, Volume
from napari_penumbra.domain.errors import ImageError, PenumbraError
from napari_penumbra.domain.grid import Grid
from napari_penumbra.imaging.dicom.adc import adc_map
from napari_penumbra.imaging.dicom.frames import About, Frame
from napari_penumbra.imaging.dicom.geometry import AGAIN, Layout, lay_out
from napari_penumbra.imaging.dicom.names import Named, by_timing, label_of, recognise
from napari_penumbra.imaging.dicom.split import Part, split_series
from napari_penumbra.imaging.dicom.volume import read_layout
from napari_penumbra.imaging.files import ReadImage

ADC_COMPUTED = "ADC (computed)"


@dataclass(frozen=True, slots=True)
class Offer:
    """One volume, or one that has several points in time.

    Attributes
    ----------
    label
        ``DWI b1000``, ``series 3 MR 5 mm``: never text from a header.
    what
        How sentences call it: ``Series 3 (DWI b1000)``.
    number
        Series number, None when the files have none.
    layouts
        One per point in time, or per image that is averaged; empty when ``problem`` says why it cannot be used.
    averages
        How many images of one b-value are averaged; 1 for none.
    problem
        A sentence when it cannot be used, else empty.
    notes
        Sentences, said before anything is written.
    technical
        The whitelisted values.
    parts
        For a computed ADC: the diffusion images it is made of, b = 0 first.
    """

    label: str
    what: str
    number: int | None
    named: Named
    modality: str
    layouts: tuple[Layout, ...]
    averages: int
    problem: str
    notes: tuple[str, ...]
    technical: tuple[tuple[str, float | str], ...]
    localiser: bool = False
    capture: bool = False
    files: int = 0
    space: bytes = field(default=b"", repr=False)
    """Digest of the frame of reference; two volumes of another one are not known to fit on each other."""
    parts: tuple[Offer, ...] = field(default=(), repr=False)

    @property
    def usable(self) -> bool:
        """Whether it can be read."""
        return not self.problem

    @property
    def computed(self) -> bool:
        """Whether it is no series of the folder but made from others."""
        return bool(self.parts)

    @property
    def times(self) -> int:
        """Points in time to choose from; 1 for an ordinary volume."""
        return len(self.layouts) if self.averages == 1 and self.layouts else 1

    @property
    def grid(self) -> Grid | None:
        """Its grid, None where it has none."""
        first = self.parts[0] if self.parts else self
        return first.layouts[0].grid if first.layouts else None

    @property
    def name(self) -> str:
        """What the study calls the source in its sentences, as a file's name would be."""
        return self.what

    def frames(self, time: int = 0) -> tuple[Frame, ...]:
        """Return the frames that `read` uses."""
        if self.parts:
            return tuple(frame for part in self.parts for frame in part.frames())
        chosen = self.layouts if self.averages > 1 else self.layouts[time : time + 1]
        return tuple(frame for layout in chosen for group in layout.frames for frame in group)

    def read(self, time: int = 0) -> ReadImage:
        """Read the voxels.

        Parameters
        ----------
        time
            Which point in time, from 0.

        Raises
        ------
        ImageError
            It cannot be used (``problem``), a file is damaged or gone.
        """
        if self.problem:
            raise ImageError(self.problem, AGAIN)
        if self.parts:
            return _read_adc(self)
        if self.averages > 1:
            return _read_average(self)
        return _read_one(self, self.layouts[time])


def _read_one(offer: Offer, layout: Layout) -> ReadImage:
    return read_layout(layout, offer.what, quantitative=offer.modality in ("CT", "PT"))


def _read_average(offer: Offer) -> ReadImage:
    """Average images of one b-value: the geometric mean over directions is the trace image; b = 0 adds plainly."""
    weighted = bool(offer.named.b_value)
    first: ReadImage | None = None
    total: ImageArray | None = None
    for layout in offer.layouts:
        found = _read_one(offer, layout)
        data = np.asarray(found.volume.data, dtype=np.float32)
        if weighted:
            data = np.log(np.maximum(data, np.finfo(np.float32).tiny))
        if first is None or total is None:
            first, total = found, data
        else:
            total += data
    # An offer without layouts has a problem and was refused above.
    assert first is not None
    assert total is not None
    total /= np.float32(len(offer.layouts))
    if weighted:
        total = np.exp(total)
        total[total < 1e-3] = 0.0
    return ReadImage(Volume(total, first.volume.grid), first.source, first.warnings)


def _read_adc(offer: Offer) -> ReadImage:
    told: list[str] = []
    kept: list[ReadImage] = []

    def images() -> Iterator[tuple[float, ImageArray]]:
        for part in offer.parts:
            found = part.read()
            told.extend(note for note in found.warnings if note not in told)
            if not kept:
                kept.append(ReadImage(Volume(np.zeros((1, 1, 1), np.float32), found.volume.grid), found.source))
            yield part.named.b_value or 0.0, np.asarray(found.volume.data, dtype=np.float32)

    data = adc_map(images())
    return ReadImage(Volume(data, kept[0].volume.grid), kept[0].source, tuple(told))


def offers_of(about: About, frames: list[Frame]) -> list[Offer]:
    """Make the offers of one series."""
    parts = split_series(frames)
    singles = [part for part in parts if len(part.times) == len(part.times[0]) == 1]
    scattered = len(singles) >= 3 and len(singles) == len(parts) and singles[0].times[0][0].orientation is not None
    if scattered:
        return [_scattered(about, parts)]
    return [_offer(about, part) for part in parts]


def _what(number: int | None, label: str) -> str:
    series = "The series without a number" if number is None else f"Series {number}"
    return series if label.lower().startswith("series") else f"{series} ({label})"


def _name(about: About, part: Part) -> Named:
    """Name a part by its kind of image and what the scanner wrote, else by its echo and repetition time."""
    frame = part.times[0][0]
    diffusion = about.diffusion or frame.b_value is not None
    family = recognise(f"{frame.kind} {about.text}", about.modality, diffusion=diffusion)
    if not family and not about.capture:
        family = by_timing(dict(about.technical), about.scanning)
    return Named(family, part.b_value if family == "DWI" else None, part.echo if family not in ("DWI", "ADC") else None)


def _offer(about: About, part: Part) -> Offer:
    named = _name(about, part)
    frame = part.times[0][0]
    label = label_of(named, about.number, about.modality, frame.thickness)
    what = _what(about.number, label)
    notes: list[str] = []
    problem = ""
    layouts: tuple[Layout, ...] = ()
    if frame.stored.samples > 1:
        problem = f"{what} is a colour picture{_burnt(about)}, not a scan."
    else:
        try:
            layouts = _layouts(part, what)
        except PenumbraError as error:
            problem = error.message
    if layouts:
        notes += [f"{what}: {note}" for note in layouts[0].notes]
    notes += _notes(about, part, what)
    technical = dict(about.technical)
    if named.b_value is not None:
        technical["b_value_s_mm2"] = named.b_value
    if named.echo is not None:
        technical["echo_time_ms"] = named.echo
    files = len({f.path for time in part.times for f in time})
    return Offer(
        label, what, about.number, named, about.modality, layouts, part.averages if layouts else 1, problem,
        tuple(notes), tuple(technical.items()), about.localiser or "LOCALIZER" in frame.kind, about.capture, files,
        about.space,
    )  # fmt: skip


def _layouts(part: Part, what: str) -> tuple[Layout, ...]:
    first = part.times[0]
    count = first[0].stored.frames
    if first[0].position is None and count > 1:
        raise ImageError(
            f"{what} holds {count} pictures that do not say where they lie: a film, or a file that lost it.", AGAIN
        )
    if first[0].position is None and len(first) > 1:
        raise ImageError(f"{what} does not say where its slices lie in the patient.", AGAIN)
    made = tuple(lay_out(time, what) for time in part.times)
    places, several = len(made[0].frames), sum(len(group) > 1 for group in made[0].frames)
    if several > max(1, places // 4):  # a few may be twins, and reading will tell
        raise ImageError(
            f"{what} has several slices at {several} of {places} places: points in time or repetitions, not all whole.",
            AGAIN,
        )
    return made


def _burnt(about: About) -> str:
    return " with text burnt into it" if about.burned_in else ""


def _notes(about: About, part: Part, what: str) -> list[str]:
    notes = []
    if about.burned_in:
        notes.append(f"{what}: text is burnt into its pixels, possibly a name. Look before you share it.")
    if about.capture:
        notes.append(
            f"{what} is a secondary capture (a screenshot, a print or a picture made elsewhere): look whether a name "
            "is burnt into its pixels, and whether its values are still those of the scanner."
        )
    if about.localiser:
        notes.append(f"{what} is a localiser.")
    if part.averages > 1:
        plural = "directions or repetitions"
        notes.append(f"{what}: {part.averages} {plural} are averaged.")
    elif len(part.times) > 1:
        notes.append(f"{what} has {len(part.times)} points in time: one of them can be taken.")
    if part.copies:
        s = "s" if part.copies > 1 else ""
        notes.append(f"{what}: {part.copies} file{s} came twice; the cop{'ies' if s else 'y'} left out.")
    return notes


def _scattered(about: About, parts: list[Part]) -> Offer:
    named = Named(_name(about, parts[0]).family)
    label = label_of(named, about.number, about.modality, parts[0].times[0][0].thickness)
    what = _what(about.number, label)
    problem = f"{what} has {len(parts)} single slices in different directions, as localisers have: that is no volume."
    return Offer(
        label, what, about.number, named, about.modality, (), 1, problem, (), about.technical, True, files=len(parts)
    )  # fmt: skip


def computed_adc(offers: list[Offer]) -> Offer | None:
    """Offer an ADC map made from the diffusion images of an exam, None without b = 0 and a higher b on one grid.

    Images on the grid of the first b = 0 image are taken, one per b-value; with several series those of the first.
    """
    diffusion = [o for o in offers if o.usable and o.named.family == "DWI" and o.named.b_value is not None and o.grid]
    for start in (o for o in diffusion if o.named.b_value == 0):
        by_b: dict[float, Offer] = {}
        near = sorted(diffusion, key=lambda o: o.number != start.number)
        for other in near:
            if other.named.b_value and start.grid and other.grid and other.grid.same_place(start.grid, 0.1):
                by_b.setdefault(other.named.b_value, other)
        if by_b:
            parts = (start, *(by_b[b] for b in sorted(by_b)))
            listed = ", ".join(f"{b:.0f}" for b in (0.0, *sorted(by_b)))
            return Offer(
                ADC_COMPUTED, ADC_COMPUTED, None, Named("ADC"), start.modality, (), 1, "",
                (f"{ADC_COMPUTED}: from b = {listed} s/mm², in 10⁻⁶ mm²/s.",), (), space=start.space, parts=parts,
            )  # fmt: skip
    return None
