"""Workers and windows are killed at random moments, and afterwards nothing is lost.

``pytest -m slow -s tests/test_torture.py`` kills fifty of each kind, or as many as ``PENUMBRA_TORTURE_KILLS`` says, and
adds the result to the file that ``PENUMBRA_TORTURE_RESULTS`` names, for example ``benchmarks/results/torture.json``;
without ``-m slow`` a handful are killed.
"""

from __future__ import annotations

import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from napari_penumbra.domain.case import CaseState
from napari_penumbra.domain.labels import LabelScheme
from napari_penumbra.imaging.files import read_labels
from napari_penumbra.imaging.nifti import write
from napari_penumbra.study.store import Study
from team_server import Server, server
from tiny_study import grid, make_spec, write_run
from torture_checks import broken_rows, broken_run, closed_revisions, damaged_database
from torture_desk import ROUNDS, digest, target
from trainer_files import different

__all__ = ["server"]
pytestmark = [
    pytest.mark.timeout(3600),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system"),
]
HERE = Path(__file__).parent
RESULTS = "PENUMBRA_TORTURE_RESULTS"
KILLS = int(os.environ.get("PENUMBRA_TORTURE_KILLS", "50"))
SEED = 2026


@dataclass
class Tally:
    """What was killed, during what, and what was lost."""

    victim: str
    during: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    checked: Counter[str] = field(default_factory=Counter)

    def kills(self) -> int:
        return sum(self.during.values())

    def kill(self, what: str) -> None:
        """Count one, and say so: it takes a while."""
        self.during[what] += 1
        print(f"{self.victim} {self.kills()}: {what}", flush=True)

    def table(self) -> str:
        rows = [f"{self.victim:<32}{what:<34}{n:>4}" for what, n in sorted(self.during.items())]
        checked = ", ".join(f"{n} {what}" for what, n in sorted(self.checked.items()))
        return "\n".join([*rows, f"{self.victim:<32}{'all':<34}{self.kills():>4}", f"  looked at: {checked}",
                          f"  lost: {self.lost or 'nothing'}"])  # fmt: skip

    def report(self) -> None:
        """Print the table; add it to the file of results if one is wanted; fail if anything was lost."""
        print(f"\n{self.table()}")
        wanted = os.environ.get(RESULTS)
        if wanted:
            file = Path(wanted)
            data = json.loads(file.read_text()) if file.exists() else {"seed": SEED, "victims": {}}
            data["victims"][self.victim] = {
                "kills": self.kills(),
                "during": dict(sorted(self.during.items())),
                "looked_at": dict(sorted(self.checked.items())),
                "lost": self.lost,
            }
            data["kills"] = sum(v["kills"] for v in data["victims"].values())
            data["lost"] = sum(len(v["lost"]) for v in data["victims"].values())
            file.write_text(json.dumps(data, indent=1) + "\n")
        assert self.lost == []


class Nursery:
    """A process that starts victims; see `torture_workers` and `torture_desk`."""

    def __init__(self, script: str, *words: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / script), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(HERE), *_paths()])},
        )

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def hear(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the process that starts victims has ended"
        return line.strip()

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


def _paths() -> list[str]:
    given = os.environ.get("PYTHONPATH", "")
    return [given] if given else []


# ---------------------------------------------------------------------- workers


def torture_workers(root: Path, kills: int, steps: int) -> None:
    """Kill trainings again and again; each ends bit for bit as one that nobody disturbed."""
    rng, tally = random.Random(SEED), Tally("training worker")
    spec = dataclasses.replace(make_spec(root, steps=steps), reference=False)
    straight = write_run(root, "straight", spec)
    nursery = Nursery("torture_workers.py")
    try:
        finish(nursery, straight, "here")
        while tally.kills() < kills:
            run = write_run(root, f"tortured-{tally.kills():03d}", spec)
            torture_run(nursery, run, rng, tally, kills)
            if differ := different(straight, run):
                tally.lost.append(f"{run.name} has ended with another {differ} than an undisturbed run")
            tally.checked["trainings that ended as an undisturbed one, bit for bit"] += not differ
    finally:
        nursery.close()
    tally.report()


def torture_run(nursery: Nursery, run: Path, rng: random.Random, tally: Tally, kills: int) -> None:
    """Kill one training until it has come to its end, or enough have been killed; then let it end."""
    while tally.kills() < kills:
        began = (run / "checkpoints" / "latest").exists()
        nursery.tell(f"{run} resume" if began else str(run))
        pid = int(nursery.hear())
        wish = rng.choices(("start", "step", "checkpoint"), (1, 3, 3))[0]
        left = drafts(run)  # of kills before this one
        if wait_for_moment(run, wish, rng, pid, left):
            os.kill(pid, signal.SIGKILL)
        code = int(nursery.hear())
        if code != -signal.SIGKILL:
            assert code == 0, log_of(run)
            return  # it was faster
        tally.kill(moment_of(run, left))
        tally.lost += broken_run(run)
        tally.checked["latest checkpoints, all whole"] += (run / "checkpoints" / "latest").exists()
    finish(nursery, run, "resume" if (run / "checkpoints" / "latest").exists() else "")


def finish(nursery: Nursery, run: Path, how: str) -> None:
    """Let a training come to its end; ``how`` as in `torture_workers`."""
    nursery.tell(f"{run} {how}")
    nursery.hear()
    assert nursery.hear() == "0", log_of(run)


def wait_for_moment(run: Path, wish: str, rng: random.Random, pid: int, left: set[str]) -> bool:
    """Wait until the worker does what it is to be killed at, and a little longer; False when it has ended."""
    events = run / "events.jsonl"
    if wish == "start":
        time.sleep(rng.uniform(0.0, 0.4))
        return alive(pid)
    said = events.stat().st_size if events.exists() else 0
    writes = rng.randint(1, 2)  # so many pass, or the training would never get on
    seen = set(left)
    while alive(pid):
        seen |= drafts(run) if wish == "checkpoint" else set()
        if wish == "checkpoint" and len(seen - left) >= writes:
            time.sleep(rng.uniform(0.0, 0.03))
            return alive(pid)
        if wish == "step" and events.exists() and b'"kind": "step"' in events.read_bytes()[said:]:
            time.sleep(rng.uniform(0.0, 0.06))
            return alive(pid)
        time.sleep(0.002 if wish == "checkpoint" else 0.02)  # looking costs the worker its processor
    return False


def drafts(run: Path) -> set[str]:
    """Half-made checkpoints."""
    return {path.name for path in (run / "checkpoints").glob(".*-step-*")}


def moment_of(run: Path, left: set[str]) -> str:
    """What a killed worker was doing, by what it left behind beyond what was ``left`` before."""
    folder = run / "checkpoints"
    if drafts(run) - left:
        return "writing a checkpoint"
    names = sorted(path.name for path in folder.glob("step-*"))
    latest = folder / "latest"
    if names and (not latest.exists() or latest.read_text().strip() != names[-1]):
        return "naming the latest checkpoint"
    lines = (run / "events.jsonl").read_text().splitlines() if (run / "events.jsonl").exists() else []
    kinds = [line.partition('"kind": "')[2].partition('"')[0] for line in lines]
    if not kinds or kinds[-1] in ("started", "stage"):
        return "starting, or reading its checkpoint"
    return "between steps, after a checkpoint" if kinds[-1] == "checkpoint" else "steps"


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def log_of(run: Path) -> str:
    log = run / "log.txt"
    return log.read_text()[-2000:] if log.exists() else ""


# ---------------------------------------------------------------------- desks


def make_desk_study(root: Path, cases: int) -> Path:
    """Tiny cases, every second one with a prediction."""
    where, scheme = grid((6, 16, 14)), LabelScheme.parse(["1=penumbra", "2=core"])
    root.parent.mkdir(parents=True, exist_ok=True)
    with Study.create(root, "Tortured", ["DWI"], scheme) as study:
        for n in range(cases):
            image = np.random.default_rng(n).normal(100, 20, where.array_shape).astype(np.float32)
            write(root.parent / f"w{n}.nii", image, where)
            study.add_case(f"w{n}", {"DWI": root.parent / f"w{n}.nii"})
            if n % 2:
                predict(study, f"w{n}", target(n, 7, where.array_shape))
        study.register_predictions()
    return root


def predict(study: Study, name: str, labels: np.ndarray) -> None:
    folder, where = study.layout.predictions(name), study.grid(name)
    write(folder / "by-hand.labels.nii.gz", labels, where)
    write(folder / "by-hand.confidence.nii.gz", np.full(labels.shape, 0.7, np.float32), where)
    files = {kind: study.layout.relative(folder / f"by-hand.{kind}.nii.gz") for kind in ("labels", "confidence")}
    said = {"case": name, "run": "by-hand", "created": "2026-11-21T08:00:00+00:00", **files}
    (folder / "by-hand.json").write_text(json.dumps(said))


class Story:
    """What a life has said so far: enough to know what must be on the disk when it is killed."""

    def __init__(self) -> None:
        self.now: dict[str, str] | None = None
        self.closed: set[tuple[str, str]] = set()
        self.screen: dict[str, str] = {}

    def tell(self, line: dict[str, str]) -> None:
        if line["what"] == "begin":
            self.now = line
            return
        self.now = None
        if line["op"] in ("close", "accept"):
            self.closed.add((line["case"], line["digest"]))
        if line["case"]:
            self.screen = {line["case"]: line["digest"]}

    def lost(self, study: Study) -> Iterator[str]:
        """Compare what was said to be done with what the next one finds."""
        there = closed_revisions(study)
        yield from (f"{case}: what was accepted ({key}) is gone" for case, key in self.closed - there.keys())
        for case, before in self.screen.items():
            allowed = {before}
            if self.now is not None and self.now["case"] == case and self.now["digest"]:
                allowed.add(self.now["digest"])
            study.check_out(case)
            found = study.read(case)
            if digest(found.labels) not in allowed:
                doing = "between two actions" if self.now is None else self.now["op"]
                yield f"{case}: other labels than were reported ({doing}; {found.restored} strokes brought back)"
        self.screen, self.now = {}, None


def torture_desk(root: Path, kind: str, kills: int, cases: int, victim: str) -> None:
    """Kill a reader's program again and again; in the end the study holds what an undisturbed reader's does."""
    rng, tally, story = random.Random(SEED + 1), Tally(victim), Story()
    nursery = Nursery("torture_desk.py", kind)
    try:
        finished = False
        while not finished:
            nursery.tell(str(root))
            pid = json.loads(nursery.hear())["pid"]
            finished = live(nursery, pid, story, rng, tally, kills, cases)
            with Study.open(root, reader="checker") as study:
                tally.lost += [*broken_rows(study), *damaged_database(study), *story.lost(study)]
                tally.lost += [notice for notice in study.notices if "gone" in notice]
                tally.checked["accepted revisions"] = len(closed_revisions(study))
                tally.checked["studies opened after a kill"] += 1
        assert tally.kills() == kills, f"the plan ended after {tally.kills()} kills: {root.with_suffix('.log')}"
    finally:
        nursery.close()
    tally.lost += end_state_differs(root, cases)
    tally.report()


def live(nursery: Nursery, pid: int, story: Story, rng: random.Random, tally: Tally, kills: int, cases: int) -> bool:
    """Listen to one life and end it at a random moment; True when the plan was done first."""
    left = kills - tally.kills()
    # So that the kills are spread over the plan: some 6 operations per visit.
    budget = rng.randint(1, max(2, 2 * 6 * ROUNDS * cases // max(kills, 1))) if left > 0 else 1 << 30
    begun = 0
    while True:
        line = json.loads(nursery.hear())
        if line["what"] == "dead":
            raise AssertionError(f"a life ended by itself: {line}")
        if line["what"] == "done":
            story.tell(line)
            assert json.loads(nursery.hear())["what"] == "dead"
            return True
        story.tell(line)
        begun += line["what"] == "begin"
        if begun >= budget:
            break
    time.sleep(abs(rng.gauss(0.0, 0.03)) if rng.random() < 0.8 else 0.0)
    os.kill(pid, signal.SIGKILL)
    while (line := json.loads(nursery.hear()))["what"] != "dead":
        story.tell(line)  # said before the kill reached it
    during = story.now["op"] if story.now is not None else "between two actions"
    tally.kill(during)
    return False


def end_state_differs(root: Path, cases: int) -> Iterator[str]:
    """Compare with an undisturbed reader: same labels, same states, same pool, whatever the order and the drafts."""
    with Study.open(root) as study:
        for number in range(cases):
            name = f"w{number}"
            row = study.case(name)
            wanted = target(number, ROUNDS - 1, study.grid(name).array_shape)
            if row.state is not (CaseState.ACCEPTED if number % 2 else CaseState.ANNOTATED):
                yield f"{name} is {row.state}"
            live = study.annotations(name)[-1]
            if not np.array_equal(read_labels(study.root / live.path).volume.data, wanted):
                yield f"{name}: other labels than an undisturbed reader's"
            if len(study.journal(name)):
                yield f"{name}: strokes left over"
        if len([case for case in study.pool() if case.role == "labelled"]) != cases:
            yield "the pool is another one"


# ---------------------------------------------------------------------- the tests


def test_a_few_kills(tmp_path: Path) -> None:
    torture_desk(make_desk_study(tmp_path / "desk" / "study", 2), "plain", 3, 2, "session (short form)")
    torture_workers(tmp_path / "train", 3, 40)


@pytest.mark.slow
def test_workers_killed_at_random_moments(tmp_path: Path) -> None:
    torture_workers(tmp_path, KILLS, 400)


@pytest.mark.slow
@pytest.mark.gui
def test_windows_killed_at_random_moments(tmp_path: Path) -> None:
    torture_desk(make_desk_study(tmp_path / "desk" / "study", 4), "window", KILLS, 4, "napari window")


@pytest.mark.slow
def test_readers_of_a_team_killed_at_random_moments(tmp_path: Path, server: Server) -> None:
    root = make_desk_study(tmp_path / "desk" / "study", 8)
    with Study.open(root) as study:
        study.move_to_server(server.url)
    torture_desk(root, "plain", KILLS, 8, "reader of a team (PostgreSQL)")
