"""A flow as a plain script: its command line, its terminal, its exit code."""

import argparse
import sys
from pathlib import Path

from prefect import Flow
from prefect.client.schemas.objects import State

from arrange.errors import UserError
from flows import show
from flows.workspace import check_checkout
from tasks import params, store


def run(flow: Flow[..., State]) -> None:
    """Run `flow` with the words of the command line; its two-line error is the last thing on the terminal."""
    parser = argparse.ArgumentParser(description=flow.description)
    parser.add_argument("--preset", help="a name under `presets` in params.yaml")
    parser.add_argument(
        "--set",
        nargs="+",
        default=[],
        action="extend",
        metavar="SECTION.KEY=VALUE",
        help="values for this run",
    )
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="rank data of your own (queries, documents, qrels)")
    parser.add_argument("--parallel", type=int, default=2, help="stages at once (default: 2)")
    words = parser.parse_args()
    try:
        overrides = params.parse_overrides(words.set)
        if words.data:
            chosen = params.validate(params.effective(params.load(), words.preset, {}), str(params.PARAMS))
            overrides = params.merge(params.with_own_data(chosen, words.data), overrides)
        # what can be known before the wait for a server
        params.effective(params.load(), words.preset, overrides)
        check_checkout(Path.cwd())
        store.check_server()
    except UserError as error:
        sys.exit(str(error))
    show.as_script()
    show.console.print("Prefect starts (10 to 20 s) ...")
    state: State = flow(preset=words.preset or None, overrides=overrides, parallel=words.parallel, return_state=True)
    show.console.print()
    if state.is_failed() or state.is_crashed():
        sys.exit(state.message)
    show.console.print(state.message, markup=False, soft_wrap=True)
