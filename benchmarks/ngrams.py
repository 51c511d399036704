"""The index of all n-grams (arrange/docids/ngrams.py): time and memory to build, lookups a second.

The text is synthetic: passages of 16 to 240 tokens, 64 in the mean, made of phrases of 1 to 8 tokens. Phrases, and
their tokens, come by Zipf's law, so that they repeat as in a language; V = 32,000. Each index has its own process.
A lookup finds an n-gram of the text and all tokens that may follow it: constrained decoding does one for every beam and
step. "One by one" begins at the root; "batched" looks up 1,000 n-grams at once, from their own ranges on.
The frequencies of some n-grams are compared with a count over the whole text. --quick leaves out 10^6 documents.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from trie import cell, machine, spread  # noqa: E402

from arrange.docids import ngrams  # noqa: E402

REPEATS = 3
VOCABULARY, LENGTH = 32_000, 10
PHRASES = 2**20
LOOKUPS, COUNTED = 1000, 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="leave out 10^6 documents")
    sizes = [10**4, 10**5, *([] if parser.parse_args().quick else [10**6])]
    results = {**machine(), "rows": [repeated(documents) for documents in sizes]}
    show(results)
    print(json.dumps(results))


def repeated(documents: int) -> dict[str, Any]:
    """The figures of an index, each as median, least and greatest of a few processes."""
    runs = []
    with tempfile.TemporaryDirectory() as folder:
        write_text(documents, Path(folder))
        for _ in range(REPEATS):
            with ProcessPoolExecutor(1, get_context("spawn")) as pool:
                runs.append(pool.submit(once, Path(folder)).result())
    rows = {key: spread([run[key] for run in runs]) for key, value in runs[0].items() if isinstance(value, float)}
    return runs[0] | rows


def write_text(documents: int, folder: Path) -> None:
    """Write the tokens of all passages, one after the other, and where each begins; token 0 is the separator's."""
    rng = np.random.default_rng(0)
    length_D = np.clip(rng.lognormal(np.log(54), 0.6, documents).astype(np.int64), 16, 240)
    phrase_P = zipf(rng, PHRASES, int(length_D.sum() // 4))
    size_P = np.random.default_rng(1).integers(1, 9, PHRASES)[phrase_P]
    within_T = np.arange(size_P.sum()) - np.repeat(np.cumsum(size_P) - size_P, size_P)
    place_T = np.repeat(phrase_P, size_P) * 8 + within_T
    token_F = zipf(np.random.default_rng(2), VOCABULARY - 1, 8 * PHRASES).astype(np.int32) + 1
    np.save(folder / "tokens.npy", token_F[place_T[: length_D.sum()]])
    np.save(folder / "offsets.npy", np.concatenate([[0], np.cumsum(length_D)]))


def zipf(rng: np.random.Generator, most: int, count: int) -> npt.NDArray[np.int64]:
    """Numbers below `most`, number n with a probability of about 1 / (n + 1)."""
    return (np.exp(rng.random(count) * np.log(most + 1)) - 1).astype(np.int64).clip(max=most - 1)


def once(folder: Path) -> dict[str, Any]:
    """One build and its lookups, in this process."""
    token_T, offsets_D1 = (np.load(folder / f"{name}.npy") for name in ("tokens", "offsets"))
    before_gb = peak_gb()
    started, started_cpu = time.perf_counter(), time.process_time()
    index = ngrams.build_flat(token_T, offsets_D1, 0, LENGTH)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - started_cpu
    peak = peak_gb()
    check(index, token_T, offsets_D1)
    known = [index.window(place)[:2] for place in np.random.default_rng(3).integers(0, len(index.place_S), LOOKUPS)]
    known = [ngram for ngram in known if ngram[-1] != index.separator]

    def one_by_one() -> None:
        for ngram in known:
            first, end = index.find(ngram)
            index.children(np.array([first]), np.array([end]), len(ngram))

    node_R = np.array([index.find(ngram) for ngram in known])
    return {
        "documents": len(offsets_D1) - 1,
        "tokens": len(index.token_T),
        "build_seconds": seconds,
        "build_cpu_seconds": cpu_seconds,
        "peak_gb": peak,
        "text_gb": before_gb,
        "bytes_per_token": float((index.token_T.nbytes + index.place_S.nbytes) / len(index.token_T)),
        "lookups_per_second": len(known) / elapsed(one_by_one),
        "batched_lookups_per_second": len(known) / elapsed(lambda: index.children(node_R[:, 0], node_R[:, 1], 2)),
    }


def check(index: ngrams.NgramIndex, token_T: npt.NDArray[np.int32], offsets_D1: npt.NDArray[np.int64]) -> None:
    """Compare the frequencies of some trigrams with a count over all passages."""
    here_T = np.ones(len(token_T) - 2, bool)
    here_T[offsets_D1[1:-1, None] - [1, 2]] = False  # it would begin in one passage and end in the next
    for at in np.random.default_rng(4).choice(np.flatnonzero(here_T), COUNTED):
        counted = here_T.copy()
        for offset in range(3):
            counted &= token_T[offset : len(token_T) - 2 + offset] == token_T[at + offset]
        first, end = index.find(token_T[at : at + 3].tolist())
        assert end - first == counted.sum(), f"the trigram at {at}"


def peak_gb() -> float:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def elapsed(work: Any) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def show(results: dict[str, Any]) -> None:
    """The rows as a table, the machine below."""
    table = Table(title="benchmarks/ngrams.py")
    columns = [name for name in results["rows"][0] if name not in {"documents", "tokens"}]
    for name in ["documents", "tokens", *columns]:
        table.add_column(name.replace("_per_", "/").replace("_", " "), justify="right")
    for row in results["rows"]:
        table.add_row(f"{row['documents']:,}", f"{row['tokens']:,}", *(cell(row[name]) for name in columns))
    Console(width=150).print(table)
    print({name: value for name, value in results.items() if name != "rows"})


if __name__ == "__main__":
    main()
