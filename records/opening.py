"""Opens MLflow's store. What is wrong with it is told in two lines, and flows ask before the work, not after it."""

import logging
import os
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from arrange.errors import UserError
from records import store
from settings.paths import NO_FOLDERS

if TYPE_CHECKING:
    from mlflow import MlflowClient  # takes seconds, and flows that reuse everything don't need it

DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
ANOTHER = f"let {store.TRACKING} name another store"


def check() -> None:
    """Raise UserError unless a run can be recorded: the store opens and takes a write, and its files have a place."""
    client = opened()
    with as_user_errors():
        experiment = client.get_experiment(store.experiment_id(client))
        client.set_experiment_tag(experiment.experiment_id, "last_run_began", time.strftime("%Y-%m-%d %H:%M:%S"))
        check_files(str(experiment.artifact_location))


def opened() -> "MlflowClient":
    """A client of the store, which answers.

    Raises UserError where there is no server, driver, database or folder for it, and where it is one that the installed
    MLflow can't use.
    """
    store.check_server()
    uri = store.address()
    with as_user_errors():
        check_kind(uri)
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=uri)
        client.get_experiment_by_name(store.EXPERIMENT)
    return client


@contextmanager
def as_user_errors() -> Iterator[None]:
    """Errors of MLflow, and of what it opens stores with, as UserError, without MLflow's own log of them."""
    from alembic.util import CommandError
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    log = logging.getLogger("mlflow")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    except ImportError as error:  # a driver's
        remedy = "install it into .venv, or name one that is there: postgresql+psycopg2://..."
        raise refused(f"and there is no driver for it: {error}", remedy) from None
    except (MlflowException, SQLAlchemyError, CommandError, OSError) as error:
        lines = store.redacted(str(error)).strip().splitlines() or [type(error).__name__]
        raise refused(f"which can't be used: {lines[0][:300]}", f"mend it, or {ANOTHER}") from None
    finally:
        log.setLevel(level)


def refused(why: str, remedy: str) -> UserError:
    """The two lines about the store that the environment names, or about the checkout's own."""
    what = f"{store.TRACKING} is" if os.environ.get(store.TRACKING) else "the records of this checkout are in"
    return UserError(f"{what} {store.redacted(store.address())}, {why}", remedy)


def check_kind(uri: str) -> None:
    """Raise UserError for a store that keeps nothing, for files where MLflow writes none, for a foreign database."""
    kind = urlsplit(uri).scheme.partition("+")[0]
    name = f"let {store.TRACKING} name"
    if kind in ("", "file") and uri not in NO_FOLDERS and os.environ.get("MLFLOW_ALLOW_FILE_STORE") != "true":
        remedy = f"{name} a database: sqlite:///mlflow.db; `mlflow migrate-filestore` takes the records there"
        raise refused("a folder of files, which MLflow no longer writes", remedy)
    if kind == "sqlite" and (uri.endswith(":///") or uri.endswith("://") or ":memory:" in uri):
        raise refused("which ends with the process that opens it", f"{name} a file: sqlite:///mlflow.db")
    if kind in DATABASES:
        check_schema(uri)


def check_schema(uri: str) -> None:
    """Raise UserError unless a database is the installed MLflow's, or empty. MLflow itself would write into others.

    One of another schema that has no experiment yet was left by an MLflow that was killed when it made the tables; the
    next one goes on there.
    """
    import mlflow
    import sqlalchemy
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    engine = sqlalchemy.create_engine(uri, poolclass=sqlalchemy.NullPool)
    with engine.connect() as connection:
        tables = sqlalchemy.inspect(connection).get_table_names()
        schema = MigrationContext.configure(connection).get_current_revision()
        has_any = "experiments" in tables
        is_used = has_any and connection.execute(sqlalchemy.text("SELECT 1 FROM experiments")).first() is not None
    if schema is None and tables and not has_any and uri.startswith("sqlite"):
        raise refused("the database of another program", ANOTHER)
    scripts = ScriptDirectory(str(Path(mlflow.__file__).parent / "store" / "db_migrations"))
    if schema != scripts.get_current_head() and is_used:
        why = f"a database of another MLflow (its schema is {schema}); {metadata.version('mlflow')} is installed"
        upgrade = f".venv/bin/mlflow db upgrade {shlex.quote(store.redacted(uri))}"
        raise refused(why, f"copy the database, then: {upgrade}; or {ANOTHER}")


def check_files(location: str) -> None:
    """Raise UserError where the files of an experiment can't be written; an ImportError for want of a driver."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    parts = urlsplit(location)
    if parts.scheme not in ("", "file"):
        get_artifact_repository(location, tracking_uri=store.address())
        return
    folder = Path(unquote(parts.path) if parts.scheme else location)
    above = next(each for each in [folder, *folder.parents] if each.exists())
    if not (above.is_dir() and os.access(above, os.W_OK)):
        why = f"and the files of its experiment belong into {folder}, which can't be written to"
        raise refused(why, f"mend it, or {ANOTHER}")
