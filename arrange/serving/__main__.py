"""Serve an exported ranker to several users: python -m arrange.serving exports/wordnet."""

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from arrange.errors import UserError
from arrange.serving.limits import Limits, described, limits


def main(argv: Sequence[str] | None = None) -> None:
    """Serve until SIGTERM or Ctrl+C and answer what was accepted; a user's mistake is two lines and exit code 1."""
    options = parser().parse_args(argv)
    try:
        import uvicorn

        from arrange.serving import server
    except ImportError as error:
        sys.exit(f"the server needs {error.name}, which isn't installed\npip install 'arrange[serving]'")
    try:
        _check(options.port, options.device)
        within = limits({name: getattr(options, name) for name in described()})
        app = server.create(options.folder, options.device, within)
    except UserError as error:
        sys.exit(str(error))
    until = math.ceil(within.timeout)
    uvicorn.run(app, host=options.host, port=options.port, access_log=False, timeout_graceful_shutdown=until)


def _check(port: int, device: str) -> None:
    if not 0 <= port < 2**16:
        raise UserError(f"--port is {port}", "give a number from 0 to 65535")
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # the latter where torch is built without CUDA
        reason = str(error).partition("\n")[0]
        raise UserError(f"--device is {device}: {reason}", "give cpu, or a GPU that is there") from None


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(prog="python -m arrange.serving", description="Serve an exported ranker.")
    command.add_argument("folder", type=Path, help="of an exported ranker, for example exports/wordnet")
    command.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    command.add_argument("--port", type=int, default=8000, help="port to listen on (default: %(default)s)")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    command.add_argument("--device", default=device, help="of the model (default here: %(default)s)")
    for name, meaning in described().items():
        words = f"{meaning} (default: %(default)s)"
        command.add_argument(f"--{name}", default=getattr(Limits, name), metavar="NUMBER", help=words)
    return command


if __name__ == "__main__":
    main()
