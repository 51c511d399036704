"""A ranker as an MLflow model: what `mlflow models serve` and `mlflow.pyfunc.load_model` run.

MLflow copies this file, the library and an exported ranker into the model (`records/register.py`), and runs the copy of
this file; so nothing is pickled, and it imports nothing else of the project.

    {"inputs": ["poodle: a dog with a curly coat"], "params": {"k": 10}}

has as its answer a list for each query, best document first, each with doc_id, text and log_probability.
"""

from pathlib import Path
from threading import Lock
from typing import Any

import pandas as pd
import torch
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature, set_model
from mlflow.pyfunc import PythonModel, PythonModelContext
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema
from mlflow.types.schema import AnyType

from arrange.errors import UserError
from arrange.serving.exported import load

ALL = "*"  # MLflow's lists need a default, and an empty one is a choice among no documents
SIGNATURE = ModelSignature(
    inputs=Schema([ColSpec(AnyType())]),  # of "string" MLflow's server would make "2" of 2, and "None" of null
    params=ParamSchema(
        [
            ParamSpec("k", "long", 10),
            ParamSpec("beams", "long", None),
            ParamSpec("among", "string", [ALL], (-1,)),
        ]
    ),
)


class RankingService(PythonModel):
    """Ranks documents for queries; what is wrong with a request is said in an answer of status 400."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the exported ranker, onto the GPU if there is one."""
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self.exported = load(Path(context.artifacts["export"]), device)
        self.lock = Lock()  # requests come in threads, and a pass over candidates hooks into the model

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> list[list[dict[str, Any]]]:
        """For each query (a row of the one column) its documents; params: k, beams, among (see `Exported.rank`)."""
        asked = {name: value for name, value in (params or {}).items() if value is not None}
        if asked.get("among") == [ALL]:
            del asked["among"]
        queries = model_input.iloc[:, 0].tolist()
        try:
            with self.lock:
                ranked = self.exported.rank(queries, **asked)
        except UserError as error:
            raise MlflowException.invalid_parameter_value(f"{error.what}; {error.remedy}") from None
        return [[found._asdict() for found in documents] for documents in ranked]


set_model(RankingService())
