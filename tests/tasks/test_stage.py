"""What surrounds a stage's task: errors in two lines, the record, progress, and an end with the parent."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from records.states import read_record
from tasks import stage

PROJECT = Path(__file__).parents[2]
PARAMS = "rank: {beams: 3}\n"


@pytest.fixture
def start(tmp_path):
    """Start a task with this body as a stage `thing@a` in tmp_path, as DVC does."""
    (tmp_path / "params.yaml").write_text(PARAMS)

    def started(body, *words, **options):
        module = tmp_path / "thing.py"
        module.write_text(f"""
import os, resource
from pathlib import Path
from arrange.errors import UserError
from tasks import stage

def thing(*words):
{textwrap.indent(textwrap.dedent(body), "    ")}

if __name__ == "__main__":
    stage.run(thing)
""")
        env = os.environ | {"PYTHONPATH": str(PROJECT), "DVC_STAGE": "thing@a"}
        return subprocess.Popen(
            [sys.executable, "-m", "thing", *words],
            cwd=tmp_path,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    return started


@pytest.fixture
def run(start):
    def finished(body, *words):
        process = start(body, *words)
        stdout, stderr = process.communicate()
        return process.returncode, stdout, stderr

    return finished


def record(tmp_path):
    return tmp_path / "state" / "thing@a" / "record.json"


def test_a_task_gets_the_words_of_the_command_line(run):
    assert run("print('words:', *words)", "wordnet", "item") == (0, "words: wordnet item\n", "")


def test_log_lines_go_to_standard_output_and_those_of_http_clients_nowhere(run):
    body = """
    import logging
    logging.getLogger("arrange.data").info("fetched")
    logging.getLogger("httpx").info("HTTP Request: GET ...")
    """
    assert run(body) == (0, "fetched\n", "")


def test_a_users_error_is_the_last_two_lines_and_no_traceback(run, tmp_path):
    body = """
    import sys
    print("working", file=sys.stderr)
    raise UserError("rank.beams is -3", "give a number above 0")
    """
    assert run(body) == (1, "", "working\nrank.beams is -3\ngive a number above 0\n")
    assert not record(tmp_path).exists()


def test_a_users_error_comes_after_the_progress_bar(run):
    body = """
    with stage.progress(3, "steps") as reached:
        reached(1)
        raise UserError("what", "remedy")
    """
    code, _, stderr = run(body)
    assert (code, stderr.splitlines()[-2:]) == (1, ["what", "remedy"])


def test_a_folder_that_cannot_be_written_is_two_lines(run, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, stderr = run("Path('file/below').write_text('x')")
    assert (code, stderr) == (
        1,
        "Not a directory: file/below\nmake room or mend the permissions, then run again\n",
    )


def test_no_place_for_the_stages_own_record_is_two_lines(run, tmp_path):
    (tmp_path / "state").write_text("a file where a folder must be")
    code, _, stderr = run("print('never reached')")
    assert code == 1
    assert stderr.splitlines()[1:] == ["make room or mend the permissions, then run again"]


def test_a_full_disk_is_two_lines_and_leaves_nothing(run, tmp_path):
    body = """
    from arrange.files import replacing
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    with replacing(Path("out/table")) as part:
        part.write_bytes(bytes(2000))
    """
    code, _, stderr = run(body)
    assert (code, stderr) == (
        1,
        f"File too large: {tmp_path}\nmake room or mend the permissions, then run again\n",
    )
    assert list((tmp_path / "out").iterdir()) == []
    assert not record(tmp_path).exists()


def test_a_full_disk_that_polars_reports_in_its_own_words_is_two_lines_as_well(run, tmp_path):
    body = """
    import polars as pl
    from arrange.files import replacing
    table = pl.DataFrame({"a": range(100_000)})
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    with replacing(Path("out/table.parquet")) as part:
        table.write_parquet(part)
    """
    code, _, stderr = run(body)
    assert code == 1
    what, remedy = stderr.splitlines()
    assert "File too large (os error 27)" in what
    assert remedy == "make room or mend the permissions, then run again"
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    "read", ["Path('data/queries.parquet').read_bytes()", "__import__('polars').read_parquet('data/queries.parquet')"]
)
def test_a_missing_input_is_two_lines_that_say_how_to_make_it(run, read):
    code, _, stderr = run(read)
    what, remedy = stderr.splitlines()
    assert code == 1
    assert what.startswith("No such file or directory")
    assert "data/queries.parquet" in what
    assert remedy == "`dvc repro` runs the stages that make it first"


def test_a_bug_is_a_traceback(run, tmp_path):
    code, _, stderr = run("return {}['key']")
    assert code == 1
    assert stderr.startswith("Traceback (most recent call last):")
    assert stderr.endswith("KeyError: 'key'\n")
    assert not record(tmp_path).exists()


def test_the_record_is_written_at_the_end_with_notes(run, tmp_path):
    body = """
    usage = resource.getrusage(resource.RUSAGE_SELF)
    print(Path("state/thing@a/record.json").exists(), usage.ru_utime + usage.ru_stime - 0.02)  # of clock ticks
    stage.note("data_source", "WordNet 3.0 (installed)")
    stage.note("count", 3)
    """
    code, stdout, stderr = run(body)
    assert code == 0, stderr
    existed = stdout.split()[0]
    found = json.loads(record(tmp_path).read_text())
    assert existed == "False"
    assert min(found["started"], found["seconds"]) >= 0
    assert found["cpu_seconds"] >= float(stdout.split()[1])  # of the process, of its imports too
    assert found["params"] == hashlib.sha256(PARAMS.encode()).hexdigest()
    assert found["notes"] == {"data_source": "WordNet 3.0 (installed)", "count": 3}


@pytest.mark.parametrize(("process", "files"), [("0", {"record.json", "progress.jsonl"}), ("1", set())])
def test_of_the_processes_of_one_training_the_first_alone_writes(run, tmp_path, monkeypatch, process, files):
    monkeypatch.setenv("RANK", process)
    body = """
    with stage.progress(1, "steps") as reached:
        reached(1)
    """
    assert run(body) == (0, "", "")
    assert {path.name for path in (tmp_path / "state" / "thing@a").iterdir()} == files


def test_a_run_that_fails_takes_the_earlier_record_away(run, tmp_path):
    run("return")
    assert record(tmp_path).exists()
    run("raise UserError('what', 'remedy')")
    assert not record(tmp_path).exists()


def test_the_record_of_another_params_yaml_is_refused(run, tmp_path, monkeypatch):
    run("stage.note('source', 'here')")
    monkeypatch.chdir(tmp_path)
    assert read_record("thing@a")["notes"] == {"source": "here"}
    Path("params.yaml").write_text(PARAMS + "# another\n")
    assert read_record("thing@a") == {}
    Path("params.yaml").write_text(PARAMS)
    assert read_record("thing@a")["notes"] == {"source": "here"}
    assert read_record("never ran") == {}


def test_the_folder_is_named_by_dvc(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_STAGE", "sub/dvc.yaml:finetune@wordnet-item")
    assert stage.folder() == Path("state/finetune@wordnet-item")
    assert stage.folder().is_dir()


def test_a_stage_that_is_started_by_hand_leaves_its_record_where_dvc_s_would_be(tmp_path):
    (tmp_path / "params.yaml").write_text(PARAMS)
    (tmp_path / "tasks").mkdir()
    for name in ("__init__.py", "__main__.py", "stage.py"):
        shutil.copy(PROJECT / "tasks" / name, tmp_path / "tasks")
    (tmp_path / "tasks" / "thing.py").write_text("def thing(name):\n    print(name)\n")
    env = {key: value for key, value in os.environ.items() if key != "DVC_STAGE"} | {"PYTHONPATH": str(PROJECT)}
    words = [sys.executable, "-m", "tasks", "thing", "a"]
    done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert (done.stdout, record(tmp_path).exists()) == ("a\n", True), done.stderr


def test_progress_is_a_line_at_the_start_and_at_the_end_and_seldom_between(run, tmp_path):
    body = """
    with stage.progress(10_000, "queries") as reached:
        for done in range(1, 10_001):
            reached(done)
    """
    code, stdout, stderr = run(body)
    assert (code, stdout, stderr) == (0, "", "")  # no terminal, no bar
    lines = (tmp_path / "state" / "thing@a" / "progress.jsonl").read_text().splitlines()
    reports = [json.loads(line) for line in lines]
    assert all(report | {"done": 0} == {"done": 0, "total": 10_000, "unit": "queries"} for report in reports)
    done = [report["done"] for report in reports]
    assert (done[0], done[-1]) == (1, 10_000)
    assert done == sorted(set(done))
    assert len(done) < 1000


def test_progress_can_be_read_while_the_stage_works(start, tmp_path):
    process = start(
        """
        with stage.progress(2, "steps") as reached:
            reached(1)
            print("one", flush=True)
            input()
            reached(2)
        """,
        stdin=subprocess.PIPE,
    )
    assert process.stdout.readline() == "one\n"
    path = tmp_path / "state" / "thing@a" / "progress.jsonl"
    assert json.loads(path.read_text()) == {"done": 1, "total": 2, "unit": "steps"}
    process.communicate("\n")
    assert process.returncode == 0
    assert [json.loads(line)["done"] for line in path.read_text().splitlines()] == [1, 2]


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone has parent-death signals")
def test_a_stage_ends_when_its_parent_is_killed(tmp_path):
    (tmp_path / "params.yaml").write_text(PARAMS)
    (tmp_path / "thing.py").write_text(
        "import signal\n"
        "from tasks import stage\n\n"
        "stage.end_with_parent()\n"
        "def thing():\n"
        "    signal.signal(signal.SIGALRM, lambda *_: print('still here', flush=True))\n"
        "    signal.alarm(30)\n"
        "    print('works', flush=True)\n"
        "    signal.pause()\n\n"
        "stage.run(thing)\n"
    )
    parent = "import subprocess, sys; subprocess.run([sys.executable, 'thing.py'])"
    env = os.environ | {"PYTHONPATH": str(PROJECT), "DVC_STAGE": "thing"}
    pipe = subprocess.PIPE
    # parent and stage hold the pipe's one end; at the other end it is over when the last of them is gone
    process = subprocess.Popen([sys.executable, "-c", parent], cwd=tmp_path, env=env, stdout=pipe, text=True)
    assert process.stdout.readline() == "works\n"
    process.send_signal(signal.SIGKILL)
    assert process.stdout.read() == ""
    assert process.wait() == -signal.SIGKILL
