"""Where records go, and whether a server answers there."""

import socket
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

import pytest
from servers import serving

from arrange.errors import UserError
from records import store


@pytest.fixture(autouse=True)
def no_settings_of_the_outside(monkeypatch):
    for name in ("DVC_ROOT", "MLFLOW_TRACKING_URI", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def checkout(tmp_path):
    """A checkout with a worktree of a preset and a temporary clone of a DVC experiment in it."""
    path = tmp_path / "it's a checkout"
    for inner in (".workspaces/0a1b2c3d4e5f", ".dvc/tmp/exps/tmp1"):
        (path / inner).mkdir(parents=True)
    return path


@pytest.mark.parametrize("inner", [".", ".workspaces/0a1b2c3d4e5f"])
def test_the_store_is_in_the_checkout_also_for_its_worktrees(checkout, monkeypatch, inner):
    monkeypatch.chdir(checkout / inner)
    assert store.home() == checkout
    assert store.tracking_uri() == f"sqlite:///{checkout}/mlflow.db"


@pytest.mark.parametrize("root", [".", ".workspaces/0a1b2c3d4e5f"])
def test_the_store_of_an_experiments_clone_is_that_of_the_checkout(checkout, monkeypatch, root):
    monkeypatch.chdir(checkout / ".dvc/tmp/exps/tmp1")
    monkeypatch.setenv("DVC_ROOT", str(checkout / root))
    assert store.home() == checkout
    assert store.tracking_uri() == f"sqlite:///{checkout}/mlflow.db"


def test_a_store_of_the_users_own(checkout, monkeypatch):
    monkeypatch.chdir(checkout)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert store.tracking_uri() == "http://127.0.0.1:5000"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    assert store.tracking_uri() == f"sqlite:///{checkout}/mlflow.db"


@contextmanager
def server(status):
    """A server on 127.0.0.1 that answers /health with `status`, anything else with 404; yields address and paths."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(status if self.path == "/health" else 404)
            self.end_headers()

        def log_message(self, *words):
            pass

    with serving(Handler) as host:
        yield f"http://{host}", asked


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_server_that_is_well(monkeypatch, slash):
    with server(200) as (address, asked):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address + slash)
        store.check_server()
    assert asked == ["/health"]


def refusal(uri):
    with pytest.raises(UserError) as failure:
        store.check_server()
    assert str(failure.value) == (
        f"MLFLOW_TRACKING_URI is {uri}, and no MLflow server answers there\n"
        "start it, or unset MLFLOW_TRACKING_URI to log to mlflow.db in this checkout"
    )


@pytest.mark.parametrize("status", [404, 500, 503])
def test_a_server_that_is_another_one_or_ill(monkeypatch, status):
    with server(status) as (address, _):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        refusal(address)


def test_no_server(monkeypatch):
    with socket.socket() as held:  # bound, not listening: nobody else gets this port, and nobody answers
        held.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{held.getsockname()[1]}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        refusal(address)


def test_no_address(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://")
    refusal("http://")


@pytest.mark.parametrize("uri", ["sqlite:////nowhere/mlflow.db", "postgresql://host/base", "databricks", ""])
def test_a_store_that_is_no_http_server_is_not_asked(monkeypatch, uri):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    store.check_server()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:secret@db/mlflow", "postgresql://me:***@db/mlflow"),
        ("records in https://u:p%40ss@host:5000/x, then", "records in https://u:***@host:5000/x, then"),
        ("http://:secret@host", "http://:***@host"),
        ("https://token@host/x", "https://***@host/x"),
        ("postgresql:///m?user=me&password=word&x=1", "postgresql:///m?user=me&password=***&x=1"),
        ("http://host:5000/a@b and me:you@there", "http://host:5000/a@b and me:you@there"),
        ("sqlite:////tmp/mlflow.db", "sqlite:////tmp/mlflow.db"),
    ],
)
def test_passwords_of_addresses_are_not_shown(text, shown):
    assert store.redacted(text) == shown
