"""A pool of warm processes that do jobs in the sandbox."""

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
from arrange.activations.sandbox.confine import ANSWER_BYTES
from arrange.activations.sandbox.wire import pack_job, unpack_outcome
from arrange.activations.settings import Sandbox

# a candidate's process gets these variables of this process: where libraries are, how kernels round
KEPT = ("LD_LIBRARY_PATH", "ATEN_CPU_CAPABILITY", "MKL_CBWR", "OPENBLAS_CORETYPE")
FIXED = {
    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"),
    "CUDA_VISIBLE_DEVICES": "",
    "PYTHONHASHSEED": "0",
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",  # large pages: a fork copies 512 times fewer entries of the page table
}


class Pool:
    """Runs jobs in `sandbox.workers` processes. A context manager: its processes end with the block.

    entry: "package.module:function", a trusted function of (activation, arrays, settings) that returns named arrays.
    It is called in the candidate's process after admission; "" runs the admission tests alone. Its module must import
    everything that it needs, because no file can be opened later.

    Warns once where the system cannot filter system calls.

    >>> with Pool("", sandbox) as pool:  # doctest: +SKIP
    ...     pool([Job("def activation(x): return torch.tanh(x)")])[0].admitted.flops
    10.0
    """

    def __init__(self, entry: str, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._settings = json.dumps({"entry": entry, "sandbox": asdict(sandbox)})
        self._workers = [_Worker() for _ in range(sandbox.workers)]

    def __enter__(self) -> "Pool":
        self._folder = tempfile.TemporaryDirectory(prefix="arrange-sandbox-")
        try:
            for worker in self._workers:
                worker.start(self._settings, self._folder.name)
            missing = {worker.hello() for worker in self._workers} - {""}
        except BaseException:
            self.__exit__(None, None, None)
            raise
        for reason in missing:  # the same for all workers
            warnings.warn(
                f"the sandbox has no filter of system calls: {reason}. "
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
        """Do the jobs and return their outcomes, in the same order. A job out of wall time gets a second try."""
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
                    outcome = worker.receive(self._sandbox)
                    if outcome.reason == "wall" and place not in late:
                        late.add(place)
                        waiting.append(place)
                    else:
                        outcomes[place] = outcome
        finally:
            for worker in busy:  # after an exception nobody waits for their answers
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
        """Wait until it is ready; return why the filter does not work on this system, or ""."""
        try:
            return self.connection.recv_bytes().decode()
        except EOFError:
            raise RuntimeError("the sandbox's process ended before it was ready; its own message is above") from None

    def receive(self, sandbox: Sandbox) -> Outcome:
        """The outcome of the job that was sent."""
        try:
            ending = json.loads(self.connection.recv_bytes())
            answer = self.connection.recv_bytes()
        except (EOFError, OSError):
            self.kill()
            return Outcome("crashed", "it took the sandbox's process with it")
        return judge(ending, answer, sandbox)

    def kill(self) -> None:
        """End the process and its children."""
        if self.process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.connection.close()
        self.process = None


def judge(ending: dict[str, Any], answer: bytes, sandbox: Sandbox) -> Outcome:
    """The outcome of a job from how its process ended. An answer counts only if the process ended well."""
    cpu = ending["cpu"]
    if ending["code"] == -signal.SIGXCPU or cpu >= sandbox.cpu:
        return Outcome("cpu", f"more than {sandbox.cpu} seconds of CPU time")
    if ending["late"]:
        return Outcome("wall", f"{sandbox.wall:g} seconds passed, {cpu:.1f} of them computing")
    if ending["full"]:
        return Outcome("output", f"an answer of more than {ANSWER_BYTES} bytes")
    if ending["code"] == 0:
        return unpack_outcome(answer)
    end = f"signal {-ending['code']}" if ending["code"] < 0 else f"exit code {ending['code']}"
    return Outcome("crashed", end)
