"""Constrained decoding: how fast, against what, and whether the answers are the same.

Random docIDs of 4 to 8 tokens and random Llamas, in one process. Four tables: whole searches (8 queries in a batch, 20
beams, 10^5 docIDs, V = 32k, prompts of 32 tokens); the step from log-probabilities to the best legal candidates; the
share of a search with 110M parameters that is neither model nor softmax; the trie. With every speed comes the agreement
with the reference, Hugging Face's `generate` with a prefix function over a Python dictionary.
--quick: fewer repeats; --full: steps of 640 rows, of 10^4 to 10^7 docIDs and of V = 2k and 150k too.
"""

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

PROJECT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(PROJECT), str(PROJECT / "benchmarks")]

from _decode_baselines import (  # noqa: E402
    END,
    RandomDocids,
    Step,
    best,
    cached_prefixes,
    dict_prefixes,
    dict_trie,
    our_step,
    prefix_step,
    random_docids,
    sorted_step,
    static_step,
)

from arrange.decoding.beam import beam_search  # noqa: E402
from arrange.decoding.hf import TrieLogitsProcessor, search_config  # noqa: E402
from arrange.decoding.scoring import Scorer  # noqa: E402
from arrange.decoding.settings import Normaliser  # noqa: E402
from arrange.docids.trie import Trie, build_flat  # noqa: E402
from arrange.models import prompt_cache  # noqa: E402

PROMPT, BEAMS, QUERIES, DEVICE = 32, 20, 8, "cuda" if torch.cuda.is_available() else "cpu"
Lists = list[list[int]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="3 repeats")
    size.add_argument("--full", action="store_true", help="more rows, docIDs and vocabularies")
    options = parser.parse_args()
    print(machine())
    docids = random_docids(10**5, 32_000)
    trie = build_flat(*docids)
    results = searches(docids, trie, repeats=3 if options.quick else 7)
    results |= steps(docids, trie, 32_000, rows=(1, 10, 80))
    results |= overhead(trie, repeats=3 if options.quick else 7)
    results |= million()
    if options.full:
        more_steps()
    print(json.dumps(results))


def searches(docids: RandomDocids, trie: Trie, repeats: int) -> dict[str, Any]:
    """Queries per second of whole searches, and whether their lists are those of the reference."""
    model = llama(32_000, width=256, layers=4)
    prompts = np.random.default_rng(1).integers(3, 32_000, (QUERIES, PROMPT)).tolist()
    root = dict_trie(docids.rows())
    processor = TrieLogitsProcessor(trie, PROMPT, 0, search_config(trie, BEAMS), DEVICE)
    methods: dict[str, Callable[[], Lists]] = {
        "HF generate, prefix function over a dict": lambda: generate(
            model, prompts, trie, prefix_allowed_tokens_fn=dict_prefixes(root, PROMPT)
        ),
        "HF generate, the same with results kept": lambda: generate(
            model, prompts, trie, prefix_allowed_tokens_fn=cached_prefixes(root, PROMPT)
        ),
        "HF generate, our logits processor": lambda: generate(model, prompts, trie, logits_processor=[processor]),
        "HF generate, no constraint": lambda: generate(model, prompts, trie),
        "ours, vocabulary": lambda: ours(model, prompts, trie, "vocabulary"),
        "ours, docid_tokens": lambda: ours(model, prompts, trie, "docid_tokens"),
        "ours, children": lambda: ours(model, prompts, trie, "children"),
    }
    table = new_table(f"searches: {QUERIES} queries, {BEAMS} beams", "queries/s", "lists as HF's")
    speed, lists = {}, {}
    for name, method in methods.items():
        seconds, lists[name] = timed(method, repeats)
        speed[name] = QUERIES / statistics.median(seconds)
        same = sum(mine == its for mine, its in zip(lists[name], next(iter(lists.values())), strict=True))
        table.add_row(name, spread([QUERIES / second for second in seconds]), f"{same} of {QUERIES}")
    Console().print(table)
    reference, free = (speed[name] for name in list(methods)[:4:3])
    return {
        "speedup_vs_hf": speed["ours, vocabulary"] / reference,
        "speedup_vs_hf_children": speed["ours, children"] / reference,
        "speed_vs_unconstrained": speed["ours, vocabulary"] / free,
        "identical_lists_vs_hf": lists["ours, vocabulary"] == next(iter(lists.values())),
    }


@torch.inference_mode()
def steps(docids: RandomDocids, trie: Trie, vocabulary: int, rows: Sequence[int], repeats: int = 50) -> dict[str, Any]:
    """Milliseconds from log-probabilities to the best legal candidates, by rows; prefixes of one token."""
    methods = ["dict", "dict, results kept", "padded CSR mask", "sorted matrix", "ours", "no constraint"]
    table = new_table(f"steps: {len(trie.document_D):,} docIDs, V = {vocabulary:,}", *methods, "same")
    with_dict = len(trie.document_D) <= 10**6  # some kilobytes a docID
    root, matrix_DL = dict_trie(docids.rows()) if with_dict else {}, docids.matrix()
    ratios = {}
    for count in rows:
        for depth in (0, 1, 2, 3) if count == 1 else (1,):
            problem = Problem.draw(trie, matrix_DL, vocabulary, count, depth)
            times, values = {}, {}
            for name, step in problem.steps(root, matrix_DL, with_dict).items():
                seconds, (values[name], _) = timed(partial(step, problem.score_RV), repeats)
                times[name] = [1000 * second for second in seconds]
            values.pop("no constraint")
            finite = [value[value > -torch.inf][: problem.beams] for value in values.values()]
            same = all(len(other) == len(finite[-1]) and torch.allclose(other, finite[-1]) for other in finite)
            cells = (spread(times[name]) if name in times else "not built" for name in methods)
            table.add_row(f"{count} rows, depth {depth}", *cells, str(same))
            if with_dict:
                ratios[count, depth] = statistics.median(times["dict"]) / statistics.median(times["ours"])
    Console().print(table)
    return {"one_row_vs_dict": min((ratio for (count, _), ratio in ratios.items() if count == 1), default=None)}


@dataclass
class Problem:
    """Rows of prefixes, with their log-probabilities."""

    trie: Trie
    prefix_RT: NDArray[np.int64]
    score_RV: Tensor
    beams: int

    @classmethod
    def draw(cls, trie: Trie, matrix_DL: NDArray[np.int64], vocabulary: int, rows: int, depth: int) -> "Problem":
        rng = np.random.default_rng(rows)
        prefix_RT = matrix_DL[rng.integers(len(matrix_DL), size=rows), :depth]
        score_RV = torch.randn(rows, vocabulary, generator=torch.Generator().manual_seed(rows)).log_softmax(-1)
        return cls(trie, prefix_RT, score_RV.to(DEVICE), min(rows, 10))

    def steps(self, root: dict[int, Any], matrix_DL: NDArray[np.int64], with_dict: bool) -> dict[str, Step]:
        on_device = self.trie.on(DEVICE)
        node_R = torch.tensor([self.trie.walk(prefix_T.tolist()) for prefix_T in self.prefix_RT], device=DEVICE)
        token_RT, depth = torch.from_numpy(self.prefix_RT).to(DEVICE), self.prefix_RT.shape[1]
        by_method: dict[str, Step] = {}
        if with_dict:
            by_method["dict"] = prefix_step(dict_prefixes(root, 0), token_RT, self.beams)
            by_method["dict, results kept"] = prefix_step(cached_prefixes(root, 0), token_RT, self.beams)
        by_method["padded CSR mask"] = static_step(on_device, token_RT, node_R, depth, self.beams)
        by_method["sorted matrix"] = sorted_step(matrix_DL, token_RT, self.beams)
        by_method["ours"] = our_step(on_device, node_R, depth, self.beams)
        by_method["no constraint"] = lambda score_RV: best(score_RV, token_RT, self.beams)
        return by_method


def more_steps() -> None:
    """More sizes of catalogue and vocabulary."""
    for documents in (10**4, 10**6, 10**7):
        docids = random_docids(documents, 32_000)
        steps(docids, build_flat(*docids), 32_000, rows=(1, 80), repeats=5)
    for vocabulary in (2_000, 150_000):
        docids = random_docids(10**5, vocabulary)
        steps(docids, build_flat(*docids), vocabulary, rows=(1, 10, 80, 640), repeats=5)


def overhead(trie: Trie, repeats: int) -> dict[str, float]:
    """The share of a search that is neither model nor softmax: trie, candidates, top-k, masks, results."""
    model = llama(32_000, width=768, layers=12)
    size = sum(part.numel() for part in model.parameters()) // 10**6
    table = new_table(f"searches with {size}M parameters", "seconds", "not model", "per pass (ms)", "share")
    shares = []
    for queries in (1, 8):
        prompts = np.random.default_rng(1).integers(3, 32_000, (queries, PROMPT)).tolist()
        beam_search(model, prompts, trie, beams=10, batch_size=queries)
        for _ in range(repeats):
            with model_time() as spent:
                started = time.perf_counter()
                beam_search(model, prompts, trie, beams=10, batch_size=queries)
                seconds = time.perf_counter() - started
            shares.append((1 - sum(spent) / seconds, seconds, len(spent) / 2))
        share, seconds, passes = sorted(shares[-repeats:])[repeats // 2]
        rest = share * seconds
        table.add_row(
            f"{10 * queries} rows", f"{seconds:.3f}", f"{rest:.4f}", f"{1000 * rest / passes:.2f}", f"{share:.2%}"
        )
    Console().print(table)
    medians = [statistics.median(share for share, _, _ in part) for part in (shares[:repeats], shares[repeats:])]
    return {"overhead_share": max(medians)}


@contextmanager
def model_time() -> Iterator[list[float]]:
    """Collect the seconds of each pass through the model, and of each softmax."""
    spent: list[float] = []

    def timing(function: Callable[..., Any]) -> Callable[..., Any]:
        def timed_call(*args: Any, **named: Any) -> Any:
            started = time.perf_counter()
            result = function(*args, **named)
            if DEVICE == "cuda":
                torch.cuda.synchronize()
            spent.append(time.perf_counter() - started)
            return result

        return timed_call

    states, scores = prompt_cache.states, Scorer._scores
    prompt_cache.states, Scorer._scores = timing(states), timing(scores)  # type: ignore[method-assign]
    try:
        yield spent
    finally:
        prompt_cache.states, Scorer._scores = states, scores  # type: ignore[method-assign]


def million() -> dict[str, float]:
    """Build a trie of 10^6 docIDs of 8 tokens."""
    rng = np.random.default_rng(0)
    tokens_DL = np.unique(rng.integers(3, 32_000, (10**6 + 1000, 8), dtype=np.int32), axis=0)[: 10**6]
    rng.shuffle(tokens_DL)
    tokens_DL[:, -1] = END
    seconds, trie = timed(lambda: build_flat(tokens_DL.ravel(), np.arange(0, tokens_DL.size + 1, 8)), 3)
    results = {"build_seconds_1m": statistics.median(seconds), "bytes_per_docid": trie.describe()["bytes_per_docid"]}
    table = new_table("the trie: 10^6 docIDs of 8 tokens", "seconds to build", "bytes a docID")
    table.add_row("", spread(seconds), f"{results['bytes_per_docid']:.0f}")
    Console().print(table)
    return results


def llama(vocabulary: int, width: int, layers: int) -> PreTrainedModel:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=8 * width // 3,
        num_hidden_layers=layers,
        num_attention_heads=width // 64,
        tie_word_embeddings=True,
        eos_token_id=END,
        pad_token_id=0,
    )
    return LlamaForCausalLM(config).eval().to(DEVICE)


def ours(model: PreTrainedModel, prompts: Lists, trie: Trie, normaliser: Normaliser) -> Lists:
    results = beam_search(model, prompts, trie, beams=BEAMS, batch_size=len(prompts), normaliser=normaliser)
    return [top.documents_K.tolist() for top in results]


def generate(model: PreTrainedModel, prompts: Lists, trie: Trie, **constraint: Any) -> Lists:
    """The ranked documents of Hugging Face's beam search; -1 for what is no docID."""
    token_BP = torch.tensor(prompts, device=DEVICE)
    output = model.generate(  # type: ignore[operator]
        token_BP,
        attention_mask=torch.ones_like(token_BP),
        generation_config=search_config(trie, BEAMS),
        **constraint,
    )
    rows = output[:, token_BP.shape[1] :].tolist()
    nodes = [trie.walk(row[: row.index(END) + 1] if END in row else row) for row in rows]
    documents = [int(trie.documents([node])[0]) if node >= 0 else -1 for node in nodes]
    return np.reshape(documents, (len(prompts), -1)).tolist()


def timed(method: Callable[[], Any], repeats: int) -> tuple[list[float], Any]:
    """Seconds of each repeat, after one that warms up, and what the method returns."""
    seconds = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        result = method()
        if DEVICE == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    return seconds[1:], result


def spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.3g} ({min(values):.3g}-{max(values):.3g}, n={len(values)})"


def new_table(title: str, *columns: str) -> Table:
    table = Table("", *columns, title=title)
    for column in table.columns[1:]:
        column.justify = "right"
    return table


def machine() -> str:
    """Hardware and versions: a timing means nothing without them."""
    cpu = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
        cpu = names[0].split(": ")[1] if names else cpu
    where = torch.cuda.get_device_name() if DEVICE == "cuda" else f"{cpu}, {torch.get_num_threads()} threads"
    return f"{where}; torch {torch.__version__}, transformers {version('transformers')}, numpy {np.__version__}"


if __name__ == "__main__":
    main()
