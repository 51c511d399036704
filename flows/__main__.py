"""A flow as a plain script, python -m flows <flow>: its command line, its terminal, its exit code."""

import argparse
import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from httpx import HTTPError
from prefect import Flow
from prefect.client.schemas.objects import State
from prefect.exceptions import TerminationSignal

from arrange.data.hub import folder_of
from arrange.errors import UserError
from flows import servers, show
from flows.checkout import check_checkout, problem_of_disk
from records import store
from settings import params

MODULES = dict.fromkeys(("pipeline", "ranking", "activations", "data"), "flows.pipeline")  # of the flows
MODULES |= dict.fromkeys(("sweep", "compare"), "flows.compare")
STOPPED = "stopped\nthe same command goes on from here"
LOST = (
    "Prefect's server no longer answers, and has no record of how the run ended\n"
    "check the server; what is done stays done, and the same command goes on from here"
)


def main() -> None:
    """Run the flow that the command line names; its two-line error is the last thing on the terminal."""
    parser = argparse.ArgumentParser(prog="python -m flows", description="Run a flow over the stages of dvc.yaml.")
    parser.add_argument("flow", choices=MODULES)
    parser.add_argument("--preset", help="a name under `presets` in params.yaml")
    parser.add_argument(
        "--set", nargs="+", default=[], action="extend", metavar="SECTION.KEY=VALUE", help="values for this run"
    )
    where = "rank data of your own: a folder of queries, documents and qrels, or hf://datasets/owner/name"
    parser.add_argument("--data", metavar="FOLDER", help=where)
    parser.add_argument("--parallel", type=int, default=2, help="stages at once (default: 2)")
    words = parser.parse_args()
    try:
        overrides = checked_overrides(words)
        show.as_script()
        show.console.print("Prefect starts ...")
        with servers.prefect_for_a_run() as wait_until_it_answers:
            flow = getattr(import_module(MODULES[words.flow]), words.flow)  # a second, while the server starts
            wait_until_it_answers()
            state = until_told_to_stop(flow, preset=words.preset, overrides=overrides, parallel=words.parallel)
    except UserError as error:
        sys.exit(str(error))
    finish(state)


def checked_overrides(words: argparse.Namespace) -> dict[str, Any]:
    """The overrides that the command line asks for; raises UserError for what can be known before a server starts."""
    overrides = params.parse_overrides(words.set)
    if words.data:
        chosen = params.effective(params.load(), words.preset, {})
        folder = folder_of(words.data, Path("data", "raw", "own"))
        overrides = params.merge(params.with_own_data(chosen, folder), overrides)
        chosen = params.effective(params.load(), words.preset, overrides)
        overrides = params.merge(params.with_bm25(chosen, folder), overrides)
    params.effective(params.load(), words.preset, overrides)
    check_checkout(Path.cwd())
    store.check_server()
    servers.check_prefect()
    return overrides


def until_told_to_stop(flow: Flow[..., State], **parameters: Any) -> State:
    """The flow's final state. Ctrl-C or TERM ends its stages within seconds, and what is done stays done."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # jobs in the background of a shell ignore it
    signal.signal(signal.SIGTERM, stop)  # Prefect marks the run, then passes the signal on
    try:
        return flow(**parameters, return_state=True)
    except (KeyboardInterrupt, TerminationSignal) as told:
        servers.leave(STOPPED, 128 + (told.signal if isinstance(told, TerminationSignal) else signal.SIGINT))
    except HTTPError:
        servers.leave(problem_of_disk(Path.cwd()) or LOST, 1)  # Prefect's database may have been the one without room


def stop(number: int, _: object) -> None:
    raise TerminationSignal(number)


def finish(state: State) -> None:
    """The last words on the terminal, and the exit code."""
    show.console.print()
    if state.is_failed() or state.is_crashed():
        sys.exit(state.message)
    show.console.print(state.message, markup=False, soft_wrap=True)


if __name__ == "__main__":
    main()
