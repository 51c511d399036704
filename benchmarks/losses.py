"""The packed pass against one document at a time: queries per second, gradients, memory.

Same model, same queries, same loss (`item`, alpha = 1), one process, one thread. `animal`: lists of WordNet, prompts
of the query alone. `list101`: the query and 101 candidates in the prompt. It reads what `make run` has made.
The plain pass is made as fast as it can be: sequences in batches, the output layer at the docIDs' tokens only.
Then a step of the packed pass under each normaliser, with a vocabulary as large as SmolLM2's: time and peak memory.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import torch
import transformers
from rich.console import Console
from rich.table import Table
from torch import Tensor
from transformers import PreTrainedModel

from arrange.data import tables
from arrange.docids.catalogue import Catalogue, open_catalogue
from arrange.models import ranker as model
from arrange.models.normaliser import Normaliser
from arrange.training import examples
from arrange.training import packed_pass as packed
from arrange.training.losses import Item
from settings import params

DATA, CATALOGUE = Path("data/wordnet"), Path("docids/wordnet-text")
LOSS = Item(alpha=1.0)
CANDIDATES = 101
BATCH = 16  # queries in a batch, as in the quickstart
VOCABULARY = 49_152  # of the steps under each normaliser
SEQUENCES = 64  # in a batch of the plain pass: the fastest of 32, 64, 101 and 214


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer queries and repetitions")
    parser.add_argument("--memory", choices=["packed", "plain"], help=argparse.SUPPRESS)
    parser.add_argument("--step", choices=get_args(Normaliser), help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if not (CATALOGUE / "docids.parquet").exists():
        sys.exit("this benchmark reads data/ and docids/ of a finished run\nmake run first")
    animal, catalogue = load()
    if options.memory:
        print(peak(options.memory, animal, catalogue))
        return
    repetitions = 3 if options.quick else 7
    if options.step:
        print(json.dumps(step(options.step, animal, catalogue, repetitions)))
        return
    rows = [
        measure("animal", animal, catalogue, queries=BATCH if options.quick else 4 * BATCH, repetitions=repetitions),
        measure(
            "list101", with_candidates(animal), catalogue, queries=1 if options.quick else 2, repetitions=repetitions
        ),
    ]
    memory = {name: int(in_process("--memory", name)) for name in ("packed", "plain")}
    quick = ["--quick"] if options.quick else []
    steps = {name: json.loads(in_process("--step", name, *quick)) for name in get_args(Normaliser)}
    show(rows, memory, steps)
    result = {f"{row['lists']}_speedup": round(row["speedup"], 2) for row in rows}
    result["gradient_relative_difference"] = max(row["difference"] for row in rows)
    result["packing_share_of_step"] = round(rows[0]["packing_share"], 4)
    result["peak_bytes_at_equal_tokens"] = memory
    result["steps"] = steps
    print(json.dumps(result))


def load() -> tuple[examples.Examples, Catalogue]:
    """The training queries of the finished run, with the prompts of the corpus regime."""
    catalogue, prompt = open_catalogue(CATALOGUE), replace(params.read().prompt, regime="corpus")
    queries, _, qrels = tables.read(DATA, splits=["train"])
    return examples.of_queries(queries, qrels, catalogue, prompt), catalogue


def with_candidates(animal: examples.Examples) -> examples.Examples:
    """The same queries, each with 101 documents drawn from the corpus, in its prompt and ranked."""
    rng = np.random.default_rng(0)
    ranks_D = np.arange(1.0, CANDIDATES + 1)
    rows = [rng.choice(len(animal.docids.length_D), CANDIDATES, replace=False) for _ in range(8)]
    prompts = animal.prompts[:8]
    return replace(animal, prompts=prompts, lists=[(row_D, ranks_D) for row_D in rows], candidate=([5], [6]))


def ranker(catalogue: Catalogue, positions: int) -> PreTrainedModel:
    """A model in the quickstart's shape."""
    shape = params.load()["base_models"]["scratch"]["shape"]
    return model.from_scratch(shape, catalogue.tokenizer, positions, seed=1)


def packed_loss(trained: PreTrainedModel, batch: dict[str, Tensor]) -> Tensor:
    return packed.cross_entropy(packed.edge_log_probabilities(trained, batch), batch)


def sequences(lists: examples.Examples, queries: Sequence[int]) -> list[tuple[list[int], list[int], float]]:
    """A prompt, a docID and its weight for each document of the queries."""
    rows = []
    for query in queries:
        rows_D, ranks_D = lists.lists[query]
        weight_D = np.exp(LOSS.weights(ranks_D).node_D)
        prompt = examples.prompt_of(lists, query, query)
        for row, weight in zip(rows_D, weight_D / weight_D.sum() / len(queries), strict=True):
            docid = lists.docids.tokens_DT[row, : lists.docids.length_D[row]].tolist()
            rows.append((prompt, docid, float(weight)))
    return rows


def plain_loss(trained: PreTrainedModel, rows: Sequence[tuple[list[int], list[int], float]]) -> Tensor:
    """The loss of one batch of sequences, each a prompt with one docID."""
    width = max(len(prompt) + len(docid) for prompt, docid, _ in rows)
    ids_SL, label_SL = torch.zeros(len(rows), width, dtype=torch.long), torch.full((len(rows), width), -100)
    for row, (prompt, docid, _) in enumerate(rows):
        ids_SL[row, : len(prompt) + len(docid)] = torch.tensor(prompt + docid)
        label_SL[row, len(prompt) - 1 : len(prompt) + len(docid) - 1] = torch.tensor(docid)
    hidden_SLH = trained.base_model(input_ids=ids_SL, use_cache=False).last_hidden_state
    logits_NV = trained.get_output_embeddings()(hidden_SLH[label_SL != -100])
    loss_N = torch.nn.functional.cross_entropy(logits_NV, label_SL[label_SL != -100], reduction="none")
    weight_N = torch.tensor([weight for *_, weight in rows]).repeat_interleave(
        torch.tensor([len(docid) for _, docid, _ in rows])
    )
    return (weight_N * loss_N).sum()


def measure(name: str, lists: examples.Examples, catalogue: Catalogue, queries: int, repetitions: int) -> dict:
    """Seconds for forward and backward of the same queries by both passes, and how far the gradients differ."""
    measured = replace(lists, prompts=lists.prompts[:queries])
    trained = ranker(catalogue, examples.longest_sequence([measured], catalogue.tokenizer, params.read().prompt))
    optimizer = torch.optim.AdamW(trained.parameters(), lr=0.0)
    batches = [[(query, query) for query in range(queries)][at : at + BATCH] for at in range(0, queries, BATCH)]
    weights = examples.list_weights(lists, LOSS)
    rows = sequences(lists, range(queries))
    chunks = [rows[start : start + SEQUENCES] for start in range(0, len(rows), SEQUENCES)]

    def pack() -> list[dict[str, Tensor]]:
        return [examples.batch(items, lists, weights, negatives=False) for items in batches]

    def by_packing() -> None:
        trained.zero_grad()
        for batch in pack():
            (packed_loss(trained, batch) * batch["queries"] / queries).backward()

    def one_by_one() -> None:
        trained.zero_grad()
        for chunk in chunks:
            plain_loss(trained, chunk).backward()

    seconds: dict[str, list[float]] = {"packed": [], "plain": [], "pack": [], "step": []}
    gradients = {}
    for _ in range(repetitions + 1):  # the first warms up
        for key, work in (("packed", by_packing), ("plain", one_by_one)):
            seconds[key].append(timed(work))
            gradients[key] = torch.cat([p.grad.flatten() for p in trained.parameters() if p.grad is not None])
        seconds["pack"].append(timed(pack))
        seconds["step"].append(timed(by_packing) + timed(optimizer.step))
    median = {key: statistics.median(values[1:]) for key, values in seconds.items()}
    difference = (gradients["packed"] - gradients["plain"]).norm() / gradients["plain"].norm()
    return {
        "lists": name,
        "queries": queries,
        "documents": len(rows) / queries,
        "n": repetitions,
        "packed": queries / median["packed"],
        "plain": queries / median["plain"],
        "spread": max(max(v[1:]) / min(v[1:]) for k, v in seconds.items() if k in ("packed", "plain")),
        "speedup": median["plain"] / median["packed"],
        "difference": float(difference),
        "packing_share": median["pack"] / median["step"],
    }


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def peak(name: str, animal: examples.Examples, catalogue: Catalogue) -> int:
    """Bytes that forward and backward of about 4,000 tokens add to this process at their peak."""
    trained = ranker(catalogue, 64)
    weights = examples.list_weights(animal, LOSS)
    batch = examples.batch([(query, query) for query in range(48)], animal, weights, negatives=False)
    tokens = int((batch["input_ids"] != animal.pad_token_id).sum())
    rows = sequences(animal, range(48))
    fits = int(np.searchsorted(np.cumsum([len(prompt) + len(docid) for prompt, docid, _ in rows]), tokens))
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak of loading (Linux)
    before = high_water()
    loss = packed_loss(trained, batch) if name == "packed" else plain_loss(trained, rows[:fits])
    loss.backward()
    return high_water() - before


def step(normaliser: Normaliser, animal: examples.Examples, catalogue: Catalogue, repetitions: int) -> dict:
    """Forward and backward of a batch: the columns of the output, median seconds, the bytes that the first one adds."""
    trained = ranker(catalogue, 64)
    trained.resize_token_embeddings(VOCABULARY, mean_resizing=False)
    items, weights = [(query, query) for query in range(BATCH)], examples.list_weights(animal, LOSS)
    batch = examples.batch(items, animal, weights, negatives=False, normaliser=normaliser)

    def work() -> None:
        trained.zero_grad()
        packed_loss(trained, batch).backward()

    Path("/proc/self/clear_refs").write_text("5")  # forget the peak of loading (Linux)
    before = high_water()
    work()
    peak_bytes = high_water() - before
    columns = len(batch["column"]) if "column" in batch else VOCABULARY
    seconds = statistics.median(timed(work) for _ in range(repetitions))
    return {"columns": columns, "seconds": round(seconds, 4), "peak_bytes": peak_bytes}


def high_water() -> int:
    """The largest resident size of this process since it was last forgotten, in bytes."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def in_process(*arguments: str) -> str:
    """The last line of this file in a process of its own, where nothing else has raised the high-water mark."""
    command = [sys.executable, __file__, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1]


def show(rows: list[dict], memory: dict[str, int], steps: dict[str, dict]) -> None:
    console = Console(width=120)
    table = Table(title="Forward and backward, queries a second (median)")
    for column in (
        "lists",
        "documents",
        "packed",
        "one document at a time",
        "speed-up",
        "gradients differ by",
        "packing",
        "n",
    ):
        table.add_column(column, justify="left" if column == "lists" else "right")
    for row in rows:
        table.add_row(
            row["lists"],
            f"{row['documents']:.1f}",
            f"{row['packed']:.1f}",
            f"{row['plain']:.2f}",
            f"{row['speedup']:.1f}x",
            f"{row['difference']:.1e}",
            f"{row['packing_share']:.1%} of a step",
            f"{row['n']} (slowest/fastest {row['spread']:.2f})",
        )
    console.print(table)
    console.print(
        f"Peak memory at equal tokens: packed {memory['packed'] / 1e6:.0f} MB, plain {memory['plain'] / 1e6:.0f} MB"
    )
    for name, of_step in steps.items():
        cost = f"{of_step['seconds']:.3f} s, {of_step['peak_bytes'] / 1e6:.0f} MB"
        console.print(f"A step over {name}, {of_step['columns']:,} columns of {VOCABULARY:,} tokens: {cost}")
    versions = f"torch {torch.__version__}, transformers {transformers.__version__}, Python {platform.python_version()}"
    console.print(f"{platform.processor() or platform.machine()}, 1 thread; {versions}")


if __name__ == "__main__":
    main()
