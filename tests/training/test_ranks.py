"""Who says the last word, and how a silent process is found out; one table, several ranks in this process."""

from __future__ import annotations

import threading
import time

import pytest
from torch.distributed import HashStore

from napari_penumbra.domain.errors import JobError
from napari_penumbra.training.ranks import Heartbeat, LastWord, Place, gone, lost_contact, name_of_attempt

BEAT, PATIENCE = 0.02, 0.5


class Ended:
    """Notes what a heartbeat has to tell."""

    def __init__(self) -> None:
        self.ranks: list[list[int]] = []
        self.told = threading.Event()

    def __call__(self, ranks: list[int]) -> None:
        self.ranks.append(ranks)
        self.told.set()


class Breaking:
    """A table that goes away."""

    def __init__(self, store: HashStore) -> None:
        self.store, self.broken = store, False

    def __getattr__(self, name: str) -> object:
        if self.broken:
            raise RuntimeError("Connection reset by peer")
        return getattr(self.store, name)


def beating(store: object, rank: int, ended: Ended, size: int = 2) -> Heartbeat:
    heartbeat = Heartbeat(Place(rank, size), store, ended, beat=BEAT, patience=PATIENCE)
    heartbeat.start()
    return heartbeat


def test_a_process_that_falls_silent_is_named_within_the_patience() -> None:
    store, first, second = HashStore(), Ended(), Ended()
    one, two = beating(store, 0, first), beating(store, 1, second)
    time.sleep(3 * PATIENCE)
    assert not first.told.is_set(), "a process that is busy for long still beats"
    two._done.set()  # as if it had been killed: no goodbye
    began = time.monotonic()
    assert first.told.wait(10 * PATIENCE)
    assert time.monotonic() - began < 5 * PATIENCE
    assert first.ranks == [[1]]
    one._done.set()


def test_one_that_has_not_begun_and_one_that_left_in_order_are_not_missed() -> None:
    store, first = HashStore(), Ended()
    one = beating(store, 0, first, size=3)
    two = beating(store, 1, Ended(), size=3)
    time.sleep(3 * BEAT)
    two.stop()
    time.sleep(3 * PATIENCE)
    assert not first.told.is_set()
    one.stop()


@pytest.mark.parametrize("forgiving", [False, True])
def test_without_the_table_the_first_process_is_gone_unless_all_is_done(forgiving: bool) -> None:
    store, ended = Breaking(HashStore()), Ended()
    heartbeat = beating(store, 1, ended)
    time.sleep(3 * BEAT)
    if forgiving:
        heartbeat.forgive()
    store.broken = True
    assert ended.told.wait(1.0) is not forgiving
    assert ended.ranks == ([] if forgiving else [[]])
    heartbeat._done.set()


def test_of_all_that_fail_one_speaks() -> None:
    store = HashStore()
    words = [LastWord(Place(rank, 3), store) for rank in range(3)]
    assert [word.wanted() for word in words] == [True, False, False]


def test_the_one_that_knows_why_speaks_and_names_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_penumbra.training.ranks._HEARING_SECONDS", 0.0)
    store = HashStore()
    lost = JobError("Something unexpected happened.", details="RuntimeError('[gloo] Connection closed by peer')")
    knows = JobError("Memory ran out.", "Choose the laptop preset.", details="RuntimeError('out of memory')")
    assert lost_contact(lost)
    assert not lost_contact(knows)
    said = LastWord(Place(2, 4), store).of(knows)
    assert said is not None
    assert said.message == "Memory ran out. (Process 3 of 4.)"
    assert said.remedy == "Choose the laptop preset."
    assert LastWord(Place(0, 4), store).of(lost) is None


def test_nobody_knows_why_when_a_process_was_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_penumbra.training.ranks._HEARING_SECONDS", 0.0)
    lost = JobError("Something unexpected happened.", details="DistBackendError('NCCL error: socket closed')")
    said = LastWord(Place(0, 2), HashStore()).of(lost)
    assert said is not None
    assert said.message.startswith("One of the 2 processes is gone")
    assert gone(Place(0, 4), [1, 3]).message.startswith("Process 2 and process 4 of 4 are gone")


def test_an_attempt_has_one_name() -> None:
    store = HashStore()
    first = name_of_attempt(Place(0, 2), store)
    assert name_of_attempt(Place(1, 2), store) == first
    assert name_of_attempt(Place(0, 2), HashStore()) != first


@pytest.mark.parametrize(
    ("variables", "place"),
    [
        ({}, Place(0, 1)),
        ({"RANK": "3", "WORLD_SIZE": "4"}, Place(3, 4)),
        ({"RANK": "0", "WORLD_SIZE": "2"}, Place(0, 2)),
    ],
)
def test_a_place_is_read_from_the_environment(
    variables: dict[str, str], place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert Place.here() == place
    assert Place.here().leads is (place.rank == 0)
