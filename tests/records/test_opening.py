"""What MLflow's store may be, and what is told before the work where it can't be used: with MLflow's own stores."""

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy
from mlflow import MlflowClient
from mlflow.store.db.utils import InitialBase
from servers import answering, free_port

from arrange.errors import UserError
from records import store
from records.opening import check, opened

OLDER, NEWER = "451aebb31d03", "ffffffffffff"  # the first schema, and none that there is


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


def set_schema(database, version):
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", [version])


def test_a_database_of_an_older_mlflow_is_refused_and_stays_as_it_is(database):
    set_schema(database, OLDER)
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("DROP TABLE trace_info")  # for the want of a table MLflow would change the database at once
    before = database.read_bytes()
    what, remedy = told()
    why = f"a database of another MLflow (its schema is {OLDER}); "
    assert what.startswith(f"the records of this checkout are in sqlite:///{database}, {why}")
    upgrade = f".venv/bin/mlflow db upgrade 'sqlite:///{database}'"
    assert remedy == f"copy the database, then: {upgrade}; or let {store.TRACKING} name another store"
    assert database.read_bytes() == before


def test_a_database_of_a_newer_mlflow_is_refused(database):
    set_schema(database, NEWER)
    assert f"a database of another MLflow (its schema is {NEWER}); " in told()[0]


def test_another_program_s_database_is_refused_and_stays_as_it_is(folder, monkeypatch):
    monkeypatch.setenv(store.TRACKING, "sqlite:///search.db")
    with closing(sqlite3.connect(folder / "search.db")) as connection:
        connection.execute("CREATE TABLE candidates (a)")
    before = (folder / "search.db").read_bytes()
    what, remedy = told()
    assert what == f"MLFLOW_TRACKING_URI is sqlite:///{folder}/search.db, the database of another program"
    assert remedy == "let MLFLOW_TRACKING_URI name another store"
    assert (folder / "search.db").read_bytes() == before


def test_a_deleted_experiment_is_told_with_what_restores_it(database):
    client = client_of(database)
    experiment = client.create_experiment(store.EXPERIMENT)
    client.delete_experiment(experiment)
    what, remedy = told()
    assert what == f"the experiment arrange was deleted in sqlite:///{database}"
    address = f"{store.TRACKING}='sqlite:///{database}'"
    assert remedy == f"{address} .venv/bin/mlflow experiments restore --experiment-id {experiment}"
    client.restore_experiment(experiment)
    check()


@pytest.mark.parametrize("uri", ["./mlruns", "file:rel", "file:///abs/mlruns"])
def test_a_store_of_files_is_refused_unless_mlflow_still_takes_it(folder, monkeypatch, uri):
    monkeypatch.setenv(store.TRACKING, uri)
    what, remedy = told()
    assert what == f"MLFLOW_TRACKING_URI is {store.tracking_uri()}, a folder of files, which MLflow no longer writes"
    assert "`mlflow migrate-filestore`" in remedy
    if not uri.endswith("/abs/mlruns"):
        monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
        check()
        assert (folder / ("rel" if "rel" in uri else "mlruns")).is_dir()


@pytest.mark.parametrize("uri", ["sqlite://", "sqlite:///", "sqlite:///:memory:"])
def test_a_store_in_memory_is_refused(folder, monkeypatch, uri):
    monkeypatch.setenv(store.TRACKING, uri)
    assert told()[0] == f"MLFLOW_TRACKING_URI is {uri}, which ends with the process that opens it"


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("mysql://me:secret@host/base", "and there is no driver for it: No module named 'MySQLdb'"),
        ("postgresql+nothing://me:secret@host/base", "which can't be used: Can't load plugin: sqlalchemy.dialects:"),
        ("oracle://me:secret@host/base", "which can't be used: "),
        ("sqlite:///nowhere/mlflow.db", "which can't be used: (sqlite3.OperationalError) unable to open database file"),
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
    assert store.TRACKING in remedy or "install it into .venv" in remedy
    assert not (folder / "nowhere").exists()
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


@pytest.mark.parametrize(
    ("location", "why"),
    [
        (
            "file:///dev/null/mlartifacts",
            "and the files of its experiment belong into /dev/null/mlartifacts, which can't",
        ),
        ("sftp://host/x", "and there is no driver for it: No module named 'paramiko'"),
    ],
)
def test_files_without_a_place_are_told(database, location, why):
    client_of(database).create_experiment(store.EXPERIMENT, location)
    assert told()[0].startswith(f"the records of this checkout are in sqlite:///{database}, {why}")


def test_a_registry_of_its_own_is_mlflow_s_affair(database, monkeypatch):
    shutil.copy(database, database.with_name("models.db"))
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", f"sqlite:///{database.with_name('models.db')}")
    opened().create_registered_model("arrange-wordnet")
    monkeypatch.delenv("MLFLOW_REGISTRY_URI")
    found = [client_of(database.with_name(name)).search_registered_models() for name in ("models.db", "mlflow.db")]
    assert [len(models) for models in found] == [1, 0]


@pytest.mark.slow
def test_a_server_s_deleted_experiment_is_told_too(database, monkeypatch, tmp_path):
    client = client_of(database)
    client.delete_experiment(client.create_experiment(store.EXPERIMENT))
    port = free_port()
    words = ["mlflow", "server", "--host", "127.0.0.1", "--port", port, "--workers", "1"]
    env = os.environ | {"MLFLOW_BACKEND_STORE_URI": f"sqlite:///{database}"}
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen([sys.executable, "-m", *words], cwd=tmp_path, env=env, stdout=log, stderr=log)
    try:
        answering(f"http://127.0.0.1:{port}/health")
        monkeypatch.setenv(store.TRACKING, f"http://127.0.0.1:{port}")
        assert told()[0] == f"the experiment arrange was deleted in http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()
