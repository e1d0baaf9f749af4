from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_penumbra.domain.errors import StudyError, StudyTooNewError, UsageError
from napari_penumbra.domain.labels import LabelClass, LabelScheme
from napari_penumbra.study.manifest import Manifest, quote, read_manifest, write_manifest

SCHEME = LabelScheme((LabelClass(1, 'left "atrium"', "#e69f00"), LabelClass(7, "wall\\x", "#56b4e9")))


def test_round_trip(tmp_path: Path) -> None:
    manifest = Manifest('A "quoted" \\ name\twith é and 患', ("DWI", "T1_gd", "b1000"), SCHEME, simulated=True)
    write_manifest(tmp_path / "study.toml", manifest)
    assert read_manifest(tmp_path / "study.toml") == manifest


@given(st.text(alphabet=st.characters(exclude_categories=("Cs",))))
def test_any_text_survives_quoting(text: str) -> None:
    assert tomllib.loads(f"x = {quote(text)}")["x"] == text


GOOD = """
name = "n"
modalities = ["DWI"]
schema = 1
[[labels]]
value = 1
name = "core"
color = "#e69f00"
"""


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('name = "n"', "name = ", "cannot be read"),
        ('name = "n"\n', "", '"name" is missing'),
        ('["DWI"]', '"DWI"', '"modalities"'),
        ('["DWI"]', "[]", "at least one modality"),
        ('["DWI"]', '["DWI", "dwi"]', "share a name"),
        ('["DWI"]', '["../x"]', "cannot be a modality"),
        ('["DWI"]', "[1]", "list of names"),
        ("schema = 1", 'schema = "1"', '"schema"'),
        ("schema = 1", "schema = true", '"schema"'),
        ("value = 1", "value = 255", "between 1 and 254"),
        ("value = 1", "value = 1.5", '"value"'),
        ("#e69f00", "red", "#rrggbb"),
        ("[[labels]]", "[labels]", '"labels"'),
        ("schema = 1", 'schema = 1\nsimulated = "no"', '"simulated"'),
        ('name = "n"', 'name = " "', "needs a name"),
    ],
)
def test_a_wrong_hand_edit_ends_in_a_sentence(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in GOOD
    file = tmp_path / "study.toml"
    file.write_text(GOOD.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(StudyError, match=r"study\.toml") as caught:
        read_manifest(file)
    assert words in str(caught.value)
    assert caught.value.remedy


def test_good_reads(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(GOOD, encoding="utf-8")
    assert read_manifest(tmp_path / "study.toml").labels.values == (1,)


def test_missing_binary_and_newer(tmp_path: Path) -> None:
    file = tmp_path / "study.toml"
    with pytest.raises(StudyError, match="not a study"):
        read_manifest(file)
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(StudyError, match="cannot be read"):
        read_manifest(file)
    file.write_text(GOOD.replace("schema = 1", "schema = 99"), encoding="utf-8")
    with pytest.raises(StudyTooNewError, match="newer version"):
        read_manifest(file)


def test_a_modality_must_be_a_file_name() -> None:
    with pytest.raises(UsageError, match="cannot be a modality"):
        Manifest("n", ("a/b",), SCHEME)
