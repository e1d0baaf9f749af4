"""Windows by the name of the modality."""

from __future__ import annotations

import pytest

from napari_penumbra.domain.windows import USUAL, WHOLE, has_unit, windows


@pytest.mark.parametrize(
    ("modality", "first"),
    [
        ("CT", (0, 80)),
        ("NCCT", (0, 80)),
        ("nc_ct 5mm", (0, 80)),
        ("CTA", (-100, 500)),
        ("Tmax", (0, 10)),
        ("perf_TMAX", (0, 10)),
        ("MTT", (0, 15)),
        ("rCBF", (0, 80)),
        ("CBV", (0, 8)),
    ],
)
def test_images_with_a_unit_have_windows_in_it(modality: str, first: tuple[float, float]) -> None:
    found = windows(modality, 1000.0)
    assert (found[0].low, found[0].high) == first
    assert not found[0].percent
    assert found[-1] == WHOLE
    assert has_unit(modality)


@pytest.mark.parametrize("modality", ["DWI", "T2", "FLAIR", "LGE", "T1 post", "ctrast", "octal", ""])
def test_other_images_have_percentiles(modality: str) -> None:
    found = windows(modality, 1000.0)
    assert found[0] == USUAL
    assert all(window.percent for window in found)
    assert not has_unit(modality)


@pytest.mark.parametrize(("highest", "top"), [(0.0031, 2000e-6), (3.1, 2.0), (3100.0, 2000.0)])
def test_adc_in_the_unit_that_the_image_is_written_in(highest: float, top: float) -> None:
    assert windows("ADC", highest)[0].high == pytest.approx(top)
    assert windows("dwi_adc", highest)[1].high == pytest.approx(0.6 * top)


@pytest.mark.parametrize("modality", ["CT", "CTA", "ADC", "Tmax", "MTT", "CBF", "CBV", "T2"])
def test_names_tell_windows_apart_and_edges_are_in_order(modality: str) -> None:
    found = windows(modality, 5.0)
    assert len({window.name for window in found}) == len(found)
    assert all(window.low < window.high for window in found)
