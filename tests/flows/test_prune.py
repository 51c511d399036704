"""`make prune` on a checkout with a workspace: first it says how much, then it makes room and breaks nothing."""

import re
import sys

import pytest
from checkout import outcomes

pytestmark = [pytest.mark.slow, pytest.mark.soak]


def prune(checkout, *words):
    output = checkout.run(sys.executable, "-m", "flows.prune", *words)
    rows = re.findall(r"^(workspaces|cached objects): +(\d+) ", output, re.M)
    return output, {what: int(count) for what, count in rows}


def files(checkout):
    listed = (path for path in checkout.path.rglob("*") if path.is_file() and "mlflow.db" not in path.name)
    sizes = {str(path.relative_to(checkout.path)): path.stat().st_size for path in listed}
    # DVC's lock has the number of the process that held it last
    return {name: size for name, size in sizes.items() if not name.endswith(".dvc/tmp/lock")}


def test_a_workspace_and_what_it_alone_cached_go_and_the_checkout_stays_whole(finished):
    finished.flow("--set", "evaluate.resamples=30")
    before = files(finished)

    output, told = prune(finished)
    assert "could go" in output
    assert files(finished) == before

    output, counts = prune(finished, "--go")
    assert counts == told
    assert counts["workspaces"] == 1
    assert counts["cached objects"] > 0  # the workspace held them
    assert not list(finished.path.glob(".workspaces/*"))
    assert finished.is_up_to_date()
    assert set(outcomes(finished.flow()).values()) == {"reused"}
    assert prune(finished)[1] == {"workspaces": 0, "cached objects": 0}
