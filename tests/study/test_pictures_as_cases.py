"""A cohort of pictures through the study: in, through review and journal, and out again on the same pixels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from export_tools import export_nifti
from PIL import Image
from study_scans import draft, predict, scan

from napari_penumbra.domain.case import Closing, Verdict
from napari_penumbra.domain.colour import COLOUR
from napari_penumbra.domain.errors import GeometryError, LabelError, PenumbraError
from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.labels import LabelScheme
from napari_penumbra.imaging.files import read_labels
from napari_penumbra.imaging.nifti import write_nifti
from napari_penumbra.study.adding import PIXELS_NOTE
from napari_penumbra.study.importers.folder import plan_folder
from napari_penumbra.study.review import apply_verdict, find_regions
from napari_penumbra.study.store import Study

HEIGHT, WIDTH = 40, 56
SCHEME = LabelScheme.parse(["1=polyp"])
TWO = LabelScheme.parse(["1=polyp", "2=tool"])


def picture(path: Path, seed: int = 0, shape: tuple[int, int] = (HEIGHT, WIDTH)) -> Path:
    """A smooth coloured picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    ramp = np.linspace(0, 1, shape[0])[:, None] + np.linspace(0, 1, shape[1])
    pixels = np.stack([40 + 90 * ramp * rng.uniform(0.5, 1) for _ in range(3)], axis=-1)
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    return path


def disc(value: int = 255, shape: tuple[int, int] = (HEIGHT, WIDTH)) -> np.ndarray:
    y, x = np.ogrid[: shape[0], : shape[1]]
    return (((y - 18) ** 2 + (x - 30) ** 2 < 81) * value).astype(np.uint8)


def mask(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def colour(tmp_path: Path) -> Iterator[Study]:
    with Study.create(tmp_path / "study", "Polyps", COLOUR, SCHEME) as made:
        yield made


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Study]:
    with Study.create(tmp_path / "two", "Polyps and tools", COLOUR, TWO) as made:
        yield made


@pytest.mark.parametrize(("suffix", "mask_suffix"), [("png", "png"), ("jpg", "jpg"), ("tif", "bmp"), ("bmp", "tif")])
def test_a_folder_of_pictures_with_black_and_white_masks(
    colour: Study, tmp_path: Path, suffix: str, mask_suffix: str
) -> None:
    images, masks = tmp_path / "images", tmp_path / "masks"
    for n in range(3):
        picture(images / f"c{n}.{suffix}", n)
        mask(masks / f"c{n}.{mask_suffix}", disc())
    results = dict(colour.add_folder(images, masks))
    assert list(results) == ["c0", "c1", "c2"]
    for n, warnings in enumerate(results.values()):
        assert not isinstance(warnings, PenumbraError)
        assert (PIXELS_NOTE in warnings) == (n == 0)  # said once
        assert any("read as 1 polyp" in text for text in warnings)
    case = colour.read("c1")
    assert tuple(case.images) == COLOUR
    assert case.grid == Grid.picture(WIDTH, HEIGHT) == colour.source_grid("c1")
    np.testing.assert_array_equal(case.labels[0], disc(1))
    assert colour.counts().labelled == 3
    (row, *_) = colour.cases()
    assert row.thumbnail is not None
    with Image.open(row.thumbnail) as small:
        assert small.mode == "RGB"
        assert small.size == (64, round(64 * HEIGHT / WIDTH))


def test_intensities_survive_and_one_file_fills_three_modalities(colour: Study, tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png")
    colour.add_case("a", {"RGB": path})
    pixels = np.asarray(Image.open(path))
    for n, name in enumerate(COLOUR):
        np.testing.assert_array_equal(colour.read("a").images[name][0], pixels[..., n])
    image = nib.load(next((tmp_path / "study" / "cases" / "a" / "images").iterdir()))
    assert image.get_data_dtype() == np.int16
    assert image.shape == (WIDTH, HEIGHT, 1)


def test_what_255_means(colour: Study, two: Study, tmp_path: Path) -> None:
    path, white = picture(tmp_path / "a.png"), mask(tmp_path / "white.png", disc())
    with pytest.raises(LabelError, match="several classes"):
        two.add_case("a", {"RGB": path}, white)
    with pytest.raises(LabelError, match="JPEG"):
        two.add_case("a", {"RGB": path}, mask(tmp_path / "white.jpg", disc()))
    unsure = disc(1)
    unsure[0] = 255  # beside class values, 255 is unknown as everywhere
    colour.add_case("b", {"RGB": path}, mask(tmp_path / "unsure.png", unsure))
    np.testing.assert_array_equal(colour.read("b").labels[0], unsure)
    # What this program exports is read back as it was meant, even when only unknown pixels are left in it.
    only = np.zeros((1, HEIGHT, WIDTH), np.uint8)
    only[0, :5] = 255
    colour.add_case("c", {"RGB": path})
    draft(colour, "c", only, closing=Closing.COMPLETE)
    written = {p.name: p for p in export_nifti(colour, tmp_path / "out")}
    colour.add_case("d", {"RGB": path}, written["c.png"])
    np.testing.assert_array_equal(colour.read("d").labels, only)
    with pytest.raises(LabelError, match="outside the study's scheme: 100"):
        colour.add_case("e", {"RGB": path}, mask(tmp_path / "grey.png", disc(100)))
    with pytest.raises(LabelError, match="not plainly black and white"):
        colour.add_case("e", {"RGB": path}, mask(tmp_path / "x.jpg", disc(120)))
    scans = tmp_path / "scan.nii.gz"
    write_nifti(scans, disc()[None], Grid.picture(WIDTH, HEIGHT))
    warnings = colour.add_case("f", {"RGB": path}, scans)
    assert any("read as unknown" in text for text in warnings)
    assert set(np.unique(colour.read("f").labels)) == {0, 255}


def test_jpeg_mask_is_cut_at_the_middle(colour: Study, tmp_path: Path) -> None:
    path = mask(tmp_path / "m.jpg", disc())
    assert len(np.unique(np.asarray(Image.open(path)))) > 2
    colour.add_case("a", {"RGB": picture(tmp_path / "a.png")}, path)
    assert np.count_nonzero(colour.read("a").labels[0] != disc(1)) <= 4


def test_sizes_must_agree_and_scans_are_no_pictures(colour: Study, tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png")
    half = mask(tmp_path / "half.png", disc()[::2, ::2].copy())
    for resample in (False, True):
        with pytest.raises(GeometryError, match=r"28×20 pixels, its picture 56×40"):
            colour.add_case("a", {"RGB": path}, half, resample_label=resample)
    with pytest.raises(GeometryError, match="pixels, its picture"):
        colour.add_case("a", {"Red": path, "Green": picture(tmp_path / "s.png", shape=(9, 9))})
    strange = tmp_path / "m.nii.gz"
    write_nifti(strange, disc(1)[None], Grid.of((WIDTH, HEIGHT, 1), np.eye(4)))
    with pytest.raises(GeometryError, match="a scan and its reference image a picture"):
        colour.add_case("a", {"RGB": path}, strange)
    with Study.create(tmp_path / "scans", "Scans", ["DWI"], SCHEME) as scans:
        with pytest.raises(GeometryError, match="a picture and its reference image a scan"):
            scans.add_case("p", {"DWI": scan(tmp_path / "p.nii.gz")}, mask(tmp_path / "w.png", disc()))
        with pytest.raises(PenumbraError, match="colour picture"):
            scans.add_case("p", {"DWI": path})
        grey = mask(tmp_path / "grey.png", disc(200))
        scans.add_case("p", {"DWI": grey})
        np.testing.assert_array_equal(scans.read("p").images["DWI"][0], disc(200))


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


@pytest.mark.parametrize(
    ("modalities", "names", "cases"),
    [
        (COLOUR, ["a.jpg", "b.png", "notes.txt"], {"a": COLOUR, "b": COLOUR}),
        (COLOUR, ["image_0000.png", "image_0001.png"], {"image_0000": COLOUR, "image_0001": COLOUR}),
        (COLOUR, ["p1_0000.png", "p2_0000.png"], {"p1": COLOUR, "p2": COLOUR}),
        (COLOUR, ["p1_RGB.tif", "p2_red.tif", "p2_Green.tif"], {"p1": COLOUR, "p2": ("Red", "Green")}),
        (COLOUR, ["p1/photo.jpg", "p1/mask.png"], {"p1": COLOUR}),
        (("Depth", *COLOUR), ["p1_depth.tif", "p1_rgb.png"], {"p1": ("Depth", *COLOUR)}),
        (("Xray",), ["x_0000.png", "x_0001.png"], {"x_0000": ("Xray",), "x_0001": ("Xray",)}),
    ],
)
def test_plan_of_pictures(
    tmp_path: Path, modalities: tuple[str, ...], names: list[str], cases: dict[str, tuple[str, ...]]
) -> None:
    plan = plan_folder(touch(tmp_path, *names), None, modalities)
    assert {c.name: tuple(m for m in modalities if m in c.images) for c in plan.cases} == cases


def test_labels_and_confidence_leave_as_png_on_the_stored_pixels(colour: Study, tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    pixels = np.asarray(Image.open(picture(tmp_path / "a.png")))
    Image.fromarray(pixels).save(tmp_path / "turned.jpg", exif=turned)
    warnings = colour.add_case("turned", {"RGB": tmp_path / "turned.jpg"})
    assert any("EXIF" in text for text in warnings)
    grid = colour.grid("turned")
    assert grid == Grid.picture(HEIGHT, WIDTH)  # upright: width and height change places
    upright = np.zeros(grid.array_shape, np.uint8)
    upright[0, :10, :4] = 1
    sure = np.linspace(0, 1, WIDTH * HEIGHT, dtype=np.float32).reshape(grid.array_shape)
    predict(colour, "turned", labels=upright, confidence=sure)
    colour.register_predictions()
    out = export_nifti(colour, tmp_path / "out", confidence=True, predictions=True)
    assert [p.name for p in out] == ["turned.png", "turned_confidence.png"]
    with Image.open(out[0]) as saved:
        assert saved.size == (WIDTH, HEIGHT)
        np.testing.assert_array_equal(np.asarray(saved), np.rot90(upright[0]))
        assert saved.info["napari-penumbra"] == "labels: 0 background, 1 polyp, 255 unknown"
    with Image.open(out[1]) as saved:
        np.testing.assert_allclose(np.asarray(saved) / 255, np.rot90(sure[0]), atol=1 / 255)


def test_regions_verdicts_and_journal_of_one_slice(colour: Study, tmp_path: Path) -> None:
    colour.add_case("a", {"RGB": picture(tmp_path / "a.png")})
    said = disc(1)[None]
    sure = np.where(np.ogrid[:1, :HEIGHT, :WIDTH][2] > 32, 0.2, 0.9) * np.ones(said.shape)
    predict(colour, "a", labels=said, confidence=sure.astype(np.float32))
    colour.register_predictions()
    case = colour.read("a")
    assert case.predicted is not None
    assert case.confidence is not None
    regions = find_regions(case.predicted, case.confidence, case.grid, names={1: "polyp"}).regions
    assert regions
    assert any("weak border of polyp" in region.why for region in regions)
    weak = next(r for r in regions if r.value == 1 or "border" in r.why or "missed" in r.why)
    assert weak.mask.shape[0] == 1
    empty = apply_verdict(case.labels, weak, Verdict.UNKNOWN, case.predicted)
    assert (empty[weak.slices][weak.mask] == 255).all()
    colour.journal("a").append(((0, 2, 3), (1, 5, 9)), np.ones((1, 3, 6), np.uint8))
    restored = Study.open(colour.root, write=False).read("a")
    assert restored.restored == 1
    assert (restored.labels[0, 2:5, 3:9] == 1).all()


def test_many_megapixels_give_few_regions() -> None:
    shape = (1, 900, 1200)
    labels = np.zeros(shape, np.uint8)
    labels[0, 300:600, 400:800] = 1
    confidence = np.full(shape, 0.9, np.float32)
    confidence[0, 280:320, 380:820] = 0.1
    regions = find_regions(labels, confidence, Grid.picture(1200, 900)).regions
    assert 1 <= len(regions) <= 4


def test_a_second_study_reads_exported_masks(colour: Study, tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png")
    colour.add_case("a", {"RGB": path}, mask(tmp_path / "m.png", disc()))
    (out,) = export_nifti(colour, tmp_path / "out")
    found = read_labels(out)
    np.testing.assert_array_equal(found.volume.data[0], disc(1))
    with Study.create(tmp_path / "again", "Again", COLOUR, SCHEME) as again:
        warnings = again.add_case("a", {"RGB": path}, out)
        assert warnings == [PIXELS_NOTE]
        np.testing.assert_array_equal(again.read("a").labels[0], disc(1))
