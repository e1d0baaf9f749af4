from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_penumbra.study.layout import MAX_SLUG, Layout, slug_of


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("p001", "p001"),
        ("Müller, Änne", "Muller_Anne"),
        ("../../etc/passwd", "etc_passwd"),
        ("C:\\scans\\a", "C_scans_a"),
        ("..", "case"),
        ("患者", "case"),
        ("con", "case_con"),
        ("NUL.txt", "case_NUL.txt"),
        (".hidden", "hidden"),
        ("a" * 300, "a" * MAX_SLUG),
    ],
)
def test_slug(name: str, slug: str) -> None:
    assert slug_of(name) == slug


@given(st.text(), st.lists(st.text(max_size=3), max_size=3))
def test_slug_is_always_a_safe_new_name(name: str, others: list[str]) -> None:
    taken = {slug_of(other) for other in others}
    slug = slug_of(name, taken)
    assert 0 < len(slug) <= MAX_SLUG
    assert slug.lower() not in {t.lower() for t in taken}
    assert slug == Path(slug).name
    assert not slug.startswith(".")
    assert ".." not in slug


def test_slugs_that_differ_in_capitals_only_do_not_meet() -> None:
    assert slug_of("P1", {"p1"}) == "P1-2"
    assert slug_of("p1", {"p1", "P1-2"}) == "p1-3"


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "cases/a/../../x", "", "cases\\a", "C:/x"])
def test_inside_refuses_what_leaves_the_folder(tmp_path: Path, path: str) -> None:
    layout = Layout(tmp_path)
    assert layout.inside(path, layout.cases) is None


def test_inside_follows_links(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "study")
    layout.cases.mkdir(parents=True)
    (tmp_path / "secret").write_text("x")
    (layout.cases / "link").symlink_to(tmp_path / "secret")
    (layout.cases / "real").write_text("x")
    assert layout.inside("cases/link", layout.cases) is None
    assert layout.inside("cases/real", layout.cases) == layout.cases / "real"
