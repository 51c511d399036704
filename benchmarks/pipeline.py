"""How long a newcomer waits: set-up, the pipeline by the flow and by DVC alone, and both with nothing to do.

Two fresh clones in a temporary folder; one is run by the flow, the other by `dvc repro`. They must end with
the same dvc.lock, hence the same outputs. --quick takes the preset `tiny` and this environment's packages
instead of a set-up of its own.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import psutil
import yaml
from rich.console import Console
from rich.table import Table

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from settings.params import effective, load  # noqa: E402

REPEATS = 3  # of what is quick enough to be repeated


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="preset tiny, no set-up")
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory(prefix="arrange ") as folder:
        results = measure(Path(folder), quick)
    show(results)
    print(json.dumps(results))


def measure(folder: Path, quick: bool) -> dict[str, object]:
    """All timings, in seconds; the memory is the largest sum over the processes of a run, in GB."""
    flow, dvc = (clone(folder / name, quick) for name in ("by flow", "by dvc"))
    results: dict[str, object] = {"quick": quick, **machine()}
    if not quick:
        results["setup"] = timed(["make", ".venv/ready"], flow)[0]
        (dvc / ".venv").symlink_to(flow / ".venv")
    python = sys.executable if quick else str(flow / ".venv" / "bin" / "python")
    run, repro = [python, "-m", "flows", "pipeline"], [python, "-m", "dvc", "repro"]
    results["flow"], results["flow_peak_gb"] = timed(run, flow)
    results["stages"], results["seconds_within_stages"] = within_stages(flow)
    results["dvc_repro"], results["dvc_repro_peak_gb"] = timed(repro, dvc)
    results["same_bytes"] = (flow / "dvc.lock").read_bytes() == (dvc / "dvc.lock").read_bytes()
    assert results["same_bytes"], "the flow and DVC have made different outputs"
    results["noop_flow"] = repeated(lambda: timed(run, flow)[0])
    results["noop_dvc_repro"] = repeated(lambda: timed(repro, dvc)[0])
    return results


def within_stages(folder: Path) -> tuple[int, float]:
    """How many stages have run, and the seconds that they took themselves: without imports, DVC and Prefect."""
    records = [json.loads(path.read_text()) for path in folder.glob("state/*/record.json")]
    return len(records), sum(record["seconds"] for record in records)


def clone(path: Path, quick: bool) -> Path:
    """A clone of the last commit, without what other runs have made."""
    subprocess.run(["git", "clone", "--quiet", str(PROJECT), str(path)], check=True)
    if quick:
        params = effective(load(path / "params.yaml"), "tiny", {})
        (path / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    return path


def timed(command: Sequence[str], folder: Path) -> tuple[float, float]:
    """Seconds and peak memory (GB) of a command; its output is shown if it fails."""
    dropped = ("MLFLOW_TRACKING_URI", "PREFECT_API_URL")
    env = {name: value for name, value in os.environ.items() if name not in dropped}
    env["PATH"] = f"{Path(command[0]).parent}{os.pathsep}{env['PATH']}"
    started = time.monotonic()
    process = subprocess.Popen(
        command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    peak = [0.0]
    watcher = threading.Thread(target=watch, args=(process.pid, peak), daemon=True)
    watcher.start()
    output, _ = process.communicate()
    if process.returncode:
        sys.exit(f"{output}\n{' '.join(command)} failed in {folder}")
    return time.monotonic() - started, peak[0]


def watch(pid: int, peak: list[float]) -> None:
    """Keep in `peak` the largest memory of a process and its descendants, unshared pages only."""
    try:
        root = psutil.Process(pid)
        while root.is_running() and root.status() != psutil.STATUS_ZOMBIE:
            peak[0] = max(peak[0], sum(unshared(process) for process in [root, *root.children(recursive=True)]))
            time.sleep(0.5)
    except psutil.NoSuchProcess:
        return


def unshared(process: psutil.Process) -> float:
    """Gigabytes that this process alone holds; 0 if it has just ended."""
    try:
        return process.memory_full_info().uss / 1e9
    except psutil.Error:
        return 0.0


def repeated(measurement: Callable[[], float]) -> dict[str, float]:
    """Median and spread of a few measurements."""
    seconds = [measurement() for _ in range(REPEATS)]
    return {"median": statistics.median(seconds), "min": min(seconds), "max": max(seconds), "n": REPEATS}


def machine() -> dict[str, object]:
    """Hardware and versions, which belong to every timing."""
    cpu = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
        cpu = names[0].split(": ")[1] if names else cpu
    packages = {name: version(name) for name in ("torch", "prefect", "dvc", "mlflow", "transformers")}
    free = shutil.disk_usage(PROJECT).free // 10**9
    return {"cpu": cpu, "cores": os.cpu_count(), "free_disk_gb": free, "python": platform.python_version(), **packages}


def show(results: dict[str, object]) -> None:
    """The results as a table."""
    table = Table(title="benchmarks/pipeline.py")
    table.add_column("what")
    table.add_column("value", justify="right")
    for name, value in results.items():
        if isinstance(value, dict):
            value = f"{value['median']:.1f} ({value['min']:.1f}-{value['max']:.1f}, n={value['n']})"
        table.add_row(name, f"{value:.1f}" if isinstance(value, float) else str(value))
    Console().print(table)


if __name__ == "__main__":
    main()
