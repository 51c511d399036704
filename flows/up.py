"""Prefect, MLflow and a worker together: `make up`. Ctrl-C ends them all, and so does the end of any of them.

As a script: python -m flows.up [--host 0.0.0.0]
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack

from arrange.errors import UserError
from flows.servers import LOGS, Processes, check, end, free_port, start, wait_for
from records import store
from records.opening import opened

Command = tuple[list[str], dict[str, str]]  # the words of a Python module, and its environment


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
    name = socket.gethostname() if host == "0.0.0.0" else host  # under which other machines find it
    prefect = f"http://{name}:{os.environ.get('PREFECT_SERVER_API_PORT') or free_port(host)}"
    mlflow = store.tracking_uri()
    commands = {"prefect": prefect_server(host, prefect)}
    if not mlflow.startswith("http"):
        mlflow = f"http://{name}:{os.environ.get('MLFLOW_PORT') or free_port(host)}"
        if name == host and not os.environ.get("MLFLOW_BACKEND_STORE_URI"):
            store.experiment_id(opened())  # its files lie in this checkout, where runs without the server find them too
        commands["mlflow"] = mlflow_server(host, mlflow)
    with ExitStack() as stack:

        def launch(commands: Mapping[str, Command]) -> None:
            for name, (words, env) in commands.items():
                print(f"{name} starts ...", flush=True)
                processes[name] = start(words, LOGS / f"{name}.log", env)
                stack.callback(end, processes[name])

        launch(commands)
        wait_for("prefect", f"{prefect}/api/health", processes)
        if "mlflow" in processes:
            wait_for("mlflow", f"{mlflow}/health", processes)
        os.environ.update(PREFECT_API_URL=f"{prefect}/api", MLFLOW_TRACKING_URI=mlflow)
        deploy()
        launch({"worker": (["prefect", "worker", "start", "--pool", "local", "--limit", "2"], {})})
        print(f"Prefect  {prefect}\nMLflow   {store.redacted(mlflow)}\nReady. Another terminal can start runs:\n")
        tracking = f" MLFLOW_TRACKING_URI={mlflow}" if "mlflow" in processes else ""
        print(f"    export PREFECT_API_URL={prefect}/api{tracking}")
        print("    .venv/bin/prefect deployment run pipeline/tiny --watch\n\nCtrl-C stops everything.", flush=True)
        while True:
            check(processes)
            time.sleep(0.5)


def prefect_server(host: str, address: str) -> Command:
    """A Prefect server. It answers its own pages alone: others could start commands through a reader's browser."""
    port = address.rpartition(":")[2]
    env = {"PREFECT_SERVER_API_PORT": port, "PREFECT_SERVER_UI_API_URL": f"{address}/api"}
    env["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"] = f"{address},http://localhost:{port}"
    return ["prefect", "server", "start", "--host", host, "--port", port], env


def mlflow_server(host: str, address: str) -> Command:
    """An MLflow server, over $MLFLOW_BACKEND_STORE_URI or this checkout's records; clients hand it their files.

    It answers to its own names alone, against pages that would reach it through the browser.
    """
    words = ["mlflow", "server", "--host", host, "--port", address.rpartition(":")[2], "--workers", "1"]
    words += ["--allowed-hosts", f"{address.removeprefix('http://')},localhost:*,127.0.0.1:*"]
    artifacts = os.environ.get("MLFLOW_ARTIFACTS_DESTINATION") or str(store.home() / "mlartifacts")
    words += ["--artifacts-destination", artifacts]
    # not a word of the command, which everybody on this machine may read: it may have a password in it
    backend = os.environ.get("MLFLOW_BACKEND_STORE_URI") or store.tracking_uri()
    return words, {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_BACKEND_STORE_URI": backend}


def deploy() -> None:
    """The work pool, and the deployments of prefect.yaml."""
    for words in (["work-pool", "create", "local", "--type", "process", "--overwrite"], ["deploy", "--all"]):
        command = [sys.executable, "-m", "prefect", "--no-prompt", *words]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            last = [line.strip() for line in done.stdout.splitlines() if line.strip()][-1]
            raise UserError(f"prefect {' '.join(words)} has failed: {last}", "run it by hand, with the servers up")


if __name__ == "__main__":
    main()
