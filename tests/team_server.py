"""A real PostgreSQL server for the tests: its own data in a temporary folder, gone when the tests are over."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PASSWORD = "orange-kettle"
MISSING = "no PostgreSQL server is installed: `apt-get install postgresql` (initdb was looked for)"


def programs() -> Path | None:
    """The folder of initdb and pg_ctl; Debian keeps it off the PATH."""
    found = shutil.which("initdb")
    places = [Path(found).resolve().parent] if found else []
    for pattern in ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin", "opt/homebrew/opt/postgresql*/bin"):
        places += sorted(Path("/").glob(pattern), reverse=True)
    return next((place for place in places if (place / "pg_ctl").exists()), None)


def _unprivileged() -> dict[str, Any]:
    """Arguments for `subprocess`: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    pytest.skip("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")


@dataclass
class Server:
    """A server on a Unix socket (no password) and on a loopback port (password)."""

    bin: Path
    home: Path
    port: int

    @property
    def url(self) -> str:
        return f"postgresql://penumbra@/postgres?host={self.home}&port={self.port}"

    def over_network(self, password: str = "") -> str:
        secret = f":{password}" if password else ""
        return f"postgresql://reader{secret}@127.0.0.1:{self.port}/postgres"

    def make(self) -> None:
        (self.home / "data").mkdir()
        who = _unprivileged()
        if who:
            for folder in (self.home, self.home / "data"):
                os.chown(folder, who["user"], who["group"])
        self._run("initdb", "-D", "data", "-U", "penumbra", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
        rules = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
        (self.home / "data" / "pg_hba.conf").write_text(rules)
        self.start()
        self.psql(f"CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}'", "GRANT CREATE ON DATABASE postgres TO reader")

    def start(self) -> None:
        settings = f"-p {self.port} -k {self.home} -c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=40"
        self._run("pg_ctl", "-D", "data", "-w", "-t", "60", "-l", str(self.home / "log"), "-o", settings, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", "data", "-w", "-m", "immediate", "stop", check=False)

    def psql(self, *statements: str) -> list[tuple[Any, ...]]:
        import psycopg

        rows: list[tuple[Any, ...]] = []
        with psycopg.connect(self.url, autocommit=True) as connection:
            for statement in statements:
                done = connection.execute(statement)  # type: ignore[arg-type]
                rows = done.fetchall() if done.description else []
        return rows

    def _run(self, program: str, *words: str, check: bool = True) -> None:
        # To a file: a server that goes on would keep a pipe open.
        with (self.home / "said").open("w+b") as said:
            done = subprocess.run(
                [self.bin / program, *words], cwd=self.home, stdout=said, stderr=said, check=False, **_unprivileged()
            )
            if check and done.returncode:
                said.seek(0)
                log = self.home / "log"
                pytest.fail(f"{program}: {said.read().decode()} {log.read_text() if log.exists() else ''}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    found = programs()
    if found is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(MISSING)
    home = Path(tempfile.mkdtemp(prefix="pnbra-pg-", dir="/tmp"))  # a socket's path may not be long
    made = Server(found, home, _free_port())
    try:
        made.make()
        yield made
    finally:
        made.stop()
        shutil.rmtree(home, ignore_errors=True)


def until(true: Any, what: str, seconds: float = 15.0) -> Any:
    """Wait for a condition."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = true()
        if found:
            return found
        time.sleep(0.05)
    pytest.fail(f"waited in vain for {what}")


class Reader:
    """A second reader: `team_reader` in a process of its own, with its own settings (its own place)."""

    def __init__(self, root: Path, name: str, home: Path, expire: float = 60.0) -> None:
        home.mkdir(exist_ok=True)
        environment = {**os.environ, "XDG_CONFIG_HOME": str(home), "OMP_NUM_THREADS": "1"}
        script = Path(__file__).with_name("team_reader.py")
        self.process = subprocess.Popen(
            [sys.executable, str(script), str(root), name, str(expire)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.notices = self.answer()["ready"]

    def ask(self, what: str, name: str = "", **more: Any) -> dict[str, Any]:
        self.say(what, name, **more)
        return self.answer()

    def say(self, what: str, name: str = "", **more: Any) -> None:
        """Ask without waiting."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"what": what, "name": name, **more}) + "\n")
        self.process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the other reader has ended"
        return json.loads(line)

    def sleep(self) -> None:
        """Close the laptop's lid."""
        self.process.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def leave(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        if self.process.poll() is None:
            self.process.stdin.close()
            self.process.wait(20)
        else:
            self.process.stdin.close()
        self.process.stdout.close()


@pytest.fixture
def readers(tmp_path: Path) -> Iterator[Callable[..., Reader]]:
    made: list[Reader] = []

    def start(root: Path, name: str, expire: float = 60.0) -> Reader:
        made.append(Reader(root, name, tmp_path / f"home-{name}", expire))
        return made[-1]

    yield start
    for one in made:
        one.wake()
        one.leave()
