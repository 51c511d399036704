"""The history of a training: what the Trainer logged, a row per step, and the checkpoint that was kept."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

LOGGED = ("loss", "learning_rate", "grad_norm")


def history_of(log: Sequence[Mapping[str, float]]) -> list[dict[str, float]]:
    """What the Trainer logged, without its timings, one dict per step; `eval_` becomes `validation_`."""
    rows: dict[int, dict[str, float]] = {}
    for entry in log:
        # Sorted, because a log that was saved and read again has its keys in another order.
        values = {name: entry[name] for name in LOGGED if name in entry}
        values |= {f"validation_{name[5:]}": entry[name] for name in sorted(entry) if name.startswith("eval_")}
        if values:
            rows.setdefault(int(entry["step"]), {"step": int(entry["step"])}).update(values)
    return list(rows.values())


def kept_value(history: pl.DataFrame, column: str, arguments: Mapping[str, Any]) -> float | None:
    """A column's value at the checkpoint that training kept; None where the column was never logged.

    history: one row per logged step. arguments: of `transformers.TrainingArguments`. They say whether the best
    checkpoint is kept, by which metric, and whether more of it is better; otherwise the last checkpoint is kept.
    """
    if column not in history.columns:
        return None
    validated = history.drop_nulls(column).filter(pl.col("step") > 0)  # the first weights are in no checkpoint
    if validated.is_empty():
        return None
    if not arguments.get("load_best_model_at_end"):
        return validated[column][-1]
    metric = arguments.get("metric_for_best_model", "loss").removeprefix("eval_")
    greater = arguments.get("greater_is_better", not metric.endswith("loss"))
    return validated.sort(f"validation_{metric}", descending=greater, maintain_order=True)[column][0]
