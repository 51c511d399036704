"""An entry function that does what it is told to: what a program could do that got past the check of its text.

It runs where candidates run, so nothing here may hurt: each deed only tries.
"""

import ctypes
import gc
import importlib
import mmap
import os
import pickle
import random
import resource
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import numpy.random  # later is too late: no file can be opened
import torch

SCORE = {"score": np.ones(1)}  # what a successful deed would bring home


def do(activation, arrays, settings):
    """Do the deed; a deed that succeeds returns arrays."""
    if settings["deed"] == "honest":
        return honest(activation, arrays, settings)
    return DEEDS[settings["deed"]](settings) or SCORE


def honest(activation, arrays, settings):
    """Some steps of training; its bytes depend on nothing but the job."""
    generator = torch.Generator().manual_seed(settings["seed"])
    weights = torch.randn(8, 1, generator=generator).requires_grad_()
    x = torch.from_numpy(arrays["x"])
    for _ in range(5):
        (slope,) = torch.autograd.grad((activation(x @ weights) * settings["gain"]).square().mean(), weights)
        weights = (weights - 0.1 * slope).detach().requires_grad_()
    draws = np.array([torch.rand(()).item(), random.random(), np.random.random()])
    return {"weights": weights.detach().numpy(), "draws": draws}


def bombs(settings):
    """Memory, page by page."""
    kept = []
    while True:
        kept.append(bytearray(b"x" * 2**24))


def swarm(settings):
    for _ in range(1000):
        threading.Thread(target=time.sleep, args=(60,)).start()


def spin(settings):
    while True:
        pass


def spin_on(settings):
    signal.signal(signal.SIGXCPU, signal.SIG_IGN)
    spin(settings)


def hang(settings):
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


def fall(settings):
    sys.setrecursionlimit(10**9)

    def deeper(n):
        return [deeper(n + 1)]

    deeper(0)


def forge(*pieces):
    """Write an answer past the one that would be written, then leave."""

    def deed(settings):
        for piece in pieces:
            os.write(3, piece)
        os._exit(0)

    return deed


def flood(settings):
    while True:
        os.write(3, b"\0" * 2**20)


def write_canary(settings):
    Path(settings["canary"]).write_text("1.0")


def every_descriptor(settings):
    written = 0
    for number in [*range(3), *range(4, 64)]:
        try:
            written += os.write(number, b"score")
        except OSError:
            continue
    if not written:
        raise OSError("nothing to write to")


def leak(settings):
    raise RuntimeError(f"environment {dict(os.environ)}")


def spoil(settings):
    """Change the process for whoever comes after."""
    torch.manual_seed(7)
    random.seed(7)
    np.random.seed(7)
    torch.exp = torch.tanh = torch.sin
    torch.Tensor.sin = None
    torch.set_default_dtype(torch.float64)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.modules.clear()
    raise RuntimeError("spoiled")


class Late(np.ndarray):
    """Fails when it is looked at."""

    def __array_finalize__(self, other):
        self.bad = True

    def tobytes(self, *_):
        raise RuntimeError("too late")


def system_call(number, *arguments):
    def deed(settings):
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.syscall(number, *arguments) < 0:
            raise OSError(ctypes.get_errno(), "refused")

    return deed


class Reduces:
    def __reduce__(self):
        return os._exit, (0,)


def message(head, tail=b""):
    return struct.pack("<Q", len(head)) + head + tail


DEEDS = {
    "fork": lambda s: os.fork(),
    "spawn": lambda s: subprocess.run(["/bin/true"]),
    "system": lambda s: None if os.system("true") == 0 else (_ for _ in ()).throw(OSError("no shell")),
    "exec": lambda s: os.execv("/bin/true", ["true"]),
    "threads": swarm,
    "socket": lambda s: socket.socket(),
    "socket pair": lambda s: socket.socketpair(),
    "connect": lambda s: socket.create_connection(("127.0.0.1", 9), timeout=1),
    "read a file": lambda s: Path("/etc/passwd").read_text(),
    "read its memory": lambda s: Path("/proc/self/environ").read_bytes(),
    "write the score": write_canary,
    "write here": lambda s: Path("file").write_text("1"),
    "write anywhere": every_descriptor,
    "list a folder": lambda s: list(Path("/").iterdir()),
    "remove the score": lambda s: Path(s["canary"]).unlink(),
    "rename the score": lambda s: Path(s["canary"]).rename(s["canary"] + "x"),
    "chmod": lambda s: Path(s["canary"]).chmod(0o777),
    "change folder": lambda s: os.chdir("/"),
    "make a folder": lambda s: Path("folder").mkdir(),
    "named pipe": lambda s: os.mkfifo("pipe"),
    "memory file": lambda s: os.memfd_create("x"),
    "shared memory": lambda s: mmap.mmap(os.open("/dev/shm/x", os.O_CREAT | os.O_RDWR), 10),
    "import": lambda s: importlib.import_module("this"),
    "torch.save": lambda s: torch.save(torch.ones(1), s["canary"]),
    "torch.load": lambda s: torch.load("/etc/passwd"),
    "kill the parent": lambda s: os.kill(os.getppid(), signal.SIGKILL),
    "kill the pool": lambda s: os.kill(s["pool"], signal.SIGKILL),
    "kill the group": lambda s: os.killpg(0, signal.SIGKILL),
    "new session": lambda s: os.setsid(),
    "nice": lambda s: os.nice(-5),
    "raise limits": lambda s: resource.setrlimit(resource.RLIMIT_CPU, (10**6, 10**6)),
    "trace": system_call(101, 16, os.getppid(), 0, 0),
    "other system calls": system_call(425, 8, 0),  # io_uring_setup
    "user namespace": system_call(272, 0x10000000),  # unshare
    "read another's memory": system_call(310, os.getppid(), 0, 0, 0, 0, 0),
    "sleep": lambda s: time.sleep(3600),
    "timer": lambda s: signal.setitimer(signal.ITIMER_REAL, 1),
    "environment": leak,
    "spoil": spoil,
    "spin": spin,
    "spin on": spin_on,
    "hang": hang,
    "bomb": bombs,
    "tensor bomb": lambda s: torch.ones(2**40),
    "recursion": fall,
    "segfault": lambda s: ctypes.string_at(0),
    "abort": lambda s: os.abort(),
    "leave": lambda s: os._exit(0),
    "exit": lambda s: sys.exit(0),
    "stop": lambda s: os.kill(os.getpid(), signal.SIGSTOP),
    "close": lambda s: os.close(3),
    "garbage": forge(b"garbage"),
    "pickle": forge(pickle.dumps(Reduces())),
    "deep json": forge(message(b"[" * 100_000)),
    "json that is no object": forge(message(b"1")),
    "short length": forge(struct.pack("<Q", 2**63)),
    "no reason": forge(message(b"{}", message(b"{}"))),
    "no admission": forge(message(b'{"reason":"","detail":"","admitted":null}', message(b"{}"))),
    "odd admission": forge(
        message(b'{"reason":"","detail":"","admitted":{"flops":NaN,"gain":1,"curve":[]}}', message(b"{}"))
    ),
    "flood": flood,
    "too much": lambda s: {"big": np.zeros(2**22)},
    "no arrays": lambda s: {"score": 1.0},
    "a list": lambda s: [1.0],
    "objects": lambda s: {"score": np.array([Reduces()], dtype=object)},
    "names": lambda s: {1: np.zeros(1)},
    "late": lambda s: {"score": np.zeros(2).view(Late)},
    "free": lambda s: {"score": np.zeros(len(gc.get_objects()), dtype="datetime64[s]")},
}
