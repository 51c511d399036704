"""One finished run of the flow for all tests; they take copies of it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import mini_wordnet
import pytest
from checkout import Checkout, clone
from servers import answering, free_port


@pytest.fixture(scope="session")
def env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    wordnet = tmp_path_factory.mktemp("wordnet")
    mini_wordnet.write(wordnet)
    ours = {"WORDNET_DIR": str(wordnet), "DO_NOT_TRACK": "true", "GIT_CONFIG_GLOBAL": os.devnull}
    for role in ("AUTHOR", "COMMITTER"):
        ours |= {f"GIT_{role}_NAME": "tests", f"GIT_{role}_EMAIL": "tests@example.invalid"}
    dropped = ("MLFLOW_TRACKING_URI", "PREFECT_API_URL", "DVC_STAGE", "DVC_ROOT")
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    return kept | ours | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


@pytest.fixture(scope="session")
def server(env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Prefect server that lives as long as the tests."""
    port = free_port()
    home = tmp_path_factory.mktemp("prefect")
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", port]
    with (home / "log").open("w") as log:
        process = subprocess.Popen(command, env=env | {"PREFECT_HOME": str(home)}, cwd=home, stdout=log, stderr=log)
    try:
        answering(f"http://127.0.0.1:{port}/api/health")
        yield f"http://127.0.0.1:{port}/api"
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="session")
def first_run(env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Checkout, str]:
    """A fresh clone, in a path with a space, after its first flow (without a server), and what that printed."""
    checkout = clone(tmp_path_factory.mktemp("first") / "a clone", env)
    return checkout, checkout.flow()


@pytest.fixture
def finished(first_run: tuple[Checkout, str], server: str, tmp_path: Path) -> Checkout:
    """A copy of the finished clone, to be changed; its flows use the server, which saves their own one."""
    path = tmp_path / "a copy"
    shutil.copytree(first_run[0].path, path, symlinks=True)
    return Checkout(path, first_run[0].env | {"PREFECT_API_URL": server})
