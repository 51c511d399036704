"""Serve an exported ranker to several users: arrange serve exports/wordnet."""

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

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
        _check_port(options.port)
        device = _device(options.device)
        within = limits({name: getattr(options, name) for name in described()})
        app = server.create(options.folder, device, within)
    except UserError as error:
        sys.exit(str(error))
    until = math.ceil(within.timeout)
    uvicorn.run(app, host=options.host, port=options.port, access_log=False, timeout_graceful_shutdown=until)


def _check_port(port: int) -> None:
    if not 0 <= port < 2**16:
        raise UserError(f"--port is {port}", "give a number from 0 to 65535")


def _device(name: str | None) -> str:
    import torch  # here: it takes seconds, and help needs none

    device = name or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # the latter where torch is built without CUDA
        reason = str(error).partition("\n")[0]
        raise UserError(f"--device is {device}: {reason}", "give cpu, or a GPU that is there") from None
    return device


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(prog="arrange serve", description="Serve an exported ranker.")
    command.add_argument("folder", type=Path, help="of an exported ranker, for example exports/wordnet")
    command.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    command.add_argument("--port", type=int, default=8000, help="port to listen on (default: %(default)s)")
    command.add_argument("--device", help="of the model (default: a GPU if there is one)")
    for name, meaning in described().items():
        words = f"{meaning} (default: %(default)s)"
        command.add_argument(f"--{name}", default=getattr(Limits, name), metavar="NUMBER", help=words)
    return command


if __name__ == "__main__":
    main()
