"""The server under load: 16 clients against one by one, and whether the answers are those of `Exported.rank`.

Two servers in processes of their own, one thread each: one ranks a request at a time, one ranks in batches. Every
answer is compared with the library's. EXPORT: the folder of an exported ranker; without it, random weights of the
quickstart's size and 2,000 documents. CPU time is that of the server's process, which other work disturbs less than
the clock.
--quick: 8 requests a client instead of 32.
"""

import argparse
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import psutil
import requests
import torch
from rich.console import Console
from rich.table import Table
from urllib3.util import Retry

PROJECT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(PROJECT), str(PROJECT / "benchmarks")]

from decode import machine  # noqa: E402

from arrange.docids import tokens, trie  # noqa: E402
from arrange.models import ranker as model  # noqa: E402
from arrange.serving import exported  # noqa: E402

CLIENTS, K, CLOSE = 16, 10, 1e-4
SHAPE = {"hidden_size": 128, "intermediate_size": 341, "num_hidden_layers": 2, "num_attention_heads": 4}
Body = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("export", type=Path, nargs="?")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--beams", type=int, help="width of the searches, at least 10; default: the export's own")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(machine())
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.export or random_export(Path(temporary, "export"))
        ranker = exported.load(folder)
        plain, mixed = requests_of(ranker, CLIENTS * (8 if options.quick else 32), options.beams)
        with serving(folder, batch=1) as (url, process):
            runs = {"one client, one by one": load(url, process, plain, 1)}
            runs["16 clients, one by one"] = load(url, process, plain, CLIENTS)
        with serving(folder, batch=CLIENTS) as (url, process):
            runs["16 clients, in batches"] = load(url, process, plain, CLIENTS)
            runs["16 clients, in batches, half with `among`"] = load(url, process, mixed, CLIENTS)
    report(runs, agreement(ranker, runs))


def requests_of(ranker: exported.Exported, number: int, beams: int | None) -> tuple[list[Body], list[Body]]:
    """Requests of one query each, and the same where every other one ranks a tenth of the documents."""
    rng, table = random.Random(0), ranker.catalogue.docids
    words = " ".join(table["text"].head(500)).split()
    plain: list[Body] = [{"queries": [" ".join(rng.sample(words, 6))], "k": K, "beams": beams} for _ in range(number)]
    ids = table["doc_id"].to_list()
    among = [rng.sample(ids, max(1, len(ids) // 10)) for _ in range(4)]  # four filters that users share
    mixed = [body | {"among": among[row // 2 % 4]} if row % 2 else body for row, body in enumerate(plain)]
    return plain, mixed


@contextmanager
def serving(folder: Path, batch: int) -> Iterator[tuple[str, psutil.Process]]:
    """A server of one thread; its address and process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "arrange.serving", folder, "--port", port, "--batch", batch, "--device", "cpu"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(PROJECT)}
    with subprocess.Popen([*map(str, words)], env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            session = requests.Session()
            retry = Retry(total=None, connect=600, backoff_factor=0.5, backoff_max=0.5)
            session.mount("http://", requests.adapters.HTTPAdapter(max_retries=retry))
            session.get(f"http://127.0.0.1:{port}/ready", timeout=60).raise_for_status()
            yield f"http://127.0.0.1:{port}", psutil.Process(process.pid)
        finally:
            process.terminate()


def load(url: str, process: psutil.Process, bodies: Sequence[Body], clients: int) -> dict[str, Any]:
    """Send all requests, each client its next when it has its answer; answers, seconds of each, of all, of the CPU."""
    answers: list[Any] = [None] * len(bodies)
    seconds = np.zeros(len(bodies))
    numbers = iter(count())

    def client() -> None:
        with requests.Session() as session:
            while (number := next(numbers)) < len(bodies):
                began = time.perf_counter()
                answers[number] = session.post(f"{url}/rank", json=bodies[number], timeout=120).json()
                seconds[number] = time.perf_counter() - began

    requests.post(f"{url}/rank", json=bodies[0], timeout=120)
    threads = [threading.Thread(target=client) for _ in range(clients)]
    before, began = process.cpu_times(), time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    whole, after = time.perf_counter() - began, process.cpu_times()
    cpu = after.user + after.system - before.user - before.system
    return {"bodies": bodies, "answers": answers, "seconds": seconds, "whole": whole, "cpu": cpu}


def agreement(ranker: exported.Exported, runs: dict[str, Any]) -> dict[str, Any]:
    """How many lists are the library's, how far scores are from its own, how many documents nobody may have."""
    own: dict[str, list[exported.Ranked]] = {}
    same, illegal, furthest, answers = 0, 0, 0.0, 0
    ids = set(ranker.catalogue.docids["doc_id"])
    for run in runs.values():
        for body, answer in zip(run["bodies"], run["answers"], strict=True):
            key, [found] = json.dumps(body), answer["rankings"]
            if key not in own:
                [own[key]] = ranker.rank(**body)
            gaps = [abs(mine["log_probability"] - its[2]) for mine, its in zip(found, own[key], strict=True)]
            same += [each["doc_id"] for each in found] == [each.doc_id for each in own[key]]
            illegal += sum(each["doc_id"] not in body.get("among", ids) for each in found)
            furthest, answers = max([furthest, *gaps]), answers + 1
    assert furthest < CLOSE, f"a score differs by {furthest}"
    return {"answers": answers, "identical_lists": same, "furthest_score": furthest, "illegal": illegal}


def report(runs: dict[str, Any], checked: dict[str, Any]) -> None:
    table = Table("", "requests/s", "p50 (ms)", "p99 (ms)", "server's CPU a request (ms)")
    for name, run in runs.items():
        p50, p99 = 1000 * np.quantile(run["seconds"], [0.5, 0.99])
        number = len(run["answers"])
        row = [f"{number / run['whole']:.1f}", f"{p50:.0f}", f"{p99:.0f}", f"{1000 * run['cpu'] / number:.1f}"]
        table.add_row(name, *row)
    Console().print(table)
    one, crowd, batches = list(runs.values())[:3]
    slower = min(one["whole"], crowd["whole"])
    speed = {"speedup": slower / batches["whole"], "speedup_of_cpu": min(one["cpu"], crowd["cpu"]) / batches["cpu"]}
    print(json.dumps(speed | checked))


def random_export(folder: Path, documents: int = 2000) -> Path:
    """A ranker with random weights of the quickstart's size, for documents named by words that are made up."""
    rng, parts = random.Random(0), folder.with_name("parts")
    syllables = [a + b for a in "bdfgklmnprst" for b in "aeiou"]
    words = ["".join(rng.choices(syllables, k=rng.randint(2, 4))) for _ in range(3000)]
    names = list(dict.fromkeys(" ".join(rng.sample(words, rng.randint(1, 3))) for _ in range(2 * documents)))[
        :documents
    ]
    tokenizer = tokens.train_tokenizer(names, 4096)
    docids = tokens.encode_docids(tokenizer, [[name] for name in names])
    tokenizer.save_pretrained(parts / "tokenizer")
    weights = model.from_scratch({"model_type": "llama", **SHAPE}, tokenizer, positions=128, seed=0)
    model.save(weights, parts / "model")
    trie.build(docids).save(parts / "trie.safetensors")
    ids = [f"d{row}" for row in range(documents)]
    table = {"doc_id": ids, "docid": names, "tokens": docids, "text": names}
    recipe = exported.Recipe("{query}<docid>", 32, None, "sum", 20, 16, "vocabulary", 1)
    card = {"data": "random", "ranker": "random", "validated": {}, "metrics": {}, "sha256": {}}
    exported.write(
        folder,
        model=parts / "model",
        catalogue=parts,
        documents=pl.DataFrame(table, schema_overrides={"tokens": pl.List(pl.Int32)}),
        validation=pl.DataFrame({"query_id": []}),
        recipe=recipe,
        card=card | {"parameters": {"ranker": {}, "loss": {}}},
    )
    return folder


if __name__ == "__main__":
    main()
