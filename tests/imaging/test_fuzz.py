"""Headers with flipped bytes and hostile fields: nothing dies, hangs, asks for much memory or writes anywhere."""

from __future__ import annotations

import gzip
import io
import random
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from fuzz_child import Reader
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits memory as Linux does")

VALUES = np.arange(6 * 7 * 8, dtype=np.int16).reshape(6, 7, 8)
DICOMS = ("MR_small.dcm", "CT_small.dcm", "MR_small_RLE.dcm", "MR_small_jp2klossless.dcm", "emri_small.dcm")
ODD_BYTES = (0x00, 0x01, 0x7F, 0x80, 0xFF, 0x20, 0x0A, 0x30, 0x39)
HEADER = {".nii": 352, ".nii.gz": 80, ".img": 40, ".nrrd": 260, ".nrrd.gz": 260, ".mha": 330, ".dcm": 2600}
"""Bytes from the start within which most of the damage is done."""


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[str, bytes]]]:
    """File name ending to whole files as their own libraries write them."""
    folder = tmp_path_factory.mktemp("seeds")
    found: dict[str, list[tuple[str, bytes]]] = {"nifti": [], "nrrd": [], "mha": [], "dicom": []}
    for kind in (nib.Nifti1Image, nib.Nifti2Image):
        data = kind(VALUES, np.diag([-1.0, -2.0, 3.0, 1.0])).to_bytes()
        found["nifti"] += [("a.nii", data), ("a.nii.gz", gzip.compress(data))]
    image = sitk.GetImageFromArray(VALUES)
    for name, packed in (("a.nrrd", False), ("b.nrrd", True), ("a.mha", False), ("b.mha", True)):
        sitk.WriteImage(image, str(folder / name), packed)
        found[name[2:]].append((name, (folder / name).read_bytes()))
    for name in DICOMS:
        path = get_testdata_file(name, download=False)
        if path is not None:
            found["dicom"].append(("a.dcm", Path(str(path)).read_bytes()))
    return found


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    with Reader() as made:
        yield made


def damaged(data: bytes, ending: str, luck: random.Random) -> bytes:
    """Change a few bytes of the header mostly, cut the file, or repeat a piece of it."""
    out = bytearray(data)
    within = min(len(out), HEADER[ending])
    for _ in range(luck.choice((1, 1, 2, 4, 8))):
        at = luck.randrange(within if luck.random() < 0.9 else len(out))
        how = luck.random()
        if how < 0.4:
            out[at] = luck.choice(ODD_BYTES)
        elif how < 0.7:
            out[at] ^= 1 << luck.randrange(8)
        else:
            width = luck.choice((2, 4, 8))
            value = luck.choice(
                (0, -1, 2 ** (8 * width - 1) - 1, -(2 ** (8 * width - 1)), luck.getrandbits(8 * width - 1))
            )
            piece = value.to_bytes(width, luck.choice(("little", "big")), signed=True)
            out[at : at + width] = piece[: len(out) - at]
    how = luck.random()
    if how < 0.08:
        del out[luck.randrange(len(out)) :]
    elif how < 0.12:
        start = luck.randrange(within)
        out[start:start] = out[start : start + luck.randrange(1, 200)]
    return bytes(out)


def run(
    seeds: dict[str, list[tuple[str, bytes]]], reader: Reader, folder: Path, each: int, seed: int
) -> dict[str, int]:
    """Read ``each`` variants of every format; returns how many were read and refused."""
    counts = {"read": 0, "refused": 0}
    for kind, files in seeds.items():
        luck = random.Random(f"{kind} {seed}")
        for _ in range(each):
            name, data = luck.choice(files)
            ending = name[name.index(".") :]
            path = folder / name
            variant = damaged(data, ending, luck)
            path.write_bytes(variant)
            answer = reader.read(path)
            assert answer.well, f"{kind}: {answer.outcome}: {answer.words}; bytes kept in {kept(folder, name, variant)}"
            if answer.outcome == "refused":
                assert str(folder) not in answer.words
            counts[answer.outcome] += 1
            assert path.read_bytes() == variant, "reading changed the file"
            path.unlink()
            assert list(folder.iterdir()) == [], "reading wrote a file"
    return counts


def kept(folder: Path, name: str, variant: bytes) -> Path:
    """Keep what has failed, to look at."""
    path = folder.parent / f"failed-{name}"
    path.write_bytes(variant)
    return path


def test_a_hundred_damaged_files(seeds: dict[str, list[tuple[str, bytes]]], reader: Reader, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    counts = run(seeds, reader, folder, 25, 1)
    assert counts["refused"] > 20
    assert counts["read"] > 5


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_two_thousand_damaged_files(
    seeds: dict[str, list[tuple[str, bytes]]], reader: Reader, tmp_path: Path, seed: int
) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    counts = run(seeds, reader, folder, 125, 100 + seed)
    assert sum(counts.values()) == 500


NUMBERS = st.one_of(st.integers(-(2**15), 2**15 - 1), st.sampled_from((0, 1, 2, 7, -1, 32767)))
FLOATS = st.floats(width=32)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        40: st.lists(NUMBERS, min_size=8, max_size=8).map(lambda v: struct.pack("<8h", *v)),
        70: st.sampled_from((0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 768, 1024, 1536, 1792, 2304, 77)).map(
            lambda v: struct.pack("<h", v)
        ),
        76: st.lists(FLOATS, min_size=8, max_size=8).map(lambda v: struct.pack("<8f", *v)),
        108: FLOATS.map(lambda v: struct.pack("<f", v)),
        112: st.tuples(FLOATS, FLOATS).map(lambda v: struct.pack("<2f", *v)),
        123: st.binary(min_size=1, max_size=1),
        252: st.tuples(NUMBERS, NUMBERS).map(lambda v: struct.pack("<2h", *v)),
        256: st.lists(FLOATS, min_size=6, max_size=6).map(lambda v: struct.pack("<6f", *v)),
        280: st.lists(FLOATS, min_size=12, max_size=12).map(lambda v: struct.pack("<12f", *v)),
    },
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(fields=HEADERS)
def test_nifti_fields_of_any_value(reader: Reader, tmp_path: Path, fields: dict[int, bytes]) -> None:
    data = bytearray(nib.Nifti1Image(VALUES, np.eye(4)).to_bytes())
    for at, piece in fields.items():
        data[at : at + len(piece)] = piece
    path = tmp_path / "a.nii"
    path.write_bytes(data)
    answer = reader.read(path)
    assert answer.well, answer


WORDS = st.one_of(
    st.text(st.characters(blacklist_characters="\n\r\0", codec="latin-1"), max_size=30),
    st.integers(-(10**20), 10**20).map(str),
    st.lists(st.integers(-3, 10**6), max_size=5).map(lambda v: " ".join(map(str, v))),
    st.sampled_from(("nan nan nan", "(1,0,0) (0,nan,0) (0,0,1)", "/etc/passwd", "../../etc/passwd", "LIST", "%d 1 9")),
)
NRRD = {"type", "dimension", "space", "sizes", "space directions", "kinds", "endian", "encoding", "space origin"}
META = {
    "NDims",
    "BinaryData",
    "CompressedData",
    "TransformMatrix",
    "Offset",
    "ElementSpacing",
    "DimSize",
    "ElementType",
}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(
    kind=st.sampled_from(("nrrd", "mha")),
    changes=st.dictionaries(st.sampled_from(sorted(NRRD | META | {"data file", "ElementDataFile"})), WORDS, max_size=3),
)
def test_text_fields_of_any_value(
    seeds: dict[str, list[tuple[str, bytes]]], reader: Reader, tmp_path: Path, kind: str, changes: dict[str, str]
) -> None:
    name, data = seeds[kind][0]
    out = io.BytesIO()
    colon = b": " if kind == "nrrd" else b" = "
    for line in data.splitlines(keepends=True):
        field = line.split(colon)[0].decode("latin-1")
        if field in changes:
            line = field.encode() + colon + changes[field].encode("latin-1", "replace") + b"\n"
        out.write(line)
    (tmp_path / name).write_bytes(out.getvalue())
    answer = reader.read(tmp_path / name)
    assert answer.well, answer
