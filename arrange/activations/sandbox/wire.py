"""Messages between processes: JSON and safetensors. A pickle would run the code that it names."""

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from arrange.activations.evaluation import Admitted, Arrays, Job, Outcome

DETAIL = 300  # characters


def pack(head: Mapping[str, Any], arrays: Arrays) -> bytes:
    """The length of the JSON text, the text, then the arrays: names sorted, C order."""
    text = json.dumps(head).encode()
    tensors = save({name: np.ascontiguousarray(arrays[name]) for name in sorted(arrays)})
    return struct.pack("<Q", len(text)) + text + tensors


def unpack(message: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The head and the arrays of a message. Raises ValueError for anything that `pack` did not make."""
    try:
        (length,) = struct.unpack_from("<Q", message)
        head, arrays = json.loads(message[8 : 8 + length]), load(message[8 + length :])
    except (SafetensorError, struct.error, RecursionError, KeyError) as error:
        raise ValueError(f"not a message: {error}") from None
    if not isinstance(head, dict):
        raise ValueError("not a message: its head is no object")
    return head, arrays


def pack_job(job: Job) -> bytes:
    """A job as bytes."""
    return pack({"source": job.source, "settings": dict(job.settings)}, job.arrays)


def unpack_job(message: bytes) -> Job:
    """The job of these bytes."""
    head, arrays = unpack(message)
    return Job(head["source"], arrays, head["settings"])


def pack_outcome(outcome: Outcome) -> bytes:
    """An outcome as bytes.

    Raises TypeError or ValueError if the entry function returned anything other than named arrays of numbers.
    """
    if not isinstance(outcome.arrays, dict) or not all(
        isinstance(name, str) and isinstance(array, np.ndarray) and array.dtype.kind in "fiub"
        for name, array in outcome.arrays.items()
    ):
        raise TypeError("the entry function returned something other than named arrays of numbers")
    admitted = asdict(outcome.admitted) if outcome.admitted else None
    return pack({"reason": outcome.reason, "detail": outcome.detail, "admitted": admitted}, outcome.arrays)


def unpack_outcome(message: bytes) -> Outcome:
    """The outcome in bytes that a candidate may have forged. Its reason is `output` where they are not well formed."""
    try:
        head, arrays = unpack(message)
        reason, detail, admitted = head["reason"], head["detail"], head["admitted"]
        if not isinstance(reason, str) or not isinstance(detail, str):
            raise ValueError("reason and detail are not text")
        if reason:
            return Outcome(reason[:20], one_line(detail))
        return Outcome("", "", _admitted(admitted), arrays)
    except (ValueError, KeyError, TypeError) as error:
        return Outcome("output", one_line(f"not an answer: {error}"))


def _admitted(fields: Mapping[str, Any]) -> Admitted:
    flops, gain, curve = float(fields["flops"]), float(fields["gain"]), tuple(map(float, fields["curve"]))
    if not all(map(math.isfinite, (flops, gain, *curve))) or gain <= 0:
        raise ValueError("impossible values of an admission")
    return Admitted(flops, fields["pointwise"] is True, gain, curve)


def one_line(text: str) -> str:
    """The first line, shortened so that it fits into a table."""
    return " ".join(text.split("\n")[0].split())[:DETAIL]
