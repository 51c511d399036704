"""What the operating system takes from a process before a candidate runs in it.

Limits of the kernel (setrlimit) on memory, CPU time, files and processes, and a filter of system calls (seccomp, by
libseccomp) that lets through what computing needs and nothing else: no file, no socket, no process, no thread, no
signal to others, no sleep, no writing but to the one pipe for the answer. On other systems than Linux, or where the
filter is forbidden or libseccomp is missing, the limits alone are left; `missing` says so.
"""

import ctypes
import errno
import os
import resource
import signal
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ANSWER = 3  # the file descriptor of the pipe for the answer, the only one open for writing
PR_SET_PDEATHSIG = 1

COMPUTING = (
    *("brk", "madvise", "mmap", "mprotect", "mremap", "munmap"),
    *("clock_getres", "clock_gettime", "getrusage", "gettimeofday", "times"),
    *("getpid", "getppid", "gettid", "sched_getaffinity", "sched_yield"),
    *("futex", "getrandom", "restart_syscall", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack"),
    *("close", "exit", "exit_group"),
)


@dataclass(frozen=True)
class Limits:
    """What one job may use."""

    cpu: int = 60  # seconds of CPU time
    wall: float = 600.0  # seconds; a job that waits for nothing is stopped, after a second chance
    memory: int = 2**30  # bytes on top of what the warm process has
    answer: int = 2**26  # bytes


def missing() -> str:
    """What keeps the filter of system calls from working here; "" where it works (a child process tries)."""
    if sys.platform != "linux":
        return f"{sys.platform} has no seccomp"
    try:
        _filter()
    except (ImportError, RuntimeError, OSError) as error:
        return f"{error} (install libseccomp)"
    child = os.fork()
    if not child:
        try:
            _filter().load()
            os._exit(0)
        except BaseException:
            os._exit(1)
    return "" if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0 else "the kernel forbids seccomp"


def confine(answer: int, parent: int, limits: Limits, filtered: bool) -> None:
    """Give up, in this process and for good, all but computing and writing the answer.

    answer: the pipe's file descriptor, moved to ANSWER; parent: the process to die with; filtered: whether to load
    the filter. All that the job imports must be imported by now.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
    _close_all_but(answer)
    _limit(limits)
    if filtered:
        _filter().load()


def _close_all_but(answer: int) -> None:
    """Leave /dev/null as standard streams, the answer's pipe, and nothing else."""
    nothing, kept = os.open(os.devnull, os.O_RDWR), os.dup(answer)
    for standard in range(3):
        os.dup2(nothing, standard)
    os.dup2(kept, ANSWER)
    os.closerange(ANSWER + 1, os.sysconf("SC_OPEN_MAX"))


def _limit(limits: Limits) -> None:
    bounds = {
        resource.RLIMIT_CORE: (0, 0),
        resource.RLIMIT_FSIZE: (0, 0),
        resource.RLIMIT_NOFILE: (ANSWER + 1, ANSWER + 1),
        resource.RLIMIT_NPROC: (0, 0),  # binds users other than root
        resource.RLIMIT_CPU: (limits.cpu, limits.cpu + 1),  # a second later it can't be caught
    }
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + limits.memory
        bounds[resource.RLIMIT_AS] = (most, most)
    for limit, bound in bounds.items():
        resource.setrlimit(limit, bound)


@cache
def _filter() -> Any:
    """The filter, not yet loaded, made once. What it doesn't let through fails with EPERM."""
    import pyseccomp  # raises RuntimeError without libseccomp

    allowed = pyseccomp.SyscallFilter(pyseccomp.ERRNO(errno.EPERM))
    for name in COMPUTING:
        allowed.add_rule(pyseccomp.ALLOW, name)
    allowed.add_rule(pyseccomp.ALLOW, "write", pyseccomp.Arg(0, pyseccomp.EQ, ANSWER))
    return allowed
