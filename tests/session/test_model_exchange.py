"""Models as files: what is in them, what is refused and in which words, the round trip, the way into a new training."""

from __future__ import annotations

import hashlib
import json
import pickle
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
import safetensors.torch
import torch
from session_study import GRID, cube, image

from model_study import make_model, other_study
from napari_penumbra.domain.case import Closing
from napari_penumbra.domain.errors import DiskError, ModelError, UsageError
from napari_penumbra.imaging.nifti import write_nifti
from napari_penumbra.jobs import model_file
from napari_penumbra.jobs.job import Job
from napari_penumbra.session import Session
from napari_penumbra.training.service.checking import check_model

RUN = "20261121-120000-supervised-aaaa"


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """The same check, in this process: another one takes seconds to start."""
    if "worker_checks" not in request.node.name:
        monkeypatch.setattr("napari_penumbra.session.model_exchange.check_model", check_model)


@pytest.fixture
def exported(session: Session, tmp_path: Path) -> Path:
    make_model(session, RUN)
    return session.export_model(RUN, tmp_path / "left atrium")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Session, Path]]:
    """A study with one model, and its file, for all that is refused and so changes nothing."""
    home = tmp_path_factory.mktemp("shared")
    session = other_study(home / "study", ["T1"], ["1=lesion", "2=core"])
    write_nifti(home / "a.nii.gz", image(1), GRID)
    session.add_case("a", {"T1": home / "a.nii.gz"})
    session.close_case("a", cube(), Closing.COMPLETE)
    make_model(session, RUN)
    yield session, session.export_model(RUN, home / "left atrium")
    session.close()


def parts_of(file: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    with zipfile.ZipFile(file) as opened:
        return json.loads(opened.read("model.json")), safetensors.torch.load(opened.read("weights.safetensors"))


def write(file: Path, card: dict[str, Any], weights: bytes, digest: bool = True) -> Path:
    if digest:
        card = {**card, "digest": hashlib.sha256(weights).hexdigest()}
    with zipfile.ZipFile(file, "w") as opened:
        opened.writestr("model.json", json.dumps(card))
        opened.writestr("weights.safetensors", weights)
    return file


def test_the_file_holds_the_model_and_nobody_s_name(session: Session, exported: Path) -> None:
    assert exported.name == "left atrium.penumbra-model"
    with zipfile.ZipFile(exported) as file:
        assert sorted(file.namelist()) == ["model.json", "weights.safetensors"]
        text = file.read("model.json").decode()
    card, weights = parts_of(exported)
    assert all(name.startswith("method/") for name in weights), "the supervised twin stays behind"
    assert not any(f'"p{n}"' in text for n in range(6))
    assert str(session.opened().root) not in text
    assert card["provenance"]["model"] == RUN
    assert (card["provenance"]["labelled"], card["provenance"]["unlabelled"]) == (3, 3)
    assert card["figures"] == {"dice": 0.5, "cases": 1.0}
    named = session.export_model(RUN, exported.with_name("named"), cases=True)
    assert parts_of(named)[0]["provenance"]["cases"]["labelled"] == ["p0", "p1", "p2"]


def test_paths_in_parameters_stay_at_home(session: Session, tmp_path: Path) -> None:
    folder = make_model(session, RUN)
    state = next((folder / "checkpoints").glob("step-*")) / "state.json"
    data = json.loads(state.read_text())
    data["config"]["encoder_weights"] = "/home/alice/miller^john.safetensors"
    state.write_text(json.dumps(data))
    assert parts_of(session.export_model(RUN, tmp_path / "m"))[0]["state"]["config"]["encoder_weights"] == ""


@pytest.mark.parametrize("method", ["supervised", "mean-teacher", "asdnet"])
def test_a_round_trip_predicts_bit_for_bit_the_same(session: Session, tmp_path: Path, method: str) -> None:
    from napari_penumbra.domain.spec import RunSpec
    from napari_penumbra.training.build import make_prediction

    make_model(session, RUN, method)
    name = session.import_model(session.export_model(RUN, tmp_path / "m"))
    assert session.import_model(tmp_path / "m.penumbra-model") == name, "taken in once"
    study = session.opened()
    info = session.model(name)
    assert (info.origin, info.method, info.labelled, info.champion) == ("imported", method, 3, False)
    files = []
    for run in (RUN, name):
        checkpoint = Job(study.layout.run(run)).checkpoint()
        assert checkpoint is not None
        case = next(c for c in study.pool() if c.name == "p4")
        order = RunSpec(
            "predict",
            tuple(study.modalities),
            study.labels,
            (case,),
            method,
            checkpoint=checkpoint.relative_to(study.root).as_posix(),
            device="cpu",
        )
        folder = study.layout.runs / f"look-{run}"
        make_prediction(folder, order, lambda event: None, lambda: False).run()
        home = study.root / Path(str(case.images[0])).parent.parent / "predictions"
        files.append([(home / f"look-{run}.{kind}.nii.gz").read_bytes() for kind in ("labels", "confidence")])
    assert files[0] == files[1]


def test_another_study_s_words_are_used_and_the_order_is_kept(session: Session, tmp_path: Path) -> None:
    make_model(session, RUN)
    file = session.export_model(RUN, tmp_path / "m")
    other = other_study(tmp_path / "other", ["t1"], ["5=Core", "9=lesion"])
    name = other.import_model(file)
    state = json.loads(next(other.opened().layout.run(name).glob("checkpoints/step-*/state.json")).read_text())
    assert (state["plan"]["modalities"], state["plan"]["values"]) == (["t1"], [9, 5])
    assert other.opened().champion() is None
    assert other.make_champion(name) is None
    assert other.opened().champion() == name
    other.close()


@pytest.mark.parametrize(
    ("modalities", "labels", "words"),
    [
        (["FLAIR"], ["1=lesion", "2=core"], "modality T1, which this study does not have"),
        (["T1"], ["1=lesion"], "class core, which this study does not have"),
        (["T1", "T2"], ["1=lesion", "2=core"], "does not know the study's modality T2"),
    ],
)
def test_a_model_that_does_not_fit_the_study_is_refused_by_name(
    shared: tuple[Session, Path], tmp_path: Path, modalities: list[str], labels: list[str], words: str
) -> None:
    _, exported = shared
    other = other_study(tmp_path / "other", modalities, labels)
    with pytest.raises(ModelError, match=words):
        other.import_model(exported)
    assert list(other.opened().layout.runs.glob("*")) == []
    other.close()


def nan(card: dict[str, Any], weights: dict[str, torch.Tensor]) -> None:
    next(t for t in weights.values() if t.is_floating_point()).view(-1)[0] = float("nan")


def shorter(card: dict[str, Any], weights: dict[str, torch.Tensor]) -> None:
    name = next(n for n, t in weights.items() if t.dim() > 1)
    weights[name] = weights[name][:1].clone()


CHANGES: dict[str, tuple[Callable[[dict[str, Any], dict[str, torch.Tensor]], object], str]] = {
    "version": (lambda c, w: c.update(version=99), "format version 99; this program reads version 1"),
    "format": (lambda c, w: c.update(format="pickle"), "is not a model of this program"),
    "no plan": (lambda c, w: c["state"].pop("plan"), "It lacks 'plan'"),
    "newer plan": (lambda c, w: c["state"]["plan"].update(version=99), "newer version of the program"),
    "method": (lambda c, w: c["state"].update(method="os.system"), "cannot be built here"),
    "parameter": (lambda c, w: c["state"]["config"].update(run="rm"), "does not know the parameters"),
    "huge": (lambda c, w: c["state"]["config"].update(width=64), "has the shape"),
    "figures": (lambda c, w: c.update(figures={"dice": float("inf")}), "does not describe its model"),
    "missing": (lambda c, w: w.pop(sorted(w)[0]), "The model lacks the tensor"),
    "foreign": (lambda c, w: w.update({"method/backdoor": torch.ones(1)}), "holds the tensor backdoor"),
    "no prefix": (lambda c, w: w.update(evil=torch.ones(1)), "holds the tensor evil"),
    "shape": (shorter, "has the shape 1 ×"),
    "type": (lambda c, w: w.update({n: t.double() for n, t in list(w.items())[-1:]}), "its method wants"),
    "nan": (nan, "holds values that are not numbers"),
}


@pytest.mark.parametrize("what", sorted(CHANGES))
def test_what_is_wrong_with_a_file_is_named(shared: tuple[Session, Path], what: str) -> None:
    session, exported = shared
    change, words = CHANGES[what]
    card, weights = parts_of(exported)
    change(card, weights)
    bad = write(exported.with_name("bad.penumbra-model"), card, safetensors.torch.save(weights))
    before = sorted(p.name for p in session.opened().layout.runs.iterdir())
    with pytest.raises(ModelError) as error:
        session.import_model(bad)
    assert words in error.value.message
    assert error.value.remedy
    assert sorted(p.name for p in session.opened().layout.runs.iterdir()) == before
    assert [info.id for info in session.models()] == [RUN]


class Runs:
    """Would write a file when unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.file,)


def craft(kind: str, file: Path, exported: Path) -> Path:
    card, weights = parts_of(exported)
    good = safetensors.torch.save(weights)
    if kind == "pickle":
        return write(file, card, pickle.dumps(Runs(file.with_name("owned"))))
    if kind == "swapped":
        return write(file, card, good[:-4] + b"\0\0\0\1", digest=False)
    if kind == "header":
        return write(file, card, struct.pack("<Q", 2**62) + b"{}")
    if kind == "empty":
        return write(file, card, struct.pack("<Q", 2) + b"{}")
    if kind == "text":
        file.write_text("not a zip")
        return file
    if kind == "cut":
        file.write_bytes(exported.read_bytes()[:-200])
        return file
    extra = {
        "code": "evil.py",
        "slip": "../../evil",
        "absolute": "/etc/evil",
        "drive": "C:\\evil",
        "twice": "model.json",
    }
    with zipfile.ZipFile(file, "w") as opened:
        squeezed = zipfile.ZIP_DEFLATED if kind == "bomb" else zipfile.ZIP_STORED
        opened.writestr("model.json", json.dumps(card) if kind != "deep" else "[" * 100_000)
        opened.writestr("weights.safetensors", b"\0" * 50_000_000 if kind == "bomb" else good, squeezed)
        if kind in extra:
            opened.writestr(extra[kind], "x")
    return file


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("pickle", "not safetensors, the only kind that is read: other kinds can run code"),
        ("swapped", "not those that it was exported with"),
        ("header", "not safetensors"),
        ("empty", "not safetensors"),
        ("text", "damaged, or not a model"),
        ("cut", "damaged, or not a model"),
        ("code", "holds evil.py, which does not belong into a model"),
        ("slip", "would write outside of the study"),
        ("absolute", "would write outside of the study"),
        ("drive", "would write outside of the study"),
        ("twice", "holds model.json twice"),
        ("bomb", "is compressed, as no model of this program is"),
        ("deep", "cannot be read"),
    ],
)
def test_a_crafted_file_is_refused_and_leaves_nothing(shared: tuple[Session, Path], kind: str, words: str) -> None:
    session, exported = shared
    bad = craft(kind, exported.with_name("bad.penumbra-model"), exported)
    with pytest.raises(ModelError, match=words.replace("(", ".")):
        session.import_model(bad)
    assert [p.name for p in session.opened().layout.runs.iterdir()] == [RUN]
    assert not exported.with_name("owned").exists()
    assert not list(session.opened().root.parent.rglob("evil*"))


def test_sizes_have_a_cap(shared: tuple[Session, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    session, exported = shared
    monkeypatch.setattr(model_file, "MAX_WEIGHTS", 100)
    with pytest.raises(ModelError, match="larger than any model"):
        session.import_model(exported)


def test_a_file_that_is_not_there_or_cannot_be_written(shared: tuple[Session, Path]) -> None:
    session, exported = shared
    with pytest.raises(ModelError, match="There is no file nothing"):
        session.import_model(exported.with_name("nothing"))
    with pytest.raises(DiskError, match="folder is gone"):
        session.export_model(RUN, exported.parent / "missing" / "m")
    with pytest.raises(UsageError, match="no model r9"):
        session.export_model("r9", exported)


@pytest.mark.slow
def test_the_worker_checks_what_the_window_cannot(shared: tuple[Session, Path]) -> None:
    session, exported = shared
    card, weights = parts_of(exported)
    nan(card, weights)
    bad = write(exported.with_name("bad.penumbra-model"), card, safetensors.torch.save(weights))
    with pytest.raises(ModelError, match="are not numbers"):
        session.import_model(bad)


def test_a_training_starts_from_a_file_or_from_another_study(
    session: Session, tmp_path: Path, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_penumbra.jobs.methods_info import method_infos

    started: list[Path] = []
    monkeypatch.setattr("napari_penumbra.session.steering.launch", lambda folder, **_: started.append(folder) or 1)
    monkeypatch.setattr("napari_penumbra.session.runs.method_infos", method_infos)
    other = other_study(tmp_path / "other", ["T1"], ["1=core", "2=lesion"])
    write_nifti(tmp_path / "a.nii.gz", image(1), GRID)
    other.add_case("a", {"T1": tmp_path / "a.nii.gz"})
    other.close_case("a", cube(), Closing.COMPLETE)
    run = other.train("supervised", "laptop", config={"width": 4}, start_from=str(exported))
    spec = Job(other.opened().layout.run(run)).spec()
    (model,) = other.models()
    assert spec.checkpoint == f"runs/{model.id}/checkpoints/step-000010"
    other._live.clear()
    session.opened().set_champion(RUN)
    assert other.bring_model(str(session.opened().root)) == model.id, "the other study's champion, known already"
    assert other.bring_model(str(session.opened().layout.run(RUN))) == model.id
    assert other.bring_model(model.id) == model.id
    method, preset, config = other.start_settings(model.id)
    assert (method, preset) == ("supervised", "laptop")
    assert {k: config[k] for k in ("width", "labelled_batch", "patch")} == {
        "width": 4,
        "labelled_batch": 1,
        "patch": [8, 8, 8],
    }
    assert "steps" not in config
    with pytest.raises(UsageError, match='no model "nowhere"'):
        other.bring_model("nowhere")
    other.close()
