"""The warm process: it imports torch and the entry function once, and forks for each job.

The pool runs this module. Each job finds the process as it was after the imports; its changes end with its fork.
"""

import gc
import json
import os
import random
import signal
import sys
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait

import numpy.random
import torch

from arrange.activations.evaluation import Outcome
from arrange.activations.programs.admission import admit
from arrange.activations.programs.check import compile_program
from arrange.activations.sandbox.confine import ANSWER, ANSWER_BYTES, confine, missing
from arrange.activations.sandbox.wire import pack_outcome, unpack_job
from arrange.activations.sandbox.work import Entry, carry_out, entry_function
from arrange.activations.settings import Sandbox

CHUNK = 2**16
WARM = "def activation(x): return F.gelu(x) + torch.sin(x) * torch.tanh(x - x.mean())"


@dataclass(frozen=True)
class Ending:
    """How a child ended, as its parent saw it."""

    late: bool  # it was stopped at the limit of wall time
    full: bool  # its answer was too long
    code: int  # exit code, or minus the signal that ended it
    cpu: float  # seconds


def serve(pool: Connection, entry: Entry | None, sandbox: Sandbox, filtered: bool) -> None:
    """Do one job after another until the pool is gone."""
    while True:
        try:
            message = pool.recv_bytes()
        except EOFError:
            return
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            _child(message, writer, entry, sandbox, filtered)
        os.close(writer)
        answer, ending = _watch(child, reader, pool, sandbox.wall)
        os.close(reader)
        pool.send_bytes(json.dumps(vars(ending)).encode())
        pool.send_bytes(answer)


def _child(message: bytes, writer: int, entry: Entry | None, sandbox: Sandbox, filtered: bool) -> None:
    """Confine this process, do the job, write the answer, and end."""
    code = 1
    try:
        confine(writer, os.getppid(), sandbox, filtered)
        random.seed(0)  # Python's generator takes a new seed at a fork; the other generators do not
        answer = _answer(message, entry, sandbox.flops)
        while answer:
            answer = answer[os.write(ANSWER, answer) :]
        code = 0
    finally:
        os._exit(code)


def _answer(message: bytes, entry: Entry | None, flops: float) -> bytes:
    try:
        return pack_outcome(carry_out(unpack_job(message), entry, flops))
    except (TypeError, ValueError) as error:
        return pack_outcome(Outcome("output", str(error)))


def _watch(child: int, reader: int, pool: Connection, wall: float) -> tuple[bytes, Ending]:
    """Read what the child writes, until it closes its end, writes too much, takes too long, or the pool is gone."""
    answer, late, deadline = bytearray(), False, time.monotonic() + wall
    while len(answer) <= ANSWER_BYTES:
        ready = wait([reader, pool], max(0.0, deadline - time.monotonic()))
        if pool in ready:  # the pool sends nothing while it waits, so the connection was closed
            os.kill(child, signal.SIGKILL)
            os._exit(0)
        late = not ready
        chunk = b"" if late else os.read(reader, CHUNK)
        if not chunk:
            break
        answer += chunk
    full = len(answer) > ANSWER_BYTES
    os.kill(child, signal.SIGKILL)  # no harm to a process that is ending by itself
    _, status, usage = os.wait4(child, 0)
    ending = Ending(late, full, os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime)
    return (b"" if full else bytes(answer)), ending


def main() -> None:
    """Import, warm up, say hello, serve."""
    pool = Connection(int(sys.argv[1]))
    settings = json.loads(sys.argv[2])
    torch.set_num_threads(1)
    entry = entry_function(settings["entry"])
    admit(compile_program(WARM), 100.0)  # so that torch does here, once, what it does at first use
    torch.manual_seed(0)
    numpy.random.seed(0)
    os.environ.clear()
    reason = missing()
    gc.freeze()
    pool.send_bytes(reason.encode())
    serve(pool, entry, Sandbox(**settings["sandbox"]), filtered=not reason)


if __name__ == "__main__":
    main()
