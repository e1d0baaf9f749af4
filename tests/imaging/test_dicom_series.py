"""What a series is called, how it is taken apart, and the ADC that is computed where none was sent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from dicom_phantom import phantom, write_enhanced, write_series
from napari_penumbra.domain.errors import ImageError
from napari_penumbra.imaging.dicom import VOCABULARY, Offer, recognise, scan
from napari_penumbra.imaging.dicom.adc import adc_map
from napari_penumbra.imaging.dicom.choosing import choose
from napari_penumbra.imaging.dicom.names import Named, by_timing, label_of
from napari_penumbra.imaging.edits._maps import adc_factor


@pytest.mark.parametrize(
    ("text", "modality", "name"),
    [
        ("ep2d_diff_3scan_trace_p2", "MR", "DWI"), ("DWI b1000", "MR", "DWI"), ("eDWI SENSE", "MR", "DWI"),
        ("ep2d_diff_3scan_trace_p2_ADC", "MR", "ADC"), ("DERIVED PRIMARY DIFFUSION ADC", "MR", "ADC"),
        ("Exponential Apparent Diffusion Coefficient", "MR", "eADC"), ("dADC map", "MR", "ADC"),
        ("t2_tirm_tra_dark-fluid_4mm", "MR", "FLAIR"), ("3D FLAIR SAG", "MR", "FLAIR"),
        ("t1_mprage_sag", "MR", "T1"), ("Ax T1 +C", "MR", "T1 contrast"), ("T1 post GD", "MR", "T1 contrast"),
        ("t2_tse_tra", "MR", "T2"), ("T2* GRE", "MR", "T2*"), ("SWI_Images", "MR", "SWI"), ("pd_tse_fs", "MR", "PD"),
        ("Tmax", "MR", "Tmax"), ("RAPID TMax [s]", "MR", "Tmax"), ("rCBF", "MR", "CBF"), ("relCBV", "MR", "CBV"),
        ("MTT map", "MR", "MTT"), ("ep2d_perf", "MR", "perfusion"), ("LGE_PSIR_sax", "MR", "LGE"),
        ("de_ir late gad", "MR", "LGE"), ("cine_trufi_sax", "MR", "cine"), ("TOF_3D", "MR", "angiography"),
        ("Head 5.0 H31s", "CT", "CT"), ("CTA Carotis", "CT", "angiography"), ("CTP 1.5", "CT", "perfusion"),
        ("anything", "PT", "PET"), ("Meier Hans 1955", "MR", ""), ("", "MR", ""), ("Herr Flairmann", "MR", "FLAIR"),
    ],
)  # fmt: skip
def test_names_come_from_a_list_of_our_own(text: str, modality: str, name: str) -> None:
    assert recognise(text, modality) == name
    assert name == "" or name in VOCABULARY


def test_labels() -> None:
    assert label_of(Named("DWI", 1000.0), 4, "MR", 5.0) == "DWI b1000"
    assert label_of(Named(), 3, "MR", 5.0) == "series 3 MR 5 mm"
    assert label_of(Named(), None, "image", None) == "series without a number image"
    assert label_of(Named("T2", None, 80.0), 3, "MR", 5.0) == "T2 echo 80 ms"
    assert recognise("whatever", "MR", diffusion=True) == "DWI"
    assert recognise("ADC", "MR", diffusion=True) == "ADC"


@pytest.mark.parametrize(
    ("tr", "te", "ti", "scanning", "name"),
    [(500, 12, None, "SE", "T1"), (5000, 95, None, "SE", "T2"), (9000, 120, 2500, "IR SE", "FLAIR"),
     (3000, 15, None, "SE", "PD"), (500, 4, None, "GR", ""), (1500, 50, None, "SE", "")],
)  # fmt: skip
def test_a_spin_echo_without_words_is_named_after_its_times(
    tr: float, te: float, ti: float | None, scanning: str, name: str
) -> None:
    technical: dict[str, float | str] = {"repetition_time_ms": float(tr), "echo_time_ms": float(te)}
    if ti is not None:
        technical["inversion_time_ms"] = float(ti)
    assert by_timing(technical, scanning) == name


def offers(folder: Path) -> tuple[Offer, ...]:
    (exam,) = scan(folder).exams
    return exam.offers


def decay(adc: float, b: float) -> np.ndarray:
    """Signal of a phantom that decays with one ADC, 10⁻⁶ mm²/s."""
    return np.rint((phantom().astype(float) + 200) * 4 * np.exp(-b * adc * 1e-6)).astype(np.int16)


def test_b_values_of_one_series_come_apart_and_give_an_adc(tmp_path: Path) -> None:
    for b in (0.0, 500.0, 1000.0):
        write_series(tmp_path, decay(800.0, b), prefix=f"b{b:.0f}_", DiffusionBValue=b)
    found = offers(tmp_path)
    assert [offer.label for offer in found] == ["DWI b0", "DWI b500", "DWI b1000", "ADC (computed)"]
    for offer, b in zip(found, (0.0, 500.0, 1000.0), strict=False):
        np.testing.assert_array_equal(offer.read().volume.data, decay(800.0, b))
    adc = found[-1].read()
    assert adc.source.same_place(found[0].read().source)
    np.testing.assert_allclose(adc.volume.data, 800.0, rtol=5e-3)
    assert adc_factor(adc.volume.data, "automatic")[0] == 1.0  # the mismatch tool takes it for what it is


@pytest.mark.parametrize("how", ["siemens", "ge", "philips", "name"])
def test_b_values_that_makers_hide(tmp_path: Path, how: str) -> None:
    def hide(b: int) -> object:
        def change(one: Dataset, n: int) -> None:
            if how == "siemens":
                one.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0C, "IS", str(b))
            elif how == "ge":
                one.private_block(0x0043, "GEMS_PARM_01", create=True).add_new(
                    0x39, "IS", [str(1_000_000_000 + b), "8"]
                )
                one.ImageType = ["DERIVED", "PRIMARY", "DIFFUSION"]
            elif how == "philips":
                one.private_block(0x2001, "Philips Imaging DD 001", create=True).add_new(0x03, "FL", float(b))
            else:
                one.SequenceName = f"*ep_b{b}t"

        return change

    for b in (0, 1000):
        write_series(tmp_path, decay(900.0, b), prefix=f"b{b}_", change=hide(b))  # type: ignore[arg-type]
    assert [offer.label for offer in offers(tmp_path)] == ["DWI b0", "DWI b1000", "ADC (computed)"]


def test_b_values_in_series_of_their_own(tmp_path: Path) -> None:
    for n, b in enumerate((0.0, 1000.0)):
        write_series(tmp_path / str(n), decay(700.0, b), DiffusionBValue=b, SeriesNumber=n + 4,
                     SeriesInstanceUID=f"1.7.{n}")  # fmt: skip
    found = offers(tmp_path)
    assert [offer.label for offer in found] == ["DWI b0", "DWI b1000", "ADC (computed)"]
    np.testing.assert_allclose(found[-1].read().volume.data, 700.0, rtol=5e-3)


def test_directions_are_averaged(tmp_path: Path) -> None:
    write_series(tmp_path, decay(800.0, 0.0), prefix="b0_", DiffusionBValue=0.0)
    for n, adc in enumerate((600.0, 800.0, 1000.0)):
        write_series(tmp_path, decay(adc, 1000.0), prefix=f"d{n}_", DiffusionBValue=1000.0, AcquisitionNumber=n + 1,
                     DiffusionGradientOrientation=[float(n == m) for m in range(3)])  # fmt: skip
    found = offers(tmp_path)
    assert [offer.label for offer in found] == ["DWI b0", "DWI b1000", "ADC (computed)"]
    assert "3 directions or repetitions are averaged" in found[1].notes[0]
    assert found[1].times == 1
    np.testing.assert_allclose(found[-1].read().volume.data, 800.0, rtol=0.01)  # the geometric mean: the trace


def test_enhanced_diffusion_comes_apart(tmp_path: Path) -> None:
    data = np.stack([decay(800.0, b) for b in (0.0, 1000.0)])
    write_enhanced(tmp_path / "one.dcm", data, b_values=(0.0, 1000.0))
    found = offers(tmp_path)
    assert [offer.label for offer in found] == ["DWI b0", "DWI b1000", "ADC (computed)"]
    np.testing.assert_array_equal(found[1].read().volume.data, data[1])


def test_no_adc_where_there_is_one_or_no_b0(tmp_path: Path) -> None:
    write_series(tmp_path / "a", decay(800.0, 0.0), DiffusionBValue=0.0)
    write_series(tmp_path / "b", decay(800.0, 1000.0), DiffusionBValue=1000.0, prefix="x")
    write_series(tmp_path / "c", phantom(), SeriesDescription="dADC", SeriesInstanceUID="1.6", SeriesNumber=9)
    assert [offer.label for offer in offers(tmp_path)] == ["DWI b0", "DWI b1000", "ADC"]
    for b in (500.0, 1000.0):
        write_series(tmp_path / "d" / "e", decay(800.0, b), DiffusionBValue=b, prefix=f"b{b:.0f}")
    assert [offer.label for offer in offers(tmp_path / "d")] == ["DWI b500", "DWI b1000"]


def test_adc_against_the_closed_form_and_bad_signals() -> None:
    rng = np.random.default_rng(0)
    bs = (0.0, 300.0, 700.0, 1000.0)
    signals = rng.uniform(50, 400, (4, 5, 6, 7)).astype(np.float32)
    signals[0] += 400
    x = np.array(bs) - np.mean(bs)
    slope = np.tensordot(x, np.log(signals.astype(np.float64)), (0, 0)) / (x @ x)
    np.testing.assert_allclose(
        adc_map(zip(bs, signals, strict=True)), np.clip(-slope * 1e6, 0, 4000), rtol=1e-3, atol=0.5
    )
    two = adc_map([(0.0, np.full((1, 1, 1), 1000.0, np.float32)), (1000.0, np.full((1, 1, 1), 450.0, np.float32))])
    assert two.item() == pytest.approx(np.log(1000 / 450) * 1000, rel=1e-5)
    line = np.array([[[100.0, 0.0, -5.0, 100.0, np.nan, 100.0, 50.0]]], np.float32)
    high = np.array([[[0.0, 50.0, 50.0, -3.0, 50.0, np.inf, 80.0]]], np.float32)
    np.testing.assert_array_equal(adc_map([(0.0, line), (1000.0, high)]), 0.0)  # nothing to fit, or rising: noise
    third = np.full_like(line, 60.0)
    with_third = adc_map([(0.0, line), (500.0, third), (1000.0, high)])
    assert with_third[0, 0, 0] == pytest.approx(np.log(100 / 60) / 500 * 1e6, rel=1e-4), "the good ones are fitted"
    assert with_third[0, 0, 1] == 0.0, "no signal at b = 0"
    for wrong in ([(500.0, line), (1000.0, high)], [(0.0, line)], []):
        with pytest.raises(ImageError, match="ADC needs"):
            adc_map(wrong)


def test_echoes_come_apart_but_a_wobbling_echo_time_does_not(tmp_path: Path) -> None:
    for te in (14.0, 85.0):
        write_series(
            tmp_path / "a", phantom(seed=int(te)), prefix=f"e{te:.0f}", EchoTime=te, SeriesDescription="T2 tse"
        )
    found = offers(tmp_path / "a")
    assert [offer.label for offer in found] == ["T2 echo 14 ms", "T2 echo 85 ms"]
    np.testing.assert_array_equal(found[1].read().volume.data, phantom(seed=85))

    def wobble(one: Dataset, n: int) -> None:
        one.EchoTime = 80 + n / 10

    write_series(tmp_path / "b", phantom(), change=wobble, SeriesDescription="T2")
    assert [offer.label for offer in offers(tmp_path / "b")] == ["T2"]


def test_maps_within_one_series_come_apart(tmp_path: Path) -> None:
    for kind, seed in (("DIFFUSION", 0), ("ADC", 1)):
        write_series(tmp_path, phantom(seed=seed), prefix=kind, ImageType=["DERIVED", "PRIMARY", kind],
                     SeriesDescription="ep2d_diff")  # fmt: skip
    assert sorted(offer.label for offer in offers(tmp_path)) == ["ADC", "DWI"]


def test_points_in_time(tmp_path: Path) -> None:
    for t in range(4):
        write_series(tmp_path, phantom(seed=t), prefix=f"t{t}", TemporalPositionIdentifier=t + 1,
                     SeriesDescription="ep2d_perf")  # fmt: skip
    (offer,) = offers(tmp_path)
    assert (offer.label, offer.times) == ("perfusion", 4)
    assert "4 points in time" in offer.notes[0]
    for t in range(4):
        np.testing.assert_array_equal(offer.read(t).volume.data, phantom(seed=t))
    assert choose([offer], ["perfusion", "T2"]) == {0: "perfusion"}
    assert choose([offer], ["DWI", "T2"]) == {}


def test_points_in_time_of_which_one_is_not_whole_are_refused(tmp_path: Path) -> None:
    for t in range(3):
        write_series(tmp_path, phantom(seed=t), prefix=f"t{t}", TriggerTime=40.0 * t, skip=[2] if t == 1 else [])
    (offer,) = offers(tmp_path)
    assert "several slices at 8 of 8 places: points in time or repetitions, not all whole" in offer.problem


def test_the_guess_of_modalities(tmp_path: Path) -> None:
    for b in (0.0, 1000.0, 3000.0):
        write_series(tmp_path / "dwi", decay(800.0, b), prefix=f"b{b:.0f}_", DiffusionBValue=b, SeriesNumber=2)
    write_series(tmp_path / "loc", phantom((5, 24, 32)), SeriesDescription="T2 localizer", SeriesNumber=1,
                 SeriesInstanceUID="1.6")  # fmt: skip
    write_series(tmp_path / "t2", phantom((5, 24, 32)), SeriesDescription="T2", SeriesNumber=4, SeriesInstanceUID="1.7")
    write_series(tmp_path / "t2big", phantom(), SeriesDescription="T2", SeriesNumber=5, SeriesInstanceUID="1.8")
    found = offers(tmp_path)

    def by_name(*modalities: str) -> dict[str, str]:
        return {modality: f"{found[n].label} {found[n].number}" for n, modality in choose(found, modalities).items()}

    assert by_name("DWI", "ADC", "T2") == {"DWI": "DWI b1000 2", "ADC": "ADC (computed) None", "T2": "T2 5"}
    assert by_name("Diffusion b3000", "DWI b0", "FLAIR") == {"Diffusion b3000": "DWI b3000 2", "DWI b0": "DWI b0 2"}
    lone = [offer for offer in found if offer.number == 5]
    assert choose(lone, ["LGE"]) == {0: "LGE"}, "one series for a study of one modality needs no name"
    assert choose(lone, ["LGE", "T1"]) == {}
