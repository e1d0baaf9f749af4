"""Hostile DICOM: bytes flipped, files torn, tags rewritten at random. A picture or a sentence, never anything else."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dicom_phantom import header, phantom, place, save, write_enhanced, write_series
from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.imaging.dicom import scan

SHORT, LONG = 36, 1500
_SECONDS, _BYTES = 10.0, 2 << 30


def seeds(tmp_path: Path) -> list[bytes]:
    made = write_series(tmp_path / "s", phantom((1, 8, 12))[:, :8, :12], DiffusionBValue=1000.0, RescaleSlope=2.0)
    made.append(write_enhanced(tmp_path / "e.dcm", phantom((3, 8, 12)), b_values=(0.0,)))
    for name in ("MR_small_jp2klossless.dcm", "MR_small_RLE.dcm", "image_dfl.dcm", "MR_small_bigendian.dcm"):
        from pydicom.data import get_testdata_file

        made.append(Path(str(get_testdata_file(name, download=False))))
    return [path.read_bytes() for path in made]


def survive(folder: Path) -> None:
    """Read whatever is offered: words or finite voxels, quickly and in little memory."""
    start = time.monotonic()
    said = "."
    tracemalloc.start()
    try:
        found = scan(folder)
        for exam in found.exams:
            for offer in exam.offers:
                assert offer.problem.endswith(".") or offer.usable
                if offer.usable:
                    assert np.isfinite(offer.read().volume.data).all()
    except PenumbraError as error:
        said = str(error)
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert said.endswith(".")
    assert peak < _BYTES
    assert time.monotonic() - start < _SECONDS


def flip(tmp_path: Path, count: int) -> None:
    rng = np.random.default_rng(7)
    files = seeds(tmp_path)
    target = tmp_path / "x"
    target.mkdir()
    for n in range(count):
        data = bytearray(files[n % len(files)])
        # Headers are short and pixels long: aim at the header three times out of four.
        span = min(len(data), 1500) if n % 4 else len(data)
        for at in rng.integers(0, span, rng.integers(1, 12)):
            data[at] = rng.integers(0, 256)
        if n % 5 == 0:
            del data[int(rng.integers(1, len(data))) :]
        (target / "one").write_bytes(data)
        survive(target)


def test_flipped_bytes(tmp_path: Path) -> None:
    flip(tmp_path, SHORT)


@pytest.mark.slow
def test_many_flipped_bytes(tmp_path: Path) -> None:
    flip(tmp_path, LONG)


NUMBERS = st.one_of(st.floats(width=32), st.sampled_from([0.0, -1.0, 1e30, float("nan"), float("inf")]))
TAGS = st.fixed_dictionaries(
    {},
    optional={
        "ImagePositionPatient": st.lists(NUMBERS, max_size=4),
        "ImageOrientationPatient": st.lists(NUMBERS, max_size=7),
        "PixelSpacing": st.lists(NUMBERS, max_size=3),
        "SliceThickness": NUMBERS,
        "RescaleSlope": NUMBERS,
        "RescaleIntercept": NUMBERS,
        "DiffusionBValue": NUMBERS,
        "EchoTime": NUMBERS,
        "Rows": st.integers(0, 65535),
        "Columns": st.integers(0, 65535),
        "NumberOfFrames": st.integers(-5, 2**31 - 1),
        "BitsAllocated": st.sampled_from([0, 1, 8, 12, 16, 32, 64]),
        "BitsStored": st.integers(0, 70),
        "SamplesPerPixel": st.integers(0, 5),
        "PhotometricInterpretation": st.sampled_from(["", "MONOCHROME1", "RGB", "PALETTE COLOR", "YBR_FULL", "?"]),
        "PixelPaddingValue": st.integers(-32768, 32767),
        "Modality": st.sampled_from(["", "CT", "PT", "SR", "x" * 16]),
    },
)


def tell(tmp_path: Path, tags: dict[str, object]) -> None:
    one = header(phantom((1, 8, 12))[0, :8, :12])
    one.ImagePositionPatient, one.ImageOrientationPatient = place(0), [1, 0, 0, 0, 1, 0]
    one.PixelSpacing = [1.0, 1.0]
    for name, value in tags.items():
        words = [f"{v:.9g}" for v in value] if isinstance(value, list) else value
        text = f"{words:.9g}" if isinstance(words, float) else words
        from pydicom import config
        from pydicom.datadict import dictionary_VR
        from pydicom.dataelem import DataElement

        vr = dictionary_VR(name) if name != "PixelPaddingValue" else "SS"
        if vr == "FD":
            text = value
        try:
            one[name] = DataElement(name, vr, text, validation_mode=config.IGNORE)
        except (ValueError, OverflowError, TypeError):
            return  # not even pydicom can be made to write this
    try:
        save(one, tmp_path / "one")
    except Exception:  # noqa: BLE001 - what cannot be written is no input
        return
    survive(tmp_path)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tags=TAGS)
def test_absurd_tags(tmp_path: Path, tags: dict[str, object]) -> None:
    tell(tmp_path, tags)


@pytest.mark.slow
@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tags=TAGS)
def test_many_absurd_tags(tmp_path: Path, tags: dict[str, object]) -> None:
    tell(tmp_path, tags)
