"""Seconds from asking for a prediction to its files: by a process that holds the model, and by one that is started.

Both in one run and in turns, the same small case (21x128x128), the same model (mean teacher, laptop preset) and the
same number of threads. The files must be the same, byte for byte.
"""

from __future__ import annotations

import hashlib
import statistics
import tempfile
import time
from pathlib import Path

import machine
import numpy as np

from napari_penumbra.domain.case import Closing
from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.labels import LabelScheme
from napari_penumbra.domain.progress import Kind
from napari_penumbra.imaging.nifti import write
from napari_penumbra.session import Session

SHAPE = (21, 128, 128)
TIMES = 7
THREADS = 1


def study(root: Path) -> Session:
    """Five cases of noise with a bright ball, four of them labelled; a model of one step."""
    z, y, x = SHAPE
    grid = Grid.of((x, y, z), np.diag([-1.5, -1.5, 5.0, 1.0]))
    zyx = np.indices(SHAPE)
    centre, radius = (np.array(n)[:, None, None, None] for n in ((10, 60, 64), (4, 18, 18)))
    ball = (((zyx - centre) / radius) ** 2).sum(0) < 1
    session = Session()
    session.auto_predict = False
    session.create(root / "study", "Warm", ["DWI"], LabelScheme.parse(["1=lesion"]))
    for n in range(5):
        noise = np.random.default_rng(n).normal(100, 15, SHAPE) + 60 * ball
        write(root / f"p{n}.nii.gz", noise.astype(np.float32), grid)
        session.add_case(f"p{n}", {"DWI": root / f"p{n}.nii.gz"})
        if n < 4:
            session.close_case(f"p{n}", ball.astype(np.uint8), Closing.COMPLETE)
    run = session.train("mean-teacher", "laptop", steps=1, reference=False, threads=THREADS)
    while run in session.live:
        session.poll()
        time.sleep(0.05)
    return session


def predict(session: Session) -> tuple[float, str]:
    """Ask for the unlabelled case; seconds until its files are whole, and their digest."""
    started = time.perf_counter()
    run = session.predict(["p4"], threads=THREADS)
    job = session._job(run)
    done = None
    while done is None:
        done = next((event for event in job.events() if event.kind is Kind.CASE_DONE), None)
        assert not job.state().over or done, job.log_tail()
        time.sleep(0.005)
    seconds = time.perf_counter() - started
    while run in session.live:
        session.poll()
        time.sleep(0.01)
    folder = (session.opened().root / done.message).parent
    files = (folder / f"{run}.{kind}.nii.gz" for kind in ("labels", "confidence"))
    return seconds, hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def main() -> None:
    """Measure both in turns; medians and their ratio."""
    with tempfile.TemporaryDirectory() as temporary:
        session = study(Path(temporary))
        session.keep_warm = 600.0
        first, digest = predict(session)  # starts the process and loads the model
        warm, cold, digests = [], [], {digest}
        for _ in range(TIMES):
            for seconds, keep in ((warm, 600.0), (cold, 0.0)):
                session._keep_warm = (
                    keep  # the process stays while the cold one runs: this is about waiting, not memory
                )
                taken, digest = predict(session)
                seconds.append(taken)
                digests.add(digest)
        session._keep_warm = 600.0
        state = session.warm_state
        session.warm_worker().leave(now=True, wait=20)
        session.close()
    assert len(digests) == 1, "warm and cold predictions differ"
    fast, slow = statistics.median(warm), statistics.median(cold)
    machine.save(
        "warm_worker",
        {
            "case": "x".join(map(str, SHAPE)),
            "threads": THREADS,
            "warm_s": {"median": fast, "all": warm},
            "cold_s": {"median": slow, "all": cold},
            "ratio": slow / fast,
            "first_request_s": first,
            "model_loads": state.loads,
            "requests": state.served,
            "same_files": True,
        },
    )


if __name__ == "__main__":
    main()
