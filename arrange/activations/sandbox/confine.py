"""Confines a process before a candidate runs in it.

The kernel limits memory, CPU time, files and processes (setrlimit). A filter of system calls (seccomp, by libseccomp)
allows what computing needs and nothing else: no file, no socket, no process, no thread, no signal to others, no sleep,
and no writing except to the one pipe for the answer. On systems other than Linux, where the filter is forbidden, or
where libseccomp is missing, only the limits hold; `missing` says so.
"""

import ctypes
import errno
import os
import resource
import signal
import sys
from functools import cache
from pathlib import Path
from typing import Any

from arrange.activations.settings import Sandbox
from arrange.errors import extra

ANSWER = 3  # the file descriptor of the pipe for the answer, the only one open for writing
ANSWER_BYTES = 2**24  # that an answer may have
PR_SET_PDEATHSIG = 1

COMPUTING = (
    *("brk", "madvise", "mmap", "mprotect", "mremap", "munmap"),
    *("clock_getres", "clock_gettime", "getrusage", "gettimeofday", "times"),
    *("getpid", "getppid", "gettid", "sched_getaffinity", "sched_yield"),
    *("futex", "getrandom", "restart_syscall", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack"),
    *("close", "exit", "exit_group"),
)


def missing() -> str:
    """Why the filter of system calls does not work here; "" where it works, which a child process tries."""
    if sys.platform != "linux":
        return f"{sys.platform} has no seccomp"
    try:
        _filter()
    except ImportError as error:
        return ", ".join(str(error).splitlines())
    except (RuntimeError, OSError) as error:
        return f"{error} (install libseccomp)"
    child = os.fork()
    if not child:
        try:
            _filter().load()
            os._exit(0)
        except BaseException:
            os._exit(1)
    return "" if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0 else "the kernel forbids seccomp"


def confine(answer: int, parent: int, sandbox: Sandbox, filtered: bool) -> None:
    """Give up everything in this process except computing and writing the answer. This cannot be undone.

    answer: the pipe's file descriptor, which is moved to ANSWER; parent: the process to die with; filtered: whether to
    load the filter. Everything that the job imports must be imported before.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
    _close_all_but(answer)
    _limit(sandbox)
    if filtered:
        _filter().load()


def _close_all_but(answer: int) -> None:
    """Leave nothing open except /dev/null as standard streams and the answer's pipe."""
    null, kept = os.open(os.devnull, os.O_RDWR), os.dup(answer)
    for standard in range(3):
        os.dup2(null, standard)
    os.dup2(kept, ANSWER)
    os.closerange(ANSWER + 1, os.sysconf("SC_OPEN_MAX"))


def _limit(sandbox: Sandbox) -> None:
    bounds = {
        resource.RLIMIT_CORE: (0, 0),
        resource.RLIMIT_FSIZE: (0, 0),
        resource.RLIMIT_NOFILE: (ANSWER + 1, ANSWER + 1),
        resource.RLIMIT_NPROC: (0, 0),  # binds users other than root
        resource.RLIMIT_CPU: (sandbox.cpu, sandbox.cpu + 1),  # a second later it can't be caught
    }
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + sandbox.memory * 2**20
        bounds[resource.RLIMIT_AS] = (most, most)
    for limit, bound in bounds.items():
        resource.setrlimit(limit, bound)


@cache
def _filter() -> Any:
    """The filter, not yet loaded, made once. System calls that it does not allow fail with EPERM."""
    with extra("activations"):
        import pyseccomp  # raises RuntimeError without libseccomp

    allowed = pyseccomp.SyscallFilter(pyseccomp.ERRNO(errno.EPERM))
    for name in COMPUTING:
        allowed.add_rule(pyseccomp.ALLOW, name)
    allowed.add_rule(pyseccomp.ALLOW, "write", pyseccomp.Arg(0, pyseccomp.EQ, ANSWER))
    return allowed
