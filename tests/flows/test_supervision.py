"""What becomes of a flow run that was stopped or killed, with the temporary server that it had."""

import signal
import sqlite3
import sys
from contextlib import closing

import psutil
import pytest
from checkout import outcomes

pytestmark = [pytest.mark.slow, pytest.mark.soak]


def states(checkout) -> list[str]:
    """What Prefect's database says of the flow runs, in order."""
    with closing(sqlite3.connect(checkout.path / ".prefect" / "prefect.db")) as database:
        return [state for (state,) in database.execute("select state_type from flow_run order by created")]


def servers(checkout) -> list[psutil.Process]:
    """Temporary servers of this checkout."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd"]):
        words = process.info["cmdline"] or []
        if "prefect.server.api.server:create_app" in words and process.info["cwd"] == str(checkout.path):
            found.append(process)
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_prefect_s_database_says_that_it_crashed(finished, number):
    del finished.env["PREFECT_API_URL"]
    finished.change("finetune", arguments={"max_steps": 100_000})
    flow = finished.start(sys.executable, "-m", "flows", "pipeline")
    for line in flow.stdout:
        if "finetune@wordnet-item: starts" in line:
            break
    flow.send_signal(number)
    flow.wait()
    if number != signal.SIGKILL:
        assert states(finished) == ["COMPLETED", "CRASHED"]
        assert not psutil.wait_procs(servers(finished), timeout=30)[1]
    finished.change("finetune", arguments={"max_steps": 4})
    assert set(outcomes(finished.flow()).values()) <= {"reused", "restored"}
    assert states(finished) == ["COMPLETED", "CRASHED", "COMPLETED"]
    assert not psutil.wait_procs(servers(finished), timeout=30)[1]
