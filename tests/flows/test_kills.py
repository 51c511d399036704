"""kill -9 of anything at any moment: one plain run afterwards, and all is as if nothing had been.

`make soak` does it KILLS times and prints a row for each: number, seed, victim, moment, seconds before and after, and
the last words of what was killed. The same SEED gives the same victims and moments; how far a victim has come by then
is up to the machine.
"""

import os
import re
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from random import Random

import faults
import psutil
import pytest
from checkout import STAGES, Checkout
from faults import Background

pytestmark = [pytest.mark.slow, pytest.mark.soak]

SEED = os.environ.get("SEED", "0")
KILLS = int(os.environ.get("KILLS", "6"))
ENGINES = ("prefect.engine", "prefect.flow_engine", "_workspace_runtime_bootstrap.py")  # what runs a worker's flow
# who may die, by the words of its command: of a plain run, and of one that `make up` works on
ALONE: dict[str, Callable[[list[str]], bool]] = {
    "flow": lambda words: words == ["-m", "flows", "pipeline"],
    "dvc": lambda words: "repro" in words,
    "stage": lambda words: words[1:2] == ["tasks"],
    "prefect": faults.is_temporary_server,
    "mlflow": faults.is_of_mlflow,
}
DEPLOYED: dict[str, Callable[[list[str]], bool]] = {
    "worker": lambda words: words[1:4] == ["prefect", "worker", "start"],
    "flow of a worker": lambda words: any(word.endswith(ENGINES) for word in words),
    "make up": lambda words: words == ["-m", "flows.up"],
    "prefect of up": lambda words: words[1:4] == ["prefect", "server", "start"],
    "mlflow of up": faults.is_of_mlflow,
}


@dataclass(frozen=True)
class Plan:
    """Who dies, so many seconds after the start of which stage, and the stages that are to run (with `track`)."""

    victim: str
    stage: str
    seconds: float
    again: tuple[str, ...]


def plan(number: int) -> Plan:
    """The kill of this number: five in plain runs, the sixth in one of `make up`, and so on."""
    random = Random(f"{SEED} {number}")
    turn, place = divmod(number, 6)
    victim = [*ALONE, list(DEPLOYED)[turn % len(DEPLOYED)]][place]
    again = tuple(random.sample([stage for stage in STAGES if stage != "track"], 2))
    return Plan(victim, random.choice([*again, "track"]), random.uniform(0, 4), again)


@pytest.mark.parametrize("number", range(KILLS))
def test_after_a_kill_one_plain_run_finishes(first_run, tmp_path, number):
    chosen, start = plan(number), time.monotonic()
    first, checkout = first_run[0], faults.copied(first_run[0], tmp_path / "a copy")
    faults.forget(checkout, *chosen.again)
    was_hit, said = (kill_deployed if chosen.victim in DEPLOYED else kill_alone)(checkout, chosen)
    if not was_hit:
        pytest.skip(f"the run was over before {chosen} came to pass")
    working = [each for each in faults.processes(checkout) if not faults.is_temporary_server(each.cmdline())]
    left = psutil.wait_procs(working, timeout=300)[1]  # a flow without its server tries for minutes
    assert not left, [each.cmdline() for each in left]
    middle = time.monotonic()
    code, lines = Background(checkout, *faults.PLAIN).end()
    print(f"\n{number} | {SEED} | {chosen.victim} | {chosen.stage} + {chosen.seconds:.1f} s", end=" | ")
    print(f"{middle - start:.0f} + {time.monotonic() - middle:.0f} s | {' / '.join(said)}")
    assert code == 0, "\n".join(lines)
    faults.assert_mended(checkout, first)


def kill_alone(checkout: Checkout, chosen: Plan) -> tuple[bool, list[str]]:
    """Whether the victim of a plain run was killed, and the run's last words."""
    if chosen.victim == "mlflow":
        server = faults.mlflow_server(checkout)
        checkout.env["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "2"  # for seconds, not for minutes
    flow = Background(checkout, *faults.PLAIN)
    was_hit = strike(flow, checkout, chosen, ALONE[chosen.victim])
    if chosen.victim == "mlflow":
        server.kill()
        checkout.env.pop("MLFLOW_TRACKING_URI")  # the next run writes to the same file
    return was_hit, flow.end()[1][-2:]


def kill_deployed(checkout: Checkout, chosen: Plan) -> tuple[bool, list[str]]:
    """Whether the victim was killed in a run of `make up`, and the last words of that."""
    up = Background(checkout, sys.executable, "-m", "flows.up")
    up.wait_until(lambda: "Ctrl-C stops" in up.said())
    (address,) = re.findall(r"^Prefect +(http.*)$", up.said(), re.MULTILINE)
    user = Checkout(checkout.path, checkout.env | {"PREFECT_API_URL": f"{address}/api"})
    words = ("prefect", "deployment", "run", "pipeline/quickstart", "--watch")
    watch = Background(user, sys.executable, "-m", *words)
    was_hit = strike(watch, checkout, chosen, DEPLOYED[chosen.victim])
    if not was_hit or chosen.victim == "flow of a worker":  # `make up` ends by itself with any of the others
        up.process.terminate()
    watch.process.kill()
    watch.process.wait()
    return was_hit, up.end()[1][-2:]


def strike(work: Background, checkout: Checkout, chosen: Plan, is_victim: Callable[[list[str]], bool]) -> bool:
    """kill -9 of the victim's processes, at the moment of the plan or soon after; whether there were any."""
    work.wait_until(lambda: faults.has_started(checkout, chosen.stage))
    work.works_for(chosen.seconds)
    while work.process.poll() is None:
        if victims := [each for each in faults.processes(checkout) if is_victim(each.info["cmdline"][1:])]:
            for each in victims:
                with suppress(psutil.NoSuchProcess):
                    each.kill()
            return True
        work.works_for(0.05)
    return False
