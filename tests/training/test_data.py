from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.domain.spec import RunSpec, SpecCase
from napari_penumbra.imaging.files import read_image, read_labels
from napari_penumbra.imaging.nifti import write
from napari_penumbra.methods._base import IGNORE
from napari_penumbra.training.cache import CaseCache
from napari_penumbra.training.data import Landmarks, PatchStream, copy_patch, thin
from napari_penumbra.training.plan import make_plan
from tiny_study import SCHEME, SHAPE, make_arrays, make_spec


@pytest.fixture
def spec(root: Path) -> RunSpec:
    return make_spec(root)


@pytest.fixture
def cache(root: Path, spec: RunSpec) -> CaseCache:
    return CaseCache(root, spec, make_plan(spec))


def refuse(case: SpecCase, error: PenumbraError) -> None:
    raise AssertionError(f"{case.name}: {error}")


def stream_of(cache: CaseCache, role: str = "labelled", margin: tuple[int, int, int] = (0, 0, 0)) -> PatchStream:
    stream = PatchStream(cache, cache.spec.of_role(role), (5, 1), margin, role == "labelled", refuse)
    if role == "labelled":
        stream.survey()
    return stream


# ------------------------------------------------------------------ cache


def test_a_case_is_prepared_once_and_mapped_ever_after(cache: CaseCache, spec: RunSpec) -> None:
    case = spec.cases[0]
    image, label = cache.image(case), cache.label(case)
    assert isinstance(image, np.memmap)
    assert (image.shape, image.dtype) == ((2, *SHAPE), np.float16)
    assert set(np.unique(label)) == {0, 1}
    assert np.array_equal(label == 1, make_arrays(1)[1] == 3)
    times = {p: p.stat().st_mtime_ns for p in cache.folder.iterdir()}
    again = CaseCache(cache.root, spec, cache.plan)
    again.image(case)
    again.label(case)
    assert {p: p.stat().st_mtime_ns for p in cache.folder.iterdir()} == times


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY\x01\x00garbage", None])
def test_a_damaged_entry_is_made_anew(cache: CaseCache, spec: RunSpec, damage: bytes | None) -> None:
    case = spec.cases[0]
    before = np.array(cache.image(case))
    for path in cache.folder.iterdir():
        path.write_bytes(path.read_bytes()[:-100] if damage is None else damage)
    assert np.array_equal(cache.image(case), before)


def test_a_new_revision_of_an_annotation_is_not_mistaken_for_the_old_one(cache: CaseCache, spec: RunSpec) -> None:
    case = spec.cases[0]
    old = np.array(cache.label(case))
    path = cache.root / str(case.label)
    write(path, np.zeros(SHAPE, np.uint8), read_labels(path).source)
    assert old.any()
    assert not CaseCache(cache.root, spec, cache.plan).label(case).any()


def test_a_key_from_a_file_never_becomes_a_path(cache: CaseCache, spec: RunSpec) -> None:
    import dataclasses

    cache.image(dataclasses.replace(spec.cases[0], key="../../outside"))
    assert {p.parent for p in cache.root.rglob("*.npy")} == {cache.folder}


# ------------------------------------------------------------------ crops


def test_uniform_crops_reach_every_offset_and_only_those(cache: CaseCache) -> None:
    stream = stream_of(cache, "unlabelled")
    seen = {stream._start(0, (6, 7, 8), (4, 4, 4), False) for _ in range(3000)}
    assert seen == {(z, y, x) for z in range(3) for y in range(4) for x in range(5)}


def test_with_a_margin_the_output_reaches_every_voxel(cache: CaseCache) -> None:
    stream = stream_of(cache, "unlabelled", margin=(3, 3, 3))
    # A patch of 8 answers for its inner 2 voxels.
    seen = {stream._start(0, (5, 5, 5), (8, 8, 8), False)[0] + 3 for _ in range(200)}
    assert seen == {0, 1, 2, 3}


def test_a_patch_larger_than_the_volume_is_padded(cache: CaseCache) -> None:
    patches = stream_of(cache).draw(1, (20, 24, 24), 0.0)
    assert patches.label is not None
    assert (patches.image[0, :, :2] == 0).all()
    assert (patches.image[0, :, -2:] == 0).all()
    assert (patches.label[0, :2] == IGNORE).all()
    assert (patches.label[0, 2:-2] != IGNORE).all()


def test_image_and_label_are_cut_at_the_same_place(cache: CaseCache) -> None:
    patches = stream_of(cache).draw(6, (8, 8, 8), 0.5)
    assert patches.label is not None
    for image, label in zip(patches.image, patches.label, strict=True):
        if 20 < (label == 1).sum() < 400:
            assert image[0][label == 1].mean() > image[0][label == 0].mean() + 0.5


def test_foreground_patches_are_centred_on_foreground(cache: CaseCache) -> None:
    patches = stream_of(cache).draw(20, (4, 4, 4), 1.0)
    assert patches.label is not None
    assert (patches.label[:, 2, 2, 2] == 1).all()
    assert patches.cases.count("anna") == patches.cases.count("bert") == 10


def test_a_partly_labelled_case_gives_patches_around_known_voxels(cache: CaseCache, spec: RunSpec) -> None:
    path = cache.root / str(spec.cases[0].label)
    labels = read_labels(path)
    values = np.full(SHAPE, 255, np.uint8)
    values[12] = 0
    write(path, values, labels.source)
    stream = PatchStream(cache, spec.cases[:1], (1,), (0, 0, 0), True, refuse)
    stream.survey()
    drawn = stream.draw(20, (3, 8, 8), 0.5).label
    assert drawn is not None
    assert ((drawn == 0).sum(axis=(1, 2, 3)) > 0).all()
    assert stream.partial_cases() == [spec.cases[0]]


def test_a_stream_goes_on_from_its_state(cache: CaseCache) -> None:
    one, two = stream_of(cache), stream_of(cache)
    one.draw(5, (8, 8, 8), 0.5)
    two.restore(one.state())
    for _ in range(3):
        a, b = one.draw(3, (8, 8, 8), 0.5), two.draw(3, (8, 8, 8), 0.5)
        assert a.cases == b.cases
        assert np.array_equal(a.image, b.image)


def test_predicted_foreground_guides_and_survives(cache: CaseCache) -> None:
    stream = stream_of(cache, "unlabelled")
    place = int(np.ravel_multi_index((8, 10, 12), SHAPE))
    stream.look_for_foreground(0, lambda case: np.array([place]))
    again = stream_of(cache, "unlabelled")
    again.restore_pool_places(stream.pool_places())
    for s in (stream, again):
        assert s._start(0, SHAPE, (4, 4, 4), True) == (6, 8, 10)


def test_landmarks_stay_small_and_spread() -> None:
    classes = np.zeros((40, 100, 100), np.uint8)
    classes[10:30] = 2
    marks = Landmarks.of(classes)
    assert [len(p) for p in marks.foreground] == [5000]
    assert marks.known is None
    assert marks.foreground[0][0] == 100_000
    assert marks.foreground[0][-1] == 299_999
    assert len(thin(np.arange(7))) == 7


def test_a_patch_beside_the_volume_is_left_alone() -> None:
    target = np.full((2, 2, 2), 9)
    copy_patch(np.zeros((4, 4, 4)), (6, 0, 0), target)
    assert (target == 9).all()


def test_read_image_agrees_with_what_was_written(root: Path, spec: RunSpec) -> None:
    assert np.array_equal(read_image(root / str(spec.cases[0].images[0])).volume.data, make_arrays(1)[0])
    assert SCHEME.values == (3,)
