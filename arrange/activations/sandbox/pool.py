"""A pool of warm processes that do jobs in the sandbox, and judge how each one ended."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import warnings
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any

from arrange.activations.evaluation import Job, Outcome
from arrange.activations.sandbox.confine import Limits
from arrange.activations.sandbox.wire import pack_job, unpack_outcome

# all of this process's environment that a candidate's process gets: where libraries are, how kernels round
KEPT = ("LD_LIBRARY_PATH", "ATEN_CPU_CAPABILITY", "MKL_CBWR", "OPENBLAS_CORETYPE")
FIXED = {
    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"),
    "CUDA_VISIBLE_DEVICES": "",
    "PYTHONHASHSEED": "0",
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",  # a heap of large pages: a fork copies 512 times fewer of their entries
}


class Pool:
    """Runs jobs in `workers` processes; a context manager that leaves no process behind.

    entry: "package.module:function", a trusted function of (activation, arrays, settings) that returns named arrays;
    it is called where the candidate is, after admission. "" is admission alone. All it needs must be imported
    when its module is: no file can be opened later.
    budget: FLOPs per element that a candidate may cost.

    Warns once where the system can't filter system calls.

    >>> with Pool("", workers=1, limits=Limits(), budget=50) as pool:  # doctest: +SKIP
    ...     pool([Job("def activation(x): return torch.tanh(x)")])[0].admitted.flops
    10.0
    """

    def __init__(self, entry: str, workers: int, limits: Limits, budget: float) -> None:
        self._limits = limits
        self._settings = json.dumps({"entry": entry, "budget": budget, "limits": asdict(limits)})
        self._workers = [_Worker() for _ in range(workers)]

    def __enter__(self) -> "Pool":
        self._folder = tempfile.TemporaryDirectory(prefix="arrange-sandbox-")
        try:
            for worker in self._workers:
                worker.start(self._settings, self._folder.name)
            missing = {worker.hello() for worker in self._workers} - {""}
        except BaseException:
            self.__exit__(None, None, None)
            raise
        for what in missing:  # the same for all of them
            warnings.warn(
                f"the sandbox has no filter of system calls: {what}. "
                "A program that got past the check of its text could open files and connections.",
                RuntimeWarning,
                stacklevel=2,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.kill()
        self._folder.cleanup()

    def __call__(self, jobs: Sequence[Job]) -> list[Outcome]:
        """Do the jobs; their outcomes, in the order of the jobs. A job out of wall time gets a second chance."""
        outcomes: dict[int, Outcome] = {}
        waiting = deque(range(len(jobs)))
        late: set[int] = set()
        busy: dict[_Worker, int] = {}
        try:
            while len(outcomes) < len(jobs):
                for worker in self._workers:
                    if waiting and worker not in busy:
                        busy[worker] = waiting.popleft()
                        self._send(worker, jobs[busy[worker]])
                ready = wait([worker.connection for worker in busy])
                for worker in [worker for worker in busy if worker.connection in ready]:
                    place = busy.pop(worker)
                    outcome = worker.receive(self._limits)
                    if outcome.reason == "wall" and place not in late:
                        late.add(place)
                        waiting.append(place)
                    else:
                        outcomes[place] = outcome
        finally:
            for worker in busy:  # an exception: what they would still answer is nobody's
                worker.kill()
        return [outcomes[place] for place in range(len(jobs))]

    def _send(self, worker: "_Worker", job: Job) -> None:
        if not worker.alive():
            worker.start(self._settings, self._folder.name)
            worker.hello()
        worker.connection.send_bytes(pack_job(job))


class _Worker:
    """One warm process and the connection to it."""

    connection: Connection
    process: "subprocess.Popen[bytes] | None" = None

    def start(self, settings: str, folder: str) -> None:
        """Start the process; `hello` waits until it is ready."""
        self.connection, theirs = Pipe()
        paths = os.pathsep.join(os.path.abspath(path) for path in sys.path)  # noqa: PTH100
        environment = {name: os.environ[name] for name in KEPT if name in os.environ}
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "arrange.activations.sandbox.template", str(theirs.fileno()), settings],
            env={**environment, **FIXED, "PYTHONPATH": paths},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )
        theirs.close()

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def hello(self) -> str:
        """Wait until it is ready; what the sandbox lacks on this system, or ""."""
        try:
            return self.connection.recv_bytes().decode()
        except EOFError:
            raise RuntimeError("the sandbox's process ended before it was ready; its own message is above") from None

    def receive(self, limits: Limits) -> Outcome:
        """The outcome of the job that was sent."""
        try:
            ending = json.loads(self.connection.recv_bytes())
            answer = self.connection.recv_bytes()
        except (EOFError, OSError):
            self.kill()
            return Outcome("crashed", "it took the sandbox's process with it")
        return judge(ending, answer, limits)

    def kill(self) -> None:
        """End the process and all that it started."""
        if self.process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.connection.close()
        self.process = None


def judge(ending: dict[str, Any], answer: bytes, limits: Limits) -> Outcome:
    """The outcome of a job by how its process ended; an answer counts when the process ended well."""
    cpu = ending["cpu"]
    if ending["code"] == -signal.SIGXCPU or cpu >= limits.cpu:
        return Outcome("cpu", f"more than {limits.cpu} seconds of CPU time")
    if ending["late"]:
        return Outcome("wall", f"{limits.wall:g} seconds passed, {cpu:.1f} of them computing")
    if ending["full"]:
        return Outcome("output", f"an answer of more than {limits.answer} bytes")
    if ending["code"] == 0:
        return unpack_outcome(answer)
    end = f"signal {-ending['code']}" if ending["code"] < 0 else f"exit code {ending['code']}"
    return Outcome("crashed", end)
