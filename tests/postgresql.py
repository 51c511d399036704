"""A PostgreSQL of the tests' own."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from servers import free_port

BINARIES = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)


@contextmanager
def running(statements: Sequence[str]) -> Iterator[str]:
    """USER@HOST:PORT of a server after these statements of SQL; skips the test where there can be none."""
    if BINARIES is None:
        pytest.skip("PostgreSQL is missing: apt-get install postgresql")
    if not shutil.which("setpriv") or subprocess.run(["id", "-u"], capture_output=True, text=True).stdout != "0\n":
        pytest.skip("PostgreSQL refuses root, and only root can become another user")
    folder = Path(tempfile.mkdtemp(prefix="postgres"))  # pytest's own folders are closed to other users
    shutil.chown(folder, "nobody")
    port = free_port()
    nobody = ["setpriv", "--reuid=nobody", "--clear-groups"]

    def run(binary: str, *words: str) -> None:
        command = [*nobody, str(BINARIES / binary), *words]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    run("initdb", "--pgdata", str(folder / "data"), "--username", "arrange", "--auth", "trust")
    options = f"-h 127.0.0.1 -p {port} -k {folder}"
    run("pg_ctl", "start", "--wait", "-D", str(folder / "data"), "-o", options, "-l", str(folder / "log"))
    try:
        for statement in statements:
            run("psql", "-h", "127.0.0.1", "-p", port, "-U", "arrange", "-d", "postgres", "-c", statement)
        yield f"arrange@127.0.0.1:{port}"
    finally:
        run("pg_ctl", "stop", "--wait", "-m", "immediate", "-D", str(folder / "data"))
        shutil.rmtree(folder)
