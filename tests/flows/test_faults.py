"""What goes wrong outside of the project: a full disk, folders that can't be written, servers that go and come back.

The user is told in two lines, and when it is mended one plain run finishes.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import faults
import pytest
from checkout import PROJECT, Checkout, outcomes
from faults import Background

from flows.__main__ import LOST
from flows.checkout import problem_of_disk
from flows.stages import mend_lock, problem_in

TASK = """
from pathlib import Path
from arrange.files import replacing
from tasks import stage

def thing():
    with replacing(Path("out/table")) as part:
        part.write_bytes(bytes(2_000_000))

stage.run(thing)
"""
SOAK = [pytest.mark.slow, pytest.mark.soak]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """A disk of its own, of a size like `1m`."""
    path = tmp_path / "small disk"
    path.mkdir()

    def mounted(size: str) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)]
        if subprocess.run(command, capture_output=True).returncode:
            pytest.skip("mounting a disk takes root")
        return path

    yield mounted
    subprocess.run(["umount", "--lazy", str(path)], capture_output=True)


def fill(path: Path) -> None:
    """Leave no byte free on the disk of this new file."""
    size, end = 1 << 28, 0
    with path.open("wb") as file:
        while size:
            try:
                os.posix_fallocate(file.fileno(), end, size)
                end += size
            except OSError:
                size //= 2
    assert shutil.disk_usage(path).free == 0


def run_task(folder: Path) -> subprocess.CompletedProcess[str]:
    """A stage as flows start it, in this folder."""
    (folder / "thing.py").write_text(TASK)
    (folder / "params.yaml").write_text("{}")
    env = os.environ | {"PYTHONPATH": str(PROJECT), "DVC_STAGE": "thing"}
    return subprocess.run([sys.executable, "thing.py"], cwd=folder, env=env, capture_output=True, text=True)


def test_a_stage_on_a_full_disk_is_two_lines_and_leaves_nothing(disk):
    folder = disk("1m")
    done = run_task(folder)
    what, remedy = done.stderr.splitlines()
    assert (done.returncode, what.partition(": ")[0]) == (1, "No space left on device")
    assert remedy == "make room or mend the permissions, then run again"
    assert list((folder / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("said", "what"),
    [
        ("OSError: [Errno 28] No space left on device: '/x'", "the disk is full: "),
        ("sqlite3.OperationalError: database or disk is full", "the disk is full: "),
        ("OSError: [Errno 122] Disk quota exceeded", "the disk is full: "),
        ("OSError: [Errno 30] Read-only file system: 'x'", "{root} can't be written to"),
        ("KeyError: 'x'", "KeyError: 'x'"),
    ],
)
def test_a_crash_for_want_of_room_is_no_bug(tmp_path, said, what):
    log = tmp_path / "logs" / "rank.log"
    text = f"Traceback (most recent call last):\n  File ...\n{said}\n"
    assert problem_in(f"{text}ERROR: failed to reproduce 'rank': failed to run: x, exited with 1", log).startswith(
        what.format(root=tmp_path)
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("ERROR: failed to reproduce 'a': failed to run: python, exited with 1", "step 3\nstep 4"),
        ("ERROR: failed to reproduce 'a': failed to run: python, exited with -9", "it ended without an error"),
        ("ERROR: failed to reproduce 'a': output 'x' does not exist", "ERROR: failed to reproduce 'a': output 'x'"),
        ("ERROR: unexpected error - [Errno 28] No space left on device\nHaving any troubles?", "the disk is full"),
    ],
)
def test_the_last_words_of_a_stage_are_told_only_where_they_are_an_error(tmp_path, text, problem):
    assert problem_in(f"step 3\nstep 4\n{text}\n", tmp_path / "logs" / "a.log").startswith(problem)


def test_what_a_disk_says_of_itself(disk):
    assert problem_of_disk(Path.cwd()) == ""
    folder = disk("30m")
    assert problem_of_disk(folder) == ""
    fill(folder / "filler")
    assert problem_of_disk(folder).splitlines()[0] == f"the disk is full: {folder}"
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    assert problem_of_disk(folder).splitlines()[0] == f"{folder} can't be written to"


@pytest.mark.parametrize("text", ["", '{"read": {"a', '{"read": {}, "write": {}}'])
def test_of_dvc_s_locks_those_that_are_cut_short_are_removed(tmp_path, text):
    lock = tmp_path / ".dvc" / "tmp" / "rwlock"
    mend_lock(tmp_path)
    lock.parent.mkdir(parents=True)
    lock.write_text(text)
    mend_lock(tmp_path)
    assert lock.exists() == text.endswith("}")


def first_run_until(checkout: Checkout, stage: str, happens: Callable[[], object]) -> tuple[int, list[str]]:
    """The exit code and lines of a run in which something happens once a stage has started."""
    flow = Background(checkout, *faults.PLAIN)
    flow.wait_until(lambda: faults.has_started(checkout, stage))
    happens()
    return flow.end()


@pytest.mark.parametrize("stage", [pytest.param(name, marks=SOAK) for name in ("docids@wordnet-text", "track")])
def test_a_disk_that_fills_in_the_middle_is_told_and_a_run_with_room_finishes(first_run, disk, stage):
    folder = disk("1100m")  # a run asks for 1,000 MB
    checkout = faults.copied(first_run[0], folder / "a copy")
    faults.forget(checkout, "docids@wordnet-text")
    code, lines = first_run_until(checkout, stage, lambda: fill(folder / "filler"))
    assert code == 1
    assert lines[-2].endswith(f"the disk is full: {checkout.path}")
    assert lines[-1].startswith("make room (")
    assert not [line for line in lines if "Traceback" in line]
    (folder / "filler").unlink()
    faults.assert_run_mends(checkout, first_run[0])


@pytest.mark.slow
@pytest.mark.soak
def test_outputs_that_can_t_be_written_any_more_are_told_and_a_run_that_can_finishes(first_run, tmp_path):
    checkout = faults.copied(first_run[0], tmp_path / "a copy")
    faults.forget(checkout, "docids@wordnet-text")
    folder = str(checkout.path / "docids")
    try:
        code, lines = first_run_until(checkout, "docids@wordnet-text", lambda: make_read_only(folder))
    finally:
        subprocess.run(["umount", folder], capture_output=True)
    assert code == 1
    assert lines[-2].startswith("docids@wordnet-text: Read-only file system: docids/")
    assert lines[-1] == "make room or mend the permissions, then run again"
    faults.assert_run_mends(checkout, first_run[0])


def make_read_only(folder: str) -> None:
    """From now on this folder can be read only, by root either."""
    if subprocess.run(["mount", "--bind", folder, folder], capture_output=True).returncode:
        pytest.skip("mounting takes root")
    subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)


@pytest.fixture
def copy(first_run, tmp_path):
    """A checkout in which two stages and `track` have work to do."""
    checkout = faults.copied(first_run[0], tmp_path / "a copy")
    faults.forget(checkout, "controls@wordnet", "rank@wordnet-ntp")
    return checkout


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.parametrize("stage", ["controls@wordnet", "track"])
def test_an_mlflow_server_that_goes_is_told_and_the_next_run_records_everything_once(first_run, copy, stage):
    server = faults.mlflow_server(copy)
    copy.env["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "2"  # for seconds, not for minutes
    code, lines = first_run_until(copy, stage, lambda: strike_when_it_records(copy, server, stage))
    assert code == 1
    assert lines[-2] == f"track: MLFLOW_TRACKING_URI is {server.uri}, and no MLflow server answers there"
    assert lines[-1].startswith("start it, or unset MLFLOW_TRACKING_URI")
    server.start()
    faults.assert_run_mends(copy, first_run[0], server)


def strike_when_it_records(checkout: Checkout, server: faults.Server, stage: str) -> None:
    """Kill the server; in the stage `track` in the middle of its records."""
    if stage == "track":
        server.background.wait_until(lambda: faults.is_recording(checkout))
    server.kill()


@pytest.mark.slow
@pytest.mark.soak
def test_an_mlflow_server_that_comes_back_in_time_is_waited_for(first_run, copy):
    server = faults.mlflow_server(copy)

    def restart() -> None:
        strike_when_it_records(copy, server, "track")
        server.start()

    code, lines = first_run_until(copy, "track", restart)
    assert code == 0, "\n".join(lines)
    faults.assert_run_mends(copy, first_run[0], server)


@pytest.mark.slow
@pytest.mark.soak
def test_a_prefect_server_that_goes_is_told_and_the_next_run_says_so_there(first_run, copy):
    server = faults.prefect_server(copy)
    copy.env["PREFECT_CLIENT_MAX_RETRIES"] = "1"  # for seconds, not for minutes
    code, lines = first_run_until(copy, "controls@wordnet", server.kill)
    assert code == 1
    assert lines[-2:] == LOST.splitlines()
    assert not [line for line in lines if "Traceback" in line or "ERROR" in line]
    server.start()
    faults.assert_run_mends(copy, first_run[0], server)
    assert faults.flow_states(copy) == {"COMPLETED", "CRASHED"}


@pytest.mark.slow
@pytest.mark.soak
def test_a_run_that_is_stopped_without_its_prefect_server_ends(copy):
    server = faults.prefect_server(copy)
    copy.env["PREFECT_CLIENT_MAX_RETRIES"] = "1"
    flow = faults.Background(copy, *faults.PLAIN)
    flow.wait_until(lambda: faults.has_started(copy, "controls@wordnet"))
    server.kill()
    flow.process.terminate()
    flow.process.wait(timeout=60)  # Prefect itself would try for minutes
    assert flow.end()[1][-1] in ("the same command goes on from here", LOST.splitlines()[1])


@pytest.mark.slow
@pytest.mark.soak
def test_a_prefect_server_that_comes_back_in_time_is_waited_for(first_run, copy):
    server = faults.prefect_server(copy)

    def restart() -> None:
        server.kill()
        server.start()

    code, lines = first_run_until(copy, "controls@wordnet", restart)
    assert code == 0, "\n".join(lines)
    assert outcomes("\n".join(lines))["controls@wordnet"] == "ran"
    faults.assert_run_mends(copy, first_run[0], server)
    assert faults.flow_states(copy) == {"COMPLETED"}


@pytest.mark.slow
def test_a_prefect_server_that_is_down_is_told_before_the_work(finished):
    finished.env["PREFECT_API_URL"] = "http://127.0.0.1:9/api"
    what, remedy = finished.flow(code=1).splitlines()
    assert what == "PREFECT_API_URL is http://127.0.0.1:9/api, and no Prefect server answers there"
    assert remedy.startswith("start it, or unset PREFECT_API_URL")
