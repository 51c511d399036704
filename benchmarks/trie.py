"""Our trie compared with other tries in Python, on the same docIDs: time to build, bytes a docID, lookups a second.

A lookup returns the tokens that may follow a random beginning of a docID: constrained decoding does one at every step.
All answers must agree. Each trie is built in its own process, on one thread. Bytes are those of the arrays (arrange),
of the trie as a file (marisa-trie: the same as in memory), or the growth of the process (the others don't report it).
"Batched" looks up 1,000 beginnings at once; "open" is `load` of a saved trie.
--quick takes 10^5 docIDs for the other tries; --full adds arrange alone at 10^7.
"""

import argparse
import json
import math
import os
import platform
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl
import psutil
import torch
from rich.console import Console
from rich.table import Table

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from arrange.docids import trie  # noqa: E402

REPEATS = 3
LENGTH, VOCABULARY = 8, 32_000
BEGINNINGS = 1000
PACKAGES = ["marisa-trie", "pygtrie"]
Rows = list[list[int]]
Answers = list[tuple[int, ...]]
Follow = Callable[[list[int]], Iterable[int]]  # the tokens that may follow a beginning
T = TypeVar("T")


class FlatDocids(NamedTuple):
    """DocIDs one after the other, as `trie.build_flat` takes them."""

    tokens_T: npt.NDArray[np.int32]
    offsets_D1: npt.NDArray[np.int64]

    def rows(self) -> Rows:
        return [row.tolist() for row in np.split(self.tokens_T, self.offsets_D1[1:-1])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    missing = [name for name in PACKAGES if not find_spec(name.replace("-", "_"))]
    if missing:
        sys.exit(f"not installed: {', '.join(missing)}\npip install {' '.join(missing)}")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="10^5 docIDs for the other tries")
    size.add_argument("--full", action="store_true", help="arrange at 10^7 docIDs too")
    chosen = parser.parse_args()
    results = measure(10**5 if chosen.quick else 10**6, chosen.full)
    show(results)
    print(json.dumps(results))


def measure(documents: int, full: bool) -> dict[str, Any]:
    """All rows of the table; the figures beside them are arrange's at 10^6 docIDs."""
    rows = [repeated(name, "uniform", documents) for name in OTHERS]
    arranged = [("uniform", documents), ("uniform", 10**6), ("zipf", 10**6), *([("uniform", 10**7)] if full else [])]
    rows += [repeated("arrange", *what) for what in dict.fromkeys(arranged)]
    at_documents = [row for row in rows if (row["catalogue"], row["documents"]) == ("uniform", documents)]
    assert len({row["answers"] for row in at_documents}) == 1, "the tries disagree"
    a_million = next(row for row in rows if (row["trie"], row["documents"]) == ("arrange", 10**6))
    return {
        **machine(),
        "rows": rows,
        "agree": True,
        "build_seconds_1m": a_million["build_seconds"]["median"],
        "bytes_per_docid": a_million["bytes_per_docid"]["median"],
    }


def repeated(name: str, catalogue: str, documents: int) -> dict[str, Any]:
    """A trie's figures, each as median, least and greatest of a few processes."""
    runs = []
    for _ in range(REPEATS):
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            runs.append(pool.submit(once, name, catalogue, documents).result())
    row = {"trie": name, "catalogue": catalogue, "documents": documents}
    for key, value in runs[0].items():
        row[key] = spread([run[key] for run in runs]) if isinstance(value, float) else value
    return row


def once(name: str, catalogue: str, documents: int) -> dict[str, Any]:
    """One build and its lookups, in this process."""
    torch.set_num_threads(1)
    docids = {"uniform": uniform, "zipf": zipf}[catalogue](documents)
    beginnings = random_beginnings(docids)
    return measure_arrange(docids, beginnings) if name == "arrange" else measure_other(name, docids, beginnings)


def uniform(documents: int) -> FlatDocids:
    """DocIDs of 8 tokens, all equally likely: almost no shared prefixes past the second token."""
    tokens_DL = np.random.default_rng(0).integers(1, VOCABULARY, (documents, LENGTH), dtype=np.int32)
    return FlatDocids(tokens_DL.reshape(-1), np.arange(documents + 1) * LENGTH)


def zipf(documents: int) -> FlatDocids:
    """DocIDs like titles: 2 to 12 tokens of 150,000, a few of them frequent, so that many share prefixes; an end."""
    rng = np.random.default_rng(0)
    tokens_DL = np.minimum(rng.zipf(1.3, (2 * documents, 12)), 149_999).astype(np.int32)
    tokens_DL[np.arange(12) >= rng.integers(1, 12, 2 * documents)[:, None]] = 0
    tokens_DL = pl.DataFrame(tokens_DL).unique(maintain_order=True).head(documents).to_numpy()
    length_D = (tokens_DL > 0).sum(1)
    offsets_D1 = np.concatenate([[0], np.cumsum(length_D)])
    return FlatDocids(np.insert(tokens_DL[tokens_DL > 0], offsets_D1[1:], 0), offsets_D1 + np.arange(len(offsets_D1)))


def random_beginnings(docids: FlatDocids) -> Rows:
    """The first 1 to all but one tokens of random documents."""
    rng = np.random.default_rng(1)
    documents = rng.integers(0, len(docids.offsets_D1) - 1, BEGINNINGS)
    lengths = rng.integers(1, np.diff(docids.offsets_D1)[documents])
    starts = docids.offsets_D1[documents]
    return [docids.tokens_T[at : at + length].tolist() for at, length in zip(starts, lengths, strict=True)]


def measure_arrange(docids: FlatDocids, beginnings: Rows) -> dict[str, Any]:
    started = time.perf_counter()
    built = trie.build_flat(*docids)
    seconds = time.perf_counter() - started
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9  # the docIDs included
    there = built.on("cpu")
    longest = max(map(len, beginnings))
    padded_LR = torch.tensor([[*row, *[-1] * (longest - len(row))] for row in beginnings]).T

    def batched() -> tuple[torch.Tensor, torch.Tensor]:
        node_R = torch.zeros(len(beginnings), dtype=torch.int64)
        for token_R in padded_LR:
            node_R = torch.where(token_R < 0, node_R, there.step(node_R, token_R))
        row_C, node_C = there.children(node_R)
        return row_C, there.tokens(node_C)

    def follow(beginning: list[int]) -> list[int]:
        first, end = built.child_range(built.walk(beginning))
        return built.token_N[first:end].tolist()

    rate, answers = lookups(lambda: [tuple(follow(row)) for row in beginnings])
    batched_rate, (row_C, token_C) = lookups(batched)
    by_row = token_C.split(row_C.bincount(minlength=len(beginnings)).tolist())
    assert answers == [tuple(token_c.tolist()) for token_c in by_row]
    return {
        "build_seconds": seconds,
        "bytes_per_docid": float(built.describe()["bytes_per_docid"]),
        "lookups_per_second": rate,
        "batched_lookups_per_second": batched_rate,
        "open_seconds": open_seconds(built),
        "peak_gb": peak_gb,
        "answers": digest(answers),
    }


def open_seconds(built: trie.Trie) -> float:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "trie.safetensors")
        built.save(path)
        started = time.perf_counter()
        trie.load(path)
        return time.perf_counter() - started


def measure_other(name: str, docids: FlatDocids, beginnings: Rows) -> dict[str, Any]:
    rows = docids.rows()
    memory, started = private(), time.perf_counter()
    follow, size = OTHERS[name](rows)
    seconds = time.perf_counter() - started
    rate, answers = lookups(lambda: [tuple(sorted(follow(row))) for row in beginnings])
    return {
        "build_seconds": seconds,
        "bytes_per_docid": (size or private() - memory) / len(rows),
        "lookups_per_second": rate,
        "answers": digest(answers),
    }


def lookups(ask: Callable[[], T]) -> tuple[float, T]:
    """Lookups a second, the better of two rounds (the first warms caches), and the answers."""
    seconds = []
    for _ in range(2):
        started = time.perf_counter()
        answers = ask()
        seconds.append(time.perf_counter() - started)
    return BEGINNINGS / min(seconds), answers


# Each builder returns a function that looks up, and the trie's bytes (None if the trie doesn't report them).


def build_dict(rows: Rows) -> tuple[Follow, int | None]:
    """A Python dict of dicts."""
    root: dict[int, Any] = {}
    for row in rows:
        node = root
        for token in row:
            node = node.setdefault(token, {})

    def follow(beginning: list[int]) -> Iterable[int]:
        node = root
        for token in beginning:
            node = node[token]
        return node

    return follow, None


def build_marisa(rows: Rows) -> tuple[Follow, int | None]:
    """marisa-trie: a succinct trie of strings, here one character a token."""
    import marisa_trie

    built = marisa_trie.Trie("".join(map(chr, row)) for row in rows)

    def follow(beginning: list[int]) -> Iterable[int]:
        return {ord(key[len(beginning)]) for key in built.iterkeys("".join(map(chr, beginning)))}

    return follow, len(built.tobytes())


def build_pygtrie(rows: Rows) -> tuple[Follow, int | None]:
    """pygtrie: a trie of any sequences, in Python."""
    import pygtrie

    built = pygtrie.Trie()
    for number, row in enumerate(rows):
        built[row] = number

    def follow(beginning: list[int]) -> Iterable[int]:
        def visit(_: object, path: tuple[int, ...], children: Iterable[int], value: int = 0) -> Any:
            return path[-1] if len(path) > len(beginning) else list(children)

        return built.traverse(visit, beginning)

    return follow, None


OTHERS = {"dict": build_dict, "marisa-trie": build_marisa, "pygtrie": build_pygtrie}


def private() -> int:
    """Bytes that this process alone holds."""
    return psutil.Process().memory_full_info().uss


def digest(answers: Answers) -> int:
    return hash(tuple(answers))  # hashes of integers are the same in every process


def spread(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "n": len(values)}


def machine() -> dict[str, Any]:
    """Hardware and versions, which belong to every timing."""
    cpu = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
        cpu = names[0].split(": ")[1] if names else cpu
    packages = {name: version(name) for name in ("numpy", "torch", *PACKAGES)}
    return {"cpu": cpu, "cores": os.cpu_count(), "threads": 1, "python": platform.python_version(), **packages}


def show(results: dict[str, Any]) -> None:
    """The rows as a table, the machine below."""
    table = Table(title="benchmarks/trie.py")
    columns = ["build_seconds", "bytes_per_docid", "lookups_per_second", "batched_lookups_per_second"]
    columns += ["open_seconds", "peak_gb"]
    for name in ["trie", "catalogue", "documents", *columns]:
        title = name.replace("_per_", "/").replace("_", " ")
        table.add_column(title, justify="left" if name == "trie" else "right")
    for row in results["rows"]:
        table.add_row(
            row["trie"], row["catalogue"], f"{row['documents']:,}", *(cell(row.get(name)) for name in columns)
        )
    Console(width=150).print(table)
    print({name: value for name, value in results.items() if name != "rows"})


def cell(value: dict[str, float] | None) -> str:
    if value is None:
        return ""
    digits = max(0, 2 - math.floor(math.log10(value["median"])))  # three that count
    middle, low, high = (f"{value[name]:,.{digits}f}" for name in ("median", "min", "max"))
    return f"{middle}\n{low}-{high}\nn={value['n']}"


if __name__ == "__main__":
    main()
