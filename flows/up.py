"""Prefect, MLflow and a worker together: `make up`. Ctrl-C ends them all, and so does the end of any of them.

As a script: python -m flows.up [--host 0.0.0.0]
"""

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import requests

from arrange.errors import UserError
from records import store
from tasks.stage import end_with_parent

SECONDS_TO_START = 120
SECONDS_TO_END = 15
LOGS = Path("logs")

Processes = dict[str, subprocess.Popen[bytes]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 lets other machines in (default: this one alone)")
    host = parser.parse_args().host
    for number in (signal.SIGINT, signal.SIGTERM):  # jobs in the background of a shell ignore the first
        signal.signal(number, signal.default_int_handler)
    try:
        up(host)
    except UserError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("stopped")


def up(host: str) -> None:
    """Start the servers, deploy, start the worker; stay until one of them ends, then raise UserError."""
    processes: Processes = {}
    with ExitStack() as stack:
        prefect, mlflow = (f"http://{reachable(host)}:{port}" for port in ports(host))
        words, env = prefect_server(host, prefect)
        stack.enter_context(running(processes, "prefect", words, env))
        theirs = store.tracking_uri().startswith("http")
        if theirs:
            mlflow = store.tracking_uri()
        else:
            share_records(host)
            stack.enter_context(running(processes, "mlflow", *mlflow_server(host, mlflow)))
            wait_for("mlflow", f"{mlflow}/health", processes)
        wait_for("prefect", f"{prefect}/api/health", processes)
        env = {"PREFECT_API_URL": f"{prefect}/api", "MLFLOW_TRACKING_URI": mlflow}
        deploy(env)
        for name, (words, sees) in workers(count_gpus()).items():
            stack.enter_context(running(processes, name, words, env | sees))
        print(
            f"Prefect  {prefect}\nMLflow   {store.redacted(mlflow)}\nReady. Another terminal can start runs:\n",
            flush=True,
        )
        print(f"    export PREFECT_API_URL={prefect}/api{'' if theirs else f' MLFLOW_TRACKING_URI={mlflow}'}")
        print("    .venv/bin/prefect deployment run pipeline/tiny --watch\n\nCtrl-C stops everything.", flush=True)
        while True:
            check(processes)
            time.sleep(0.5)


def prefect_server(host: str, address: str) -> tuple[list[str], dict[str, str]]:
    """The command and environment of a Prefect server: its pages ask the address that they are told, and no others do.

    Any page could start commands here through its reader's browser else.
    """
    port = address.rpartition(":")[2]
    env = {"PREFECT_SERVER_API_PORT": port, "PREFECT_SERVER_UI_API_URL": f"{address}/api"}
    env["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"] = f"{address},http://localhost:{port}"
    return ["prefect", "server", "start", "--host", host, "--port", port], env


def share_records(host: str) -> None:
    """See to it that flows find the files of this checkout's records with the server as without it.

    Raises UserError where other machines are let in, and could not.
    """
    if os.environ.get("MLFLOW_BACKEND_STORE_URI"):
        return
    from mlflow import MlflowClient  # takes seconds

    from tasks import track

    client = MlflowClient(tracking_uri=store.tracking_uri())
    found = client.get_experiment_by_name(track.EXPERIMENT)
    alone = reachable(host) == host
    if alone and not found:
        track.experiment_id(client)
    if found and not alone and found.artifact_location.startswith("file:"):
        raise UserError(
            "the records of this checkout have their files on this machine's disk, which others don't see",
            "let MLFLOW_BACKEND_STORE_URI name a database of the team's, sqlite:///team.db for one",
        )


def mlflow_server(host: str, address: str) -> tuple[list[str], dict[str, str]]:
    """The command and environment of an MLflow server, over $MLFLOW_BACKEND_STORE_URI or this checkout's records.

    Clients hand it their files, so that they need not see its disk.
    """
    backend = os.environ.get("MLFLOW_BACKEND_STORE_URI") or store.tracking_uri()
    words = ["mlflow", "server", "--host", host, "--port", address.rpartition(":")[2]]
    files = os.environ.get("MLFLOW_ARTIFACTS_DESTINATION") or str(store.home() / "mlartifacts")
    words += ["--artifacts-destination", files, "--workers", "1"]
    # MLflow answers to its own names alone, against pages that would reach it through the browser
    words += ["--allowed-hosts", f"{address.removeprefix('http://')},localhost:*,127.0.0.1:*"]
    # a password in the backend's address is nobody else's business: everybody may read a process's words
    return words, {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_BACKEND_STORE_URI": backend}


@contextmanager
def running(processes: Processes, name: str, words: Sequence[str], env: Mapping[str, str]) -> Iterator[None]:
    """A process of its own group, so that Ctrl-C reaches this one alone, which ends them in turn."""
    LOGS.mkdir(exist_ok=True)
    with (LOGS / f"{name}.log").open("w") as log:
        command = [sys.executable, "-m", *words]
        process = subprocess.Popen(
            command,
            env=os.environ | env,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            preexec_fn=end_with_parent,
            start_new_session=True,
        )
    processes[name] = process
    try:
        yield
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process, then whatever is left of its group."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(SECONDS_TO_END)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def wait_for(name: str, address: str, processes: Processes) -> None:
    """Return when a server answers; raise UserError when one has ended, or takes too long."""
    print(f"{name} starts ...", flush=True)
    late = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < late:
        check(processes)
        try:
            if requests.get(address, timeout=5).ok:
                return
        except requests.RequestException:
            pass
        time.sleep(0.2)
    raise UserError(f"{name} doesn't answer at {address}", f"{LOGS / name}.log says why")


def check(processes: Processes) -> None:
    """Raise UserError if one of the processes has ended."""
    for name, process in processes.items():
        if process.poll() is not None:
            raise UserError(f"{name} has ended (exit code {process.returncode})", f"{LOGS / name}.log says why")


def deploy(env: Mapping[str, str]) -> None:
    """The work pool, the deployments of prefect.yaml, and on a machine with GPUs as many slots for their stages."""
    commands = [["work-pool", "create", "local", "--type", "process", "--overwrite"], ["deploy", "--all"]]
    if gpus := count_gpus():
        commands.append(["concurrency-limit", "create", "gpu", str(gpus)])
    for words in commands:
        done = subprocess.run(
            [sys.executable, "-m", "prefect", "--no-prompt", *words],
            env=os.environ | env,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            said = (done.stdout + done.stderr).split("\n")
            last = [line.strip() for line in said if line.strip()][-1]
            raise UserError(f"prefect {' '.join(words)} has failed: {last}", "run it by hand, with the servers up")


def count_gpus() -> int:
    """NVIDIA's GPUs of this machine."""
    if not shutil.which("nvidia-smi"):
        return 0
    listed = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True)
    return len(listed.stdout.splitlines()) if listed.returncode == 0 else 0


def workers(gpus: int) -> dict[str, tuple[list[str], dict[str, str]]]:
    """By name: the command of a worker for two runs at once; of several GPUs, one for each, which sees no other."""
    words = ["prefect", "worker", "start", "--pool", "local", "--limit"]
    if gpus < 2:
        return {"worker": ([*words, "2"], {})}
    return {f"worker-{gpu}": ([*words, "1"], {"CUDA_VISIBLE_DEVICES": str(gpu)}) for gpu in range(gpus)}


def ports(host: str) -> list[str]:
    """Prefect's and MLflow's ports: of the variables that they themselves read, else some that nobody listens on."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(2)]
        for each in sockets:
            each.bind((host, 0))
        free = [str(each.getsockname()[1]) for each in sockets]
    wanted = (os.environ.get("PREFECT_SERVER_API_PORT"), os.environ.get("MLFLOW_PORT"))
    return [fixed or port for fixed, port in zip(wanted, free, strict=True)]


def reachable(host: str) -> str:
    """A name under which other machines find a server that listens on `host`."""
    return socket.gethostname() if host == "0.0.0.0" else host


if __name__ == "__main__":
    main()
