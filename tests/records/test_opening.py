"""What MLflow's store may be, and what is told before the work where it can't be used: with MLflow's own stores."""

import shutil
import socket
from pathlib import Path

import pytest
import sqlalchemy
from mlflow import MlflowClient, MlflowException
from mlflow.store.db.utils import InitialBase

from arrange.errors import UserError
from records import store
from records.opening import as_user_errors, check, opened


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """A database without runs, which takes seconds to make."""
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The checkout, with no store in it."""
    path = tmp_path / 'a "checkout" 100%'
    path.mkdir()
    for name in (store.TRACKING, "MLFLOW_REGISTRY_URI", "MLFLOW_ALLOW_FILE_STORE", "DVC_ROOT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(path)
    return path


@pytest.fixture
def database(empty, folder):
    """The store of the checkout."""
    return Path(shutil.copy(empty, folder))


def client_of(database):
    return MlflowClient(f"sqlite:///{database}")


def told():
    """The two lines with which the store is refused."""
    with pytest.raises(UserError) as failure:
        check()
    assert len(str(failure.value).splitlines()) == 2
    return failure.value.what, failure.value.remedy


def test_a_store_that_is_well_is_ready_for_records(database):
    check()
    made = client_of(database).get_experiment_by_name(store.EXPERIMENT)
    assert made.artifact_location == (database.parent / "mlartifacts").as_uri()
    check()
    assert [each.name for each in client_of(database).search_experiments()] == [store.EXPERIMENT, "Default"]


def test_a_relative_address_is_the_checkout_s_also_from_a_workspace(database, monkeypatch):
    database.rename(database.with_name("rel.db"))
    workspace = database.parent / ".workspaces" / "0a1b2c3d4e5f"
    workspace.mkdir(parents=True)
    monkeypatch.chdir(workspace)
    monkeypatch.setenv(store.TRACKING, "sqlite:///rel.db")
    check()
    assert client_of(database.with_name("rel.db")).get_experiment_by_name(store.EXPERIMENT)
    assert list(workspace.iterdir()) == []


def test_a_store_whose_making_was_killed_is_made(folder):
    """MLflow makes its tables, then brings them up one version after the other, which takes seconds."""
    engine = sqlalchemy.create_engine(f"sqlite:///{folder / 'mlflow.db'}")
    InitialBase.metadata.create_all(engine)
    engine.dispose()
    check()
    assert client_of(folder / "mlflow.db").get_experiment_by_name(store.EXPERIMENT)


def test_a_deleted_experiment_is_told(database):
    client = client_of(database)
    client.delete_experiment(client.create_experiment(store.EXPERIMENT))
    what, _ = told()
    assert what.startswith(f"the records of this checkout are in sqlite:///{database}, which can't be used: ")
    assert "active" in what


def test_a_store_of_files_is_mlflow_s_affair(folder, monkeypatch):
    monkeypatch.setenv(store.TRACKING, "./mlruns")
    what, remedy = told()
    assert what.startswith("MLFLOW_TRACKING_URI is ./mlruns, which can't be used: ")
    assert remedy == "mend it, or let MLFLOW_TRACKING_URI name another store"


def test_an_error_while_recording_is_told_and_a_bug_is_none(database):
    with pytest.raises(UserError, match="which can't be used: no room"), as_user_errors():
        raise MlflowException("no room")
    with pytest.raises(KeyError), as_user_errors():
        raise KeyError("x")


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("mysql://me:secret@host/base", "which can't be used: No module named 'MySQLdb'"),
        ("postgresql+nothing://me:secret@host/base", "which can't be used: Can't load plugin: sqlalchemy.dialects:"),
        ("oracle://me:secret@host/base", "which can't be used: "),
        ("sqlite:///text", "which can't be used: (sqlite3.DatabaseError) file is not a database"),
        ("sqlite:///inner", "which can't be used: (sqlite3.OperationalError) unable to open database file"),
    ],
)
def test_what_mlflow_can_t_open_is_told_without_a_password(folder, monkeypatch, capfd, uri, why):
    (folder / "text").write_text("no database\n" * 500)
    (folder / "inner").mkdir()
    monkeypatch.setenv(store.TRACKING, uri)
    what, remedy = told()
    assert what.startswith(f"MLFLOW_TRACKING_URI is {store.redacted(store.tracking_uri())}, {why}")
    assert "secret" not in what
    assert store.TRACKING in remedy
    assert capfd.readouterr() == ("", "")


def test_a_database_server_that_is_not_there_is_told_at_once(folder, monkeypatch):
    pytest.importorskip("psycopg2")
    with socket.socket() as held:  # bound, not listening: nobody else gets this port, and nobody answers
        held.bind(("127.0.0.1", 0))
        uri = f"postgresql+psycopg2://me:secret@127.0.0.1:{held.getsockname()[1]}/mlflow"
        monkeypatch.setenv(store.TRACKING, uri)
        what, _ = told()
    assert what.startswith(f"MLFLOW_TRACKING_URI is {uri.replace('secret', '***')}, which can't be used: ")
    assert "Connection refused" in what


def test_a_database_that_can_only_be_read_is_told(database, monkeypatch, capfd):
    check()
    uri = f"sqlite:///file:{database}?mode=ro&uri=true"
    monkeypatch.setenv(store.TRACKING, uri)
    assert "attempt to write a readonly database" in told()[0]
    assert capfd.readouterr().err == ""


def test_a_registry_of_its_own_is_mlflow_s_affair(database, monkeypatch):
    shutil.copy(database, database.with_name("models.db"))
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", f"sqlite:///{database.with_name('models.db')}")
    opened().create_registered_model("arrange-wordnet")
    monkeypatch.delenv("MLFLOW_REGISTRY_URI")
    found = [client_of(database.with_name(name)).search_registered_models() for name in ("models.db", "mlflow.db")]
    assert [len(models) for models in found] == [1, 0]
