"""Requests that wait, and the batches in which one thread ranks them: several users' queries in one pass."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from arrange.docids.trie import NAMES
from arrange.errors import UserError
from arrange.serving.exported import Answer as Found
from arrange.serving.exported import Asked, Exported, identity, load


class Served(NamedTuple):
    """An exported ranker that is ready, and the hash of its files."""

    exported: Exported
    key: str


class Answer(NamedTuple):
    """The documents of each query of a request, and the ranker that found all of them."""

    ranked: Found
    served: Served


def prepare(folder: Path, device: str, batch: int) -> Served:
    """Load an exported ranker and rank once, so that neither the first user waits nor a broken one is served.

    batch: queries in one pass; 0 for the recipe's own number.
    Raises UserError as `load` does, and where the folder changes meanwhile.
    """
    try:
        key, exported = identity(folder), _in_memory(load(folder, device))
        if batch:
            exported = replace(exported, recipe=replace(exported.recipe, batch_size=batch))
        with suppress(UserError):  # told to who asks for it
            _ = exported.fusion
        changed = identity(folder) != key
    except OSError:  # a file is gone between being listed and being read
        changed = True
    if changed:
        raise UserError(f"{folder} changed while it was read", "load it again when it is whole")
    among = None if exported.recipe.candidate is None else [exported.catalogue.docids["doc_id"][0]]
    exported.rank(["a query"], 1, among=among)
    return Served(exported, key)


def _in_memory(exported: Exported) -> Exported:
    """The ranker without memory-mapped files, so that who writes into its folder changes nothing and stops nothing."""
    for weights in chain(exported.model.parameters(), exported.model.buffers()):
        weights.data = weights.data.clone()
    catalogue = exported.catalogue
    arrays = {name: getattr(catalogue.trie, name).copy() for name in NAMES}
    return replace(exported, catalogue=replace(catalogue, trie=replace(catalogue.trie, **arrays)))


@dataclass(eq=False)
class _Waiting:
    asked: Asked
    answer: asyncio.Future[Answer]


class Batcher:
    """The queue, and the thread that works it off. To be used in one event loop.

    served: the ranker of the next batch; may be set at any time. A batch, and so a request, has one ranker.
    wait: seconds that the first of a batch waits for others. passed: is told of each batch how many queries it has.
    """

    def __init__(self, served: Served, wait: float, passed: Callable[[int], object]) -> None:
        self.served, self.wait, self.passed = served, wait, passed
        self.waiting: deque[_Waiting] = deque()
        self.arrived = asyncio.Event()
        self.thread = ThreadPoolExecutor(1, "ranking")

    @property
    def queries(self) -> int:
        """How many queries wait."""
        return sum(len(one.asked.queries) for one in self.waiting)

    async def rank(self, asked: Asked) -> Answer:
        """Wait for a place in a batch and for its answer. Raises UserError as `Exported.rank`; may be cancelled."""
        one = _Waiting(asked, asyncio.get_running_loop().create_future())
        self.waiting.append(one)
        self.arrived.set()
        try:
            return await one.answer
        finally:
            if one in self.waiting:  # it was cancelled
                self.waiting.remove(one)

    async def run(self) -> None:
        """Rank batch after batch, until cancelled."""
        while True:
            await self._gather()
            served = self.served
            if batch := self._take(served.exported.recipe.batch_size):
                await self._rank(batch, served)

    async def _gather(self) -> None:
        """Return when a batch is full, or `wait` seconds after a request was there."""
        while not self.waiting:
            self.arrived.clear()
            await self.arrived.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(self.wait):
                while self.queries < self.served.exported.recipe.batch_size:
                    self.arrived.clear()
                    await self.arrived.wait()

    def _take(self, most: int) -> list[_Waiting]:
        """The first requests of the queue that have `most` queries together; a larger one goes alone."""
        batch: list[_Waiting] = []
        while self.waiting and (not batch or most >= len(self.waiting[0].asked.queries)):
            batch.append(self.waiting.popleft())
            most -= len(batch[-1].asked.queries)
        return batch

    async def _rank(self, batch: list[_Waiting], served: Served) -> None:
        self.passed(sum(len(one.asked.queries) for one in batch))
        found: Sequence[Found | Exception]
        try:
            found = await asyncio.get_running_loop().run_in_executor(
                self.thread, served.exported.rank_together, [one.asked for one in batch]
            )
        except Exception as error:  # no memory, say: an answer to these, and the queue goes on
            found = [error] * len(batch)
        for one, ranked in zip(batch, found, strict=True):
            if one.answer.done():  # cancelled
                continue
            if isinstance(ranked, Exception):
                one.answer.set_exception(ranked)
            else:
                one.answer.set_result(Answer(ranked, served))
