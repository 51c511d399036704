"""Opens MLflow's store. What is wrong with it is told in two lines, and flows ask before the work, not after it."""

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from requests import RequestException

from arrange.errors import UserError
from records import store

if TYPE_CHECKING:
    from mlflow import MlflowClient  # takes seconds, and flows that reuse everything don't need it


def check() -> None:
    """Raise UserError unless a run can be recorded: the store opens and takes a write."""
    client = opened()
    with as_user_errors():
        client.set_experiment_tag(store.experiment_id(client), "last_run_began", time.strftime("%Y-%m-%d %H:%M:%S"))


def opened() -> "MlflowClient":
    """A client of the store, which answers. Raises UserError where MLflow can't open it."""
    store.check_server()
    with as_user_errors():
        from mlflow import MlflowClient
        from mlflow.store.db.db_types import DATABASE_ENGINES
        from sqlalchemy import NullPool, create_engine

        address = store.address()
        if address.partition(":")[0].partition("+")[0] in DATABASE_ENGINES:
            create_engine(address, poolclass=NullPool).connect().close()  # MLflow tries for 100 seconds
        client = MlflowClient(tracking_uri=address)
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
    except (ImportError, MlflowException, SQLAlchemyError, CommandError, RequestException) as error:
        store.check_server()  # it may have gone
        what = f"{store.TRACKING} is" if os.environ.get(store.TRACKING) else "the records of this checkout are in"
        why = (store.redacted(str(error)).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"{what} {store.redacted(store.address())}, which can't be used: {why[:300]}",
            f"mend it, or let {store.TRACKING} name another store",
        ) from None
    finally:
        log.setLevel(level)
